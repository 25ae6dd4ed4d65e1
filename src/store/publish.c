/* Images on their way to a registry. */
#include "store/publish.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "oci/image_spec.h"
#include "store/gzip_write.h"
#include "store/hasher.h"
#include "store/store_priv.h"

#define COPY_SIZE   (256 * 1024)
#define SOURCES_MAX 32 /* of one blob */

static const char *const migrations[] = {
	"CREATE TABLE image_manifests("
	" image TEXT PRIMARY KEY REFERENCES images(id) ON DELETE CASCADE,"
	" type TEXT NOT NULL, text BLOB NOT NULL) WITHOUT ROWID;"
	/* Hints: what they speak of may be gone by now, here and there. */
	"CREATE TABLE layer_gzips("
	" diff_id TEXT PRIMARY KEY, digest TEXT NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE blob_sources("
	" digest TEXT NOT NULL, repository TEXT NOT NULL, seen_ns INTEGER NOT NULL,"
	" PRIMARY KEY(digest, repository)) WITHOUT ROWID;",
};

static int clean_job(struct db_tx *tx, void *data, struct error *err)
{
	(void)data;
	return db_script(
		tx,
		"DELETE FROM layer_gzips WHERE diff_id NOT IN (SELECT diff_id FROM layers);"
		"DELETE FROM blob_sources WHERE"
		" digest NOT IN (SELECT blob_digest FROM layers WHERE blob_digest NOTNULL)"
		" AND digest NOT IN (SELECT diff_id FROM layers)"
		" AND digest NOT IN (SELECT digest FROM layer_gzips)",
		err);
}

int store_publish_migrate(struct db *db, struct error *err)
{
	int r = db_migrate(db, "publish", migrations, ARRAY_SIZE(migrations), err);

	return r < 0 ? r : db_run(db, clean_job, NULL, DB_NORMAL, err);
}

/* ---- an image ---- */

struct piece {
	struct store_layer_row row;
	struct store_blob blob;
	bool is_kept; /* as a compressed blob */
	bool is_tar;  /* the manifest lists the plain tar */
};

struct store_publish {
	struct store_pins pins;
	struct store_image image;
	struct piece *pieces;  /* owned */
	char *manifest, *type; /* owned; NULL: none, or it does not fit */
	size_t manifest_len;
	atomic_bool is_cancelled;
};

struct store_publish *store_publish_free(struct store_publish *p)
{
	if (!p)
		return NULL;
	store_pins_done(&p->pins);
	store_image_done(&p->image);
	free(p->pieces);
	free(p->manifest);
	free(p->type);
	free(p);
	return NULL;
}

static int manifest_job(struct db_tx *tx, void *data, struct error *err)
{
	struct store_publish *p = data;
	struct db_stmt *st;
	const void *text;
	int r = db_query(tx, &st, err, "SELECT type, text FROM image_manifests WHERE image = ?",
			 "s", p->image.id);

	if (r >= 0)
		r = db_step(st, err);
	if (r <= 0)
		return r;
	p->type = xstrdup(db_text(st, 0));
	text = db_blob(st, 1, &p->manifest_len);
	p->manifest = xcalloc(1, p->manifest_len + 1);
	memcpy(p->manifest, text, p->manifest_len);
	db_stop(st);
	return 0;
}

static int gzip_job(struct db_tx *tx, void *data, struct error *err)
{
	struct piece *piece = data;
	struct db_stmt *st;
	int r = db_query(tx, &st, err, "SELECT digest, size FROM layer_gzips WHERE diff_id = ?",
			 "s", piece->row.diff_id);

	if (r >= 0)
		r = db_step(st, err);
	if (r <= 0)
		return r;
	(void)str_copy(piece->blob.digest, sizeof(piece->blob.digest), db_text(st, 0));
	piece->blob.size = db_int(st, 1);
	db_stop(st);
	return 0;
}

static int open_kept(const struct store_publish *p, const struct piece *piece, struct error *err)
{
	int fd = openat(p->pins.s->blobs_fd, digest_hex(piece->row.blob_digest),
			O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "open blob '%s'",
				  piece->row.blob_digest)
		      : fd;
}

static int look_at_kept(struct store_publish *p, struct piece *piece, struct error *err)
{
	autoclose int fd = open_kept(p, piece, err);
	unsigned char magic[4];
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || pread(fd, magic, sizeof(magic), 0) != sizeof(magic))
		return error_set(err, ERROR_INTERNAL, EIO, "read blob '%s'",
				 piece->row.blob_digest);
	piece->is_kept = true;
	piece->blob.kind = magic[0] == 0x1f ? COMPRESS_GZIP : COMPRESS_ZSTD;
	piece->blob.size = st.st_size;
	memcpy(piece->blob.digest, piece->row.blob_digest, sizeof(piece->blob.digest));
	return 0;
}

