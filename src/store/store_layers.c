/* Layers that are in the store: finding, pinning, reading back. */
#include "store/store_priv.h"

#include <fcntl.h>
#include <string.h>

#include "base/log.h"

#define COPY_SIZE (256 * 1024)

#define LAYER_COLUMNS "id, chain_id, diff_id, coalesce(blob_digest, ''), size, tar_size"

static int find_layer(struct db_tx *tx, const char *sql, const char *id,
		      struct store_layer_row *ret, struct error *err)
{
	struct db_stmt *st;
	int r = db_query(tx, &st, err, sql, "s", id);

	if (r >= 0)
		r = db_step(st, err);
	if (r <= 0)
		return r;
	ret->id = db_int(st, 0);
	(void)str_copy(ret->chain_id, sizeof(ret->chain_id), db_text(st, 1));
	(void)str_copy(ret->diff_id, sizeof(ret->diff_id), db_text(st, 2));
	(void)str_copy(ret->blob_digest, sizeof(ret->blob_digest), db_text(st, 3));
	ret->size = db_int(st, 4);
	ret->tar_size = db_int(st, 5);
	db_stop(st);
	return 1;
}

int store_layer_find(struct db_tx *tx, const char *chain_id, struct store_layer_row *ret,
		     struct error *err)
{
	return find_layer(tx, "SELECT " LAYER_COLUMNS " FROM layers WHERE chain_id = ?", chain_id,
			  ret, err);
}

int store_layer_link(struct store *s, int64_t row_id, const char *chain_id, struct error *err)
{
	autofree char *name = xasprintf("l/%llx", (unsigned long long)row_id);
	autofree char *target = xasprintf("../%s/diff", digest_hex(chain_id));

	if (symlinkat(target, s->layers_fd, name) < 0 && errno != EEXIST)
		return error_set(err, ERROR_INTERNAL, errno, "make 'layers/%s'", name);
	return 0;
}

int store_stage_layer(struct store *s, const struct stream_reader *in, struct layer_stage **ret,
		      struct error *err)
{
	return store_stage_file(s, in, -EBADF, ret, err);
}

int store_stage_file(struct store *s, const struct stream_reader *in, int file,
		     struct layer_stage **ret, struct error *err)
{
	const struct layer_source source = {.format = s->format, .in = in, .file = file};
	char name[STORE_NAME_SIZE];

	store_tmp_name(s, name);
	return layer_stage_new_from(s->tmp_fd, name, &source, ret, err);
}

/* ---- pins ---- */

void store_pins_init(struct store *s, struct store_pins *ret)
{
	*ret = (struct store_pins){.s = s, .owner = (int64_t)atomic_fetch_add(&s->counter, 1)};
}

struct unpin {
	int64_t owner;
	struct store_doomed doomed;
};

static int unpin_job(struct db_tx *tx, void *data, struct error *err)
{
	struct unpin *u = data;
	int r = db_exec(tx, err, "DELETE FROM layer_pins WHERE owner = ?", "i", u->owner);

	if (r < 0 || db_changes(tx) == 0)
		return r;
	return store_gc(tx, &u->doomed, NULL, err);
}

void store_pins_done(struct store_pins *p)
{
	struct unpin u = {.owner = p->owner};
	autoerror struct error err = {0};

	if (!p->s)
		return;
	(void)pthread_mutex_lock(&p->s->files);
	if (db_run(p->s->db, unpin_job, &u, DB_NORMAL, &err) < 0)
		log_warn("store: %s", error_msg(&err)); /* the next start drops all pins */
	else
		store_bury(p->s, &u.doomed);
	(void)pthread_mutex_unlock(&p->s->files);
	store_delete_buried(p->s, &u.doomed);
	p->s = NULL;
}

struct pin {
	int64_t owner;
	const char *chain_id, *content; /* one of them */
	struct store_layer_row *ret;
};

static int find_content(struct db_tx *tx, const char *digest, struct store_layer_row *ret,
			struct error *err)
{
	int r = find_layer(tx, "SELECT " LAYER_COLUMNS " FROM layers WHERE diff_id = ? LIMIT 1",
			   digest, ret, err);

	return r ? r
		 : find_layer(tx,
			      "SELECT " LAYER_COLUMNS " FROM layers WHERE blob_digest = ? LIMIT 1",
			      digest, ret, err);
}

static int pin_job(struct db_tx *tx, void *data, struct error *err)
{
	struct pin *p = data;
	int r;

	r = p->chain_id ? store_layer_find(tx, p->chain_id, p->ret, err)
			: find_content(tx, p->content, p->ret, err);
	if (r <= 0)
		return r;
	r = db_exec(tx, err, "INSERT OR IGNORE INTO layer_pins(owner, layer) VALUES(?, ?)", "ii",
		    p->owner, p->ret->id);
	return r < 0 ? r : 1;
}

int store_pin(struct store_pins *p, const char *chain_id, struct store_layer_row *ret,
	      struct error *err)
{
	struct pin pin = {.owner = p->owner, .chain_id = chain_id, .ret = ret};

	return db_run(p->s->db, pin_job, &pin, DB_NORMAL, err);
}

int store_pin_content(struct store_pins *p, const char *digest, struct store_layer_row *ret,
		      struct error *err)
{
	struct pin pin = {.owner = p->owner, .content = digest, .ret = ret};

	return db_run(p->s->db, pin_job, &pin, DB_NORMAL, err);
}

/* ---- reading back ---- */

int store_layer_reader(struct store *s, const struct store_layer_row *row, struct layer_tar **ret,
		       struct error *err)
{
	int dir = -EBADF, blob = -EBADF;

	if (row->blob_digest[0])
		blob = openat(s->blobs_fd, digest_hex(row->blob_digest),
			      O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	else
		dir = openat(s->layers_fd, digest_hex(row->chain_id),
			     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 && blob < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open layer '%s'", row->chain_id);
	return layer_tar_open(dir, blob, row->tar_size, ret, err);
}

int store_layer_tar(struct store *s, const char *chain_id, const struct stream_writer *out,
		    struct error *err)
{
	autofree char *buf = xcalloc(1, COPY_SIZE);
	autosha256 struct sha256 *sha = sha256_new();
	autostore_pins struct store_pins pins = {0};
	autolayer_tar struct layer_tar *t = NULL;
	char digest[DIGEST_STRING_SIZE];
	struct store_layer_row row;
	struct stream_reader in;
	ssize_t n;
	int r;

	store_pins_init(s, &pins);
	r = store_pin(&pins, chain_id, &row, err);
	if (r == 0)
		r = error_set(err, ERROR_NOT_FOUND, 0, "no such layer: %s", chain_id);
	if (r >= 0)
		r = store_layer_reader(s, &row, &t, err);
	if (r < 0)
		return r;
	in = layer_tar_reader(t);
	while ((n = in.read(in.data, buf, COPY_SIZE, err)) > 0) {
		sha256_update(sha, buf, (size_t)n);
		r = out->write(out->data, buf, (size_t)n, err);
		if (r < 0)
			return r;
	}
	if (n < 0)
		return (int)n;
	sha256_digest(sha, digest);
	if (!str_eq(digest, row.diff_id))
		return error_set(err, ERROR_INTERNAL, 0,
				 "layer '%s' was changed on disk: its tar is not '%s' any more",
				 chain_id, row.diff_id);
	return 0;
}
