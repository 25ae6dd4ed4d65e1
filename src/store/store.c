/* Opening the store, and removal that survives crashes.
 *
 * What is to go gets a tombstone in the same transaction that removes its rows; then its path is renamed
 * into tmp/, the tombstone is forgotten, and the tree deleted at leisure.  What is to come gets a
 * tombstone too, which the transaction that adds its rows takes back.  So at any moment a path with
 * neither row nor tombstone is none of ours, and a start after a crash knows what to delete.
 */
#include "store/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "store/mounts.h"
#include "store/partial.h"
#include "store/publish.h"
#include "store/store_priv.h"
#include "store/tree_priv.h"

static const char *const migrations[] = {
	"CREATE TABLE layers("
	" id INTEGER PRIMARY KEY, chain_id TEXT NOT NULL UNIQUE, diff_id TEXT NOT NULL,"
	" size INTEGER NOT NULL, tar_size INTEGER NOT NULL, blob_digest TEXT, blob_size INTEGER);"
	"CREATE INDEX layers_diff ON layers(diff_id);"
	"CREATE INDEX layers_blob ON layers(blob_digest);"
	"CREATE TABLE images("
	" id TEXT PRIMARY KEY, parent TEXT, created_ns INTEGER NOT NULL, tagged_ns INTEGER NOT "
	"NULL,"
	" config BLOB NOT NULL);"
	"CREATE TABLE image_layers("
	" image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE, position INTEGER NOT NULL,"
	" layer INTEGER NOT NULL REFERENCES layers(id), PRIMARY KEY(image, position)) WITHOUT "
	"ROWID;"
	"CREATE INDEX image_layers_layer ON image_layers(layer);"
	"CREATE TABLE image_names("
	" name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE);"
	"CREATE INDEX image_names_image ON image_names(image);"
	"CREATE TABLE snapshots("
	" container TEXT PRIMARY KEY, image TEXT NOT NULL, created_ns INTEGER NOT NULL);"
	"CREATE INDEX snapshots_image ON snapshots(image);"
	"CREATE TABLE snapshot_layers("
	" container TEXT NOT NULL REFERENCES snapshots(container) ON DELETE CASCADE,"
	" position INTEGER NOT NULL, layer INTEGER NOT NULL REFERENCES layers(id),"
	" PRIMARY KEY(container, position)) WITHOUT ROWID;"
	"CREATE INDEX snapshot_layers_layer ON snapshot_layers(layer);"
	"CREATE TABLE layer_pins(owner INTEGER NOT NULL, layer INTEGER NOT NULL REFERENCES "
	"layers(id),"
	" PRIMARY KEY(layer, owner)) WITHOUT ROWID;"
	"CREATE TABLE tombstones(path TEXT PRIMARY KEY) WITHOUT ROWID;",
	/* Columns in the order of the key: SQLite 3.40's quick_check mistakes them otherwise. */
	"DROP TABLE layer_pins;"
	"CREATE TABLE layer_pins(layer INTEGER NOT NULL REFERENCES layers(id), owner INTEGER NOT "
	"NULL, PRIMARY KEY(layer, owner)) WITHOUT ROWID;",
	/* Images that containers mount beside their own; their layers are in snapshot_layers, each image's
	 * behind the last one's (snapshot.c). */
	"CREATE TABLE snapshot_images("
	" container TEXT NOT NULL REFERENCES snapshots(container) ON DELETE CASCADE,"
	" mount INTEGER NOT NULL, image TEXT NOT NULL, PRIMARY KEY(container, mount)) WITHOUT "
	"ROWID;"
	"CREATE INDEX snapshot_images_image ON snapshot_images(image);",
};

void store_tmp_name(struct store *s, char ret[static STORE_NAME_SIZE])
{
	(void)snprintf(ret, STORE_NAME_SIZE, "%lu", atomic_fetch_add(&s->counter, 1));
}

/* ---- tombstones ---- */

int store_tombstone_add(struct db_tx *tx, const char *path, struct error *err)
{
	return db_exec(tx, err, "INSERT OR IGNORE INTO tombstones(path) VALUES(?)", "s", path);
}

int store_tombstone_drop(struct db_tx *tx, const char *path, struct error *err)
{
	return db_exec(tx, err, "DELETE FROM tombstones WHERE path = ?", "s", path);
}

static void doom(struct store_doomed *d, const char *path)
{
	strv_add(&d->paths, path);
}

struct orphan {
	int64_t id;
	char chain_id[DIGEST_STRING_SIZE], blob_digest[DIGEST_STRING_SIZE];
};

