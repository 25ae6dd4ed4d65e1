/* Writing tar archives. */
#include "store/tar_write.h"

#include <string.h>

#include "store/tar_priv.h"

#define MAX_OCTAL_SIZE 077777777777LL /* 11 digits */
#define MAX_OCTAL_ID   07777777       /* 7 digits */
#define MAX_SPARSE_MAP (TAR_MAX_SPARSE_ENTRIES * 40 + 2 * TAR_BLOCK_SIZE)

static const char zeros[2 * TAR_BLOCK_SIZE];

static int put(const struct stream_writer *out, const void *p, size_t len, struct error *err)
{
	return out->write(out->data, p, len, err);
}

static void octal(char *field, size_t size, int64_t v)
{
	field[size - 1] = '\0';
	for (size_t i = size - 1; i-- > 0; v >>= 3)
		field[i] = (char)('0' + (v & 7));
}

static void set_checksum(struct tar_header *h)
{
	const unsigned char *p = (const unsigned char *)h;
	unsigned sum = 0;

	memset(h->checksum, ' ', sizeof(h->checksum));
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += p[i];
	octal(h->checksum, sizeof(h->checksum) - 1, sum);
}

/* Put a path into name and prefix; false if it does not fit. */
static bool set_name(struct tar_header *h, const char *path)
{
	size_t len = strlen(path);

	if (len <= sizeof(h->name)) {
		memcpy(h->name, path, len);
		return true;
	}
	for (size_t i = len - 1; i > 0; i--)
		if (path[i] == '/' && i <= sizeof(h->ustar.prefix) &&
		    len - i - 1 <= sizeof(h->name) && len - i - 1 > 0) {
			memcpy(h->ustar.prefix, path, i);
			memcpy(h->name, path + i + 1, len - i - 1);
			return true;
		}
	memcpy(h->name, path, sizeof(h->name));
	return false;
}

/* "LEN KEY=VALUE\n", LEN counting itself. */
static void pax_add(struct strbuf *b, const char *key, const void *value, size_t len)
{
	size_t rest = strlen(key) + len + 3, total = rest, digits = 0;

	do {
		total = rest + digits;
		digits = (size_t)snprintf(NULL, 0, "%zu", total);
	} while (rest + digits != total);
	strbuf_addf(b, "%zu %s=", total, key);
	strbuf_add(b, value, len);
	strbuf_addc(b, '\n');
}

static void pax_int(struct strbuf *b, const char *key, int64_t v)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%lld", (long long)v);
	pax_add(b, key, text, strlen(text));
}

static void pax_mtime(struct strbuf *b, const struct timespec *t)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%lld.%09ld", (long long)t->tv_sec, t->tv_nsec);
	pax_add(b, "mtime", text, strlen(text));
}

static void start_header(struct tar_header *h, char type)
{
	*h = (struct tar_header){.typeflag = type};
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	octal(h->devmajor, sizeof(h->devmajor), 0);
	octal(h->devminor, sizeof(h->devminor), 0);
	octal(h->uid, sizeof(h->uid), 0);
	octal(h->gid, sizeof(h->gid), 0);
	octal(h->mtime, sizeof(h->mtime), 0);
	octal(h->size, sizeof(h->size), 0);
	octal(h->mode, sizeof(h->mode), 0644);
}

static int put_pax(const struct stream_writer *out, const struct strbuf *pax, struct error *err)
{
	struct tar_header h;
	int r;

	if (strbuf_error(pax) < 0)
		return error_set(err, ERROR_INVALID, 0, "too long a name or attribute for a tar");
	start_header(&h, 'x');
	(void)set_name(&h, "PaxHeaders/0");
	octal(h.size, sizeof(h.size), (int64_t)pax->len);
	set_checksum(&h);
	r = put(out, &h, sizeof(h), err);
	if (r >= 0)
		r = put(out, pax->s, pax->len, err);
	return r < 0 ? r : tar_write_pad(out, (int64_t)pax->len, err);
}

static void set_id(struct tar_header *h, char *field, size_t size, const char *key, uint32_t v,
		   struct strbuf *pax)
{
	(void)h;
	octal(field, size, v <= MAX_OCTAL_ID ? v : 0);
	if (v > MAX_OCTAL_ID)
		pax_int(pax, key, v);
}

/* The map of GNU.sparse 1.0, which stands before the content: numbers in lines, padded to blocks.
 * https://www.gnu.org/software/tar/manual/html_node/PAX-1.html */
