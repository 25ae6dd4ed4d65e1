/* A pull parser for tar archives.
 *
 * One buffer of TAR_BUFFER bytes is filled from the reader and parsed in place; file contents are
 * handed out as pointers into it.  An entry may be announced by extended headers (pax x, GNU L and
 * K), which are collected in `ext` until the header proper comes and are forgotten after it.
 */
#include "store/tar.h"

#include <assert.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "store/tar_priv.h"

#define TAR_BUFFER (256 * 1024)

struct tar {
	const struct stream_reader *in; /* borrowed */
	tar_raw_fn raw;                 /* may be NULL */
	void *raw_data;
	char *buf; /* owned, TAR_BUFFER bytes */
	size_t pos, end;
	int64_t offset; /* of buf[pos] in the archive */
	int64_t left;   /* unread content */
	size_t pad;     /* bytes of padding behind the content */
	uint64_t entries;
	bool eof, done;
	struct tar_extended ext;
	struct strbuf path, link; /* owned: what entry points to */
	struct tar_entry entry;
};

struct tar *tar_new(const struct stream_reader *in, tar_raw_fn raw, void *raw_data)
{
	struct tar *t = xnew0(struct tar);

	t->in = in;
	t->raw = raw;
	t->raw_data = raw_data;
	t->buf = xcalloc(1, TAR_BUFFER);
	tar_extended_init(&t->ext);
	strbuf_init(&t->path, TAR_MAX_PATH);
	strbuf_init(&t->link, TAR_MAX_PATH);
	return t;
}

struct tar *tar_free(struct tar *t)
{
	if (!t)
		return NULL;
	tar_extended_done(&t->ext);
	strbuf_done(&t->path);
	strbuf_done(&t->link);
	free(t->buf);
	free(t);
	return NULL;
}

/* ---- the buffer ---- */

/* Make at least `want` bytes available, fewer only at the end of the stream. */
static int fill(struct tar *t, size_t want, struct error *err)
{
	assert(want <= TAR_BUFFER);
	if (t->end - t->pos >= want)
		return 0;
	memmove(t->buf, t->buf + t->pos, t->end - t->pos);
	t->end -= t->pos;
	t->pos = 0;
	while (t->end < want && !t->eof) {
		ssize_t n = t->in->read(t->in->data, t->buf + t->end, TAR_BUFFER - t->end, err);

		if (n < 0)
			return (int)n;
		if (n == 0)
			t->eof = true;
		t->end += (size_t)n;
		if (t->offset + (int64_t)(t->end - t->pos) > TAR_MAX_TOTAL)
			return error_set(err, ERROR_INVALID, 0,
					 "tar archive is larger than the limit of %lld bytes",
					 TAR_MAX_TOTAL);
	}
	return 0;
}

static void advance(struct tar *t, size_t n)
{
	assert(n <= t->end - t->pos);
	t->pos += n;
	t->offset += (int64_t)n;
}

/* Pass n buffered bytes to the raw listener and step over them. */
static int consume(struct tar *t, size_t n, struct error *err)
{
	int r = t->raw ? t->raw(t->raw_data, t->buf + t->pos, n, err) : 0;

	if (r >= 0)
		advance(t, n);
	return r < 0 ? r : 0;
}

static int truncated(struct tar *t, struct error *err)
{
	return error_set(err, ERROR_INVALID, 0, "tar archive is truncated at byte %lld",
			 (long long)(t->offset + (int64_t)(t->end - t->pos)));
}

/* A whole block is buffered at block(). */
static int need_block(struct tar *t, struct error *err)
{
	int r = fill(t, TAR_BLOCK_SIZE, err);

	if (r < 0)
		return r;
	return t->end - t->pos < TAR_BLOCK_SIZE ? truncated(t, err) : 0;
}

static const void *block(const struct tar *t)
{
	return t->buf + t->pos;
}

static size_t padding_of(int64_t size)
{
	return (size_t)(-size & (TAR_BLOCK_SIZE - 1));
}