/* The topmost orphan has no holder and is found first: ids grow from the bottom up. */
static int next_orphan(struct db_tx *tx, struct orphan *ret, struct error *err)
{
	struct db_stmt *st;
	int r;

	r = db_query(tx, &st, err,
		     "SELECT id, chain_id, coalesce(blob_digest, '') FROM layers AS l WHERE"
		     " NOT EXISTS (SELECT 1 FROM image_layers WHERE layer = l.id)"
		     " AND NOT EXISTS (SELECT 1 FROM snapshot_layers WHERE layer = l.id)"
		     " AND NOT EXISTS (SELECT 1 FROM layer_pins WHERE layer = l.id)"
		     " ORDER BY id DESC LIMIT 1",
		     "");
	if (r < 0)
		return r;
	r = db_step(st, err);
	if (r > 0) {
		ret->id = db_int(st, 0);
		(void)str_copy(ret->chain_id, sizeof(ret->chain_id), db_text(st, 1));
		(void)str_copy(ret->blob_digest, sizeof(ret->blob_digest), db_text(st, 2));
		db_stop(st);
	}
	return r;
}

static int bury_later(struct db_tx *tx, struct store_doomed *doomed, char *path_take,
		      struct error *err)
{
	autofree char *path = path_take;
	int r = store_tombstone_add(tx, path, err);

	if (r >= 0)
		doom(doomed, path);
	return r;
}

static int drop_layer(struct db_tx *tx, const struct orphan *o, struct store_doomed *doomed,
		      struct error *err)
{
	struct db_stmt *st;
	int r;

	r = db_exec(tx, err, "DELETE FROM layers WHERE id = ?", "i", o->id);
	if (r >= 0)
		r = bury_later(tx, doomed, xasprintf("layers/%s", digest_hex(o->chain_id)), err);
	if (r >= 0)
		r = bury_later(tx, doomed, xasprintf("layers/l/%llx", (unsigned long long)o->id),
			       err);
	if (r < 0 || !o->blob_digest[0])
		return r;
	r = db_query(tx, &st, err, "SELECT 1 FROM layers WHERE blob_digest = ?", "s",
		     o->blob_digest);
	if (r >= 0)
		r = db_step(st, err);
	if (r != 0)
		return r < 0 ? r : (db_stop(st), 0);
	return bury_later(tx, doomed, xasprintf(STORE_BLOBS "/%s", digest_hex(o->blob_digest)),
			  err);
}

int store_gc(struct db_tx *tx, struct store_doomed *doomed, struct store_removed_list *report,
	     struct error *err)
{
	struct orphan o;
	int r;

	while ((r = next_orphan(tx, &o, err)) > 0) {
		r = drop_layer(tx, &o, doomed, err);
		if (r < 0)
			return r;
		if (report) {
			xgrow(report->v, report->n, report->cap);
			report->v[report->n++] = (struct store_removed){
				.deleted = true, .name = xstrdup(o.chain_id)};
		}
	}
	return r;
}

static int forget_job(struct db_tx *tx, void *data, struct error *err)
{
	const struct strv *paths = data;
	int r = 0;

	for (size_t i = 0; i < paths->n && r >= 0; i++)
		r = store_tombstone_drop(tx, paths->v[i], err);
	return r;
}

static void forgotten(void *data, int r, struct error *err)
{
	struct strv *paths = data;

	if (r < 0)
		log_warn("store: %s", error_msg(err)); /* removing them again does no harm */
	strv_done(paths);
	free(paths);
}

void store_bury(struct store *s, struct store_doomed *doomed)
{
	struct strv *gone = xnew0(struct strv), buried = {0};

	for (size_t i = 0; i < doomed->paths.n; i++) {
		autofree char *to = NULL;
		char name[STORE_NAME_SIZE];

		store_tmp_name(s, name);
		to = xasprintf("tmp/%s", name);
		if (s->mounts && str_has_prefix(doomed->paths.v[i], "layers/"))
			mounts_drop(s->mounts, doomed->paths.v[i] + strlen("layers/"));
		if (renameat(s->root_fd, doomed->paths.v[i], s->root_fd, to) == 0) {
			strv_add(&buried, name);
		} else if (errno != ENOENT) {
			/* The tombstone stays: the next start tries again. */
			log_warn("store: remove '%s': %s", doomed->paths.v[i], strerror(errno));
			continue;
		}
		strv_add(gone, doomed->paths.v[i]);
	}
	/* Queued before `files` is released, so before anybody who makes such a path anew. */
	db_post(s->db, forget_job, gone, DB_NORMAL, forgotten);
	strv_done(&doomed->paths);
	doomed->paths = buried;
}