static int look_at_layer(struct store_publish *p, size_t i, struct error *err)
{
	struct piece *piece = &p->pieces[i];
	int r = store_pin(&p->pins, p->image.layers[i].chain_id, &piece->row, err);

	if (r == 0)
		r = error_set(err, ERROR_NOT_FOUND, 0, "No such image: %s", p->image.id);
	if (r < 0)
		return r;
	memcpy(piece->blob.diff_id, piece->row.diff_id, sizeof(piece->blob.diff_id));
	if (piece->row.blob_digest[0])
		return look_at_kept(p, piece, err);
	piece->blob.kind = COMPRESS_GZIP;
	return db_run(p->pins.s->db, gzip_job, piece, DB_NORMAL, err);
}

/* Does the manifest list what we have? */
static bool manifest_fits(struct store_publish *p)
{
	autoarena struct arena *a = arena_new();
	const struct image_descriptor *layers;
	const struct image_manifest *m;

	if (image_manifest_parse(a, p->manifest, p->manifest_len, &m, NULL) < 0 ||
	    !str_eq(m->config.digest, p->image.id) || m->layers.n != p->image.n_layers)
		return false;
	layers = m->layers.v;
	for (size_t i = 0; i < m->layers.n; i++)
		if (!str_eq(layers[i].digest, p->pieces[i].row.blob_digest) &&
		    !str_eq(layers[i].digest, p->pieces[i].row.diff_id))
			return false;
	for (size_t i = 0; i < m->layers.n; i++) {
		struct piece *piece = &p->pieces[i];

		if (str_eq(layers[i].digest, piece->row.blob_digest))
			continue;
		piece->is_tar = true;
		piece->is_kept = false;
		piece->blob.kind = COMPRESS_NONE;
		piece->blob.size = piece->row.tar_size;
		memcpy(piece->blob.digest, piece->row.diff_id, sizeof(piece->blob.digest));
	}
	return true;
}

int store_publish_new(struct store *s, const char *image_id, struct store_publish **ret,
		      struct error *err)
{
	autostore_publish struct store_publish *p = xnew0(struct store_publish);
	int r;

	store_pins_init(s, &p->pins);
	r = store_image_get(s, image_id, &p->image, err);
	if (r < 0)
		return r;
	p->pieces = xnew0n(struct piece, p->image.n_layers + 1);
	for (size_t i = 0; i < p->image.n_layers && r >= 0; i++)
		r = look_at_layer(p, i, err);
	if (r >= 0)
		r = db_run(s->db, manifest_job, p, DB_NORMAL, err);
	if (r < 0)
		return r;
	if (p->manifest && !manifest_fits(p)) {
		free(p->manifest);
		p->manifest = NULL;
	}
	*ret = TAKE_PTR(p);
	return 0;
}

const char *store_publish_config(const struct store_publish *p, size_t *ret_len)
{
	*ret_len = p->image.config_len;
	return p->image.config;
}

const char *store_publish_manifest(const struct store_publish *p, size_t *ret_len,
				   const char **ret_type)
{
	*ret_len = p->manifest_len;
	*ret_type = p->type;
	return p->manifest;
}

size_t store_publish_count(const struct store_publish *p)
{
	return p->image.n_layers;
}

const struct store_blob *store_publish_blob(const struct store_publish *p, size_t i)
{
	return &p->pieces[i].blob;
}

/* ---- bytes ---- */

struct sink {
	int fd; /* borrowed */
	struct hasher *hash;
	int64_t size;
	const atomic_bool *is_cancelled; /* borrowed */
};

static int sink_write(void *data, const void *p, size_t len, struct error *err)
{
	struct sink *s = data;
	int r = atomic_load(s->is_cancelled) ? -ECANCELED : fd_write_full(s->fd, p, len);

	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "write a layer's blob");
	hasher_update(s->hash, p, len);
	s->size += (int64_t)len;
	return 0;
}

/* The tar is checked on the way: what is pushed under a digest must be what it says. */
static int copy_tar(struct store_publish *p, const struct piece *piece,
		    const struct stream_writer *out, struct error *err)
{
	return store_layer_tar(p->pins.s, piece->row.chain_id, out, err);
}

static int gzip_write(void *data, const void *p, size_t len, struct error *err)
{
	return gzip_writer_write(data, p, len, err);
}

static int make_blob(struct store_publish *p, const struct piece *piece, struct sink *sink,
		     struct error *err)
{
	const struct stream_writer out = {.write = sink_write, .data = sink};
	autogzip_writer struct gzip_writer *gzip = NULL;
	struct stream_writer in;
	int r;

	if (piece->is_tar)
		return copy_tar(p, piece, &out, err);
	gzip = gzip_writer_new(&out);
	in = (struct stream_writer){.write = gzip_write, .data = gzip};
	r = copy_tar(p, piece, &in, err);
	return r < 0 ? r : gzip_writer_end(gzip, err);
}

