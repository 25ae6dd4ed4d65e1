/* Mending a store. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "store/fsck_priv.h"
#include "store/mounts.h"

static void later(struct fsck *f, struct store_doomed *doomed)
{
	store_bury(f->s, doomed);
	for (size_t i = 0; i < doomed->paths.n; i++)
		strv_add(&f->doomed.paths, doomed->paths.v[i]);
	strv_done(&doomed->paths);
}

int fsck_drop_file(struct fsck *f, const char *path, struct error *err)
{
	struct store_doomed doomed = {0};

	(void)err;
	strv_add(&doomed.paths, path);
	later(f, &doomed);
	return 1;
}

/* ---- images ---- */

struct drop {
	const char *id; /* of an image, or NULL: */
	int64_t layer;  /* all that have this one */
	struct store_doomed doomed;
	bool held; /* a container still needs the layer */
};

static int drop_job(struct db_tx *tx, void *data, struct error *err)
{
	struct drop *d = data;
	struct db_stmt *st;
	int r;

	if (d->id)
		r = db_exec(tx, err, "DELETE FROM images WHERE id = ?", "s", d->id);
	else
		r = db_exec(tx, err,
			    "DELETE FROM images WHERE id IN"
			    " (SELECT image FROM image_layers WHERE layer = ?)",
			    "i", d->layer);
	r = r < 0 ? r : store_gc(tx, &d->doomed, NULL, err);
	r = r < 0 ? r
		  : db_query(tx, &st, err, "SELECT 1 FROM snapshot_layers WHERE layer = ?", "i",
			     d->layer);
	if (r >= 0)
		r = db_step(st, err);
	if (r > 0)
		db_stop(st);
	d->held = r > 0;
	return r < 0 ? r : 0;
}

static int drop(struct fsck *f, struct drop *d, struct error *err)
{
	int r = db_run(f->s->db, drop_job, d, DB_FULL, err);

	if (r >= 0)
		later(f, &d->doomed);
	strv_done(&d->doomed.paths);
	return r < 0 ? r : !d->held;
}

int fsck_drop_image(struct fsck *f, const char *id, struct error *err)
{
	struct drop d = {.id = id, .layer = -1};

	return drop(f, &d, err);
}

/* ---- layers ---- */

/* An image that has the layer tells what lies below it. */
static const struct fsck_image *find_image(const struct fsck *f, const struct fsck_layer *l,
					   size_t *ret_position)
{
	for (size_t i = 0; i < f->n_images; i++)
		for (size_t k = 0; k < f->images[i].n_layers; k++)
			if (f->images[i].layers[k] == l) {
				*ret_position = k;
				return &f->images[i];
			}
	return NULL;
}

struct roots {
	struct fsck *f;
	const struct fsck_image *img;
	int *fds; /* owned, with what they hold: bottom first */
	size_t top;
};

static int open_lower(void *data, size_t i)
{
	const struct roots *roots = data;
	size_t k = roots->top - 1 - i;
	const struct fsck_layer *l = roots->img->layers[k];

	if (roots->fds[k] < 0 && l)
		roots->fds[k] =
			layer_open_root(roots->f->s->layers_fd, digest_hex(l->row.chain_id), NULL);
	return roots->fds[k]; /* what is looked for is not found there else */
}

static int finish(struct fsck *f, const struct fsck_image *img, size_t position,
		  struct layer_stage *stage, struct error *err)
{
	struct roots roots = {
		.f = f, .img = img, .fds = xnew0n(int, position + 1), .top = position};
	const struct unpack_lower lower = {.n = position, .open = open_lower, .data = &roots};
	int r;

	for (size_t i = 0; i < position; i++)
		roots.fds[i] = -EBADF;
	r = layer_stage_finish(stage, &lower, err);
	for (size_t i = 0; i < position; i++)
		fd_close(&roots.fds[i]);
	free(roots.fds);
	return r;
}

/* The layer's folder is replaced whole; its blob is the one that it is made of. */
static int replace(struct fsck *f, const struct fsck_layer *l, struct layer_stage *stage,
		   struct error *err)
{
	const char *hex = digest_hex(l->row.chain_id);
	autofree char *blob = xasprintf("%s/blob", stage->name);
	char name[STORE_NAME_SIZE];

	(void)unlinkat(stage->tmp_fd, blob, 0);
	store_tmp_name(f->s, name);
	if (renameat(f->s->layers_fd, hex, f->s->tmp_fd, name) == 0)
		strv_add(&f->doomed.paths, name);
	if (fchmodat(stage->tmp_fd, stage->name, 0711, 0) < 0 || syncfs(stage->tmp_fd) < 0 ||
	    renameat(stage->tmp_fd, stage->name, f->s->layers_fd, hex) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "replace layer '%s'", hex);
	if (f->s->mounts)
		mounts_drop(f->s->mounts, hex); /* of the files before */
	free(stage->name);
	stage->name = NULL;
	return stage->format == LAYER_DIRECTORY
		       ? store_layer_link(f->s, l->row.id, l->row.chain_id, err)
		       : 0;
}

static int make_again(struct fsck *f, const struct fsck_layer *l, struct error *err)
{
	autolayer_stage struct layer_stage *stage = NULL;
	autoclose int fd = -EBADF;
	struct stream_reader in;
	size_t position = 0;
	const struct fsck_image *img = find_image(f, l, &position);
	int r;

	if (!l->row.blob_digest[0] || !img)
		return error_set(err, ERROR_NOT_FOUND, 0, "there is nothing to make it of");
	fd = openat(f->s->blobs_fd, digest_hex(l->row.blob_digest),
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ERROR_NOT_FOUND, errno, "its blob");
	in = stream_reader_fd(&fd);
	r = store_stage_layer(f->s, &in, &stage, err);
	if (r < 0)
		return r;
	if (!str_eq(stage->blob_digest, l->row.blob_digest) ||
	    !str_eq(stage->diff_id, l->row.diff_id))
		return error_set(err, ERROR_INVALID, 0, "its blob is another one");
	r = finish(f, img, position, stage, err);
	return r < 0 ? r : replace(f, l, stage, err);
}

int fsck_mend_layer(struct fsck *f, const struct fsck_layer *l, struct error *err)
{
	struct drop d = {.layer = l->row.id};
	autoerror struct error why = {0};

	return make_again(f, l, &why) >= 0 ? 1 : drop(f, &d, err);
}
