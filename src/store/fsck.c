/* Checking a store: the walk, and what the database says. */
#include "store/fsck.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "store/fsck_priv.h"

void fsck_report(struct fsck *f, const char *path, const char *what, bool mended)
{
	f->result->problems++;
	f->result->mended += mended;
	xgrow(f->found, f->n_found, f->cap_found);
	f->found[f->n_found++] = (struct fsck_found){xstrdup(path), xstrdup(what), mended};
}

void fsck_tell(struct fsck *f)
{
	for (size_t i = 0; i < f->n_found; i++) {
		const struct fsck_problem p = {f->found[i].path, f->found[i].what,
					       f->found[i].mended};

		if (f->args->report)
			f->args->report(f->args->data, &p);
		free(f->found[i].path);
		free(f->found[i].what);
	}
	f->n_found = 0;
}

/* ---- what the database says ---- */

static int check_database(struct db_tx *tx, struct fsck *f, struct error *err)
{
	struct db_stmt *st;
	int r = db_query(tx, &st, err, "PRAGMA integrity_check(16)", "");

	while (r >= 0 && (r = db_step(st, err)) > 0)
		if (!str_eq(db_text(st, 0), "ok"))
			fsck_report(f, "vessel.db", db_text(st, 0), false);
	r = r < 0 ? r : db_query(tx, &st, err, "PRAGMA foreign_key_check", "");
	while (r >= 0 && (r = db_step(st, err)) > 0) {
		autofree char *what =
			xasprintf("a row of '%s' refers to one of '%s' that is not there",
				  db_text(st, 0), db_text(st, 2));

		fsck_report(f, "vessel.db", what, false);
	}
	return r;
}

static int load_layers(struct db_tx *tx, struct fsck *f, struct error *err)
{
	struct db_stmt *st;
	int r = db_query(
		tx, &st, err,
		"SELECT id, chain_id, diff_id, coalesce(blob_digest, ''), coalesce(blob_size, 0),"
		" size, tar_size,"
		" EXISTS (SELECT 1 FROM image_layers WHERE layer = l.id)"
		" OR EXISTS (SELECT 1 FROM snapshot_layers WHERE layer = l.id)"
		" OR EXISTS (SELECT 1 FROM layer_pins WHERE layer = l.id)"
		" FROM layers AS l ORDER BY id",
		"");

	while (r >= 0 && (r = db_step(st, err)) > 0) {
		struct fsck_layer *l = arena_new0(f->arena, struct fsck_layer);

		l->row.id = db_int(st, 0);
		(void)str_copy(l->row.chain_id, sizeof(l->row.chain_id), db_text(st, 1));
		(void)str_copy(l->row.diff_id, sizeof(l->row.diff_id), db_text(st, 2));
		(void)str_copy(l->row.blob_digest, sizeof(l->row.blob_digest), db_text(st, 3));
		l->blob_size = db_int(st, 4);
		l->row.size = db_int(st, 5);
		l->row.tar_size = db_int(st, 6);
		l->held = db_int(st, 7) != 0;
		xgrow(f->layers, f->n_layers, f->cap_layers);
		f->layers[f->n_layers++] = l;
	}
	return r;
}

static struct fsck_layer *find_layer(const struct fsck *f, int64_t id)
{
	size_t from = 0, to = f->n_layers;