void store_delete_buried(struct store *s, struct store_doomed *doomed)
{
	for (size_t i = 0; i < doomed->paths.n; i++) {
		autoerror struct error err = {0};

		if (file_remove_tree(s->tmp_fd, doomed->paths.v[i], &err) < 0)
			log_warn("store: %s", error_msg(&err)); /* the next start tries again */
	}
	strv_done(&doomed->paths);
}

/* ---- opening ---- */

static int open_dir(struct store *s, const char *path, mode_t mode, int *ret, struct error *err)
{
	int r = file_mkdir_p(s->root_fd, path, mode, err);

	if (r < 0)
		return r;
	*ret = openat(s->root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret < 0 ? error_set(err, ERROR_INTERNAL, errno, "open '%s'", path) : 0;
}

static int open_dirs(struct store *s, struct error *err)
{
	int l_fd = -EBADF, r;

	r = open_dir(s, "tmp", 0700, &s->tmp_fd, err);
	if (r >= 0)
		r = open_dir(s, STORE_BLOBS, 0700, &s->blobs_fd, err);
	if (r >= 0)
		r = open_dir(s, "layers", 0711, &s->layers_fd, err);
	if (r >= 0)
		r = open_dir(s, "containers", 0711, &s->containers_fd, err);
	if (r >= 0)
		r = open_dir(s, "layers/l", 0711, &l_fd, err);
	fd_close(&l_fd);
	/* What an image without any layer is mounted on. */
	if (r >= 0)
		r = file_mkdir_p(s->root_fd, "layers/empty/diff", 0755, err);
	return r;
}

int store_list_dir(int dir_fd, struct strv *ret, struct error *err)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *de;

	if (!dir)
		return error_set(err, ERROR_INTERNAL, errno, "list a folder");
	while ((de = readdir(dir)))
		if (!str_eq(de->d_name, ".") && !str_eq(de->d_name, ".."))
			strv_add(ret, de->d_name);
	(void)closedir(dir);
	return 0;
}

static int empty_tmp(struct store *s, struct error *err)
{
	autostrv struct strv names = {0};
	int r = store_list_dir(s->tmp_fd, &names, err);

	for (size_t i = 0; i < names.n && r >= 0; i++)
		r = file_remove_tree(s->tmp_fd, names.v[i], err);
	return r;
}

/* What the database knows at the start. */
struct inventory {
	struct store_doomed doomed; /* tombstones of the last run */
	struct strv containers;
	struct strv layers; /* hex chain IDs */
	struct strv links;  /* names in layers/l, in the same order */
};

static int collect(struct db_tx *tx, const char *sql, struct strv *ret, struct error *err)
{
	struct db_stmt *st;
	int r = db_query(tx, &st, err, sql, "");

	while (r >= 0 && (r = db_step(st, err)) > 0)
		strv_add(ret, db_text(st, 0));
	return r;
}

static int inventory_job(struct db_tx *tx, void *data, struct error *err)
{
	struct inventory *inv = data;
	int r;

	r = db_exec(tx, err, "DELETE FROM layer_pins", "");
	if (r >= 0)
		r = store_gc(tx, &inv->doomed, NULL, err);
	strv_done(&inv->doomed.paths); /* all tombstones follow, the new ones among them */
	if (r >= 0)
		r = collect(tx, "SELECT path FROM tombstones", &inv->doomed.paths, err);
	if (r >= 0)
		r = collect(tx, "SELECT container FROM snapshots", &inv->containers, err);
	if (r >= 0)
		r = collect(tx, "SELECT substr(chain_id, 8) FROM layers ORDER BY id", &inv->layers,
			    err);
	if (r >= 0)
		r = collect(tx, "SELECT printf('l/%x', id) FROM layers ORDER BY id", &inv->links,
			    err);
	return r;
}

/* Other than the store's own. */
static bool has_entries(int dir_fd, const char *name)
{
	autostrv struct strv names = {0};
	autoclose int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd >= 0 && store_list_dir(fd, &names, NULL) >= 0 &&
	       names.n > (size_t)strv_has(&names, STORE_MARKER);
}

