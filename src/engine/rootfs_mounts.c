/* engine/rootfs_mounts.c - the files of a container that does not run, with its volumes and bind mounts.
 *
 * A thread of its own leaves the mount namespace and what it shares with the other threads of its place in
 * the file system (unshare(2): CLONE_FS, CLONE_NEWNS), mounts what a start would, and ends.  Paths are walked
 * from a descriptor of the root afterwards, by whoever: a walk follows the mounts where they are.
 */
#include "engine/rootfs_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/engine_priv.h"
#include "linux/mount.h"
#include "linux/root.h"

struct place {
	const char *target; /* borrowed */
	int fd;             /* owned: the detached mount */
};

struct work {
	const struct rootfs_mounts *m;
	struct place *places; /* owned */
	size_t n, cap;
	struct arena *arena; /* of targets */
	int root, ns;        /* owned */
	struct error *err;
	int r;
};

static int add(struct work *w, const char *source, const char *target, bool read_only,
	       bool recursive)
{
	int fd = mount_clone(AT_FDCWD, source, recursive, w->err), r;

	if (fd < 0)
		return fd;
	xgrow(w->places, w->n, w->cap);
	w->places[w->n++] = (struct place){.target = target, .fd = fd};
	r = read_only ? mount_set_readonly(fd, recursive, w->err) : 0;
	return r;
}

/* A directory that is not there is made by a start. */
static bool is_there(const char *source)
{
	struct stat st;

	return stat(source, &st) == 0;
}

static int add_binds(struct work *w)
{
	const struct host_config *h = &w->m->spec->host;
	const struct config_mount *mounts = h->mounts.v;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < w->m->binds->n; i++) {
		const struct oci_bind *b = &w->m->binds->v[i];

		r = add(w, b->source, b->destination, b->read_only, true);
	}
	for (size_t i = 0; r >= 0 && i < h->binds.n; i++) {
		struct config_bind b;

		r = config_bind_parse(w->arena, h->binds.v[i], &b, w->err);
		if (r < 0 || b.is_volume)
			continue;
		if (!is_there(b.source))
			r = file_mkdir_p(AT_FDCWD, b.source, 0755, w->err);
		if (r >= 0)
			r = add(w, b.source, b.target, b.read_only, true);
	}
	for (size_t i = 0; r >= 0 && i < h->mounts.n; i++)
		if (str_eq(mounts[i].type, "bind") && is_there(mounts[i].source))
			r = add(w, mounts[i].source, mounts[i].target, mounts[i].read_only,
				!json_get_bool(mounts[i].bind_options, "NonRecursive"));
	return r;
}

/* Deeper ones later, so that nothing is hidden; the lists are short. */
static void sort(struct work *w)
{
	for (size_t i = 1; i < w->n; i++) {
		struct place p = w->places[i];
		size_t j = i;

		for (; j > 0 && str_path_depth(w->places[j - 1].target) > str_path_depth(p.target);
		     j--)
			w->places[j] = w->places[j - 1];
		w->places[j] = p;
	}
}

static int attach_one(struct work *w, struct place *p)
{
	autoclose int target = -EBADF;
	struct stat st;

	if (fstat(p->fd, &st) < 0)
		return error_set(w->err, ERROR_INTERNAL, errno, "stat what is mounted on '%s'",
				 p->target);
	target = S_ISDIR(st.st_mode) ? root_mkdir_p(w->root, p->target, 0755, 0, w->err)
				     : root_create_file(w->root, p->target, 0755, w->err);
	return target < 0 ? target : mount_attach(p->fd, target, p->target, w->err);
}

static int make_root(struct work *w)
{
	autoclose int place = open(w->m->place, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (place < 0)
		return error_set(w->err, ERROR_INTERNAL, errno, "open '%s'", w->m->place);
	r = mount_set_propagation("/", MS_PRIVATE, true, w->err);
	if (r < 0)
		return r;
	w->root = mount_new_overlay(w->m->overlay, w->err);
	return w->root < 0 ? w->root : mount_attach(w->root, place, w->m->place, w->err);
}

static int make(struct work *w)
{
	int r;

	if (unshare(CLONE_FS | CLONE_NEWNS) < 0)
		return error_set(w->err, ERROR_INTERNAL, errno, "unshare the mount namespace");
	r = add_binds(w);
	r = r < 0 ? r : make_root(w);
	sort(w);
	for (size_t i = 0; r >= 0 && i < w->n; i++)
		r = attach_one(w, &w->places[i]);
	if (r < 0)
		return r;
	w->ns = open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
	return w->ns < 0 ? error_set(w->err, ERROR_INTERNAL, errno, "open the mount namespace") : 0;
}

static void *run(void *data)
{
	struct work *w = data;

	w->r = make(w);
	return NULL;
}

int rootfs_mounts_make(const struct rootfs_mounts *m, int *ret_ns, struct error *err)
{
	autoarena struct arena *arena = arena_new();
	struct work w = {.m = m, .arena = arena, .root = -EBADF, .ns = -EBADF, .err = err};
	pthread_t thread;
	int r = pthread_create(&thread, NULL, run, &w);

	if (r != 0)
		return error_set(err, ERROR_UNAVAILABLE, r, "start a thread");
	(void)pthread_join(thread, NULL);
	for (size_t i = 0; i < w.n; i++)
		fd_close(&w.places[i].fd);
	free(w.places);
	if (w.r < 0) {
		fd_close(&w.root);
		return w.r;
	}
	*ret_ns = w.ns;
	return w.root;
}
