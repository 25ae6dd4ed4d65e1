/* Making an image visible: files first, then rows, whole or not at all. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/file.h"
#include "base/log.h"
#include "oci/image_spec.h"
#include "store/store_priv.h"

struct commit {
	struct store_pins *pins;           /* borrowed */
	const struct store_new_image *img; /* borrowed */
	const char *id;
	int64_t created_ns;
	char (*chain)[DIGEST_STRING_SIZE]; /* owned, one a layer */
	int64_t *rows;                     /* owned: row ids of the layers after the commit */
	struct store_doomed intents;       /* tombstones of what is to come */
};

/* ---- finishing the trees ---- */

/* The same content again, on other layers, from the finished stage of the first. */
static int copy_stage(struct commit *c, const struct layer_stage *from, struct layer_stage **ret,
		      struct error *err)
{
	autolayer_tar struct layer_tar *t = NULL;
	struct stream_reader in;
	int dir, blob = -EBADF, r;

	dir = openat(from->tmp_fd, from->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir >= 0 && from->blob_digest[0])
		blob = openat(dir, "blob", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 || (from->blob_digest[0] && blob < 0)) {
		r = error_set(err, ERROR_INTERNAL, errno, "open 'tmp/%s'", from->name);
		fd_close(&dir);
		return r;
	}
	r = layer_tar_open(dir, blob, from->tar_size, &t, err);
	if (r < 0)
		return r;
	in = layer_tar_reader(t);
	return store_stage_layer(c->pins->s, &in, ret, err);
}

/* The roots of an image's layers, bottom first, opened when they are asked for: an EROFS image has to be
 * mounted for that. */
struct roots {
	struct commit *c;
	int *fds;   /* owned, with what they hold */
	size_t top; /* the layer that is being finished */
};

static int open_lower(void *data, size_t i)
{
	const struct roots *roots = data;
	size_t k = roots->top - 1 - i;
	struct commit *c = roots->c;
	const struct layer_stage *l = c->img->stages[k];
	autoerror struct error err = {0};

	if (roots->fds[k] >= 0)
		return roots->fds[k];
	roots->fds[k] = l ? layer_open_root(l->tmp_fd, l->name, &err)
			  : layer_open_root(c->pins->s->layers_fd, digest_hex(c->chain[k]), &err);
	if (roots->fds[k] < 0)
		log_error("store: %s", error_msg(&err)); /* what is looked for is not found then */
	return roots->fds[k];
}

static int finish_layers(struct commit *c, struct error *err)
{
	const struct store_new_image *img = c->img;
	struct roots roots = {.c = c, .fds = xnew0n(int, img->n_layers)};
	int r = 0;

	for (size_t i = 0; i < img->n_layers; i++)
		roots.fds[i] = -EBADF;
	for (size_t i = 0; i < img->n_layers && r >= 0; i++) {
		const struct unpack_lower lower = {.n = i, .open = open_lower, .data = &roots};

		roots.top = i;
		if (img->copy_of && img->copy_of[i])
			r = copy_stage(c, img->stages[img->copy_of[i] - 1], &img->stages[i], err);
		if (r >= 0 && img->stages[i])
			r = layer_stage_finish(img->stages[i], &lower, err);
	}
	for (size_t i = 0; i < img->n_layers; i++)
		fd_close(&roots.fds[i]);
	free(roots.fds);
	return r;
}

/* ---- renaming into place, with `files` held ---- */

/* Layers that somebody else has committed since they were looked for. */
static int drop_known(struct commit *c, struct error *err)
{
	for (size_t i = 0; i < c->img->n_layers; i++) {
		struct store_layer_row row;
		int r;

		if (!c->img->stages[i])
			continue;
		r = store_pin(c->pins, c->chain[i], &row, err);
		if (r < 0)
			return r;
		if (r > 0)
			c->img->stages[i] = layer_stage_free(c->img->stages[i]);
	}
	return 0;
}

static int intents_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct commit *c = data;
	int r = 0;

	for (size_t i = 0; i < c->intents.paths.n && r >= 0; i++)
		r = store_tombstone_add(tx, c->intents.paths.v[i], err);
	return r;
}

static int declare_intents(struct commit *c, struct error *err)
{
	for (size_t i = 0; i < c->img->n_layers; i++) {
		const struct layer_stage *l = c->img->stages[i];
		struct stat st;

		if (!l)
			continue;
		strv_addf(&c->intents.paths, "layers/%s", digest_hex(c->chain[i]));
		/* Another layer may keep the same blob: it is not ours to take back then. */
		if (l->blob_digest[0] && fstatat(c->pins->s->blobs_fd, digest_hex(l->blob_digest),
						 &st, AT_SYMLINK_NOFOLLOW) < 0)
			strv_addf(&c->intents.paths, STORE_BLOBS "/%s", digest_hex(l->blob_digest));
	}
	if (c->intents.paths.n == 0)
		return 0;
	return db_run(c->pins->s->db, intents_job, c, DB_NORMAL, err);
}