/* Read `size` bytes of an extended header's content, and the padding behind it. */
static int read_extended(struct tar *t, int64_t size, struct strbuf *out, struct error *err)
{
	size_t left, pad = padding_of(size);
	int r;

	if (size > TAR_MAX_EXTENDED)
		return error_set(err, ERROR_INVALID, 0,
				 "tar: extended header at byte %lld has %lld bytes, more than %d",
				 (long long)t->offset, (long long)size, TAR_MAX_EXTENDED);
	strbuf_reset(out);
	left = (size_t)size + pad;
	for (size_t want = (size_t)size; left > 0;) {
		size_t n;

		r = fill(t, 1, err);
		if (r < 0)
			return r;
		n = t->end - t->pos;
		if (n == 0)
			return truncated(t, err);
		n = n < left ? n : left;
		strbuf_add(out, t->buf + t->pos, n < want ? n : want);
		want -= n < want ? n : want;
		left -= n;
		r = consume(t, n, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- headers ---- */

static int bad_entry(struct tar *t, struct error *err, const char *what)
{
	return error_set(err, ERROR_INVALID, 0, "tar: entry at byte %lld: %s", (long long)t->offset,
			 what);
}

static int set_path(struct tar *t, struct strbuf *b, const char *what, struct error *err)
{
	if (strbuf_error(b) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "tar: entry at byte %lld: %s is longer than %d bytes",
				 (long long)t->offset, what, TAR_MAX_PATH);
	if (strlen(b->s) != b->len)
		return error_set(err, ERROR_INVALID, 0,
				 "tar: entry at byte %lld: %s contains a NUL byte",
				 (long long)t->offset, what);
	return 0;
}

static int entry_names(struct tar *t, const struct tar_header *h, struct error *err)
{
	const struct tar_extended *x = &t->ext;
	int r;

	strbuf_reset(&t->path);
	strbuf_reset(&t->link);
	if (x->sparse.has_name)
		strbuf_add(&t->path, x->sparse.name.s, x->sparse.name.len);
	else if (x->has_path)
		strbuf_add(&t->path, x->path.s, x->path.len);
	else
		tar_header_path(h, &t->path);
	if (x->has_link)
		strbuf_add(&t->link, x->link.s, x->link.len);
	else
		strbuf_add(&t->link, h->linkname, strnlen(h->linkname, sizeof(h->linkname)));

	r = set_path(t, &t->path, "path", err);
	if (r >= 0)
		r = set_path(t, &t->link, "link target", err);
	if (r >= 0 && t->path.len == 0)
		r = bad_entry(t, err, "empty path");
	t->entry.path = t->path.s;
	t->entry.link = t->link.s;
	return r;
}

static int entry_type(struct tar *t, const struct tar_header *h, struct error *err)
{
	static const struct {
		char flag;
		enum tar_type type;
	} types[] = {
		{'0', TAR_FILE},      {'\0', TAR_FILE},   {'7', TAR_FILE}, {'S', TAR_FILE},
		{'1', TAR_HARDLINK},  {'2', TAR_SYMLINK}, {'3', TAR_CHAR}, {'4', TAR_BLOCK},
		{'5', TAR_DIRECTORY}, {'6', TAR_FIFO},
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (types[i].flag != h->typeflag)
			continue;
		t->entry.type = types[i].type;
		/* Before ustar a directory was a file whose name ends in a slash. */
		if (h->typeflag != 'S' && types[i].type == TAR_FILE &&
		    t->path.s[t->path.len - 1] == '/')
			t->entry.type = TAR_DIRECTORY;
		return 0;
	}
	return error_set(err, ERROR_INVALID, 0, "tar: entry '%s' has the unknown type '%c' (%d)",
			 t->path.s, h->typeflag >= ' ' && h->typeflag < 127 ? h->typeflag : '?',
			 h->typeflag);
}

static int entry_numbers(struct tar *t, const struct tar_header *h, int64_t *ret_size,
			 struct error *err)
{
	const struct tar_extended *x = &t->ext;
	struct tar_entry *e = &t->entry;
	struct {
		const char *what, *field;
		size_t len;
		int64_t min, max, value;
	} f[] = {
		{"mode", h->mode, sizeof(h->mode), INT64_MIN, INT64_MAX, 0},
		{"uid", h->uid, sizeof(h->uid), 0, UINT32_MAX - 1LL, 0},
		{"gid", h->gid, sizeof(h->gid), 0, UINT32_MAX - 1LL, 0},
		{"size", h->size, sizeof(h->size), 0, TAR_MAX_TOTAL, 0},
		{"mtime", h->mtime, sizeof(h->mtime), INT64_MIN, INT64_MAX, 0},
		{"devmajor", h->devmajor, sizeof(h->devmajor), 0, UINT32_MAX, 0},
		{"devminor", h->devminor, sizeof(h->devminor), 0, UINT32_MAX, 0},
	};
	const bool has[ARRAY_SIZE(f)] = {false,        x->has_uid,      x->has_gid,     x->has_size,
					 x->has_mtime, x->has_devmajor, x->has_devminor};
	const int64_t from_pax[ARRAY_SIZE(f)] = {
		0, x->uid, x->gid, x->size, x->mtime.tv_sec, x->devmajor, x->devminor};

	for (size_t i = 0; i < ARRAY_SIZE(f); i++) {
		/* v7 headers have no device fields; what follows linkname is nobody's. */
		if (i >= 5 && !tar_header_is_ustar(h))
			break;
		if (!has[i] && tar_parse_number(f[i].field, f[i].len, &f[i].value) < 0)
			return error_set(err, ERROR_INVALID, 0, "tar: entry '%s': bad %s",
					 t->path.s, f[i].what);
		if (has[i])
			f[i].value = from_pax[i];
		if (f[i].value < f[i].min || f[i].value > f[i].max)
			return error_set(err, ERROR_INVALID, 0,
					 "tar: entry '%s': %s %lld is out of range", t->path.s,
					 f[i].what, (long long)f[i].value);
	}
	e->mode = (mode_t)f[0].value & 07777;
	e->uid = (uid_t)f[1].value;
	e->gid = (gid_t)f[2].value;
	*ret_size = f[3].value;
	e->mtime =
		(struct timespec){.tv_sec = f[4].value, .tv_nsec = has[4] ? x->mtime.tv_nsec : 0};
	e->dev_major = (unsigned)f[5].value;
	e->dev_minor = (unsigned)f[6].value;
	return 0;
}

/* GNU's old format continues the list of pieces in blocks behind the header. */
static int sparse_gnu(struct tar *t, const struct tar_header *h, struct error *err)
{
	struct tar_sparse *s = &t->ext.sparse;
	bool more;
	int r;

	s->n = 0;
	if (tar_parse_number(h->gnu.realsize, sizeof(h->gnu.realsize), &s->realsize) < 0)
		return bad_entry(t, err, "bad sparse size");
	s->has_realsize = true;
	r = tar_sparse_add_gnu(s, h->gnu.sparse, ARRAY_SIZE(h->gnu.sparse), err);
	more = h->gnu.isextended != 0;
	while (r >= 0 && more) {
		const struct tar_gnu_extension *gx;

		r = need_block(t, err);
		if (r < 0)
			return r;
		gx = block(t);
		r = tar_sparse_add_gnu(s, gx->sparse, ARRAY_SIZE(gx->sparse), err);
		more = gx->isextended != 0;
		if (r >= 0)
			r = consume(t, TAR_BLOCK_SIZE, err);
	}
	return r;
}

/* Format 1.0 puts the list in front of the content: decimal lines, padded to a block. */
static int sparse_line(struct tar *t, int64_t *left, size_t *in_block, int64_t *ret,
		       struct error *err)
{
	int64_t v = 0;

	for (unsigned digits = 0;; digits++) {
		char c;
		int r;

		r = fill(t, 1, err);
		if (r < 0)
			return r;
		if (t->end == t->pos)
			return truncated(t, err);
		if (*left == 0)
			return bad_entry(t, err, "the sparse map is cut short");
		c = t->buf[t->pos];
		r = consume(t, 1, err);
		if (r < 0)
			return r;
		--*left;
		*in_block = (*in_block + 1) % TAR_BLOCK_SIZE;
		if (c == '\n' && digits > 0)
			break;
		if (c < '0' || c > '9' || digits > 17)
			return bad_entry(t, err, "bad number in the sparse map");
		v = v * 10 + (c - '0');
	}
	*ret = v;
	return 0;
}

static int sparse_pax_1_0(struct tar *t, struct error *err)
{
	struct tar_sparse *s = &t->ext.sparse;
	size_t in_block = 0;
	int64_t count;
	int r;

	s->n = 0;
	r = sparse_line(t, &t->left, &in_block, &count, err);
	if (r < 0)
		return r;
	if (count > TAR_MAX_SPARSE_ENTRIES)
		return bad_entry(t, err, "too many pieces in a sparse file");
	for (int64_t i = 0; i < count; i++) {
		int64_t offset, len;

		r = sparse_line(t, &t->left, &in_block, &offset, err);
		if (r >= 0)
			r = sparse_line(t, &t->left, &in_block, &len, err);
		if (r >= 0)
			r = tar_sparse_add(s, offset, len, err);
		if (r < 0)
			return r;
	}
	if (in_block > 0) {
		size_t rest = TAR_BLOCK_SIZE - in_block;

		if (t->left < (int64_t)rest)
			return bad_entry(t, err, "the sparse map is cut short");
		r = fill(t, rest, err);
		if (r >= 0 && t->end - t->pos < rest)
			r = truncated(t, err);
		if (r >= 0)
			r = consume(t, rest, err);
		t->left -= (int64_t)rest;
	}
	return r < 0 ? r : 0;
}

static int entry_content(struct tar *t, const struct tar_header *h, int64_t size, struct error *err)
{
	struct tar_sparse *s = &t->ext.sparse;
	struct tar_entry *e = &t->entry;
	int r = 0;

	t->left = e->type == TAR_FILE ? size : 0;
	t->pad = padding_of(t->left);
	if (h->typeflag == 'S')
		r = sparse_gnu(t, h, err);
	else if (e->type == TAR_FILE && s->major == 1 && s->minor == 0)
		r = sparse_pax_1_0(t, err);
	if (r < 0)
		return error_wrap(err, r, "tar: entry '%s'", e->path);

	e->stored_size = e->size = t->left;
	if (e->type != TAR_FILE || !(h->typeflag == 'S' || s->has_map || s->major == 1))
		return 0;
	e->sparse = true;
	e->size = s->has_realsize ? s->realsize : t->left;
	r = tar_sparse_check(s, e->size, e->stored_size, err);
	if (r < 0)
		return error_wrap(err, r, "tar: entry '%s'", e->path);
	e->pieces = s->v;
	e->n_pieces = s->n;
	return 0;
}

static int parse_entry(struct tar *t, const struct tar_header *h, struct error *err)
{
	int64_t size = 0;
	int r;

	if (++t->entries > TAR_MAX_ENTRIES)
		return error_set(err, ERROR_INVALID, 0, "tar archive has more than %d entries",
				 TAR_MAX_ENTRIES);
	t->entry = (struct tar_entry){0};
	r = entry_names(t, h, err);
	if (r >= 0)
		r = entry_type(t, h, err);
	if (r >= 0)
		r = entry_numbers(t, h, &size, err);
	if (r >= 0)
		r = consume(t, TAR_BLOCK_SIZE, err);
	if (r >= 0)
		r = entry_content(t, h, size, err);
	if (r < 0)
		return r;
	t->entry.xattrs = tar_extended_xattrs(&t->ext, &t->entry.n_xattrs);
	return 1;
}

/* An extended header: 1 if it was one. */
static int parse_extended(struct tar *t, const struct tar_header *h, struct error *err)
{
	autostrbuf struct strbuf data = STRBUF_INIT(TAR_MAX_EXTENDED);
	int64_t size, at = t->offset;
	int r;

	if (h->typeflag == '\0' || !strchr("xgXLKV", h->typeflag))
		return 0;
	if (tar_parse_number(h->size, sizeof(h->size), &size) < 0 || size < 0)
		return bad_entry(t, err, "bad size");
	r = consume(t, TAR_BLOCK_SIZE, err);
	if (r >= 0)
		r = read_extended(t, size, &data, err);
	if (r >= 0)
		r = tar_extended_parse(&t->ext, h->typeflag, data.s, data.len, err);
	return r < 0 ? error_wrap(err, r, "extended header at byte %lld", (long long)at) : 1;
}

static bool is_zero_block(const unsigned char *p)
{
	for (size_t i = 0; i < TAR_BLOCK_SIZE; i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* Everything behind the end marker belongs to the digest, but to no entry. */
static int drain(struct tar *t, struct error *err)
{
	int r;

	t->done = true;
	do {
		r = fill(t, TAR_BUFFER, err);
		if (r >= 0)
			r = consume(t, t->end - t->pos, err);
	} while (r >= 0 && !t->eof);
	return r < 0 ? r : 0;
}

static int skip_content(struct tar *t, struct error *err)
{
	const void *p;
	ssize_t n;
	int r;

	while ((n = tar_read(t, TAR_BUFFER, &p, err)) > 0)
		;
	if (n < 0)
		return (int)n;
	if (t->pad == 0)
		return 0;
	r = fill(t, t->pad, err);
	if (r >= 0 && t->end - t->pos < t->pad)
		r = truncated(t, err);
	if (r >= 0)
		r = consume(t, t->pad, err);
	t->pad = 0;
	return r < 0 ? r : 0;
}

/* The end is two zero blocks, or one at the end of the stream, or the end of the stream. */
static int at_end(struct tar *t, struct error *err)
{
	const unsigned char *first;
	int r = fill(t, 2 * TAR_BLOCK_SIZE, err);
	size_t have = t->end - t->pos;

	if (r < 0)
		return r;
	if (have == 0)
		return 1;
	r = need_block(t, err);
	if (r < 0)
		return r;
	first = block(t);
	if (!is_zero_block(first))
		return 0;
	if (have >= 2 * TAR_BLOCK_SIZE && !is_zero_block(first + TAR_BLOCK_SIZE))
		return bad_entry(t, err, "a lone zero block amid the archive");
	return 1;
}

int tar_next(struct tar *t, const struct tar_entry **ret, struct error *err)
{
	int r;

	if (t->done)
		return 0;
	r = skip_content(t, err);
	tar_extended_reset(&t->ext);
	while (r >= 0) {
		struct tar_header h;

		r = at_end(t, err);
		if (r > 0 && tar_extended_is_pending(&t->ext))
			return bad_entry(t, err, "an extended header that nothing follows");
		if (r != 0)
			break;
		r = need_block(t, err);
		if (r < 0)
			return r;
		memcpy(&h, block(t), sizeof(h));
		if (!tar_header_sum_ok(&h))
			return bad_entry(t, err,
					 "bad checksum: this is no tar archive, or a damaged one");
		r = parse_extended(t, &h, err);
		if (r == 0) {
			r = parse_entry(t, &h, err);
			if (r > 0)
				*ret = &t->entry;
			return r;
		}
	}
	return r < 0 ? r : drain(t, err);
}

ssize_t tar_read(struct tar *t, size_t max, const void **ret, struct error *err)
{
	size_t n;
	int r;

	if (t->left == 0)
		return 0;
	r = fill(t, 1, err);
	if (r < 0)
		return r;
	n = t->end - t->pos;
	if (n == 0)
		return truncated(t, err);
	if (n > max)
		n = max;
	if ((int64_t)n > t->left)
		n = (size_t)t->left;
	*ret = t->buf + t->pos;
	advance(t, n);
	t->left -= (int64_t)n;
	return (ssize_t)n;
}

int64_t tar_offset(const struct tar *t)
{
	return t->offset;
}
