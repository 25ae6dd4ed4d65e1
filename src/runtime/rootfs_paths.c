/* Masked and read-only paths: linux.maskedPaths, linux.readonlyPaths, root.readonly. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "linux/root.h"
#include "linux/sys.h"
#include "runtime/rootfs_priv.h"

struct masks {
	int null_fd;  /* the host's /dev/null, verified */
	int empty_fd; /* a read-only empty directory, mounted once and cloned for each path */
};

/* Below /proc and /sys in the mount itself: its mount point can be renamed by whoever shares the
 * directory that it is in, and the path then means something else (CVE-2023-27561). */
static int open_protected(struct setup *s, const char *path)
{
	const struct {
		const char *name;
		int fd;
	} mounts[] = {{"proc", s->own_proc_fd}, {"sys", s->own_sys_fd}};
	char clean[PATH_MAX];

	if (root_clean_path(path, clean, sizeof(clean)) < 0)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		size_t n = strlen(mounts[i].name);

		if (mounts[i].fd >= 0 && strncmp(clean, mounts[i].name, n) == 0 &&
		    (clean[n] == '/' || clean[n] == '\0'))
			return root_open(mounts[i].fd, clean[n] ? clean + n : ".", O_PATH, 0);
	}
	return root_open(s->root_fd, clean, O_PATH, 0);
}

static int mask_path(struct setup *s, struct masks *masks, const char *path, struct error *err)
{
	autoclose int at_fd = open_protected(s, path), fd = -EBADF;
	struct stat st;

	if (at_fd == -ENOENT || at_fd == -ENOTDIR)
		return 0;
	if (at_fd < 0 || fstat(at_fd, &st) < 0)
		return error_set(err, ERROR_INTERNAL, at_fd < 0 ? -at_fd : errno, "open '%s'",
				 path);
	if (S_ISDIR(st.st_mode)) {
		static const char *const tmpfs_options[] = {"size=0k", "nr_inodes=2"};
		const struct mount_options options = {
			.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				    MOUNT_ATTR_NOEXEC,
			.label = s->plan->label,
			.all = tmpfs_options,
			.count = 2,
			.file_system = {3}};

		if (masks->empty_fd >= 0) {
			fd = mount_clone(masks->empty_fd, "", false, err);
		} else {
			fd = mount_new("tmpfs", "tmpfs", &options, err);
			/* a clone source must be attached, so the first one stays open */
		}
		if (fd < 0)
			return fd;
	} else {
		fd = mount_clone(masks->null_fd, "", false, err);
		if (fd < 0)
			return fd;
	}
	if (mount_attach(fd, at_fd, path, err) < 0)
		return err ? -(err->errnum ? err->errnum : EIO) : -EIO;
	if (S_ISDIR(st.st_mode) && masks->empty_fd < 0)
		masks->empty_fd = TAKE_FD(fd);
	return 0;
}

static int protect_readonly(struct setup *s, const char *path, struct error *err)
{
	autoclose int at_fd = open_protected(s, path), fd = -EBADF;
	int r;

	if (at_fd == -ENOENT || at_fd == -ENOTDIR)
		return 0;
	if (at_fd < 0)
		return error_set(err, ERROR_INTERNAL, -at_fd, "open '%s'", path);
	fd = mount_clone(at_fd, "", true, err);
	if (fd < 0)
		return fd;
	r = mount_set_readonly(fd, true, err);
	return r < 0 ? r : mount_attach(fd, at_fd, path, err);
}

/* The host's, before the container's /dev can matter: CVE-2025-31133. */
static int open_null(struct error *err)
{
	autoclose int fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return error_set(err, ERROR_FORBIDDEN, 0, "/dev/null is not the null device");
	return TAKE_FD(fd);
}

int rootfs_protect_paths(struct setup *s, struct error *err)
{
	const struct json_strings *masked = &s->spec->linux_.masked_paths;
	const struct json_strings *readonly = &s->spec->linux_.readonly_paths;
	struct masks masks = {.null_fd = -EBADF, .empty_fd = -EBADF};
	int r = 0;

	for (size_t i = 0; r == 0 && i < readonly->n; i++)
		r = protect_readonly(s, readonly->v[i], err);
	if (r == 0 && masked->n > 0) {
		masks.null_fd = open_null(err);
		r = masks.null_fd < 0 ? masks.null_fd : 0;
	}
	for (size_t i = 0; r == 0 && i < masked->n; i++)
		r = mask_path(s, &masks, masked->v[i], err);
	fd_close(&masks.null_fd);
	fd_close(&masks.empty_fd);
	fd_close(&s->own_proc_fd);
	fd_close(&s->own_sys_fd);
	if (r == 0 && s->spec->root.readonly)
		r = mount_set_readonly(s->root_fd, false, err);
	return r;
}
