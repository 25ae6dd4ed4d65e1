/* Path resolution inside a root file system: openat2(2) or the walk of root_walk.c, and creation below
 * what that has resolved. */
#include "linux/root.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"
#include "linux/root_priv.h"
#include "linux/sys.h"

/* openat2 gives up with EAGAIN when a rename anywhere raced a ".." (man openat2, RESOLVE_IN_ROOT);
 * asking again is the documented answer.  The bound only guards against a hostile renamer. */
#define RESOLVE_TRIES 128

int root_open(int root_fd, const char *path, int open_flags, unsigned flags)
{
	static bool missing; /* openat2, found out once */
	uint64_t resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
	int fd = -1;

	if (missing)
		return root_walk(root_fd, path, open_flags, flags);
	if (flags & ROOT_NO_SYMLINKS)
		resolve |= RESOLVE_NO_SYMLINKS;
	for (int i = 0; i < RESOLVE_TRIES; i++) {
		fd = sys_openat2(root_fd, path, (uint64_t)(open_flags | O_CLOEXEC), 0, resolve);
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	if (fd < 0 && errno == ENOSYS) {
		missing = true;
		return root_walk(root_fd, path, open_flags, flags);
	}
	return fd >= 0 ? fd : -errno;
}

int root_clean_path(const char *path, char *ret, size_t size)
{
	size_t len = 0;

	if (size < 2)
		return -ENAMETOOLONG;
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.') {
			while (len > 0 && ret[--len] != '/')
				;
		} else if (n > 0 && !(n == 1 && path[0] == '.')) {
			if (len + n + 2 > size)
				return -ENAMETOOLONG;
			if (len > 0)
				ret[len++] = '/';
			memcpy(ret + len, path, n);
			len += n;
		}
		path += n;
		path += strspn(path, "/");
	}
	if (len == 0)
		ret[len++] = '.';
	ret[len] = '\0';
	return 0;
}

/* Open the longest existing part of `path` (which is clean), a directory; *ret_rest points behind it. */
static int open_existing(int root_fd, char *path, unsigned flags, char **ret_rest)
{
	char *end = path + strlen(path);

	for (;;) {
		char *cut = end, saved = *end;
		int fd;

		*cut = '\0';
		fd = root_open(root_fd, cut == path ? "." : path, O_PATH | O_DIRECTORY, flags);
		*cut = saved;
		if (fd != -ENOENT) {
			*ret_rest = *cut == '/' ? cut + 1 : cut;
			return fd;
		}
		if (cut == path)
			return -ENOENT;
		while (end > path && *--end != '/')
			;
	}
}

static int mkdir_below(int dir_fd, char *rest, mode_t mode)
{
	autoclose int fd = dir_fd;

	while (*rest) {
		size_t n = strcspn(rest, "/");
		char saved = rest[n];
		int next;

		rest[n] = '\0';
		if (mkdirat(fd, rest, mode) < 0 && errno != EEXIST)
			return -errno;
		/* A link that appeared meanwhile, or a dangling one, is not followed. */
		next = openat(fd, rest, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -errno;
		fd_close(&fd);
		fd = next;
		rest += n + (saved == '/');
	}
	return TAKE_FD(fd);
}

int root_mkdir_p(int root_fd, const char *path, mode_t mode, unsigned flags, struct error *err)
{
	char clean[PATH_MAX], *rest = NULL;
	int fd = root_clean_path(path, clean, sizeof(clean));

	if (fd == 0)
		fd = open_existing(root_fd, clean, flags, &rest);
	if (fd >= 0 && *rest)
		fd = mkdir_below(fd, rest, mode);
	if (fd < 0)
		return error_set(err, ERROR_INVALID, -fd, "create directory '%s' in the container",
				 path);
	return fd;
}

int root_create_file(int root_fd, const char *path, mode_t mode, struct error *err)
{
	char clean[PATH_MAX];
	autoclose int dir_fd = -EBADF;
	char *slash;
	int fd, r;

	r = root_clean_path(path, clean, sizeof(clean));
	if (r < 0)
		return error_set(err, ERROR_INVALID, -r, "path '%s' in the container", path);
	fd = root_open(root_fd, clean, O_PATH, 0);
	if (fd != -ENOENT)
		return fd >= 0 ? fd
			       : error_set(err, ERROR_INVALID, -fd, "open '%s' in the container",
					   path);

	slash = strrchr(clean, '/');
	if (slash) {
		*slash = '\0';
		dir_fd = root_mkdir_p(root_fd, clean, 0755, 0, err);
	} else {
		dir_fd = root_open(root_fd, ".", O_PATH | O_DIRECTORY, 0);
		if (dir_fd < 0)
			return error_set(err, ERROR_INTERNAL, -dir_fd, "open the container's root");
	}
	if (dir_fd < 0)
		return dir_fd;
	slash = slash ? slash + 1 : clean;
	fd = openat(dir_fd, slash, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return error_set(err, ERROR_INVALID, errno, "create file '%s' in the container",
				 path);
	return fd;
}
