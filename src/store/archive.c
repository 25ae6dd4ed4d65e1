/* The members of an image archive. */
#include "store/archive.h"

#include <string.h>

#include "base/str.h"
#include "oci/image_spec.h"
#include "store/compress.h"
#include "store/hasher.h"
#include "store/store_priv.h"

#define COPY_SIZE       (256 * 1024)
#define PEEK_SIZE       TAR_BLOCK_SIZE
#define MAX_LINKS       8
#define PROGRESS_STEP   (1 << 20) /* bytes between two reports */
#define SHORT_ID_LENGTH 12

void archive_done(struct archive *a)
{
	for (size_t i = 0; i < a->n; i++) {
		struct archive_member *m = &a->v[i];

		free(m->path);
		free(m->target);
		free(m->text);
		free(m->bad);
		(void)layer_stage_free(m->stage);
	}
	free(a->v);
	*a = (struct archive){0};
}

/* ---- paths ---- */

/* Lexically: members are names, not files.  NULL if it leads out of the archive. */
static char *join_path(const char *dir, size_t dir_len, const char *path)
{
	autostrbuf struct strbuf out = STRBUF_INIT(2 * TAR_MAX_PATH);

	if (path[0] != '/')
		strbuf_add(&out, dir, dir_len);
	while (*path) {
		size_t len = strcspn(path, "/");

		if (len == 2 && path[0] == '.' && path[1] == '.') {
			char *slash = strrchr(out.s, '/');

			if (out.len == 0)
				return NULL;
			out.len = slash ? (size_t)(slash - out.s) : 0;
			out.s[out.len] = '\0';
		} else if (len > 0 && !(len == 1 && path[0] == '.')) {
			if (out.len > 0)
				strbuf_addc(&out, '/');
			strbuf_add(&out, path, len);
		}
		path += len + (path[len] == '/');
	}
	return out.len > 0 && strbuf_error(&out) == 0 ? strbuf_take(&out) : NULL;
}

static int compare_members(const void *a, const void *b)
{
	return strcmp(((const struct archive_member *)a)->path,
		      ((const struct archive_member *)b)->path);
}

struct archive_member *archive_find(const struct archive *a, const char *path)
{
	autofree char *want = join_path("", 0, path);

	for (unsigned links = 0; want && links <= MAX_LINKS; links++) {
		const struct archive_member key = {.path = want};
		struct archive_member *m = NULL;

		if (a->n > 0)
			m = bsearch(&key, a->v, a->n, sizeof(key), compare_members);

		if (!m || !m->target)
			return m;
		free(want);
		want = xstrdup(m->target);
	}
	return NULL;
}

/* ---- one member's bytes ---- */

struct source {
	struct tar *tar; /* borrowed */
	const char *id;  /* borrowed: short, for the progress; "" unless it tells a digest */
	const struct store_progress *progress; /* may be NULL */
	unsigned char peek[PEEK_SIZE];
	size_t peeked, pos;
	uint64_t done, reported, total;
};

static void report(struct source *s)
{
	if (s->progress && s->progress->report && s->id[0] &&
	    (s->done - s->reported >= PROGRESS_STEP || s->done == s->total)) {
		s->progress->report(s->progress->data, s->id, "Loading layer", s->done, s->total);
		s->reported = s->done;
	}
}

static ssize_t source_read(void *data, void *buf, size_t size, struct error *err)
{
	struct source *s = data;
	const void *p;
	ssize_t n;

	if (s->pos < s->peeked) {
		n = (ssize_t)(s->peeked - s->pos < size ? s->peeked - s->pos : size);
		memcpy(buf, s->peek + s->pos, (size_t)n);
		s->pos += (size_t)n;
	} else {
		n = tar_read(s->tar, size, &p, err);
		if (n <= 0)
			return n;
		memcpy(buf, p, (size_t)n);
	}
	s->done += (size_t)n;
	report(s);
	return n;
}

static int source_peek(struct source *s, struct error *err)
{
	while (s->peeked < PEEK_SIZE) {
		const void *p;
		ssize_t n = tar_read(s->tar, PEEK_SIZE - s->peeked, &p, err);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		memcpy(s->peek + s->peeked, p, (size_t)n);
		s->peeked += (size_t)n;
	}
	return 0;
}