/* A container's folder that no row knows: what somebody wrote into it is not ours to delete. */
int store_set_aside(struct store *s, const char *name, struct error *err)
{
	autofree char *upper = xasprintf("%s/upper", name), *to = NULL, *from = NULL;
	int r;

	if (!has_entries(s->containers_fd, upper))
		return file_remove_tree(s->containers_fd, name, err);
	r = file_mkdir_p(s->root_fd, "aside", 0700, err);
	if (r < 0)
		return r;
	to = xasprintf("aside/%s-%lld", name, (long long)(clock_realtime_ns() / 1000000000));
	from = xasprintf("containers/%s", name);
	if (renameat(s->root_fd, from, s->root_fd, to) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set '%s' aside", from);
	log_warn("store: '%s' belongs to no container; moved to '%s'", from, to);
	return 0;
}

static int check_containers(struct store *s, const struct inventory *inv, struct error *err)
{
	autostrv struct strv names = {0};
	int r = store_list_dir(s->containers_fd, &names, err);

	for (size_t i = 0; i < names.n && r >= 0; i++)
		if (!strv_has(&inv->containers, names.v[i]))
			r = store_set_aside(s, names.v[i], err);
	return r;
}

/* Rows without files: said once, at the start; the image can be loaded again. */
static void check_layers(struct store *s, const struct inventory *inv)
{
	for (size_t i = 0; i < inv->layers.n; i++) {
		autofree char *target = xasprintf("../%s/diff", inv->layers.v[i]);
		int format = layer_format_of(s->layers_fd, inv->layers.v[i]);

		/* A crash may have come between the row and its short name. */
		if (format == LAYER_DIRECTORY &&
		    symlinkat(target, s->layers_fd, inv->links.v[i]) < 0 && errno != EEXIST)
			log_warn("store: short name of layer '%s': %m", inv->layers.v[i]);
		if (format < 0)
			log_error("store: layer '%s' has lost its files", inv->layers.v[i]);
	}
}

static int reconcile(struct store *s, struct error *err)
{
	struct inventory inv = {0};
	int r;

	r = db_run(s->db, inventory_job, &inv, DB_FULL, err);
	if (r >= 0) {
		store_bury(s, &inv.doomed);
		strv_done(&inv.doomed.paths);
		r = empty_tmp(s, err);
	}
	if (r >= 0)
		r = check_containers(s, &inv, err);
	if (r >= 0)
		check_layers(s, &inv);
	strv_done(&inv.doomed.paths);
	strv_done(&inv.containers);
	strv_done(&inv.layers);
	strv_done(&inv.links);
	return r;
}

static int find_root_path(struct store *s, struct error *err)
{
	char link[64], buf[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", s->root_fd);
	n = readlink(link, buf, sizeof(buf) - 1);
	if (n < 0)
		return error_set(err, ERROR_INTERNAL, errno, "find the data root's path");
	s->root_path = xstrndup(buf, (size_t)n);
	return 0;
}

int store_open_as_is(int data_root_fd, struct db *db, struct store **ret, struct error *err)
{
	autostore struct store *s = xnew0(struct store);
	int r;

	s->tmp_fd = s->blobs_fd = s->layers_fd = s->containers_fd = -EBADF;
	s->db = db;
	(void)pthread_mutex_init(&s->files, NULL);
	s->root_fd = fcntl(data_root_fd, F_DUPFD_CLOEXEC, 3);
	if (s->root_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open the data root");
	r = find_root_path(s, err);
	if (r >= 0)
		r = db_migrate(db, "store", migrations, ARRAY_SIZE(migrations), err);
	if (r >= 0)
		r = store_publish_migrate(db, err);
	if (r >= 0)
		r = open_dirs(s, err);
	if (r < 0)
		return error_wrap(err, r, "open the store");
	*ret = TAKE_PTR(s);
	return 0;
}

int store_open(int data_root_fd, struct db *db, struct store **ret, struct error *err)
{
	autostore struct store *s = NULL;
	int r = store_open_as_is(data_root_fd, db, &s, err);

	if (r < 0)
		return r;
	r = reconcile(s, err);
	if (r < 0)
		return error_wrap(err, r, "open the store");
	store_partial_clean(s);
	*ret = TAKE_PTR(s);
	return 0;
}

struct store *store_free(struct store *s)
{
	if (!s)
		return NULL;
	(void)mounts_free(s->mounts);
	fd_close(&s->containers_fd);
	fd_close(&s->layers_fd);
	fd_close(&s->blobs_fd);
	fd_close(&s->tmp_fd);
	fd_close(&s->root_fd);
	(void)pthread_mutex_destroy(&s->files);
	free(s->root_path);
	free(s);
	return NULL;
}
