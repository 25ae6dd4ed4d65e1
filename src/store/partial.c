/* Downloads. */
#include "store/partial.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/store_priv.h"

#define FOLDER "partial"
#define DONE   ".done"
#define KEEP_S (7 * 24 * 3600) /* since the last byte */

static int open_folder(struct store *s, struct error *err)
{
	int fd;

	if (mkdirat(s->root_fd, FOLDER, 0700) < 0 && errno != EEXIST)
		return error_set(err, ERROR_INTERNAL, errno, "make '%s'", FOLDER);
	fd = openat(s->root_fd, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", FOLDER);
	return fd;
}

/* Of this descriptor, not of the process. */
static bool lock(int fd)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_SETLK, &l) == 0;
}

/* 1: all of it is here. */
static int open_done(int folder, const char *hex, int64_t size, int *ret_fd, struct error *err)
{
	autofree char *name = xasprintf("%s" DONE, hex);
	autoclose int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '" FOLDER "/%s'", name);
	if (st.st_size !=
	    size) /* what another manifest says of the same digest: one of them lies */
		return 0;
	*ret_fd = TAKE_FD(fd);
	return 1;
}

static bool is_named(int folder, const char *hex, const struct stat *st)
{
	struct stat named;

	return fstatat(folder, hex, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       named.st_dev == st->st_dev && named.st_ino == st->st_ino;
}

/* 1: somebody has it; -EAGAIN, without an error: what was opened was finished or dropped meanwhile. */
static int open_begun(int folder, const char *hex, int64_t size, int *ret_fd, struct error *err)
{
	autoclose int fd = openat(folder, hex, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '" FOLDER "/%s'", hex);
	if (!lock(fd))
		return 1;
	if (fstat(fd, &st) < 0) /* what its last holder has left */
		return error_set(err, ERROR_INTERNAL, errno, "look at '" FOLDER "/%s'", hex);
	if (!is_named(folder, hex, &st))
		return -EAGAIN;
	if (st.st_size > size) { /* not emptied: somebody may be reading it */
		(void)unlinkat(folder, hex, 0);
		return -EAGAIN;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int open_either(int folder, const char *hex, int64_t size, int *ret_fd, struct error *err)
{
	autoclose int begun = -EBADF;
	int r = open_done(folder, hex, size, ret_fd, err);

	if (r != 0)
		return r < 0 ? r : 0;
	r = open_begun(folder, hex, size, &begun, err);
	if (r != 0)
		return r;
	/* What was just made may be in the place of what was finished meanwhile. */
	r = open_done(folder, hex, size, ret_fd, err);
	if (r == 0)
		*ret_fd = TAKE_FD(begun);
	else
		(void)unlinkat(folder, hex, 0);
	return r < 0 ? r : 0;
}

int store_partial_open(struct store *s, const char *digest, int64_t size, int *ret_fd,
		       int64_t *ret_have, struct error *err)
{
	autoclose int folder = open_folder(s, err), fd = -EBADF;
	int r = folder < 0 ? folder : -EAGAIN;

	while (r == -EAGAIN)
		r = open_either(folder, digest_hex(digest), size, &fd, err);
	if (r != 0)
		return r;
	*ret_have = lseek(fd, 0, SEEK_END);
	if (*ret_have < 0)
		return error_set(err, ERROR_INTERNAL, errno, "seek in '" FOLDER "/%s'",
				 digest_hex(digest));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

void store_partial_finish(struct store *s, const char *digest, int fd)
{
	autofree char *from = xasprintf(FOLDER "/%s", digest_hex(digest));
	autofree char *to = xasprintf(FOLDER "/%s" DONE, digest_hex(digest));
	struct flock l = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
	struct stat st;

	/* Before anybody else may write to it; not if it has been that already. */
	if (fstat(fd, &st) == 0 && is_named(s->root_fd, from, &st))
		(void)renameat(s->root_fd, from, s->root_fd, to);
	(void)fcntl(fd, F_OFD_SETLK, &l);
}

void store_partial_drop(struct store *s, const char *digest)
{
	autofree char *begun = xasprintf(FOLDER "/%s", digest_hex(digest));
	autofree char *done = xasprintf(FOLDER "/%s" DONE, digest_hex(digest));

	(void)unlinkat(s->root_fd, begun, 0);
	(void)unlinkat(s->root_fd, done, 0);
}

static bool is_in_store(const struct store *s, const char *name)
{
	autofree char *hex = xstrndup(name, strcspn(name, "."));
	struct stat st;

	return fstatat(s->blobs_fd, hex, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

void store_partial_clean(struct store *s)
{
	int fd = openat(s->root_fd, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int64_t now = clock_realtime_ns() / 1000000000;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;
	struct stat st;

	if (!dir) {
		fd_close(&fd);
		return;
	}
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.' &&
		    fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    (st.st_mtime + KEEP_S < now || is_in_store(s, e->d_name)))
			(void)unlinkat(dirfd(dir), e->d_name, 0);
	(void)closedir(dir);
}
