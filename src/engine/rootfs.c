/* A container's files, for docker cp, export and diff. */
#include "engine/rootfs.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/engine_priv.h"
#include "engine/image_mount.h"
#include "engine/rootfs_mounts.h"
#include "engine/user.h"
#include "engine/volume.h"
#include "linux/mount.h"
#include "linux/root.h"

struct look {
	struct container *c;
	pid_t pid; /* 0: it does not run */
};

static void look_on_loop(void *data)
{
	struct look *look = data;
	const struct container_state *s = &look->c->state;

	look->pid = s->status == CONTAINER_RUNNING || s->status == CONTAINER_PAUSED ? s->pid : 0;
}

/* `data`: the clean path that is asked for. */
static bool is_above(void *data, const char *target)
{
	const char *path = data;
	char clean[PATH_MAX];
	size_t len;

	if (root_clean_path(target, clean, sizeof(clean)) < 0)
		return false;
	len = strlen(clean);
	return strncmp(path, clean, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* Would the path be in a tmpfs, which nobody has while the container does not run? */
static bool is_in_tmpfs(const struct container_spec *s, const char *path)
{
	const struct config_mount *m = s->host.mounts.v;
	char wanted[PATH_MAX];

	if (root_clean_path(path, wanted, sizeof(wanted)) < 0)
		return false;
	for (size_t i = 0; i < s->host.mounts.n; i++)
		if (str_eq(m[i].type, "tmpfs") && is_above(wanted, m[i].target))
			return true;
	for (size_t i = 0; i < s->host.tmpfs.n; i++)
		if (is_above(wanted, s->host.tmpfs.keys[i]))
			return true;
	return false;
}

/* Only ids of the first range are translated: there is one, but in hand-made subuid(5) files. */
void engine_container_ids(const struct engine *e, const struct container *c, struct tree_ids *ret)
{
	if (!remap_applies(&e->remap, c->spec) || e->remap.uids.n == 0)
		return;
	ret->uids = (struct tree_range){e->remap.uids.v[0].start, e->remap.uids.v[0].size};
	if (e->remap.gids.n > 0)
		ret->gids = (struct tree_range){e->remap.gids.v[0].start, e->remap.gids.v[0].size};
}

static int open_running(pid_t pid, struct error *err)
{
	autofree char *path = xasprintf("/proc/%d/root", (int)pid);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? error_set(err, ERROR_CONFLICT, errno, "open the container's root") : fd;
}

static bool any_target(void *data, const char *target)
{
	(void)data;
	(void)target;
	return true;
}

/* The overlay alone, or in a namespace with what a start would mount below it. */
static int open_stopped(struct engine_root *ret, bool with_mounts, struct error *err)
{
	autostore_snapshot struct store_snapshot snap = {0};
	const struct container *c = ret->container;
	struct engine *e = ret->engine;
	autovolumes struct volume_binds binds = {0};
	autostrv struct strv dirs = {0};
	struct rootfs_mounts mounts;
	struct rootfs_dirs rootfs;
	struct mount_overlay overlay = {0};
	int r = store_snapshot_open(e->store, c->id, &snap, err);

	if (r < 0)
		return r;
	ret->ids = (struct tree_ids){0}; /* nothing maps owners here: they are the container's */
	overlay.lower = (const char *const *)snap.lower.v;
	overlay.lower_count = snap.lower.n;
	overlay.upper = snap.upper;
	overlay.work = snap.work;
	if (!with_mounts || !volume_any_target(c->spec, any_target, NULL)) {
		r = ret->fd = mount_new_overlay(&overlay, err);
		return r < 0 ? error_wrap(err, r, "mount the files of container '%s'", c->id) : r;
	}
	rootfs = rootfs_dirs_of(&snap, &dirs);
	ret->volumes_in_use = true;
	r = volumes_prepare(e, c, &rootfs, &binds, err);
	r = r < 0 ? r : image_mounts_prepare(e, c, NULL, &binds, err);
	mounts = (struct rootfs_mounts){
		.overlay = &overlay, .spec = c->spec, .binds = &binds, .place = c->state_dir};
	if (r >= 0)
		r = ret->fd = rootfs_mounts_make(&mounts, &ret->mounts, err);
	return r < 0 ? error_wrap(err, r, "mount the files of container '%s'", c->id) : r;
}

/* Its pid cannot have been another's while it was open before and is its after. */
static int try_running(struct engine_root *r, struct error *err)
{
	struct look look = {.c = r->held};
	pid_t pid;

	engine_call(r->engine, look_on_loop, &look);
	if (look.pid == 0)
		return 0;
	pid = look.pid;
	r->fd = open_running(pid, err);
	engine_call(r->engine, look_on_loop, &look);
	if (look.pid == pid && r->fd >= 0)
		return 1;
	fd_close(&r->fd);
	if (err)
		error_done(err);
	return 0;
}

int engine_root_open(struct engine *e, const char *ref, const char *path, struct engine_root *ret,
		     struct error *err)
{
	struct look look = {0};
	int r;

	*ret = (struct engine_root){.engine = e, .fd = -EBADF, .mounts = -EBADF};
	r = operation_hold(e, ref, &ret->held, err);
	if (r < 0)
		return r;
	ret->container = ret->held;
	engine_container_ids(e, ret->container, &ret->ids);
	if (try_running(ret, err) > 0)
		return 0;
	r = operation_begin_on(e, ret->held, "copy", 0, &ret->op, err);
	ret->has_operation = r >= 0;
	if (r >= 0) { /* it may have been started while we waited */
		look.c = ret->held;
		engine_call(e, look_on_loop, &look);
		if (look.pid != 0)
			r = ret->fd = open_running(look.pid, err);
		else if (path && is_in_tmpfs(ret->container->spec, path))
			r = error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				      "'%s' is in a tmpfs: files there can be reached only while "
				      "the container runs",
				      path);
		else
			r = open_stopped(ret, path != NULL, err);
		if (r >= 0 && look.pid != 0) {
			operation_end(&ret->op);
			ret->has_operation = false;
		}
	}
	if (r < 0)
		engine_root_done(ret);
	return r < 0 ? r : 0;
}

void engine_root_done(struct engine_root *r)
{
	if (!r->engine)
		return;
	fd_close(&r->fd);
	fd_close(&r->mounts);
	if (r->volumes_in_use) {
		volumes_unmount(r->engine, r->container);
		runtime_dir_remove(r->engine, r->container->id);
	}
	if (r->has_operation)
		operation_end(&r->op);
	operation_release(r->engine, r->held);
	*r = (struct engine_root){.fd = -EBADF, .mounts = -EBADF};
}

bool engine_root_user(const struct engine_root *r, uid_t *ret_uid, gid_t *ret_gid)
{
	autostore_snapshot struct store_snapshot snap = {0};
	const char *name = r->container->spec->config.user;
	autostrv struct strv dirs = {0};
	autouser struct user user = {0};
	struct rootfs_dirs rootfs;

	if (str_empty(name) ||
	    store_snapshot_open(r->engine->store, r->container->id, &snap, NULL) < 0)
		return false;
	rootfs = rootfs_dirs_of(&snap, &dirs);
	if (user_resolve(&rootfs, name, NULL, 0, &user, NULL) < 0)
		return false;
	*ret_uid = user.uid;
	*ret_gid = user.gid;
	return true;
}

int engine_snapshot(struct engine *e, const char *ref, struct store_snapshot *ret,
		    struct error *err)
{
	struct container *c;
	int r = operation_hold(e, ref, &c, err);

	if (r < 0)
		return r;
	r = store_snapshot_open(e->store, c->id, ret, err);
	operation_release(e, c);
	return r;
}
