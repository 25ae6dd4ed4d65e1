/* Path resolution inside a root without openat2(2) (before Linux 5.6, or behind a filter).
 *
 * The walk goes down only: one component at a time, each opened without following links.  The text
 * of a link is put in front of what is left of the path, and an absolute one starts at the root
 * again.  ".." is never opened: what is left of it is the path walked so far, without its last
 * component, and that is walked from the root once more.  So no directory that is renamed meanwhile
 * can lead above the root, which is what RESOLVE_IN_ROOT promises.  Links of procfs that are not
 * text (/proc/PID/fd/N, exe, root) are refused, as RESOLVE_NO_MAGICLINKS does.
 */
#include "linux/root_priv.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/mem.h"
#include "linux/sys.h"

#define PROC_SUPER_MAGIC_ 0x9fa0
#define PROC_ROOT_INO_    1
#define LINKS_MAX         40 /* as the kernel: path_resolution(7) */
#define WALK_TRIES        128

struct walk {
	int root_fd; /* borrowed */
	int fd;      /* owned: where we are */
	unsigned flags, links;
	int open_flags;
	uint64_t mount_id; /* with ROOT_WALK_NO_XDEV: the root's */
	char at[PATH_MAX]; /* where we are, below the root and free of links; "": the root */
	char rest[2 * PATH_MAX + 1]; /* what is left */
};

/* -- mounts -------------------------------------------------------------------------------- */

#define STATX_MNT_ID_        0x1000U
#define STATX_WORDS          32 /* sizeof(struct statx) in 64-bit words */
#define STATX_WORD_OF_MNT_ID 18

/* Kernels before 5.8: of a procfs whose root is root_fd. */
static int read_mount_id(int root_fd, int fd, uint64_t *ret)
{
	char path[64], text[512];
	const char *line;
	autoclose int info = -EBADF;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "self/fdinfo/%d", fd);
	info = openat(root_fd, path, O_RDONLY | O_CLOEXEC);
	n = info < 0 ? -1 : read(info, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	line = strstr(text, "mnt_id:");
	if (!line)
		return -EXDEV;
	*ret = strtoull(line + strlen("mnt_id:"), NULL, 10);
	return 0;
}

static int get_mount_id(int root_fd, int fd, uint64_t *ret)
{
	uint64_t words[STATX_WORDS] = {0};
	uint32_t mask;

	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_MNT_ID_, words) == 0) {
		memcpy(&mask, words, sizeof(mask));
		if (mask & STATX_MNT_ID_) {
			*ret = words[STATX_WORD_OF_MNT_ID];
			return 0;
		}
	}
	return read_mount_id(root_fd, fd, ret);
}

static int check_mount(const struct walk *w, int fd)
{
	uint64_t id;
	int r = w->flags & ROOT_WALK_NO_XDEV ? get_mount_id(w->root_fd, fd, &id) : 0;

	if (r == 0 && w->flags & ROOT_WALK_NO_XDEV && id != w->mount_id)
		return -EXDEV;
	return r;
}

/* -- moving -------------------------------------------------------------------------------- */