/* A folder of this name without a row is left from a crash that lost the tombstone too. */
static int move_leftover(struct store *s, const char *hex, struct error *err)
{
	char name[STORE_NAME_SIZE];

	store_tmp_name(s, name);
	if (renameat(s->layers_fd, hex, s->tmp_fd, name) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "move the leftover 'layers/%s'", hex);
	return 0; /* deleted at the next start */
}

static int place_layer(struct commit *c, size_t i, struct error *err)
{
	struct layer_stage *l = c->img->stages[i];
	const char *hex = digest_hex(c->chain[i]);
	struct store *s = c->pins->s;
	autofree char *blob = xasprintf("%s/blob", l->name);
	int r;

	if (l->blob_digest[0] &&
	    renameat(l->tmp_fd, blob, s->blobs_fd, digest_hex(l->blob_digest)) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "keep the blob '%s'", l->blob_digest);
	/* rename(2) of two names of one file does nothing: the blob of another layer, again. */
	if (l->blob_digest[0] && unlinkat(l->tmp_fd, blob, 0) < 0 && errno != ENOENT)
		return error_set(err, ERROR_INTERNAL, errno, "remove 'tmp/%s'", blob);
	if (fchmodat(l->tmp_fd, l->name, 0711, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open layer '%s'", c->chain[i]);
	r = renameat(s->tmp_fd, l->name, s->layers_fd, hex);
	if (r < 0 && (errno == ENOTEMPTY || errno == EEXIST)) {
		r = move_leftover(s, hex, err);
		if (r < 0)
			return r;
		r = renameat(s->tmp_fd, l->name, s->layers_fd, hex);
	}
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, errno, "place layer '%s'", c->chain[i]);
	free(l->name);
	l->name = NULL;
	return 0;
}

static int place_layers(struct commit *c, struct error *err)
{
	struct store *s = c->pins->s;
	int r = 0;

	if (c->intents.paths.n == 0)
		return 0;
	for (size_t i = 0; i < c->img->n_layers && r >= 0; i++)
		if (c->img->stages[i])
			r = place_layer(c, i, err);
	if (r >= 0 && (fsync(s->layers_fd) < 0 || fsync(s->blobs_fd) < 0))
		r = error_set(err, ERROR_INTERNAL, errno, "sync the layers' folder");
	return r;
}

/* ---- rows ---- */

static int insert_layer(struct db_tx *tx, struct commit *c, size_t i, struct error *err)
{
	const struct layer_stage *l = c->img->stages[i];
	struct store_layer_row row;
	int r;

	if (l) {
		r = db_exec(tx, err,
			    "INSERT INTO layers(chain_id, diff_id, size, tar_size, blob_digest,"
			    " blob_size) VALUES(?, ?, ?, ?, ?, ?)",
			    "ssiisi", c->chain[i], c->img->diff_ids[i], l->size, l->tar_size,
			    l->blob_digest[0] ? l->blob_digest : NULL, l->blob_size);
		c->rows[i] = db_last_id(tx);
		return r;
	}
	r = store_layer_find(tx, c->chain[i], &row, err);
	if (r == 0)
		r = error_set(err, ERROR_INTERNAL, 0, "layer '%s' has vanished", c->chain[i]);
	if (r > 0)
		c->rows[i] = row.id;
	return r < 0 ? r : 0;
}

static int insert_names(struct db_tx *tx, const struct commit *c, struct error *err)
{
	const char *const *names = c->img->names;
	int r = 0;

	for (; names && *names && r >= 0; names++)
		r = db_exec(tx, err,
			    "INSERT INTO image_names(name, image) VALUES(?, ?)"
			    " ON CONFLICT(name) DO UPDATE SET image = excluded.image",
			    "ss", *names, c->id);
	return r;
}

static int rows_job(struct db_tx *tx, void *data, struct error *err)
{
	struct commit *c = data;
	bool known;
	int r;

	r = db_exec(tx, err,
		    "INSERT INTO images(id, parent, created_ns, tagged_ns, config)"
		    " VALUES(?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING",
		    "ssiib", c->id, c->img->parent, c->created_ns,
		    c->img->names ? clock_realtime_ns() : (int64_t)0, c->img->config,
		    c->img->config_len);
	known = r >= 0 && db_changes(tx) == 0;
	for (size_t i = 0; i < c->img->n_layers && r >= 0; i++) {
		r = insert_layer(tx, c, i, err);
		if (r >= 0 && !known)
			r = db_exec(
				tx, err,
				"INSERT INTO image_layers(image, position, layer) VALUES(?, ?, ?)",
				"sii", c->id, (int64_t)i, c->rows[i]);
	}
	if (r >= 0)
		r = insert_names(tx, c, err);
	for (size_t i = 0; i < c->intents.paths.n && r >= 0; i++)
		r = store_tombstone_drop(tx, c->intents.paths.v[i], err);
	return r;
}

static int link_layers(struct commit *c, struct error *err)
{
	for (size_t i = 0; i < c->img->n_layers; i++) {
		const struct layer_stage *l = c->img->stages[i];
		int r = l && l->format == LAYER_DIRECTORY
				? store_layer_link(c->pins->s, c->rows[i], c->chain[i], err)
				: 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int commit_locked(struct commit *c, struct error *err)
{
	int r;

	r = drop_known(c, err);
	if (r >= 0)
		r = declare_intents(c, err);
	if (r >= 0)
		r = place_layers(c, err);
	if (r >= 0) {
		crash_point(CRASH_IMAGE_PLACED);
		r = db_run(c->pins->s->db, rows_job, c, DB_FULL, err);
	}
	if (r < 0) {
		store_bury(c->pins->s, &c->intents);
		return r;
	}
	crash_point(CRASH_IMAGE_ROWS);
	strv_done(&c->intents.paths);
	return link_layers(c, err);
}

static int run_commit(struct commit *c, struct error *err)
{
	struct store *s = c->pins->s;
	bool staged = false;
	int r;

	for (size_t i = 0; i < c->img->n_layers; i++) {
		staged |= c->img->stages[i] != NULL;
		layer_chain_id(i ? c->chain[i - 1] : "", c->img->diff_ids[i], c->chain[i]);
	}
	r = finish_layers(c, err);
	if (r >= 0 && staged && syncfs(s->tmp_fd) < 0)
		r = error_set(err, ERROR_INTERNAL, errno, "sync the layers");
	if (r < 0)
		return r;
	crash_point(CRASH_IMAGE_STAGED);
	(void)pthread_mutex_lock(&s->files);
	r = commit_locked(c, err);
	(void)pthread_mutex_unlock(&s->files);
	store_delete_buried(s, &c->intents);
	return r;
}

/* The config must speak of the same layers. */
static int check_config(const struct store_new_image *img, int64_t *ret_created_ns,
			struct error *err)
{
	autoarena struct arena *a = arena_new();
	const struct image_spec *spec;
	int r = image_spec_parse(a, img->config, img->config_len, &spec, err);

	if (r < 0)
		return r;
	if (spec->os && spec->os[0] && !str_eq(spec->os, "linux"))
		return error_set(err, ERROR_INVALID, 0,
				 "the image is for operating system '%s', this is linux", spec->os);
	if (spec->diff_ids.n != img->n_layers)
		return error_set(err, ERROR_INVALID, 0,
				 "the image config lists %zu layers where there are %zu",
				 spec->diff_ids.n, img->n_layers);
	for (size_t i = 0; i < img->n_layers; i++)
		if (!str_eq(spec->diff_ids.v[i], img->diff_ids[i]))
			return error_set(err, ERROR_INVALID, 0,
					 "layer %zu has diff ID '%s', the image config says '%s'",
					 i, img->diff_ids[i], spec->diff_ids.v[i]);
	if (!spec->created || clock_parse_rfc3339(spec->created, ret_created_ns) < 0)
		*ret_created_ns = 0;
	return 0;
}

int store_image_commit(struct store_pins *pins, const struct store_new_image *img,
		       char ret_id[static DIGEST_STRING_SIZE], struct error *err)
{
	struct commit c = {.pins = pins, .img = img};
	char id[DIGEST_STRING_SIZE];
	int r;

	r = check_config(img, &c.created_ns, err);
	if (r < 0)
		return r;
	sha256_of(img->config, img->config_len, id);
	c.id = id;
	c.chain = xcalloc(img->n_layers, sizeof(*c.chain));
	c.rows = xnew0n(int64_t, img->n_layers);
	r = run_commit(&c, err);
	for (size_t i = 0; i < img->n_layers; i++)
		img->stages[i] = layer_stage_free(img->stages[i]);
	free(c.chain);
	free(c.rows);
	strv_done(&c.intents.paths);
	if (r < 0)
		return r;
	memcpy(ret_id, id, sizeof(id));
	return 0;
}
