/* Fields of tar headers: checksums, numbers, pax records, sparse maps. */
#include "store/tar_priv.h"

#include <string.h>

#include "base/mem.h"

/* ---- the header block ---- */

bool tar_header_sum_ok(const struct tar_header *h)
{
	const unsigned char *p = (const unsigned char *)h;
	size_t from = offsetof(struct tar_header, checksum);
	int64_t want, sum = 0, signed_sum = 0;

	for (size_t i = 0; i < TAR_BLOCK_SIZE; i++) {
		unsigned char c = i >= from && i < from + sizeof(h->checksum) ? ' ' : p[i];

		sum += c;
		signed_sum += (signed char)c; /* as some old programs did */
	}
	if (tar_parse_number(h->checksum, sizeof(h->checksum), &want) < 0)
		return false;
	return want == sum || want == signed_sum;
}

static bool is_gnu(const struct tar_header *h)
{
	return memcmp(h->magic, "ustar  ", 8) == 0;
}

bool tar_header_is_ustar(const struct tar_header *h)
{
	return memcmp(h->magic, "ustar", 6) == 0 || is_gnu(h);
}

void tar_header_path(const struct tar_header *h, struct strbuf *ret)
{
	if (!is_gnu(h) && tar_header_is_ustar(h) && h->ustar.prefix[0] != '\0') {
		/* star keeps times in the last 24 bytes and signs with "tar" at the end. */
		size_t max = memcmp(h->ustar.unused + 8, "tar", 4) == 0 ? 131 : 155;

		strbuf_add(ret, h->ustar.prefix, strnlen(h->ustar.prefix, max));
		strbuf_addc(ret, '/');
	}
	strbuf_add(ret, h->name, strnlen(h->name, sizeof(h->name)));
}

static int parse_base256(const unsigned char *p, size_t len, int64_t *ret)
{
	bool negative = (p[0] & 0x40) != 0;
	unsigned char fill = negative ? 0xff : 0x00;
	uint64_t v = negative ? UINT64_MAX : 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = p[i];

		if (i == 0)
			c = negative ? c | 0x80 : c & 0x7f;
		if (len - i > 8 && c != fill)
			return -EINVAL; /* does not fit 64 bits */
		v = v << 8 | c;
	}
	if (((int64_t)v < 0) != negative)
		return -EINVAL;
	*ret = (int64_t)v;
	return 0;
}

int tar_parse_number(const char *field, size_t len, int64_t *ret)
{
	const char *p = field, *end = field + len;
	int64_t v = 0;

	if ((unsigned char)field[0] & 0x80)
		return parse_base256((const unsigned char *)field, len, ret);
	while (p < end && *p == ' ')
		p++;
	for (; p < end && *p >= '0' && *p <= '7'; p++)
		v = v * 8 + (*p - '0'); /* twelve digits at most: 36 bits */
	if (p < end && *p != ' ' && *p != '\0')
		return -EINVAL;
	*ret = v;
	return 0;
}

/* ---- sparse files ---- */

int tar_sparse_add(struct tar_sparse *s, int64_t offset, int64_t len, struct error *err)
{
	if (s->n >= TAR_MAX_SPARSE_ENTRIES)
		return error_set(err, ERROR_INVALID, 0, "a sparse file has more than %d pieces",
				 TAR_MAX_SPARSE_ENTRIES);
	xgrow(s->v, s->n, s->cap);
	s->v[s->n++] = (struct tar_piece){.offset = offset, .len = len};
	s->has_map = true;
	return 0;
}

