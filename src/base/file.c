/* Whole files, trees, and descriptors passed around. */
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

#define SMALL_FILE     4096 /* bytes read on the stack */
#define SCM_MAX_FDS    253  /* the kernel's SCM_MAX_FD, unix(7) */
#define TREE_MAX_DEPTH 64   /* directories open at once while removing */

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

/* Split "a/b/c" into an fd of a/b (or dirfd itself: *ret_fd stays -EBADF) and "c". */
static int open_parent(int dirfd, const char *name, int *ret_fd, const char **ret_base)
{
	const char *base = str_basename(name);
	autofree char *dir = NULL;

	*ret_base = base;
	if (base == name)
		return 0;
	dir = xstrndup(name, (size_t)(base - name));
	*ret_fd = openat(dirfd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? -errno : 0;
}

static int sync_dir(int dirfd)
{
	autoclose int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* A new file with a name that nobody has: ".<base>.<random>". */
static int create_temporary(int dirfd, const char *base, char ret_name[static NAME_MAX + 1])
{
	for (int tries = 0; tries < 16; tries++) {
		uint64_t random;
		int fd;

		if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
			return -EIO;
		(void)snprintf(ret_name, NAME_MAX + 1, ".%.200s.%016llx", base,
			       (unsigned long long)random);
		fd = openat(dirfd, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0600);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

struct content {
	const void *data; /* borrowed */
	size_t len;
	mode_t mode;
	unsigned flags;
};

static int write_and_name(int dirfd, const char *base, const struct content *c)
{
	char tmp[NAME_MAX + 1];
	autoclose int fd = create_temporary(dirfd, base, tmp);
	int r = fd;

	if (fd < 0)
		return r;
	r = fd_write_full(fd, c->data, c->len);
	if (r == 0 && fchmod(fd, c->mode) < 0) /* exact: open's mode is subject to the umask */
		r = -errno;
	if (r == 0 && (c->flags & FILE_SYNC) && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && (c->flags & FILE_EXCLUSIVE))
		r = linkat(dirfd, tmp, dirfd, base, 0) < 0 ? -errno : 0;
	else if (r == 0)
		r = renameat(dirfd, tmp, dirfd, base) < 0 ? -errno : 0;
	if (r < 0 || (c->flags & FILE_EXCLUSIVE))
		(void)unlinkat(dirfd, tmp, 0); /* the first failure is the one to tell */
	if (r == 0 && (c->flags & FILE_SYNC))
		r = sync_dir(dirfd);
	return r;
}

int file_write_atomic(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		      unsigned flags, struct error *err)
{
	struct content c = {.data = data, .len = len, .mode = mode, .flags = flags};
	autoclose int parent = -EBADF;
	const char *base;
	int r;

	r = open_parent(dirfd, name, &parent, &base);
	if (r == 0)
		r = write_and_name(parent >= 0 ? parent : dirfd, base, &c);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "write file '%s'", name) : 0;
}

static int read_all(int fd, size_t max, char **ret, size_t *ret_len)
{
	autofree char *buf = NULL;
	char small[SMALL_FILE];
	size_t len = 0, cap = sizeof(small);
	struct stat st;

	/* Regular files are read with one byte to spare for EOF.  Pseudo file systems say 0, and most
	 * of their files are short: those cost one allocation of their own size. */
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
		cap = (uintmax_t)st.st_size > max ? max + 2 : (size_t)st.st_size + 2;
		buf = xrealloc(NULL, cap, 1);
	}
	for (;;) {
		ssize_t n;

		if (len + 1 >= cap) {
			cap *= 2;
			if (!buf)
				buf = memcpy(xrealloc(NULL, cap, 1), small, len);
			else
				buf = xrealloc(buf, cap, 1);
		}
		n = read(fd, (buf ? buf : small) + len, cap - len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return -E2BIG;
	}
	if (!buf)
		buf = memcpy(xrealloc(NULL, len + 1, 1), small, len);
	buf[len] = '\0';
	if (ret_len)
		*ret_len = len;
	*ret = TAKE_PTR(buf);
	return 0;
}

int file_read(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len,
	      struct error *err)
{
	autoclose int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r = fd < 0 ? -errno : read_all(fd, max, ret, ret_len);

	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "read file '%s'", name) : 0;
}

int file_write_value(int dirfd, const char *name, const char *value, struct error *err)
{
	autoclose int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = strlen(value);
	ssize_t n = -1;

	while (fd >= 0 && (n = write(fd, value, len)) < 0 && errno == EINTR)
		;
	if (n < 0)
		return error_set(err, ERROR_INTERNAL, errno, "write '%s' to '%s'", value, name);
	if ((size_t)n != len)
		return error_set(err, ERROR_INTERNAL, EIO, "write '%s' to '%s'", value, name);
	return 0;
}

static int make_dir(int dirfd, const char *path, mode_t mode)
{
	struct stat st;

	if (mkdirat(dirfd, path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (fstatat(dirfd, path, &st, 0) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int file_mkdir_p(int dirfd, const char *path, mode_t mode, struct error *err)
{
	autofree char *copy = NULL;
	int r = make_dir(dirfd, path, mode);

	if (r == -ENOENT && *path) {
		copy = xstrdup(path);
		for (char *p = copy + 1; *p; p++) {
			if (*p != '/')
				continue;
			*p = '\0';
			r = make_dir(dirfd, copy, mode);
			if (r < 0)
				break;
			*p = '/';
		}
		if (r == 0 || r == -ENOENT)
			r = make_dir(dirfd, path, mode);
	}
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "create directory '%s'", path) : 0;
}

/* Removal.  Trees are written by containers, so they may be deeper than we have descriptors:
 * directories below TREE_MAX_DEPTH are moved up to the top of the tree and removed from there.
 * RESOLVE_NO_XDEV refuses mount points, bind mounts of the same file system included. */
struct removal {
	int top;        /* borrowed: the tree's root directory */
	unsigned moved; /* names given out at the top */
	bool again;     /* something was moved there since it was last read */
};

/* The id of the mount that an open file is on (proc(5)), or -errno. */
static int mount_id(int fd)
{
	static const char key[] = "\nmnt_id:\t";
	char path[48], text[512];
	autoclose int info = -EBADF;
	const char *id;
	int n;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	n = info < 0 ? -errno : fd_read_full(info, text, sizeof(text) - 1);
	if (n < 0)
		return n;
	text[n] = '\0';
	id = strstr(text, key);
	return id ? (int)strtol(id + strlen(key), NULL, 10) : -ENOSYS;
}

/* For kernels without openat2(2), before 5.6: one component at a time is what callers give. */
static int open_subdir_by_mount(int dirfd, const char *name)
{
	autoclose int top =
		openat(dirfd, name[0] == '/' ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int here, there;

	if (top < 0 || fd < 0)
		return -errno;
	here = mount_id(top);
	there = mount_id(fd);
	if (here < 0 || there < 0)
		return here < 0 ? here : there;
	return here == there ? TAKE_FD(fd) : -EXDEV;
}

static int try_open_subdir(int dirfd, const char *name)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
	};
	long fd = syscall(SYS_openat2, dirfd, name, &how, sizeof(how));

	if (fd >= 0)
		return (int)fd;
	return errno == ENOSYS ? open_subdir_by_mount(dirfd, name) : -errno;
}

static int open_subdir(int dirfd, const char *name)
{
	int fd = try_open_subdir(dirfd, name);

	if (fd == -EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
		fd = try_open_subdir(dirfd, name);
	return fd;
}

static int remove_entries(struct removal *rm, int fd_take, unsigned depth);

static int move_up(struct removal *rm, int dirfd, const char *name)
{
	char moved[64];

	do {
		(void)snprintf(moved, sizeof(moved), ".vessel-removed.%u", rm->moved++);
		if (syscall(SYS_renameat2, dirfd, name, rm->top, moved, 1 /* RENAME_NOREPLACE */) ==
		    0) {
			rm->again = true;
			return 0;
		}
	} while (errno == EEXIST);
	return -errno;
}

static int remove_entry(struct removal *rm, int dirfd, const char *name, unsigned depth)
{
	int fd, r;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	r = errno; /* EPERM is POSIX's word for a directory, and also a real refusal */
	if (depth >= TREE_MAX_DEPTH)
		return move_up(rm, dirfd, name);
	fd = open_subdir(dirfd, name);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd == -ENOTDIR || fd == -ELOOP ? -r : fd;
	r = remove_entries(rm, fd, depth + 1);
	if (r < 0)
		return r;
	return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_entries(struct removal *rm, int fd_take, unsigned depth)
{
	DIR *dir = fdopendir(fd_take);
	struct dirent *e;
	int r = 0;

	if (!dir) {
		r = -errno;
		(void)close(fd_take);
		return r;
	}
	for (;;) {
		errno = 0;
		e = readdir(dir);
		if (!e) {
			r = errno ? -errno : 0;
			break;
		}
		if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
			continue;
		r = remove_entry(rm, dirfd(dir), e->d_name, depth);
		if (r < 0)
			break;
	}
	(void)closedir(dir);
	return r;
}

static int remove_tree(int dirfd, const char *base)
{
	struct removal rm = {.top = -EBADF};
	autoclose int top = -EBADF;
	int r, fd;

	if (unlinkat(dirfd, base, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	r = errno;
	top = open_subdir(dirfd, base);
	if (top < 0)
		return top == -ENOENT ? 0 : top == -ENOTDIR || top == -ELOOP ? -r : top;
	rm.top = top;
	do {
		rm.again = false;
		fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		r = remove_entries(&rm, fd, 0);
	} while (r == 0 && rm.again);
	if (r < 0)
		return r;
	return unlinkat(dirfd, base, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int file_remove_tree(int dirfd, const char *name, struct error *err)
{
	autoclose int parent = -EBADF;
	const char *base;
	int r;

	r = open_parent(dirfd, name, &parent, &base);
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = remove_tree(parent >= 0 ? parent : dirfd, base);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "remove '%s'", name) : 0;
}

int fd_read_full(int fd, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, (char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int)done;
}

int fd_write_full(int fd, const void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(fd, (const char *)buf + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

int fd_memfd(const char *name, const void *data, size_t len, struct error *err)
{
	autoclose int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = fd < 0 ? -errno : fd_write_full(fd, data, len);

	if (r == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "create memfd '%s'", name);
	return TAKE_FD(fd);
}

int fd_set_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(SCM_MAX_FDS * sizeof(int))];
};

int fd_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control;
	ssize_t n;

	if (n_fds > SCM_MAX_FDS)
		return -EINVAL;
	if (n_fds > 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
	}
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
		if (n >= 0 && (size_t)n < iov.iov_len) { /* a stream took a part, and the fds */
			iov.iov_base = (char *)iov.iov_base + n;
			iov.iov_len -= (size_t)n;
			msg.msg_control = NULL;
			msg.msg_controllen = 0;
			continue;
		}
		if (n >= 0)
			return 0;
	} while (n >= 0 || errno == EINTR);
	return -errno;
}

/* Take what fits into fds, close the rest. */
static void collect_fds(struct msghdr *msg, int *fds, size_t room, size_t *ret_n)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (*ret_n < room)
				fds[(*ret_n)++] = fd;
			else
				(void)close(fd);
		}
	}
}

ssize_t fd_recv(int sock, void *buf, size_t size, int *fds, size_t *n_fds)
{
	struct iovec iov = {.iov_base = buf, .iov_len = size};
	union control control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control)};
	size_t room = n_fds ? *n_fds : 0, n = 0;
	ssize_t len;

	/* A reset says, once, that the peer died with messages of ours unread: its own come behind it. */
	do {
		len = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (len < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n_fds)
		*n_fds = 0;
	if (len < 0)
		return -errno;
	collect_fds(&msg, fds, room, &n);
	/* A cut message is not half a message; CTRUNC: we had no descriptors left to take them. */
	if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		while (n > 0)
			(void)close(fds[--n]);
		return msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : -EMFILE;
	}
	if (n_fds)
		*n_fds = n;
	return len;
}
