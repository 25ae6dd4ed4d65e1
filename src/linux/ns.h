/* linux/ns.h - namespaces(7): joining, id mappings, clock offsets, loopback. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

struct ns_mapping {
	uint32_t inside, outside, count;
};

/* An fd of a namespace file (such as /proc/1/ns/net or /run/netns/x), verified to be an nsfs file
 * of the given kind (CLONE_NEW*). */
int ns_open(const char *path, int clone_flag, struct error *err);
/* setns(2). */
int ns_join(int fd, int clone_flag, const char *what, struct error *err);
/* /proc/<pid>/ns/net and the like by the procfs handle; fd or -errno. */
int ns_open_pid(int proc_fd, pid_t pid, const char *name);
/* Whether fd is the namespace that we are in ourselves; name as for ns_open_pid. */
bool ns_is_own(int proc_fd, int fd, const char *name);
/* Write uid_map or gid_map of a process in a new user namespace; from outside, as root. */
int ns_write_map(int proc_fd, pid_t pid, const char *file, const struct ns_mapping *map, size_t n,
		 struct error *err);
/* Add an entry to a map (which has room for it) so that the host's id 0 is in it too, under an id that
 * nothing else has; returns the number of entries. */
size_t ns_map_add_root(struct ns_mapping *map, size_t n);
/* An fd of a new user namespace that nobody is in, for idmapped mounts. */
int ns_new_user(int proc_fd, const struct ns_mapping *uids, size_t n_uids,
		const struct ns_mapping *gids, size_t n_gids, struct error *err);
/* Put the calling process into a new time namespace with these offsets (unset: NULL). */
struct ns_clock_offset {
	int64_t secs;
	uint32_t nanosecs;
};
/* offsets_fd: /proc/PID/timens_offsets of the process, opened for it by who may, or -EBADF. */
int ns_unshare_time(int proc_fd, int offsets_fd, const struct ns_clock_offset *monotonic,
		    const struct ns_clock_offset *boottime, struct error *err);
/* Set the calling process's loopback interface up. */
int ns_loopback_up(struct error *err);
