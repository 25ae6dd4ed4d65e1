/* The container's root file system, made in its own mount namespace by the process that becomes
 * process 1.
 *
 * Until rootfs_enter() the host's tree is "/" and the container's is reached through s->root_fd
 * only, by linux/root.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "linux/root.h"
#include "linux/sys.h"
#include "runtime/rootfs_priv.h"

/* -- propagation and the root -------------------------------------------------------------- */

/* In a mount namespace given by path the same paths are looked up anew; what they lead to is its maker's
 * choice. */
static int open_in_joined(struct setup *s, struct error *err)
{
	const char *path = s->rootfs ? runtime_rootfs_place(s->rootfs) : s->spec->root.path;

	s->bundle_fd = open(s->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->bundle_fd < 0 && path[0] != '/')
		return error_set(err, ERROR_INVALID, errno,
				 "open the bundle '%s' in the mount namespace", s->bundle);
	s->place_fd = openat(s->bundle_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->place_fd < 0)
		return error_set(err, ERROR_INVALID, errno, "open root '%s' in the mount namespace",
				 path);
	return 0;
}

/* The process was born in the root's place (container.c), so that this needs no path: one may not be
 * open to the root of a user namespace.  The bundle is what relative sources are relative to. */
int rootfs_reopen_bundle(struct setup *s, struct error *err)
{
	char path[PATH_MAX], link[64];
	struct stat before, after;
	ssize_t n;
	int fd;

	if (s->spec->linux_.namespaces[OCI_NAMESPACE_MOUNT].path)
		return open_in_joined(s, err);
	/* not by ".", which must be open to us */
	s->place_fd = sys_open_tree(AT_FDCWD, "", AT_EMPTY_PATH | OPEN_TREE_CLOEXEC);
	if (s->place_fd < 0) /* not there, or not for us */
		s->place_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->place_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open the root's place");
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", s->bundle_fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	fd = n < 0 ? -1 : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == EACCES) {
		s->bundle_fd = -EBADF;
		return 0;
	}
	if (fd < 0)
		return error_set(err, ERROR_INVALID, errno, "open the bundle '%s'", path);
	s->bundle_fd = fd;
	if (fstat(s->bundle_fd, &after) < 0 || stat(link, &before) < 0 ||
	    before.st_dev != after.st_dev || before.st_ino != after.st_ino)
		return error_set(err, ERROR_INVALID, ESTALE, "open the bundle '%s'", path);
	return 0;
}

static bool has_mount_namespace(const struct setup *s)
{
	return s->spec->linux_.namespaces[OCI_NAMESPACE_MOUNT].present;
}

uint64_t rootfs_propagation(const struct setup *s, bool *ret_recursive)
{
	uint64_t propagation = 0;

	*ret_recursive = false;
	(void)mount_propagation_parse(s->spec->linux_.rootfs_propagation, &propagation,
				      ret_recursive);
	return propagation;
}

/* Nothing we mount may reach the host, unless the spec wants shared propagation; then the host's
 * mounts stay shared, and so will binds of them. */
int rootfs_set_propagation(struct setup *s, struct error *err)
{
	bool recursive;
	uint64_t propagation = rootfs_propagation(s, &recursive);

	if (propagation == MS_SHARED || !has_mount_namespace(s))
		return 0;
	return mount_set_propagation("/", propagation == MS_PRIVATE ? MS_PRIVATE : MS_SLAVE, true,
				     err);
}

/* With shared propagation the mount that the root hangs on must not be shared: neither attaching
 * there nor pivot_root(2) may be seen outside.  A bind of the directory onto itself would be
 * propagated, so the whole mount it lies in is made private, in this namespace only. */
static int make_parent_private(struct setup *s, int at_fd, struct error *err)
{
	bool recursive;
	char path[PATH_MAX], link[64];
	ssize_t n;

	if (rootfs_propagation(s, &recursive) != MS_SHARED)
		return 0;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", at_fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0 || path[0] != '/')
		return error_set(err, ERROR_INTERNAL, n < 0 ? errno : ENOENT,
				 "find the bundle's mount");
	path[n] = '\0';
	for (;;) {
		char *slash;

		if (mount(NULL, path, NULL, MS_PRIVATE, NULL) == 0)
			return 0;
		if (errno != EINVAL) /* EINVAL: not a mount point */
			return error_set(err, ERROR_INTERNAL, errno, "make '%s' private", path);
		slash = strrchr(path, '/');
		if (path[1] == '\0' || !slash)
			return error_set(err, ERROR_INTERNAL, EINVAL, "find the bundle's mount");
		slash[slash == path] = '\0';
	}
}

/* Before anything is mounted. */
static int prepare_place(struct setup *s, struct error *err)
{
	int r = make_parent_private(s, s->place_fd, err);

	if (r == 0 && (mount_is_legacy() || s->plan->needs_stage))
		r = mount_stage(err);
	return r;
}

/* Onto its place until pivot_root(2).  The fd of a detached mount is the mount itself: attached, it
 * goes on referring to it. */
static int attach_root(struct setup *s, int *mount_fd, struct error *err)
{
	int r = mount_attach(*mount_fd, s->place_fd, "the root file system", err);

	if (r == 0)
		s->root_fd = TAKE_FD(*mount_fd);
	return r;
}

static int new_overlay_root(struct setup *s, struct error *err)
{
	const struct mount_overlay overlay = {
		.lower = s->rootfs->lower,
		.lower_count = s->rootfs->lower_count,
		/* not the caller's: by root of a user namespace */
		.user_xattr = s->spec->linux_.namespaces[OCI_NAMESPACE_USER].present,
		.upper = s->rootfs->upper,
		.work = s->rootfs->work,
		.label = s->plan->label};

	return mount_new_overlay(&overlay, err);
}