static int record_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct store_blob *b = data;

	return db_exec(tx, err,
		       "INSERT OR REPLACE INTO layer_gzips(diff_id, digest, size) VALUES(?, ?, ?)",
		       "ssi", b->diff_id, b->digest, b->size);
}

int store_publish_open(struct store_publish *p, size_t i, int *ret_fd, struct error *err)
{
	autohasher struct hasher *hash = NULL;
	struct piece *piece = &p->pieces[i];
	autoclose int fd = -EBADF;
	char name[STORE_NAME_SIZE];
	struct sink sink;
	int r;

	if (piece->is_kept) {
		*ret_fd = open_kept(p, piece, err);
		return *ret_fd < 0 ? *ret_fd : 0;
	}
	store_tmp_name(p->pins.s, name);
	fd = openat(p->pins.s->tmp_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make 'tmp/%s'", name);
	*ret_fd = openat(p->pins.s->tmp_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	r = *ret_fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "open 'tmp/%s'", name) : 0;
	(void)unlinkat(p->pins.s->tmp_fd, name, 0); /* else emptied at the next start */
	hash = hasher_new();
	sink = (struct sink){.fd = fd, .hash = hash, .is_cancelled = &p->is_cancelled};
	if (r >= 0)
		r = make_blob(p, piece, &sink, err);
	if (r < 0) {
		fd_close(ret_fd);
		return r;
	}
	hasher_digest(hash, piece->blob.digest);
	piece->blob.size = sink.size;
	return piece->is_tar ? 0 : db_run(p->pins.s->db, record_job, &piece->blob, DB_NORMAL, err);
}

void store_publish_cancel(struct store_publish *p)
{
	atomic_store(&p->is_cancelled, true);
}

/* ---- what is known of registries ---- */

struct record {
	const char *image, *name, *text, *type;
	size_t len, max;
	struct strv *ret;
};

static int record_manifest_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct record *m = data;

	return db_exec(tx, err,
		       "INSERT OR IGNORE INTO image_manifests(image, type, text) SELECT ?, ?, ?"
		       " WHERE EXISTS (SELECT 1 FROM images WHERE id = ?)",
		       "ssbs", m->image, m->type, m->text, m->len, m->image);
}

int store_manifest_record(struct store *s, const char *image_id, const char *type, const char *text,
			  size_t len, struct error *err)
{
	struct record m = {.image = image_id, .type = type, .text = text, .len = len};

	return db_run(s->db, record_manifest_job, &m, DB_NORMAL, err);
}

static int add_source_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct record *m = data;
	int r = db_exec(tx, err,
			"INSERT OR REPLACE INTO blob_sources(digest, repository, seen_ns)"
			" VALUES(?, ?, ?)",
			"ssi", m->text, m->name, clock_realtime_ns());

	return r < 0 ? r
		     : db_exec(tx, err,
			       "DELETE FROM blob_sources WHERE digest = ?1 AND repository NOT IN"
			       " (SELECT repository FROM blob_sources WHERE digest = ?1"
			       " ORDER BY seen_ns DESC LIMIT ?2)",
			       "si", m->text, (int64_t)SOURCES_MAX);
}

int store_blob_source_add(struct store *s, const char *digest, const char *repository,
			  struct error *err)
{
	struct record m = {.text = digest, .name = repository};

	return db_run(s->db, add_source_job, &m, DB_NORMAL, err);
}

static int sources_job(struct db_tx *tx, void *data, struct error *err)
{
	struct record *m = data;
	autofree char *prefix = xasprintf("%s/", m->name), *end = xasprintf("%s0", m->name);
	struct db_stmt *st;
	int r = db_query(tx, &st, err,
			 "SELECT repository FROM blob_sources WHERE digest = ? AND repository >= ?"
			 " AND repository < ? ORDER BY seen_ns DESC LIMIT ?",
			 "sssi", m->text, prefix, end, (int64_t)m->max);

	while (r >= 0 && (r = db_step(st, err)) > 0)
		strv_add(m->ret, db_text(st, 0));
	return r;
}

int store_blob_sources(struct store *s, const char *digest, const char *domain, size_t max,
		       struct strv *ret, struct error *err)
{
	struct record m = {.text = digest, .name = domain, .max = max, .ret = ret};

	return db_run(s->db, sources_job, &m, DB_NORMAL, err);
}

static int digest_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct record *m = data;

	return db_exec(tx, err,
		       "INSERT INTO image_names(name, image) SELECT ?, ?"
		       " WHERE EXISTS (SELECT 1 FROM images WHERE id = ?)"
		       " ON CONFLICT(name) DO UPDATE SET image = excluded.image",
		       "sss", m->name, m->image, m->image);
}

int store_digest_record(struct store *s, const char *image_id, const char *name, struct error *err)
{
	struct record m = {.image = image_id, .name = name};

	return db_run(s->db, digest_job, &m, DB_FULL, err);
}
