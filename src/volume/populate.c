/* A volume's first content: what the image has where it is mounted.
 *
 * The image's content is copied without mounting anything: the layers are gone through from the
 * bottom to the writable directory, each adding to and taking from what is there, as overlayfs would
 * show it (Documentation/filesystems/overlayfs.rst: whiteouts are 0:0 character devices, a directory
 * with trusted.overlay.opaque "y" hides what is below).
 */
#include "volume/populate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/root.h"

#define POPULATE_DEPTH_MAX 64              /* directories below a volume's root that are copied */
#define POPULATE_XATTR_MAX 65536           /* bytes, names and a value (xattr(7)) */
#define POPULATE_COPY_SIZE ((size_t)65536) /* bytes at a time */

static int copy_data(int from, int to)
{
	autofree char *buf = xcalloc(POPULATE_COPY_SIZE, 1);

	for (;;) {
		ssize_t n = read(from, buf, POPULATE_COPY_SIZE);
		int r;

		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		r = n < 0 ? -errno : fd_write_full(to, buf, (size_t)n);
		if (r < 0)
			return r;
	}
}

/* All but overlayfs' own, which would mean something else elsewhere. */
static int copy_xattrs(int from, int to)
{
	autofree char *names = xcalloc(POPULATE_XATTR_MAX, 1),
		      *value = xcalloc(POPULATE_XATTR_MAX, 1);
	ssize_t len = flistxattr(from, names, POPULATE_XATTR_MAX);

	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
		const char *name = names + at;
		ssize_t n;

		if (str_has_prefix(name, "trusted.overlay."))
			continue;
		n = fgetxattr(from, name, value, POPULATE_XATTR_MAX);
		if (n >= 0 && fsetxattr(to, name, value, (size_t)n, 0) < 0 && errno != EOPNOTSUPP &&
		    errno != EPERM)
			return -errno;
	}
	return 0;
}

static int copy_meta(int from, int to, const struct stat *st)
{
	const struct timespec times[] = {st->st_atim, st->st_mtim};
	int r;

	if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
		return -errno;
	r = copy_xattrs(from, to); /* after chown, which clears capabilities */
	if (r >= 0 && futimens(to, times) < 0)
		r = -errno;
	return r;
}

static int copy_file(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	autoclose int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	autoclose int to =
		openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (from < 0 || to < 0)
		return -errno;
	r = copy_data(from, to);
	return r < 0 ? r : copy_meta(from, to, st);
}

static int copy_special(int from_dir, int to_dir, const char *name, const struct stat *st)
{
	const struct timespec times[] = {st->st_atim, st->st_mtim};
	char target[4096];
	ssize_t n;
	int r;

	if (S_ISLNK(st->st_mode)) {
		n = readlinkat(from_dir, name, target, sizeof(target) - 1);
		if (n < 0)
			return -errno;
		target[n] = '\0';
		r = symlinkat(target, to_dir, name);
	} else {
		r = mknodat(to_dir, name, st->st_mode, st->st_rdev);
		if (r >= 0)
			r = fchmodat(to_dir, name, st->st_mode & 07777, 0);
	}
	if (r < 0 || fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    utimensat(to_dir, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int merge_dir(int from, int to, unsigned depth);

static int merge_subdir(int from_dir, int to_dir, const char *name, unsigned depth)
{
	autoclose int from =
		openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autoclose int to = -EBADF;
	struct stat st;

	if (from < 0)
		return -errno;
	if (fstatat(to_dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode) &&
	    unlinkat(to_dir, name, 0) < 0)
		return -errno;
	if (mkdirat(to_dir, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return to < 0 ? -errno : merge_dir(from, to, depth);
}

static int merge_entry(int from, int to, const char *name, unsigned depth)
{
	struct stat st;
	int r;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return depth < POPULATE_DEPTH_MAX ? merge_subdir(from, to, name, depth + 1)
						  : -ELOOP;
	r = file_remove_tree(to, name, NULL);
	if (r < 0 || (S_ISCHR(st.st_mode) && st.st_rdev == 0))
		return r; /* a whiteout only takes away */
	if (S_ISREG(st.st_mode))
		return copy_file(from, to, name, &st);
	return S_ISSOCK(st.st_mode) ? 0 : copy_special(from, to, name, &st);
}

/* Names first: the directory that is emptied or filled is not the one that is read. */
static int for_each_name(int fd, int (*fn)(int fd, int to, const char *name, unsigned depth),
			 int to, unsigned depth)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = -errno;
		if (copy >= 0)
			(void)close(copy);
		return r;
	}
	while (r >= 0 && (entry = readdir(dir)))
		if (!str_eq(entry->d_name, ".") && !str_eq(entry->d_name, ".."))
			r = fn(fd, to, entry->d_name, depth);
	(void)closedir(dir);
	return r;
}

static int remove_name(int fd, int to, const char *name, unsigned depth)
{
	(void)to;
	(void)depth;
	return file_remove_tree(fd, name, NULL);
}

static int merge_dir(int from, int to, unsigned depth)
{
	struct stat st;
	char opaque[2] = "";
	int r = 0;

	if (fgetxattr(from, "trusted.overlay.opaque", opaque, 1) == 1 && opaque[0] == 'y')
		r = for_each_name(to, remove_name, -EBADF, 0);
	r = r < 0 ? r : for_each_name(from, merge_entry, to, depth);
	if (r < 0 || fstat(from, &st) < 0)
		return r < 0 ? r : -errno;
	return copy_meta(from, to, &st);
}

int populate(const char *const *layers, size_t n, const char *path, int to, struct error *err)
{
	int found = 0;

	for (size_t i = n; i-- > 0;) {
		autoclose int root = open(layers[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		autoclose int from =
			root < 0 ? root : root_open(root, path, O_RDONLY | O_DIRECTORY, 0);
		int r = from < 0 ? 0 : merge_dir(from, to, 0);

		if (r < 0)
			return error_set(err, ERROR_INTERNAL, -r,
					 "copy the image's '%s' into a volume", path);
		found |= from >= 0;
	}
	return found;
}

int populate_is_empty(int dir)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
	const struct dirent *entry;
	int empty = 1;

	if (!d) {
		int r = -errno;

		if (copy >= 0)
			(void)close(copy);
		return r;
	}
	/* A file system's own directory at its root is no content. */
	while (empty && (entry = readdir(d)))
		empty = str_eq(entry->d_name, ".") || str_eq(entry->d_name, "..") ||
			str_eq(entry->d_name, "lost+found");
	(void)closedir(d);
	return empty;
}