int rootfs_mount_root(struct setup *s, struct error *err)
{
	autoclose int mount_fd = TAKE_FD(s->prepared_root_fd);
	int r;

	if (!has_mount_namespace(s)) {
		s->root_fd = TAKE_FD(s->place_fd);
		return 0;
	}
	r = prepare_place(s, err);
	if (r < 0)
		return r;
	if (mount_fd < 0)
		mount_fd = s->rootfs ? new_overlay_root(s, err)
				     : mount_clone(s->place_fd, "", true, err);
	return mount_fd < 0 ? mount_fd : attach_root(s, &mount_fd, err);
}

/* -- entering ------------------------------------------------------------------------------ */

/* A missing working directory is made, as the other runtimes do; before the root is read-only. */
int rootfs_make_cwd(struct setup *s, struct error *err)
{
	autoclose int fd = -EBADF;

	if (strcmp(s->process->cwd, "/") == 0)
		return 0;
	fd = root_open(s->root_fd, s->process->cwd, O_PATH | O_DIRECTORY, 0);
	if (fd >= 0)
		return 0;
	fd = root_mkdir_p(s->root_fd, s->process->cwd, 0755, 0, err);
	return fd < 0 ? fd : 0;
}

/* Mounts that are shared with the host's must not go from there too when the old root goes.  "." alone
 * would be the new root: only umount2(2) looks at what is on top of it. */
static int unshare_old_root(int old_fd, struct error *err)
{
	if (fchdir(old_fd) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "detach from the host's mounts");
	return 0;
}

static int pivot(struct setup *s, struct error *err)
{
	bool recursive, shared = rootfs_propagation(s, &recursive) == MS_SHARED;
	autoclose int old_fd = shared ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -EBADF;
	int r;

	if (shared && old_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open the old root");
	/* The old root lands on top of the new one, where "." finds it: pivot_root(2), NOTES. */
	if (sys_pivot_root(".", ".") < 0)
		return error_set(err, ERROR_INTERNAL, errno, "pivot_root");
	r = shared ? unshare_old_root(old_fd, err) : 0;
	if (r == 0 && umount2(".", MNT_DETACH) < 0)
		r = error_set(err, ERROR_INTERNAL, errno, "unmount the old root");
	return r;
}

/* -- without pivot_root: --no-pivot, for a host whose root is the initial ramfs --------------- */

#define MOUNTINFO_MAX ((size_t)16 << 20)

/* A covered root can be uncovered by whoever may unmount: at least the host's whole proc and sysfs,
 * which a mount in a user namespace is measured by, go. */
static int forget_mount(const char *path, struct error *err)
{
	if (mount(NULL, path, NULL, MS_SLAVE | MS_REC, NULL) == 0 && umount2(path, MNT_DETACH) == 0)
		return 0;
	if ((errno == EINVAL || errno == EPERM) && mount("tmpfs", path, "tmpfs", 0, NULL) == 0)
		return 0;
	return errno == ENOENT ? 0 : error_set(err, ERROR_INTERNAL, errno, "let go of '%s'", path);
}

/* One line of mountinfo; `root`: what is below it is the container's. */
static int forget_line(char *line, const char *root, struct error *err)
{
	char *type = strstr(line, " - "), *path = line, *save = NULL;

	if (!type || (!str_has_prefix(type + 3, "proc ") && !str_has_prefix(type + 3, "sysfs ")))
		return 0;
	path = strtok_r(line, " ", &save);
	for (int i = 1; path && i < 5; i++) /* the fifth field: proc_pid_mountinfo(5) */
		path = strtok_r(NULL, " ", &save);
	if (!path || strchr(path, '\\') || /* no name that a host would give them */
	    (str_has_prefix(path, root) && (path[strlen(root)] == '/' || !path[strlen(root)])))
		return 0;
	return forget_mount(path, err);
}

static int forget_host_mounts(struct setup *s, struct error *err)
{
	autofree char *text = NULL;
	char root[PATH_MAX], *save = NULL;
	int r = file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL, err);

	(void)s;
	if (r < 0)
		return r;
	if (!getcwd(root, sizeof(root)))
		return error_set(err, ERROR_INTERNAL, errno, "find the root file system");
	for (char *line = strtok_r(text, "\n", &save); r >= 0 && line;
	     line = strtok_r(NULL, "\n", &save))
		r = forget_line(line, root, err);
	return r < 0 ? r : 0;
}

static int move_over_root(struct setup *s, struct error *err)
{
	int r = forget_host_mounts(s, err);

	if (r < 0)
		return r;
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "move the root file system to /");
	if (chroot(".") < 0)
		return error_set(err, ERROR_INTERNAL, errno, "chroot");
	return 0;
}

int rootfs_enter(struct setup *s, struct error *err)
{
	bool recursive;
	uint64_t propagation = rootfs_propagation(s, &recursive);
	int r;

	if (fchdir(s->root_fd) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "enter the root file system");
	if (!has_mount_namespace(s))
		r = chroot(".") < 0 ? error_set(err, ERROR_INTERNAL, errno, "chroot") : 0;
	else
		r = s->no_pivot ? move_over_root(s, err) : pivot(s, err);
	if (r < 0)
		return r;
	if (chdir("/") < 0)
		return error_set(err, ERROR_INTERNAL, errno, "enter the new root");
	if (propagation &&
	    mount(NULL, "/", NULL, (unsigned long)propagation | (recursive ? MS_REC : 0), NULL) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set the root's propagation");
	fd_close(&s->root_fd);
	return 0;
}
