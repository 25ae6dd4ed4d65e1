/* Containers' root filesystems: upper directories on images' layers. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "linux/projquota.h"
#include "store/mounts.h"
#include "store/store_priv.h"
#include "store/tree_priv.h"
#include "store/unpack_priv.h"

void store_snapshot_done(struct store_snapshot *snap)
{
	strv_done(&snap->lower);
	strv_done(&snap->lower_short);
	free(snap->layers_dir);
	free(snap->upper);
	free(snap->work);
	*snap = (struct store_snapshot){0};
}

/* Positions in snapshot_layers: those of the container's own image begin at 0, those of its N-th
 * mounted one at N times this.  No image has as many layers. */
#define MOUNT_POSITIONS 65536

struct lookup {
	struct store *s;
	unsigned mount; /* of an image beside the container's own; 0: that one */
	const char *container, *image;
	struct store_snapshot *ret;
	struct store_doomed doomed; /* removal only */
};

/* IDs come from the engine; they are names of folders all the same. */
static int check_id(const char *id, struct error *err)
{
	size_t len = strlen(id);

	if (len == 0 || len > 64 || !str_is_hex(id, len))
		return error_set(err, ERROR_INVALID, 0, "invalid container ID '%s'", id);
	return 0;
}

static void add_layer(struct lookup *l, int64_t id, const char *chain_id)
{
	strv_addf(&l->ret->lower, "%s/layers/%s/diff", l->s->root_path, digest_hex(chain_id));
	strv_addf(&l->ret->lower_short, "l/%llx", (unsigned long long)id);
}

static int load_snapshot(struct db_tx *tx, struct lookup *l, struct error *err)
{
	const int64_t first = (int64_t)l->mount * MOUNT_POSITIONS;
	struct store_snapshot *snap = l->ret;
	struct db_stmt *st;
	int r;

	r = db_query(
		tx, &st, err,
		l->mount ? "SELECT image FROM snapshot_images WHERE container = ?1 AND mount = ?2"
			 : "SELECT image FROM snapshots WHERE container = ?1 AND ?2 = 0",
		"si", l->container, (int64_t)l->mount);
	if (r >= 0)
		r = db_step(st, err);
	if (r == 0)
		return error_set(err, ERROR_NOT_FOUND, 0, "container '%s' has no root filesystem",
				 l->container);
	if (r < 0)
		return r;
	(void)str_copy(snap->image_id, sizeof(snap->image_id), db_text(st, 0));
	db_stop(st);
	r = db_query(tx, &st, err,
		     "SELECT l.id, l.chain_id FROM snapshot_layers AS s JOIN layers AS l"
		     " ON l.id = s.layer WHERE s.container = ? AND s.position >= ?"
		     " AND s.position < ? ORDER BY s.position DESC",
		     "sii", l->container, first, first + MOUNT_POSITIONS);
	while (r >= 0 && (r = db_step(st, err)) > 0)
		add_layer(l, db_int(st, 0), db_text(st, 1));
	if (r < 0)
		return r;
	if (snap->lower.n == 0) {
		strv_addf(&snap->lower, "%s/layers/empty/diff", l->s->root_path);
		strv_add(&snap->lower_short, "empty/diff");
	}
	snap->layers_dir = xasprintf("%s/layers", l->s->root_path);
	if (l->mount)
		return 0;
	snap->upper = xasprintf("%s/containers/%s/upper", l->s->root_path, l->container);
	snap->work = xasprintf("%s/containers/%s/work", l->s->root_path, l->container);
	return 0;
}

static int check_image(struct db_tx *tx, const struct lookup *l, struct error *err)
{
	struct db_stmt *st;
	int r;

	r = db_query(tx, &st, err, "SELECT 1 FROM images WHERE id = ?", "s", l->image);
	if (r >= 0)
		r = db_step(st, err);
	if (r == 0)
		return error_set(err, ERROR_NOT_FOUND, 0, "No such image: %s", l->image);
	if (r >= 0)
		db_stop(st);
	return r;
}

static int add_layers(struct db_tx *tx, const struct lookup *l, struct error *err)
{
	return db_exec(tx, err,
		       "INSERT INTO snapshot_layers(container, position, layer)"
		       " SELECT ?, ? + position, layer FROM image_layers WHERE image = ?",
		       "sis", l->container, (int64_t)l->mount * MOUNT_POSITIONS, l->image);
}

static int create_job(struct db_tx *tx, void *data, struct error *err)
{
	struct lookup *l = data;
	int r = check_image(tx, l, err);

	if (r >= 0)
		r = db_exec(tx, err,
			    "INSERT INTO snapshots(container, image, created_ns) VALUES(?, ?, ?)",
			    "ssi", l->container, l->image, clock_realtime_ns());
	r = r < 0 ? r : add_layers(tx, l, err);
	return r < 0 ? r : load_snapshot(tx, l, err);
}

static int add_image_job(struct db_tx *tx, void *data, struct error *err)
{
	struct lookup *l = data;
	int r = check_image(tx, l, err);

	if (r >= 0)
		r = db_exec(tx, err,
			    "INSERT INTO snapshot_images(container, mount, image) VALUES(?, ?, ?)",
			    "sis", l->container, (int64_t)l->mount, l->image);
	return r < 0 ? r : add_layers(tx, l, err);
}

