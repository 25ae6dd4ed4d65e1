/* What lies below a container's writable directory. */
#include "store/tree_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "linux/root.h"
#include "store/unpack_priv.h"

int tree_below_open(const char *const *lower, size_t n, struct tree_below *ret, struct error *err)
{
	*ret = (struct tree_below){.fds = xnew0n(int, n + 1)};
	for (; ret->n < n; ret->n++) {
		ret->fds[ret->n] = open(lower[ret->n], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (ret->fds[ret->n] < 0) {
			int r = error_set(err, ERROR_INTERNAL, errno, "open '%s'", lower[ret->n]);

			tree_below_done(ret);
			return r;
		}
	}
	return 0;
}

void tree_below_done(struct tree_below *b)
{
	for (size_t i = 0; i < b->n; i++)
		fd_close(&b->fds[i]);
	free(b->fds);
	*b = (struct tree_below){0};
}

bool tree_is_opaque(int dir_fd)
{
	char value = 0;

	return (fgetxattr(dir_fd, "trusted.overlay.opaque", &value, 1) == 1 && value == 'y') ||
	       (fgetxattr(dir_fd, "user.overlay.opaque", &value, 1) == 1 && value == 'y');
}

/* Does the layer, which has nothing at `path`, hide what those below it have there? */
static bool hides(int layer_fd, const char *path)
{
	autofree char *parent = xstrdup(path);
	char *slash;

	while ((slash = strrchr(parent, '/')) && slash > parent) {
		autoclose int fd = -EBADF;
		struct stat st;

		*slash = '\0';
		fd = root_open(layer_fd, parent, O_PATH | O_NOFOLLOW, ROOT_NO_SYMLINKS);
		if (fd < 0)
			continue;
		if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
			return true; /* a whiteout, or something else by now */
		fd_close(&fd);
		fd = root_open(layer_fd, parent, O_RDONLY | O_DIRECTORY, ROOT_NO_SYMLINKS);
		if (fd >= 0 && tree_is_opaque(fd))
			return true;
	}
	return false;
}

bool tree_below_find(const struct tree_below *b, const char *path, struct stat *ret)
{
	for (size_t i = 0; i < b->n; i++) {
		autoclose int fd =
			root_open(b->fds[i], path, O_PATH | O_NOFOLLOW, ROOT_NO_SYMLINKS);

		if (fd >= 0 && fstat(fd, ret) == 0)
			return !unpack_is_whiteout(ret);
		if (i + 1 < b->n && hides(b->fds[i], path))
			return false;
	}
	return false;
}

bool tree_is_mount_place(const char *path, const struct stat *st)
{
	static const char *const files[] = {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf",
					    "/dev/console", "/" STORE_MARKER};
	static const char *const dirs[] = {"/dev",     "/dev/mqueue", "/dev/pts",
					   "/dev/shm", "/proc",       "/sys"};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (S_ISREG(st->st_mode) && st->st_size == 0 && strcmp(path, files[i]) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (S_ISDIR(st->st_mode) && strcmp(path, dirs[i]) == 0)
			return true;
	return false;
}