/* JSON documents, and the words in VERSION and oci-layout, are text; the rest may be layers. */
static bool is_text(const struct source *s)
{
	static const char *const layers[] = {"\x1f\x8b", "\x28\xb5\x2f\xfd", "BZh", "\3757zXZ"};

	for (size_t i = 0; i < ARRAY_SIZE(layers); i++)
		if (s->peeked >= strlen(layers[i]) &&
		    memcmp(s->peek, layers[i], strlen(layers[i])) == 0)
			return false;
	for (size_t i = 0; i < s->peeked; i++) {
		if (s->peek[i] == '{' || s->peek[i] == '[')
			return s->total <= IMAGE_MAX_CONFIG;
		if (!strchr(" \t\r\n", s->peek[i]) || s->peek[i] == '\0')
			break;
	}
	return s->total < PEEK_SIZE;
}

static int read_text(struct archive *a, struct archive_member *m, struct source *s,
		     struct error *err)
{
	struct stream_reader in = {.read = source_read, .data = s};
	ssize_t n;

	a->text_total += s->total;
	if (a->text_total > ARCHIVE_MAX_TEXT)
		return error_set(err, ERROR_INVALID, 0,
				 "the archive has more than %d bytes of documents",
				 ARCHIVE_MAX_TEXT);
	m->text = xcalloc(1, s->total + 1);
	n = stream_read_full(&in, m->text, s->total, err);
	if (n < 0)
		return (int)n;
	m->text_len = (size_t)n;
	sha256_of(m->text, m->text_len, m->digest);
	return 0;
}

/* "blobs/sha256/<hex>", in any folder: the digest that the member claims; "" if none. */
static void claimed_digest(const char *path, char ret[static DIGEST_STRING_SIZE])
{
	const char *base = str_basename(path);

	ret[0] = '\0';
	if (strlen(base) == 64 && str_is_hex(base, 64))
		(void)snprintf(ret, DIGEST_STRING_SIZE, "sha256:%s", base);
}

/* The store has a layer of the digest that the name claims: only the claim is left to check. */
static int hash_layer(struct archive_member *m, struct source *s, const struct store_layer_row *row,
		      struct error *err)
{
	autohasher struct hasher *hash = hasher_new();
	autofree char *buf = xcalloc(1, COPY_SIZE);
	char claimed[DIGEST_STRING_SIZE];
	ssize_t n;

	while ((n = source_read(s, buf, COPY_SIZE, err)) > 0)
		hasher_update(hash, buf, (size_t)n);
	if (n < 0)
		return (int)n;
	hasher_digest(hash, m->digest);
	claimed_digest(m->path, claimed);
	if (str_eq(m->digest, claimed)) {
		memcpy(m->diff_id, row->diff_id, sizeof(m->diff_id));
		return 0;
	}
	m->bad = xasprintf("its digest is '%s'", m->digest);
	m->bad_kind = ERROR_INVALID;
	return 0;
}

/* Each has its own limits; an archive of many must not add up to more than one may have. */
static int check_total(struct archive *a, const struct layer_stage *l, struct error *err)
{
	a->tar_total += l->tar_size;
	if (++a->layers > ARCHIVE_MAX_LAYERS)
		return error_set(err, ERROR_INVALID, 0, "the archive has more than %d layers",
				 ARCHIVE_MAX_LAYERS);
	if (a->tar_total > TAR_MAX_TOTAL)
		return error_set(err, ERROR_INVALID, 0,
				 "the archive's layers have more than %lld bytes", TAR_MAX_TOTAL);
	return 0;
}

static int read_layer(struct store_pins *pins, struct archive *a, struct archive_member *m,
		      struct source *s, struct error *err)
{
	struct stream_reader in = {.read = source_read, .data = s};
	autoerror struct error inner = {0};
	char claimed[DIGEST_STRING_SIZE];
	struct store *st = pins->s;
	struct store_layer_row row;
	int r = 0;

	claimed_digest(m->path, claimed);
	if (claimed[0])
		r = store_pin_content(pins, claimed, &row, err);
	if (r != 0)
		return r < 0 ? r : hash_layer(m, s, &row, err);
	r = store_stage_layer(st, &in, &m->stage, &inner);
	if (r >= 0) {
		const struct layer_stage *l = m->stage;

		memcpy(m->digest, l->blob_digest[0] ? l->blob_digest : l->diff_id,
		       sizeof(m->digest));
		memcpy(m->diff_id, l->diff_id, sizeof(m->diff_id));
		return check_total(a, l, err);
	}
	/* The disk's failures end the load; a bad layer matters only if an image wants it. */
	if (inner.kind != ERROR_INVALID && inner.kind != ERROR_NOT_IMPLEMENTED)
		return error_move(err, &inner, r);
	m->bad = xstrdup(error_msg(&inner));
	m->bad_kind = inner.kind;
	return 0;
}