int store_snapshot_add_image(struct store *s, const char *container_id, unsigned mount,
			     const char *image_id, struct error *err)
{
	struct lookup l = {.s = s, .container = container_id, .image = image_id, .mount = mount};

	if (mount == 0 || mount > STORE_MOUNTED_MAX)
		return error_set(err, ERROR_INVALID, 0, "too many images to mount");
	return db_run(s->db, add_image_job, &l, DB_NORMAL, err);
}

/* ---- EROFS layers ---- */

/* "<root>/layers/<hex>/diff" */
static char *folder_of(const struct store_snapshot *snap, const char *lower)
{
	const char *name = lower + strlen(snap->layers_dir) + 1;

	return xstrndup(name, strcspn(name, "/"));
}

/* Directories have their paths; EROFS images get that of their mount, or, if nobody will look into them,
 * their own. */
static int settle(struct store *s, struct store_snapshot *snap, bool is_to_open, struct error *err)
{
	for (size_t i = 0; i < snap->lower.n; i++) {
		autofree char *folder = folder_of(snap, snap->lower.v[i]);
		char *path = NULL;
		int r = 0;

		if (layer_format_of(s->layers_fd, folder) != LAYER_EROFS)
			continue;
		if (!is_to_open)
			path = xasprintf("%s/%s/index", snap->layers_dir, folder);
		else if (!s->mounts)
			r = error_set(err, ERROR_INTERNAL, 0, "nobody holds the layers' mounts");
		else
			r = mounts_get(s->mounts, s->layers_fd, folder, &path, err);
		if (r < 0)
			return r;
		free(snap->lower.v[i]);
		snap->lower.v[i] = path;
	}
	return 0;
}

/* ---- making ---- */

/* By which programs know that they are in a container, as in Docker's. */
static int make_marker(int upper_fd, const struct stat *owner, const struct strv *lower,
		       struct error *err)
{
	autoclose int fd = -EBADF;
	struct stat st;

	for (size_t i = 0; i < lower->n; i++) {
		autofree char *path = xasprintf("%s/" STORE_MARKER, lower->v[i]);

		if (lstat(path, &st) < 0)
			continue;
		if (!unpack_is_whiteout(&st))
			return 0;
		break;
	}
	fd = openat(upper_fd, STORE_MARKER, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0755);
	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0 || fchmod(fd, 0755) < 0 ||
	    ((owner->st_uid != geteuid() || owner->st_gid != getegid()) &&
	     fchown(fd, owner->st_uid, owner->st_gid) < 0))
		return error_set(err, ERROR_INTERNAL, errno, "make '/" STORE_MARKER "'");
	return 0;
}

