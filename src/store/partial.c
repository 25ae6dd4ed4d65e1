/* Incomplete downloads. */
#include "store/partial.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/store_priv.h"

#define FOLDER "partial"
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

int store_partial_open(struct store *s, const char *digest, int64_t size, int *ret_fd,
		       int64_t *ret_have, struct error *err)
{
	autoclose int folder = open_folder(s, err), fd = -EBADF;
	struct stat st;

	if (folder < 0)
		return folder;
	fd = openat(folder, digest_hex(digest), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '" FOLDER "/%s'",
				 digest_hex(digest));
	if (!lock(fd))
		return 1;
	if (fstat(fd, &st) < 0) /* what its last holder has left */
		return error_set(err, ERROR_INTERNAL, errno, "look at '" FOLDER "/%s'",
				 digest_hex(digest));
	if (st.st_size > size) { /* not emptied: somebody may be reading it */
		store_partial_drop(s, digest);
		fd_close(&fd);
		fd = openat(folder, digest_hex(digest),
			    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 || !lock(fd))
			return error_set(err, ERROR_INTERNAL, errno, "make '" FOLDER "/%s'",
					 digest_hex(digest));
		st.st_size = 0;
	}
	if (lseek(fd, st.st_size, SEEK_SET) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "seek in '" FOLDER "/%s'",
				 digest_hex(digest));
	*ret_have = st.st_size;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

void store_partial_release(int fd)
{
	struct flock l = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	(void)fcntl(fd, F_OFD_SETLK, &l);
}

void store_partial_drop(struct store *s, const char *digest)
{
	autofree char *path = xasprintf(FOLDER "/%s", digest_hex(digest));

	(void)unlinkat(s->root_fd, path, 0);
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
		    (st.st_mtime + KEEP_S < now ||
		     fstatat(s->blobs_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0))
			(void)unlinkat(dirfd(dir), e->d_name, 0);
	(void)closedir(dir);
}