	while (from < to) {
		size_t mid = (from + to) / 2;

		if (f->layers[mid]->row.id == id)
			return f->layers[mid];
		if (f->layers[mid]->row.id < id)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

static int load_image_layers(struct db_tx *tx, struct fsck *f, struct fsck_image *img,
			     struct error *err)
{
	struct db_stmt *st;
	int r = db_query(tx, &st, err,
			 "SELECT position, layer FROM image_layers WHERE image = ?"
			 " ORDER BY position",
			 "s", img->id);

	while (r >= 0 && (r = db_step(st, err)) > 0) {
		struct fsck_layer *l = find_layer(f, db_int(st, 1));

		img->layers =
			arena_realloc(f->arena, img->layers, img->n_layers * sizeof(*img->layers),
				      (img->n_layers + 1) * sizeof(*img->layers));
		img->gap |= !l || db_int(st, 0) != (int64_t)img->n_layers;
		img->layers[img->n_layers++] = l;
	}
	return r;
}

static int load_images(struct db_tx *tx, struct fsck *f, struct error *err)
{
	struct db_stmt *st;
	int r = db_query(tx, &st, err, "SELECT id, coalesce(parent, ''), config FROM images", "");

	while (r >= 0 && (r = db_step(st, err)) > 0) {
		struct fsck_image img = {.id = arena_strdup(f->arena, db_text(st, 0)),
					 .parent = arena_strdup(f->arena, db_text(st, 1))};
		const void *config = db_blob(st, 2, &img.config_len);

		img.config = img.config_len ? arena_memdup(f->arena, config, img.config_len) : "";
		xgrow(f->images, f->n_images, f->cap_images);
		f->images[f->n_images++] = img;
	}
	for (size_t i = 0; i < f->n_images && r >= 0; i++)
		r = load_image_layers(tx, f, &f->images[i], err);
	return r;
}

static int load_column(struct db_tx *tx, const char *sql, struct strv *ret, struct error *err)
{
	struct db_stmt *st;
	int r = db_query(tx, &st, err, sql, "");

	while (r >= 0 && (r = db_step(st, err)) > 0)
		strv_add(ret, db_text(st, 0));
	return r;
}

int fsck_load_job(struct db_tx *tx, void *data, struct error *err)
{
	struct fsck *f = data;
	int r = check_database(tx, f, err);

	/* Of a run that has ended: they hold nothing. */
	if (r >= 0 && f->offline && f->args->repair)
		r = db_exec(tx, err, "DELETE FROM layer_pins", "");
	r = r < 0 ? r : load_layers(tx, f, err);
	r = r < 0 ? r : load_images(tx, f, err);
	r = r < 0 ? r : load_column(tx, "SELECT container FROM snapshots", &f->containers, err);
	return r < 0 ? r : load_column(tx, "SELECT path FROM tombstones", &f->tombstones, err);
}

/* ---- what only a start would clear away ---- */

static int check_containers(struct fsck *f, struct error *err)
{
	autostrv struct strv names = {0};
	int r = store_list_dir(f->s->containers_fd, &names, err);

	for (size_t i = 0; i < f->containers.n; i++) {
		autofree char *path = xasprintf("%s/upper", f->containers.v[i]);
		struct stat st;

		if (fstatat(f->s->containers_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			fsck_report(f, f->containers.v[i],
				    "the container has lost its writable layer: remove it", false);
	}
	for (size_t i = 0; i < names.n && r >= 0; i++) {
		autofree char *path = xasprintf("containers/%s", names.v[i]);
		bool mend = f->args->repair;

		if (strv_has(&f->containers, names.v[i]))
			continue;
		/* What somebody wrote is kept. */
		r = mend ? store_set_aside(f->s, names.v[i], err) : 0;
		fsck_report(f, path, "a folder of no container", mend && r >= 0);
	}
	return r;
}

static int check_leftovers(struct fsck *f, struct error *err)
{
	autostrv struct strv names = {0};
	int r = store_list_dir(f->s->tmp_fd, &names, err);

	for (size_t i = 0; i < names.n && r >= 0; i++) {
		autofree char *path = xasprintf("tmp/%s", names.v[i]);
		bool mend = f->args->repair;

		r = mend ? file_remove_tree(f->s->tmp_fd, names.v[i], err) : 0;
		fsck_report(f, path, "left by work that was cut short", mend && r >= 0);
	}
	for (size_t i = 0; i < f->tombstones.n && r >= 0; i++) {
		bool mend = f->args->repair;

		r = mend ? fsck_drop_file(f, f->tombstones.v[i], err) : 0;
		fsck_report(f, f->tombstones.v[i], "its removal was cut short", mend && r >= 0);
	}
	return r;
}

/* ---- the walk ---- */

static int look(struct fsck *f, struct error *err)
{
	int r = db_run(f->s->db, fsck_load_job, f, DB_FULL, err);

	f->result->images = f->n_images;
	f->result->layers = f->n_layers;
	f->result->containers = f->containers.n;
	if (r >= 0 && f->offline)
		r = check_leftovers(f, err);
	if (r >= 0 && f->offline)
		r = check_containers(f, err);
	r = r < 0 ? r : fsck_layers(f, err);
	return r < 0 ? r : fsck_images(f, err);
}

static int run(struct fsck *f, struct error *err)
{
	int r;

	f->arena = arena_new();
	(void)pthread_mutex_lock(&f->s->files);
	r = look(f, err);
	(void)pthread_mutex_unlock(&f->s->files);
	store_delete_buried(f->s, &f->doomed);
	fsck_tell(f);
	if (r >= 0 && f->args->deep)
		r = fsck_contents(f, err);
	fsck_tell(f);
	free(f->found);
	free(f->layers);
	free(f->images);
	strv_done(&f->containers);
	strv_done(&f->tombstones);
	f->arena = arena_free(f->arena);
	return r;
}

int fsck_run(struct store *s, const struct fsck_args *args, struct fsck_result *ret,
	     struct error *err)
{
	struct fsck f = {.s = s, .args = args, .result = ret};

	*ret = (struct fsck_result){0};
	return run(&f, err);
}

int fsck_run_offline(int data_root_fd, struct db *db, const struct fsck_args *args,
		     struct fsck_result *ret, struct error *err)
{
	struct fsck f = {.args = args, .result = ret, .offline = true};
	autostore struct store *s = NULL;
	int r = store_open_as_is(data_root_fd, db, &s, err);

	*ret = (struct fsck_result){0};
	if (r < 0)
		return r;
	f.s = s;
	return run(&f, err);
}
