/* Filling a tmpfs with what the directory below it holds (the mount option tmpcopyup). */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "linux/sys.h"
#include "runtime/rootfs_priv.h"

#define DEPTH_MAX      100 /* directories inside each other, each of which takes two descriptors */
#define XATTR_LIST_MAX 65536
#define XATTR_SIZE_MAX 65536

static int fail(struct error *err, const char *what, const char *name)
{
	return error_set(err, ERROR_INTERNAL, errno, "copy up: %s '%s'", what, name);
}

/* What tmpfs has no room for (before Linux 6.6: user.*) stays behind. */
static void copy_attributes(int from, int to)
{
	autofree char *names = xnew0n(char, XATTR_LIST_MAX), *value = xnew0n(char, XATTR_SIZE_MAX);
	ssize_t len = flistxattr(from, names, XATTR_LIST_MAX);

	for (const char *name = names; len > 0 && name < names + len; name += strlen(name) + 1) {
		ssize_t n = fgetxattr(from, name, value, XATTR_SIZE_MAX);

		if (n >= 0)
			(void)!fsetxattr(to, name, value, (size_t)n, 0);
	}
}

static int copy_status(int from, int to, const char *name, struct error *err)
{
	struct stat st;
	struct timespec times[2];

	if (fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0 ||
	    fchmod(to, st.st_mode & 07777) < 0)
		return fail(err, "set the status of", name);
	copy_attributes(from, to);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	return futimens(to, times) < 0 ? fail(err, "set the times of", name) : 0;
}

static int copy_file(int from_dir, int to_dir, const char *name, struct error *err)
{
	autoclose int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	autoclose int to = -EBADF;
	struct stat st;
	ssize_t n;

	if (from < 0 || fstat(from, &st) < 0)
		return fail(err, "open", name);
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID, ESTALE, "copy up: '%s' is being changed",
				 name);
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return fail(err, "create", name);
	do
		n = sendfile(to, from, NULL, (size_t)1 << 30);
	while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? fail(err, "copy", name) : copy_status(from, to, name, err);
}

/* Links, devices, sockets, pipes: nothing to open. */
static int copy_special(int from_dir, int to_dir, const char *name, const struct stat *st,
			struct error *err)
{
	char target[PATH_MAX];

	if (S_ISLNK(st->st_mode)) {
		ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

		target[n < 0 ? 0 : n] = '\0';
		if (n < 0 || symlinkat(target, to_dir, name) < 0)
			return fail(err, "link", name);
	} else if (mknodat(to_dir, name, st->st_mode, st->st_rdev) < 0) {
		return fail(err, "make", name);
	}
	if (fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(err, "change the owner of", name);
	return 0;
}

static int copy_directory(int from_fd, int to_fd, unsigned depth, struct error *err);

static int copy_subdirectory(int from_dir, int to_dir, const char *name, unsigned depth,
			     struct error *err)
{
	autoclose int from =
		openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autoclose int to = -EBADF;
	int r;

	if (from < 0)
		return fail(err, "open", name);
	if (mkdirat(to_dir, name, 0700) < 0)
		return fail(err, "create", name);
	to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (to < 0)
		return fail(err, "open", name);
	r = copy_directory(from, to, depth + 1, err);
	return r < 0 ? r : copy_status(from, to, name, err);
}

static int copy_entry(int from_dir, int to_dir, const char *name, unsigned depth, struct error *err)
{
	struct stat st;

	if (fstatat(from_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(err, "inspect", name);
	if (S_ISDIR(st.st_mode))
		return copy_subdirectory(from_dir, to_dir, name, depth, err);
	return S_ISREG(st.st_mode) ? copy_file(from_dir, to_dir, name, err)
				   : copy_special(from_dir, to_dir, name, &st, err);
}

static int copy_directory(int from_fd, int to_fd, unsigned depth, struct error *err)
{
	int fd = depth > DEPTH_MAX ? -1 : openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	DIR *dir;
	int r = 0;

	if (depth > DEPTH_MAX)
		return error_set(err, ERROR_INVALID, ELOOP,
				 "copy up: more than %d directories deep", DEPTH_MAX);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		r = fail(err, "list", ".");
		fd_close(&fd);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = copy_entry(from_fd, to_fd, entry->d_name, depth, err);
	if (r == 0 && errno)
		r = fail(err, "list", ".");
	(void)closedir(dir);
	return r;
}

int rootfs_copy_up(int from_fd, int to_fd, struct error *err)
{
	return copy_directory(from_fd, to_fd, 0, err);
}