/* The root of the merged tree is upper itself: it must look like the top layer's. */
static int make_upper(int dir_fd, const struct strv *lower, struct error *err)
{
	const char *top = lower->v[0];
	autoclose int fd = -EBADF;
	struct stat st;

	if (mkdirat(dir_fd, "upper", 0700) < 0 && errno != EEXIST)
		return error_set(err, ERROR_INTERNAL, errno, "make the upper directory");
	fd = openat(dir_fd, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || stat(top, &st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "look at '%s'", top);
	if (((st.st_uid != geteuid() || st.st_gid != getegid()) &&
	     fchown(fd, st.st_uid, st.st_gid) < 0) ||
	    fchmod(fd, st.st_mode & 07777) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set up the upper directory");
	if (mkdirat(dir_fd, "work", 0700) < 0 && errno != EEXIST)
		return error_set(err, ERROR_INTERNAL, errno, "make the work directory");
	return make_marker(fd, &st, lower, err);
}

static int make_dirs(struct store *s, const char *id, const struct store_snapshot *snap,
		     struct error *err)
{
	autoclose int fd = -EBADF;

	if (mkdirat(s->containers_fd, id, 0710) < 0 && errno != EEXIST)
		return error_set(err, ERROR_INTERNAL, errno, "make 'containers/%s'", id);
	fd = openat(s->containers_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open 'containers/%s'", id);
	return make_upper(fd, &snap->lower, err);
}

int store_snapshot_create(struct store *s, const char *image_id, const char *container_id,
			  struct store_snapshot *ret, struct error *err)
{
	autostore_snapshot struct store_snapshot snap = {0};
	struct lookup l = {.s = s, .container = container_id, .image = image_id, .ret = &snap};
	int r = check_id(container_id, err);

	if (r >= 0)
		r = db_run(s->db, create_job, &l, DB_NORMAL, err);
	if (r < 0)
		return r;
	/* The row came first: a crash here leaves nothing that no row knows. */
	r = settle(s, &snap, true, err);
	if (r >= 0)
		r = make_dirs(s, container_id, &snap, err);
	if (r < 0) {
		(void)store_snapshot_remove(s, container_id, NULL); /* the first error is told */
		return r;
	}
	*ret = snap;
	snap = (struct store_snapshot){0};
	return 0;
}

int store_snapshot_limit(struct store *s, const char *container_id, uint64_t bytes,
			 struct error *err)
{
	/* overlayfs makes files in one and moves them to the other: they belong together */
	static const char *const names[] = {"upper", "work"};
	int fds[] = {-EBADF, -EBADF};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(names); i++) {
		autofree char *path = xasprintf("%s/%s", container_id, names[i]);

		fds[i] = openat(s->containers_fd, path,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fds[i] < 0)
			r = error_set(err, ERROR_INTERNAL, errno, "open 'containers/%s'", path);
	}
	r = r < 0 ? r : projquota_limit(fds, ARRAY_SIZE(fds), bytes, err);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fd_close(&fds[i]);
	return r;
}

static int get_job(struct db_tx *tx, void *data, struct error *err)
{
	return load_snapshot(tx, data, err);
}

static int get(struct lookup *l, bool is_to_open, struct store_snapshot *ret, struct error *err)
{
	autostore_snapshot struct store_snapshot snap = {0};
	int r = check_id(l->container, err);

	l->ret = &snap;
	if (r >= 0)
		r = db_run(l->s->db, get_job, l, DB_NORMAL, err);
	if (r >= 0)
		r = settle(l->s, &snap, is_to_open, err);
	if (r < 0)
		return r;
	*ret = snap;
	snap = (struct store_snapshot){0};
	return 0;
}

int store_snapshot_get(struct store *s, const char *container_id, struct store_snapshot *ret,
		       struct error *err)
{
	struct lookup l = {.s = s, .container = container_id};

	return get(&l, false, ret, err);
}

int store_snapshot_open(struct store *s, const char *container_id, struct store_snapshot *ret,
			struct error *err)
{
	struct lookup l = {.s = s, .container = container_id};

	return get(&l, true, ret, err);
}

int store_snapshot_open_image(struct store *s, const char *container_id, unsigned mount,
			      struct store_snapshot *ret, struct error *err)
{
	struct lookup l = {.s = s, .container = container_id, .mount = mount};

	return get(&l, true, ret, err);
}

static int list_job(struct db_tx *tx, void *data, struct error *err)
{
	struct strv *ret = data;
	struct db_stmt *st;
	int r = db_query(tx, &st, err, "SELECT container FROM snapshots", "");

	while (r >= 0 && (r = db_step(st, err)) > 0)
		strv_add(ret, db_text(st, 0));
	return r;
}

int store_snapshot_list(struct store *s, struct strv *ret, struct error *err)
{
	return db_run(s->db, list_job, ret, DB_NORMAL, err);
}

/* ---- removal ---- */

/* Only a container that outlived its images' rows can be their layers' last user. */
static int image_is_gone(struct db_tx *tx, const char *container, struct error *err)
{
	struct db_stmt *st;
	int r;

	r = db_query(tx, &st, err,
		     "SELECT 1 FROM snapshots AS s JOIN images AS i ON i.id = s.image"
		     " WHERE s.container = ?1 AND NOT EXISTS (SELECT 1 FROM snapshot_images AS m"
		     " WHERE m.container = ?1 AND m.image NOT IN (SELECT id FROM images))",
		     "s", container);
	if (r >= 0)
		r = db_step(st, err);
	if (r > 0)
		db_stop(st);
	return r < 0 ? r : r == 0;
}

static int remove_job(struct db_tx *tx, void *data, struct error *err)
{
	struct lookup *l = data;
	autofree char *path = xasprintf("containers/%s", l->container);
	int gone = image_is_gone(tx, l->container, err), r = gone;

	if (r >= 0)
		r = db_exec(tx, err, "DELETE FROM snapshots WHERE container = ?", "s",
			    l->container);
	if (r >= 0)
		r = store_tombstone_add(tx, path, err);
	strv_add(&l->doomed.paths, path);
	if (r >= 0 && gone)
		r = store_gc(tx, &l->doomed, NULL, err);
	return r;
}

struct store_buried {
	struct store *s;
	struct store_doomed doomed;
};

int store_snapshot_bury(struct store *s, const char *container_id, struct store_buried **ret,
			struct error *err)
{
	struct lookup l = {.s = s, .container = container_id};
	int r = check_id(container_id, err);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&s->files);
	r = db_run(s->db, remove_job, &l, DB_NORMAL, err);
	if (r >= 0)
		store_bury(s, &l.doomed);
	(void)pthread_mutex_unlock(&s->files);
	if (r < 0) {
		strv_done(&l.doomed.paths);
		return r;
	}
	*ret = xnew0(struct store_buried);
	(*ret)->s = s;
	(*ret)->doomed = l.doomed;
	return 0;
}

void store_buried_delete(struct store_buried *b_take)
{
	store_delete_buried(b_take->s, &b_take->doomed);
	free(b_take);
}

int store_snapshot_remove(struct store *s, const char *container_id, struct error *err)
{
	struct store_buried *buried = NULL;
	int r = store_snapshot_bury(s, container_id, &buried, err);

	if (r >= 0)
		store_buried_delete(buried);
	return r;
}
