/* engine/rootfs_file.c - files of a container's root filesystem, read without mounting it. */
#include "engine/rootfs_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "linux/root.h"
#include "store/store.h"

/* What it is, is known before it is opened: an image may hold a FIFO, or a device node, and opening
 * that here, outside of all device cgroups, would reach the host's device (/dev/watchdog, say). */
static int read_regular(int path_fd, const char *path, size_t max, char **ret, struct error *err)
{
	autofree char *text = NULL;
	autoclose int fd = -EBADF;
	char proc[64];
	struct stat st;
	int n;

	if (fstat(path_fd, &st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "stat '%s' of the image", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID, 0, "'%s' of the image is no regular file",
				 path);
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path_fd);
	fd = open(proc, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s' of the image", path);
	if ((uint64_t)st.st_size > max)
		return error_set(err, ERROR_INVALID, E2BIG, "'%s' of the image", path);
	text = xcalloc((size_t)st.st_size + 1, 1);
	n = fd_read_full(fd, text, (size_t)st.st_size);
	if (n < 0)
		return error_set(err, ERROR_INTERNAL, -n, "read '%s' of the image", path);
	*ret = TAKE_PTR(text);
	return 0;
}

/* 1: found (an O_PATH fd), 0: not in this layer, -ENOENT: deleted here (an overlay whiteout). */
static int find_in_layer(const char *dir, const char *path, int *ret_fd)
{
	autoclose int root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int fd;

	if (root < 0)
		return 0;
	fd = root_open(root, path, O_PATH | O_NOFOLLOW, 0);
	if (fd >= 0) {
		bool whiteout = fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0;

		(void)close(fd);
		if (whiteout)
			return -ENOENT;
	}
	fd = root_open(root, path, O_PATH, 0);
	if (fd < 0)
		return 0;
	*ret_fd = fd;
	return 1;
}

int rootfs_file_read(const struct rootfs_dirs *dirs, const char *path, size_t max, char **ret,
		     struct error *err)
{
	for (size_t i = 0; i < dirs->n; i++) {
		autoclose int fd = -EBADF;
		int r = find_in_layer(dirs->v[i], path, &fd);

		if (r < 0)
			break;
		if (r > 0)
			return read_regular(fd, path, max, ret, err);
	}
	(void)error_set(err, ERROR_NOT_FOUND, ENOENT, "read '%s' of the image", path);
	return -ENOENT;
}

struct rootfs_dirs rootfs_dirs_of(const struct store_snapshot *snap, struct strv *strings)
{
	strv_add(strings, snap->upper);
	for (size_t i = 0; i < snap->lower.n; i++)
		strv_add(strings, snap->lower.v[i]);
	return (struct rootfs_dirs){(const char *const *)strings->v, strings->n};
}
