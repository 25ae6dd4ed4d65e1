/* Entering, mapping and preparing namespaces. */
#include "linux/ns.h"

#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/clone.h"
#include "linux/procfs.h"
#include "linux/sys.h"

#define NSFS_MAGIC_    0x6e736673
#define NS_GET_NSTYPE_ _IO(0xb7, 0x3)

int ns_open(const char *path, int clone_flag, struct error *err)
{
	autoclose int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0)
		return error_set(err, ERROR_INVALID, errno, "open namespace '%s'", path);
	if (fstatfs(fd, &fs) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "inspect namespace '%s'", path);
	if (fs.f_type != NSFS_MAGIC_ || ioctl(fd, NS_GET_NSTYPE_) != clone_flag)
		return error_set(err, ERROR_INVALID, 0, "'%s' is not a namespace of that type",
				 path);
	return TAKE_FD(fd);
}

int ns_join(int fd, int clone_flag, const char *what, struct error *err)
{
	if (setns(fd, clone_flag) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "join %s", what);
	return 0;
}

int ns_open_pid(int proc_fd, pid_t pid, const char *name)
{
	char path[64];
	autoclose int dir_fd = -EBADF;
	int fd;

	(void)snprintf(path, sizeof(path), "%d/ns", (int)pid);
	dir_fd = procfs_open_file(proc_fd, path, O_PATH | O_DIRECTORY);
	if (dir_fd < 0)
		return dir_fd;
	/* The links in ns/ are magic ones: following them is the point. */
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

bool ns_is_own(int proc_fd, int fd, const char *name)
{
	autoclose int own_fd = ns_open_pid(proc_fd, getpid(), name);
	struct stat own, other;

	return own_fd >= 0 && fstat(own_fd, &own) == 0 && fstat(fd, &other) == 0 &&
	       own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

int ns_write_map(int proc_fd, pid_t pid, const char *file, const struct ns_mapping *map, size_t n,
		 struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT(4095); /* the kernel takes less than a page */
	char path[64];
	int r;

	for (size_t i = 0; i < n; i++)
		strbuf_addf(&text, "%" PRIu32 " %" PRIu32 " %" PRIu32 "\n", map[i].inside,
			    map[i].outside, map[i].count);
	if (strbuf_error(&text) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "id mappings");
	(void)snprintf(path, sizeof(path), "%d/%s", (int)pid, file);
	r = procfs_write(proc_fd, path, text.s, err);
	if (r == -EINVAL && err)
		err->kind = ERROR_INVALID;
	return r;
}

size_t ns_map_add_root(struct ns_mapping *map, size_t n)
{
	uint64_t free_id = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t end = (uint64_t)map[i].inside + map[i].count;

		if (map[i].outside == 0 && map[i].count > 0)
			return n;
		free_id = end > free_id ? end : free_id;
	}
	/* (uint32_t)-1 is no id; a map that reaches it leaves no room, and mounting will tell. */
	if (free_id >= UINT32_MAX)
		return n;
	map[n] = (struct ns_mapping){.inside = (uint32_t)free_id, .outside = 0, .count = 1};
	return n + 1;
}

/* A process lives in it only until we hold an fd. */
int ns_new_user(int proc_fd, const struct ns_mapping *uids, size_t n_uids,
		const struct ns_mapping *gids, size_t n_gids, struct error *err)
{
	struct sys_clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	int gate[2], fd = -EBADF, r;
	pid_t pid;
	char byte;

	if (pipe2(gate, O_CLOEXEC) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create a pipe");
	pid = clone_process(&args, NULL);
	if (pid == 0) {
		(void)close(gate[1]);
		_exit(read(gate[0], &byte, 1) < 0); /* until the other end is closed */
	}
	fd_close(&gate[0]);
	if (pid < 0) {
		r = error_set(err, ERROR_INTERNAL, errno, "create a user namespace");
		fd_close(&gate[1]);
		return r;
	}
	r = ns_write_map(proc_fd, pid, "uid_map", uids, n_uids, err);
	if (r == 0)
		r = ns_write_map(proc_fd, pid, "gid_map", gids, n_gids, err);
	if (r == 0) {
		fd = ns_open_pid(proc_fd, pid, "user");
		if (fd < 0)
			r = error_set(err, ERROR_INTERNAL, -fd, "open a user namespace");
	}
	fd_close(&gate[1]);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r < 0 ? r : fd;
}

static int write_offset(int proc_fd, int offsets_fd, const char *text, struct error *err)
{
	if (offsets_fd < 0)
		return procfs_write(proc_fd, "self/timens_offsets", text, err);
	return write(offsets_fd, text, strlen(text)) < 0
		       ? error_set(err, ERROR_INTERNAL, errno, "write '%s' as time offset", text)
		       : 0;
}

int ns_unshare_time(int proc_fd, int offsets_fd, const struct ns_clock_offset *monotonic,
		    const struct ns_clock_offset *boottime, struct error *err)
{
	const struct {
		const char *clock;
		const struct ns_clock_offset *offset;
	} offsets[] = {{"monotonic", monotonic}, {"boottime", boottime}};
	autoclose int fd = -EBADF, dir_fd = -EBADF;

	if (unshare(CLONE_NEWTIME) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "unshare the time namespace");
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		char text[64];
		int r;

		if (!offsets[i].offset)
			continue;
		(void)snprintf(text, sizeof(text), "%s %" PRId64 " %" PRIu32 "\n", offsets[i].clock,
			       offsets[i].offset->secs, offsets[i].offset->nanosecs);
		r = write_offset(proc_fd, offsets_fd, text, err);
		if (r < 0)
			return r;
	}
	/* Unsharing is for children; entering it oneself takes setns(2) (time_namespaces(7)). */
	dir_fd = procfs_open_file(proc_fd, "self/ns", O_PATH | O_DIRECTORY);
	if (dir_fd >= 0)
		fd = openat(dir_fd, "time_for_children", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open the new time namespace");
	return ns_join(fd, CLONE_NEWTIME, "the new time namespace", err);
}

int ns_loopback_up(struct error *err)
{
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open a socket");
	if (ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set lo up");
	return 0;
}