static int sparse_map(const struct tar_entry *e, struct strbuf *map, struct error *err)
{
	strbuf_addf(map, "%zu\n", e->n_pieces);
	for (size_t i = 0; i < e->n_pieces; i++)
		strbuf_addf(map, "%lld\n%lld\n", (long long)e->pieces[i].offset,
			    (long long)e->pieces[i].len);
	while (map->len % TAR_BLOCK_SIZE != 0 && strbuf_error(map) >= 0)
		strbuf_addc(map, '\0');
	return strbuf_error(map) < 0
		       ? error_set(err, ERROR_INVALID, E2BIG, "too many pieces for a tar")
		       : 0;
}

static void pax_sparse(struct strbuf *pax, const struct tar_entry *e)
{
	pax_int(pax, "GNU.sparse.major", 1);
	pax_int(pax, "GNU.sparse.minor", 0);
	pax_add(pax, "GNU.sparse.name", e->path, strlen(e->path));
	pax_int(pax, "GNU.sparse.realsize", e->size);
}

static void set_size(struct tar_header *h, int64_t size, struct strbuf *pax)
{
	if (size <= MAX_OCTAL_SIZE)
		octal(h->size, sizeof(h->size), size);
	else
		pax_int(pax, "size", size);
}

int tar_write_header(const struct stream_writer *out, const struct tar_entry *e, struct error *err)
{
	static const char types[] = {
		[TAR_FILE] = '0',  [TAR_HARDLINK] = '1',  [TAR_SYMLINK] = '2', [TAR_CHAR] = '3',
		[TAR_BLOCK] = '4', [TAR_DIRECTORY] = '5', [TAR_FIFO] = '6'};
	autostrbuf struct strbuf pax = STRBUF_INIT(TAR_MAX_EXTENDED),
				 map = STRBUF_INIT(MAX_SPARSE_MAP);
	size_t link_len = strlen(e->link ? e->link : "");
	struct tar_header h;
	int r = e->sparse ? sparse_map(e, &map, err) : 0;

	if (r < 0)
		return r;
	start_header(&h, types[e->type]);
	if (e->sparse) /* the name that readers see who do not know what it is */
		(void)set_name(&h, "GNUSparseFile.0/sparse");
	else if (!set_name(&h, e->path))
		pax_add(&pax, "path", e->path, strlen(e->path));
	memcpy(h.linkname, e->link ? e->link : "",
	       link_len < sizeof(h.linkname) ? link_len : sizeof(h.linkname));
	if (link_len > sizeof(h.linkname))
		pax_add(&pax, "linkpath", e->link, link_len);
	octal(h.mode, sizeof(h.mode), e->mode & 07777);
	set_id(&h, h.uid, sizeof(h.uid), "uid", e->uid, &pax);
	set_id(&h, h.gid, sizeof(h.gid), "gid", e->gid, &pax);
	octal(h.devmajor, sizeof(h.devmajor), e->dev_major);
	octal(h.devminor, sizeof(h.devminor), e->dev_minor);
	if (e->mtime.tv_sec >= 0 && e->mtime.tv_sec <= MAX_OCTAL_SIZE)
		octal(h.mtime, sizeof(h.mtime), e->mtime.tv_sec);
	if (e->mtime.tv_nsec != 0 || e->mtime.tv_sec < 0 || e->mtime.tv_sec > MAX_OCTAL_SIZE)
		pax_mtime(&pax, &e->mtime);
	if (e->type == TAR_FILE)
		set_size(&h, e->sparse ? (int64_t)map.len + e->stored_size : e->size, &pax);
	if (e->sparse)
		pax_sparse(&pax, e);
	for (size_t i = 0; i < e->n_xattrs; i++) {
		autofree char *key = xasprintf("SCHILY.xattr.%s", e->xattrs[i].name);

		pax_add(&pax, key, e->xattrs[i].value, e->xattrs[i].len);
	}
	set_checksum(&h);
	r = pax.len > 0 || strbuf_error(&pax) < 0 ? put_pax(out, &pax, err) : 0;
	if (r >= 0)
		r = put(out, &h, sizeof(h), err);
	return r < 0 || !e->sparse ? r : put(out, map.s, map.len, err);
}

int tar_write_pad(const struct stream_writer *out, int64_t size, struct error *err)
{
	size_t pad = (size_t)(-size & (TAR_BLOCK_SIZE - 1));

	return pad ? put(out, zeros, pad, err) : 0;
}

int tar_write_file(const struct stream_writer *out, const char *path, const void *data, size_t len,
		   struct error *err)
{
	const struct tar_entry e = {
		.type = TAR_FILE, .path = path, .mode = 0644, .size = (int64_t)len};
	int r = tar_write_header(out, &e, err);

	if (r >= 0)
		r = put(out, data, len, err);
	return r < 0 ? r : tar_write_pad(out, e.size, err);
}

int tar_write_end(const struct stream_writer *out, struct error *err)
{
	return put(out, zeros, sizeof(zeros), err);
}
