/* engine/ipc.c - another container's shared memory.
 *
 * A mount can be cloned in its own mount namespace only (open_tree(2)): a thread of its own enters the
 * donor's, clones what is at /dev/shm, and ends.  The clone belongs to no namespace until it is attached.
 */
#include "engine/ipc.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/config.h"
#include "linux/mount.h"
#include "linux/ns.h"
#include "linux/root.h"

bool ipc_is_shareable(const struct container_spec *s)
{
	return !str_eq(s->host.ipc_mode, "private") && !str_eq(s->host.ipc_mode, "none");
}

int ipc_donor_open(int process_fd, struct ipc_donor *ret, struct error *err)
{
	if (process_fd >= 0) {
		ret->mounts = openat(process_fd, "ns/mnt", O_RDONLY | O_CLOEXEC);
		ret->root = openat(process_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	return ret->mounts < 0 || ret->root < 0
		       ? error_set(err, ERROR_CONFLICT, 0, "the donor container has ended")
		       : 0;
}

void ipc_donor_done(struct ipc_donor *d)
{
	fd_close(&d->mounts);
	fd_close(&d->root);
}

struct work {
	const struct ipc_donor *donor;
	int mount; /* owned */
	struct error *err;
};

static int clone_shm(struct work *w)
{
	autoclose int shm = -EBADF;
	int r;

	if (unshare(CLONE_FS) < 0)
		return error_set(w->err, ERROR_INTERNAL, errno, "leave the other threads");
	r = ns_join(w->donor->mounts, CLONE_NEWNS, "the donor's mount namespace", w->err);
	if (r < 0)
		return r;
	shm = root_open(w->donor->root, "/dev/shm", O_PATH | O_DIRECTORY, ROOT_NO_SYMLINKS);
	if (shm < 0)
		return error_set(w->err, ERROR_INVALID, -shm, "the donor's /dev/shm");
	return mount_clone(shm, "", false, w->err);
}

static void *run(void *data)
{
	struct work *w = data;

	w->mount = clone_shm(w);
	return NULL;
}

int ipc_share_shm(struct engine *e, const struct container *c, const struct ipc_donor *d,
		  struct volume_binds *binds, const char **ret_path, struct error *err)
{
	struct work w = {.donor = d, .mount = -EBADF, .err = err};
	autoclose int mount = -EBADF;
	pthread_t thread;
	int r = pthread_create(&thread, NULL, run, &w);

	if (r != 0)
		return error_set(err, ERROR_UNAVAILABLE, r, "start a thread");
	(void)pthread_join(thread, NULL);
	mount = w.mount;
	r = mount < 0 ? mount : volume_binds_place(e, c->id, binds, mount, ret_path, err);
	return r < 0 ? error_wrap(err, r, "failed to join IPC namespace") : 0;
}