int tar_sparse_add_gnu(struct tar_sparse *s, const struct tar_gnu_piece *v, size_t n,
		       struct error *err)
{
	for (size_t i = 0; i < n && v[i].offset[0] != '\0'; i++) {
		int64_t offset, len;
		int r;

		if (tar_parse_number(v[i].offset, sizeof(v[i].offset), &offset) < 0 ||
		    tar_parse_number(v[i].len, sizeof(v[i].len), &len) < 0)
			return error_set(err, ERROR_INVALID, 0, "bad number in the sparse map");
		r = tar_sparse_add(s, offset, len, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int tar_sparse_check(const struct tar_sparse *s, int64_t size, int64_t stored, struct error *err)
{
	int64_t end = 0, sum = 0;

	if (size < 0 || size > TAR_MAX_FILE)
		return error_set(err, ERROR_INVALID, 0, "sparse size %lld is out of range",
				 (long long)size);
	for (size_t i = 0; i < s->n; i++) {
		const struct tar_piece *p = &s->v[i];

		if (p->offset < end || p->len < 0 || p->len > size || p->offset > size - p->len)
			return error_set(err, ERROR_INVALID, 0,
					 "the sparse map is not ascending within the file");
		end = p->offset + p->len;
		sum += p->len;
	}
	if (sum != stored)
		return error_set(err, ERROR_INVALID, 0,
				 "the sparse map tells of %lld bytes where %lld are stored",
				 (long long)sum, (long long)stored);
	return 0;
}

/* ---- pax ---- */

struct record {
	const char *key; /* not terminated */
	size_t key_len;
	const char *value; /* not terminated */
	size_t len;
};

static bool is_digits(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return len > 0 && len <= 18;
}

static int64_t digits(const char *s, size_t len)
{
	int64_t v = 0;

	for (size_t i = 0; i < len; i++)
		v = v * 10 + (s[i] - '0');
	return v;
}

static int bad_record(const struct record *rec, struct error *err)
{
	return error_set(err, ERROR_INVALID, 0, "bad value of pax keyword '%.*s'",
			 rec->key_len > 64 ? 64 : (int)rec->key_len, rec->key);
}

static int pax_string(const struct record *rec, struct strbuf *b, bool *has, struct error *err)
{
	(void)err;
	strbuf_reset(b);
	strbuf_add(b, rec->value, rec->len);
	*has = rec->len > 0; /* an empty value takes the keyword back */
	return 0;
}

static int pax_number(const struct record *rec, int64_t *ret, bool *has, struct error *err)
{
	bool negative = rec->len > 0 && rec->value[0] == '-';
	const char *p = rec->value + (negative ? 1 : 0);
	size_t len = rec->len - (negative ? 1 : 0);

	*has = rec->len > 0;
	if (!*has)
		return 0;
	if (!is_digits(p, len))
		return bad_record(rec, err);
	*ret = negative ? -digits(p, len) : digits(p, len);
	return 0;
}

/* Decimal seconds with any fraction; digits past the ninth are dropped. */
static int pax_time(const struct record *rec, struct timespec *ret, bool *has, struct error *err)
{
	const char *dot = memchr(rec->value, '.', rec->len);
	struct record whole = *rec;
	int64_t sec = 0, nsec = 0, unit = 100000000;
	int r;

	whole.len = dot ? (size_t)(dot - rec->value) : rec->len;
	r = pax_number(&whole, &sec, has, err);
	if (r < 0 || !*has)
		return r;
	for (const char *p = dot ? dot + 1 : NULL; p && p < rec->value + rec->len; p++) {
		if (*p < '0' || *p > '9')
			return bad_record(rec, err);
		nsec += (*p - '0') * unit;
		unit /= 10;
	}
	if (nsec > 0 && rec->value[0] == '-') {
		sec--;
		nsec = 1000000000 - nsec;
	}
	*ret = (struct timespec){.tv_sec = sec, .tv_nsec = nsec};
	return 0;
}

/* GNU.sparse.map of format 0.1: "offset,length,offset,length". */
static int pax_sparse_map(struct tar_sparse *s, const struct record *rec, struct error *err)
{
	const char *p = rec->value, *end = p + rec->len;
	int64_t pair[2];
	unsigned k = 0;
	int r = 0;

	s->n = 0;
	while (p < end && r >= 0) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		size_t len = (size_t)((comma ? comma : end) - p);

		if (!is_digits(p, len))
			return bad_record(rec, err);
		pair[k++] = digits(p, len);
		if (k == 2) {
			r = tar_sparse_add(s, pair[0], pair[1], err);
			k = 0;
		}
		p = comma ? comma + 1 : end;
	}
	s->has_map = true;
	return r < 0 ? r : k != 0 ? bad_record(rec, err) : 0;
}

static int pax_sparse(struct tar_sparse *s, const char *key, const struct record *rec,
		      struct error *err)
{
	int64_t v = 0;
	bool has;
	int r;

	if (str_eq(key, "name"))
		return pax_string(rec, &s->name, &s->has_name, err);
	if (str_eq(key, "map"))
		return pax_sparse_map(s, rec, err);
	r = pax_number(rec, &v, &has, err);
	if (r < 0)
		return r;
	if (!has || v < 0)
		return bad_record(rec, err);
	if (str_eq(key, "major")) {
		s->major = v == 1 ? 1 : 0;
	} else if (str_eq(key, "minor")) {
		s->minor = (int)(v & 0xffff);
	} else if (str_eq(key, "size") || str_eq(key, "realsize")) {
		s->realsize = v;
		s->has_realsize = true;
	} else if (str_eq(key, "offset")) {
		s->pending_offset = v;
		s->has_pending_offset = true;
	} else if (str_eq(key, "numbytes")) {
		if (!s->has_pending_offset)
			return bad_record(rec, err);
		s->has_pending_offset = false;
		return tar_sparse_add(s, s->pending_offset, v, err);
	}
	return 0; /* numblocks: the list itself tells */
}

static int add_xattr(struct tar_extended *x, const struct strbuf *name, const char *value,
		     size_t len, struct error *err)
{
	size_t i;

	if (name->len == 0 || strlen(name->s) != name->len)
		return error_set(err, ERROR_INVALID, 0, "bad name of an extended attribute");
	for (i = 0; i < x->n_xattrs; i++) /* the last one wins */
		if (str_eq(x->pool.s + x->xattr[i].name, name->s))
			break;
	if (i == TAR_MAX_XATTRS)
		return error_set(err, ERROR_INVALID, 0, "more than %d extended attributes",
				 TAR_MAX_XATTRS);
	x->xattr[i].name = x->pool.len;
	strbuf_add(&x->pool, name->s, name->len + 1);
	x->xattr[i].value = x->pool.len;
	x->xattr[i].len = len;
	strbuf_add(&x->pool, value, len);
	if (strbuf_error(&x->pool) < 0)
		return error_set(err, ERROR_INVALID, 0, "extended attributes of more than %d bytes",
				 2 * TAR_MAX_EXTENDED);
	if (i == x->n_xattrs)
		x->n_xattrs++;
	return 0;
}

/* libarchive's form: the name URL-encoded, the value in base64. */
static int pax_libarchive_xattr(struct tar_extended *x, const char *key, const struct record *rec,
				struct error *err)
{
	autostrbuf struct strbuf name = STRBUF_INIT(TAR_MAX_EXTENDED);
	autostrbuf struct strbuf value = STRBUF_INIT(TAR_MAX_EXTENDED);
	autofree char *text = xstrndup(rec->value, rec->len);

	for (const char *p = key; *p; p++) {
		unsigned char c;

		if (*p == '%' && hex_decode(p + 1, strnlen(p + 1, 2) == 2 ? 2 : 1, &c) == 0) {
			strbuf_addc(&name, (char)c);
			p += 2;
		} else {
			strbuf_addc(&name, *p);
		}
	}
	if (base64_decode(text, strlen(text), &value) < 0)
		return bad_record(rec, err);
	return add_xattr(x, &name, value.s, value.len, err);
}

static int pax_record(struct tar_extended *x, const struct record *rec, struct error *err)
{
	autostrbuf struct strbuf key = STRBUF_INIT(TAR_MAX_EXTENDED);
	const struct {
		const char *key;
		int64_t *value;
		bool *has;
	} numbers[] = {
		{"size", &x->size, &x->has_size},
		{"uid", &x->uid, &x->has_uid},
		{"gid", &x->gid, &x->has_gid},
		{"SCHILY.devmajor", &x->devmajor, &x->has_devmajor},
		{"SCHILY.devminor", &x->devminor, &x->has_devminor},
	};

	strbuf_add(&key, rec->key, rec->key_len);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (str_eq(key.s, numbers[i].key))
			return pax_number(rec, numbers[i].value, numbers[i].has, err);
	if (str_eq(key.s, "path"))
		return pax_string(rec, &x->path, &x->has_path, err);
	if (str_eq(key.s, "linkpath"))
		return pax_string(rec, &x->link, &x->has_link, err);
	if (str_eq(key.s, "mtime"))
		return pax_time(rec, &x->mtime, &x->has_mtime, err);
	if (str_has_prefix(key.s, "GNU.sparse."))
		return pax_sparse(&x->sparse, key.s + strlen("GNU.sparse."), rec, err);
	if (str_has_prefix(key.s, "SCHILY.xattr.")) {
		strbuf_drop(&key, strlen("SCHILY.xattr."));
		return add_xattr(x, &key, rec->value, rec->len, err);
	}
	if (str_has_prefix(key.s, "LIBARCHIVE.xattr."))
		return pax_libarchive_xattr(x, key.s + strlen("LIBARCHIVE.xattr."), rec, err);
	return 0; /* times, names and vendors' keywords that decide nothing here */
}

/* Records "LEN KEY=VALUE\n", LEN counting all of it. */
static int parse_pax(struct tar_extended *x, const char *p, size_t len, struct error *err)
{
	const char *end = p + len;

	while (p < end && *p != '\0') {
		const char *space = memchr(p, ' ', (size_t)(end - p));
		struct record rec = {0};
		const char *eq;
		int64_t n;
		int r;

		if (!space || !is_digits(p, (size_t)(space - p)))
			return error_set(err, ERROR_INVALID, 0, "bad length of a pax record");
		n = digits(p, (size_t)(space - p));
		if (n > end - p || n < space - p + 3 || p[n - 1] != '\n')
			return error_set(err, ERROR_INVALID, 0, "bad length of a pax record");
		eq = memchr(space + 1, '=', (size_t)(p + n - 1 - (space + 1)));
		if (!eq || eq == space + 1)
			return error_set(err, ERROR_INVALID, 0, "a pax record without a keyword");
		rec.key = space + 1;
		rec.key_len = (size_t)(eq - rec.key);
		rec.value = eq + 1;
		rec.len = (size_t)(p + n - 1 - rec.value);
		if (memchr(rec.key, '\0', rec.key_len))
			return error_set(err, ERROR_INVALID, 0, "a pax keyword with a NUL byte");
		r = pax_record(x, &rec, err);
		if (r < 0)
			return r;
		p += n;
	}
	return 0;
}

/* ---- the collection ---- */

void tar_extended_init(struct tar_extended *x)
{
	strbuf_init(&x->path, TAR_MAX_EXTENDED);
	strbuf_init(&x->link, TAR_MAX_EXTENDED);
	strbuf_init(&x->sparse.name, TAR_MAX_EXTENDED);
	strbuf_init(&x->pool, 2 * TAR_MAX_EXTENDED);
}

void tar_extended_done(struct tar_extended *x)
{
	strbuf_done(&x->path);
	strbuf_done(&x->link);
	strbuf_done(&x->sparse.name);
	strbuf_done(&x->pool);
	free(x->sparse.v);
}

void tar_extended_reset(struct tar_extended *x)
{
	struct tar_sparse *s = &x->sparse;

	if (!x->pending && s->n == 0)
		return;
	x->has_path = x->has_link = x->has_size = x->has_uid = x->has_gid = false;
	x->has_mtime = x->has_devmajor = x->has_devminor = x->pending = false;
	x->n_xattrs = 0;
	strbuf_reset(&x->pool);
	s->n = 0;
	s->major = s->minor = 0;
	s->has_map = s->has_realsize = s->has_name = s->has_pending_offset = false;
}

bool tar_extended_is_pending(const struct tar_extended *x)
{
	return x->pending;
}

int tar_extended_parse(struct tar_extended *x, char type, const char *data, size_t len,
		       struct error *err)
{
	struct strbuf *b = type == 'L' ? &x->path : &x->link;

	if (type == 'g' || type == 'V')
		return 0;
	x->pending = true;
	if (type == 'x' || type == 'X')
		return parse_pax(x, data, len, err);
	len = strnlen(data, len); /* GNU long names end in NUL */
	strbuf_reset(b);
	strbuf_add(b, data, len);
	*(type == 'L' ? &x->has_path : &x->has_link) = len > 0;
	return 0;
}

const struct tar_xattr *tar_extended_xattrs(struct tar_extended *x, size_t *ret_n)
{
	for (size_t i = 0; i < x->n_xattrs; i++)
		x->view[i] = (struct tar_xattr){.name = x->pool.s + x->xattr[i].name,
						.value = x->pool.s + x->xattr[i].value,
						.len = x->xattr[i].len};
	*ret_n = x->n_xattrs;
	return x->view;
}