/* ---- members ---- */

/* What reading goes on with. */
struct reading {
	struct store_pins *pins; /* borrowed, as all here */
	const struct store_progress *progress;
	struct archive *a;
	struct tar *tar;
};

/* "blobs/sha256/0123..." and "0123.../layer.tar" both show what users know as the layer's ID. */
static void short_id(const char *path, char ret[static SHORT_ID_LENGTH + 1])
{
	const char *blobs = "blobs/sha256/";

	if (str_has_prefix(path, blobs))
		path += strlen(blobs);
	ret[0] = '\0';
	if (strlen(path) >= SHORT_ID_LENGTH && str_is_hex(path, SHORT_ID_LENGTH)) {
		memcpy(ret, path, SHORT_ID_LENGTH);
		ret[SHORT_ID_LENGTH] = '\0';
	}
}

static int read_file(const struct reading *rd, struct archive_member *m, const struct tar_entry *e,
		     struct error *err)
{
	char id[SHORT_ID_LENGTH + 1];
	struct source s = {.tar = rd->tar, .progress = rd->progress, .id = id};
	int r;

	if (e->sparse)
		return error_set(err, ERROR_INVALID, 0, "member '%s' of the archive is sparse",
				 m->path);
	s.total = (uint64_t)e->size;
	short_id(m->path, id);
	r = source_peek(&s, err);
	if (r < 0)
		return r;
	return is_text(&s) ? read_text(rd->a, m, &s, err) : read_layer(rd->pins, rd->a, m, &s, err);
}

static int add_member(struct archive *a, const struct tar_entry *e, struct archive_member **ret,
		      struct error *err)
{
	char *path = join_path("", 0, e->path);
	struct archive_member *m;

	if (!path)
		return error_set(err, ERROR_INVALID, 0, "the archive has a member '%s'", e->path);
	xgrow(a->v, a->n, a->cap);
	m = &a->v[a->n++];
	*m = (struct archive_member){.path = path};
	if (a->n > ARCHIVE_MAX_MEMBERS)
		return error_set(err, ERROR_INVALID, 0, "the archive has more than %d members",
				 ARCHIVE_MAX_MEMBERS);
	*ret = m;
	return 0;
}

static int read_member(const struct reading *rd, const struct tar_entry *e, struct error *err)
{
	struct archive_member *m = NULL;
	const char *slash;
	int r;

	if (e->type != TAR_FILE && e->type != TAR_SYMLINK && e->type != TAR_HARDLINK)
		return 0;
	r = add_member(rd->a, e, &m, err);
	if (r < 0)
		return r;
	if (e->type == TAR_FILE)
		return read_file(rd, m, e, err);
	slash = e->type == TAR_SYMLINK ? strrchr(m->path, '/') : NULL;
	m->target = join_path(m->path, slash ? (size_t)(slash - m->path) : 0, e->link);
	if (!m->target)
		return error_set(err, ERROR_INVALID, 0,
				 "member '%s' links to '%s', outside the archive", m->path,
				 e->link);
	return 0;
}

static int check_members(struct archive *a, struct error *err)
{
	if (a->n == 0)
		return 0;
	qsort(a->v, a->n, sizeof(*a->v), compare_members);
	for (size_t i = 1; i < a->n; i++)
		if (str_eq(a->v[i - 1].path, a->v[i].path))
			return error_set(err, ERROR_INVALID, 0, "the archive has two members '%s'",
					 a->v[i].path);
	return 0;
}

int archive_read(struct store_pins *pins, const struct stream_reader *in,
		 const struct store_progress *progress, struct archive *ret, struct error *err)
{
	autodecompress struct decompress *d = NULL;
	autoarchive struct archive a = {0};
	autotar struct tar *t = NULL;
	const struct tar_entry *e;
	struct stream_reader plain;
	struct reading rd;
	int r;

	r = decompress_new(in, &d, err);
	if (r < 0)
		return r;
	plain = decompress_reader(d);
	t = tar_new(&plain, NULL, NULL);
	rd = (struct reading){.pins = pins, .progress = progress, .a = &a, .tar = t};
	while ((r = tar_next(t, &e, err)) > 0) {
		r = read_member(&rd, e, err);
		if (r < 0)
			return r;
	}
	if (r >= 0)
		r = check_members(&a, err);
	if (r < 0)
		return r;
	*ret = a;
	a = (struct archive){0};
	return 0;
}