/* Anew from the root along w->at, where every component has been seen to be a directory. */
static int walk_again(struct walk *w)
{
	autoclose int fd = openat(w->root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char *p = w->at;

	if (fd < 0)
		return -errno;
	while (*p) {
		size_t n = strcspn(p, "/");
		char saved = p[n];
		int next;

		p[n] = '\0';
		next = openat(fd, p, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		p[n] = saved;
		if (next < 0)
			return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? -EAGAIN
										     : -errno;
		fd_close(&fd);
		fd = next;
		p += n + (saved == '/');
	}
	fd_close(&w->fd);
	w->fd = TAKE_FD(fd);
	return 0;
}

static int go_up(struct walk *w)
{
	char *slash = strrchr(w->at, '/');

	if (slash)
		*slash = '\0';
	else
		w->at[0] = '\0';
	return walk_again(w);
}

static int go_down(struct walk *w, const char *name, int *fd)
{
	size_t len = strlen(w->at), n = strlen(name);

	if (len + n + 2 > sizeof(w->at))
		return -ENAMETOOLONG;
	if (len > 0)
		w->at[len++] = '/';
	memcpy(w->at + len, name, n + 1);
	fd_close(&w->fd);
	w->fd = TAKE_FD(*fd);
	return 0;
}

/* Those of procfs below its root are not text but jumps. */
static bool is_magic(const struct walk *w, int link_fd)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(link_fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC_)
		return false;
	return fstat(w->fd, &st) < 0 || st.st_ino != PROC_ROOT_INO_;
}

static int follow(struct walk *w, int link_fd)
{
	char text[PATH_MAX];
	size_t left = strlen(w->rest);
	ssize_t n;

	if (w->flags & ROOT_NO_SYMLINKS || ++w->links > LINKS_MAX || is_magic(w, link_fd))
		return -ELOOP;
	n = readlinkat(link_fd, "", text, sizeof(text));
	if (n <= 0)
		return n < 0 ? -errno : -ENOENT;
	if ((size_t)n == sizeof(text) || (size_t)n + 1 + left >= sizeof(w->rest))
		return -ENAMETOOLONG;
	memmove(w->rest + n + (left > 0), w->rest, left + 1);
	if (left > 0)
		w->rest[n] = '/';
	memcpy(w->rest, text, (size_t)n);
	if (text[0] != '/')
		return 0;
	w->at[0] = '\0';
	return walk_again(w);
}

/* One component; w->rest is what comes behind it.  `last`: nothing does, not even a slash. */
static int step(struct walk *w, const char *name, bool last)
{
	autoclose int next = -EBADF;
	struct stat st;
	int r;

	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0)
		return go_up(w);
	next = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (next < 0 || fstat(next, &st) < 0)
		return -errno;
	r = check_mount(w, next);
	if (r < 0)
		return r;
	if (S_ISLNK(st.st_mode) && !(last && w->open_flags & O_NOFOLLOW))
		return follow(w, next);
	if (!S_ISDIR(st.st_mode) && (!last || w->open_flags & O_DIRECTORY))
		return -ENOTDIR;
	return go_down(w, name, &next);
}

/* What was found, opened as it was asked for: from its directory, and only if it still is it. */
static int open_found(struct walk *w)
{
	autoclose int found = TAKE_FD(w->fd), fd = -EBADF;
	char *name = strrchr(w->at, '/');
	struct stat a, b;
	int r;

	if (w->open_flags & O_PATH)
		return TAKE_FD(found);
	name = xstrdup(name ? name + 1 : w->at);
	r = go_up(w);
	if (r == 0)
		fd = openat(w->fd, name[0] ? name : ".", w->open_flags | O_NOFOLLOW | O_CLOEXEC);
	if (r == 0 && fd < 0)
		r = -errno;
	free(name);
	if (r < 0)
		return r;
	if (fstat(found, &a) < 0 || fstat(fd, &b) < 0)
		return -errno;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino ? TAKE_FD(fd) : -EAGAIN;
}

static int walk_once(struct walk *w, const char *path)
{
	size_t len = strlen(path);
	int r;

	if (len == 0)
		return -ENOENT;
	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(w->rest, path, len + 1);
	w->at[0] = '\0';
	w->links = 0;
	r = walk_again(w);
	if (r == 0 && w->flags & ROOT_WALK_NO_XDEV)
		r = get_mount_id(w->root_fd, w->fd, &w->mount_id);
	while (r == 0) {
		char name[NAME_MAX + 1];
		const char *start = w->rest + strspn(w->rest, "/");
		size_t n = strcspn(start, "/");
		bool last = start[n] == '\0';

		if (n == 0)
			break;
		if (n > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, start, n);
		name[n] = '\0';
		memmove(w->rest, start + n, strlen(start + n) + 1);
		r = step(w, name, last);
	}
	return r < 0 ? r : open_found(w);
}

int root_walk(int root_fd, const char *path, int open_flags, unsigned flags)
{
	struct walk w = {.root_fd = root_fd, .fd = -EBADF, .flags = flags};
	int r = -EAGAIN;

	w.open_flags = open_flags;
	for (int i = 0; i < WALK_TRIES && r == -EAGAIN; i++)
		r = walk_once(&w, path);
	fd_close(&w.fd);
	return r;
}
