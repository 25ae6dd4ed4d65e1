/* linux/cgroup.h - control groups v1, v2 and hybrid behind one interface.
 *
 * A layout is what is mounted: one or more v1 hierarchies, the unified one, or both (hybrid: the
 * v1 controllers rule, and the container is put into the unified tree as well, for cgroup.kill).
 * A cgroup is one directory in every hierarchy, held by fds: it is never looked up again by path.
 *
 * Where a cgroup is, is one string, its *place*: what its record keeps, and what create and open
 * take.  "/docker/<id>": relative to the hierarchies' roots.  "systemd:/system.slice/x.scope", or
 * "systemd-user:..." for a user's own systemd: the same, and the directory is a unit's, so that
 * limits and removal go through systemd as well (linux/cgroup_systemd.h).
 *
 * cgroups(7), Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst in the kernel.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mem.h"

struct error;

enum cgroup_mode { CGROUP_MODE_V1, CGROUP_MODE_HYBRID, CGROUP_MODE_V2 };

struct cgroup_layout;
struct cgroup;

/* What is mounted, from /proc/self/mountinfo.  ERROR_UNAVAILABLE when no cgroup file system is. */
int cgroup_layout_detect(struct cgroup_layout **ret, struct error *err);
/* For tests: every directory below root_fd (borrowed) is a v1 hierarchy named by its controllers
 * ("cpu,cpuacct", "systemd"), "unified" is the v2 one; a `cgroup.controllers` file in the root
 * itself makes it pure v2. */
int cgroup_layout_open(int root_fd, struct cgroup_layout **ret, struct error *err);
enum cgroup_mode cgroup_layout_mode(const struct cgroup_layout *l);
/* For who is not root (linux/rootless.h; else it does nothing): hierarchies where he may make nothing are left out of new
 * cgroups, all of them if it must be, instead of an error.  Off at first. */
void cgroup_layout_set_optional(struct cgroup_layout *l, bool optional);

/* One hierarchy, for whoever mounts it inside a container; strings borrowed from the layout. */
struct cgroup_hierarchy {
	const char *name;        /* directory name below /sys/fs/cgroup: "cpu,cpuacct", "unified" */
	const char *controllers; /* v1: "cpu,cpuacct" or "name=systemd"; v2: "" */
	const char *mount_point; /* absolute; NULL in a layout of cgroup_layout_open() */
	const char
		*own; /* where the caller is, if he may do without a new cgroup there; else NULL */
	bool is_v2;
};
size_t cgroup_layout_count(const struct cgroup_layout *l);
void cgroup_layout_get(const struct cgroup_layout *l, size_t i, struct cgroup_hierarchy *ret);
struct cgroup_layout *cgroup_layout_free(struct cgroup_layout *l);
DEFINE_CLEANUP(struct cgroup_layout, cgroup_layout_free);
#define autocgrouplayout __attribute__((cleanup(cgroup_layout_freep_)))

/* Limits in the kernel's terms; NULL or absent: leave as it is. */
struct cgroup_device_rule {
	bool allow;
	char type;            /* 'a', 'b', 'c' */
	int64_t major, minor; /* -1: all */
	bool read, write, mknod;
};
struct cgroup_device_rate {
	char kind; /* 'r','w': bytes/s read/written; 'R','W': operations/s; 'g': weight; 'l': leaf weight */
	uint32_t major, minor;
	uint64_t value;
};
struct cgroup_hugepage_limit {
	const char *page_size;
	uint64_t limit; /* bytes */
};
struct cgroup_setting { /* a file of the unified tree, or of v1 */
	const char *file, *value;
};
struct cgroup_priority { /* net_prio */
	const char *interface;
	uint32_t priority;
};
struct cgroup_rdma {
	const char *device;
	const uint32_t *handles, *objects;
};
struct cgroup_resources {
	/* bytes, -1: unlimited; swap is memory plus swap; kernel and kernel_tcp are v1's */
	const int64_t *memory_limit, *memory_reservation, *memory_swap;
	const int64_t *memory_kernel, *memory_kernel_tcp;
	const uint64_t *memory_swappiness;
	const bool *memory_disable_oom_killer, *memory_use_hierarchy, *memory_check_before_update;
	const uint64_t *cpu_shares, *cpu_period, *cpu_burst; /* us */
	const int64_t *cpu_quota;                            /* us; <= 0: none */
	const int64_t *cpu_rt_runtime;
	const uint64_t *cpu_rt_period;
	const int64_t *cpu_idle;
	const char *cpuset_cpus, *cpuset_mems;
	const int64_t *pids_limit;          /* < 0: unlimited; 0 is 1, as runc has it */
	uint16_t io_weight, io_leaf_weight; /* 10..1000; 0: unset */
	const struct cgroup_device_rate *io_rates;
	size_t io_rate_count;
	const struct cgroup_hugepage_limit *hugepages;
	size_t hugepage_count;
	const uint32_t *net_class_id;
	const struct cgroup_priority *net_priorities;
	size_t net_priority_count;
	const struct cgroup_rdma *rdma;
	size_t rdma_count;
	const struct cgroup_device_rule *devices; /* in order; NULL: leave the policy as it is */
	size_t device_count;
	const struct cgroup_setting *unified;
	size_t unified_count;
};

/* Create the cgroup of a place everywhere, parents included.  ERROR_CONFLICT if it exists and has
 * processes, in it or below, or is frozen.  `l` is borrowed for the cgroup's life. */
int cgroup_create(const struct cgroup_layout *l, const char *place, struct cgroup **ret,
		  struct error *err);
/* The first half of cgroup_create(): the directory in the unified tree alone (if there is one), so
 * that a process can be cloned into it (cgroup_clone_fd) while cgroup_create_rest() makes the
 * others.  On failure of the latter the caller destroys it.  A unit's directories are made by
 * cgroup_systemd_start() instead of cgroup_create_rest(). */
int cgroup_create_unified(const struct cgroup_layout *l, const char *place, struct cgroup **ret,
			  struct error *err);
int cgroup_create_rest(struct cgroup *cg, struct error *err);
/* Open an existing one; hierarchies where it is missing are skipped; -ENOENT if it is nowhere, unless the
 * layout is optional. */
int cgroup_open(const struct cgroup_layout *l, const char *place, struct cgroup **ret,
		struct error *err);
/* Whether the caller is in the root cgroup of all hierarchies, mounted or not. */
bool cgroup_self_is_root(void);
/* The caller's path in the unified tree, malloc'd; NULL if there is none. */
char *cgroup_own_path(const struct cgroup_layout *l);
/* The same of the process whose /proc/PID/cgroup has this text. */
char *cgroup_unified_path(const struct cgroup_layout *l, const char *text);
/* Give the unified directory to the user who is root in the container's user namespace, so that
 * he may make cgroups below it (cgroups(7), "Cgroups delegation").  Nothing on pure v1. */
int cgroup_delegate(const struct cgroup *cg, uid_t uid, struct error *err);
/* Its path from the hierarchies' roots: its place without the driver. */
const char *cgroup_path(const struct cgroup *cg);
/* Whether it was left out everywhere. */
bool cgroup_is_empty(const struct cgroup *cg);
/* An fd of its directory in the unified tree, for CLONE_INTO_CGROUP; -EBADF on pure v1. */
int cgroup_clone_fd(const struct cgroup *cg);

/* Move a process into it, in every hierarchy. */
int cgroup_attach(const struct cgroup *cg, pid_t pid, struct error *err);
/* Move the calling, single-threaded process into the v1 hierarchies of `path`; the unified one is
 * CLONE_INTO_CGROUP's business.  Unlike cgroup_attach() this takes no lock that waits for an RCU
 * grace period (10 ms and more). */
int cgroup_join(const struct cgroup_layout *l, const char *path, struct error *err);
/* The same in those hierarchies alone where the caller is in another cgroup than the root. */
int cgroup_move_out(const struct cgroup_layout *l, const char *path, struct error *err);
/* Apply limits; what is not given stays as it is.  Errors begin with the runtime-spec's name of the
 * field below linux.resources ("memory.swappiness: ..."): ERROR_INVALID with the file and value
 * that the kernel refused; ERROR_UNAVAILABLE for a limit, other than its default, that this kernel or
 * this version of cgroups does not have, or whose controller is not there. */
int cgroup_apply(const struct cgroup *cg, const struct cgroup_resources *res, struct error *err);

/* Freeze or thaw, and wait until it is so. */
int cgroup_freeze(const struct cgroup *cg, bool frozen, struct error *err);
int cgroup_is_frozen(const struct cgroup *cg, bool *ret, struct error *err);
/* SIGKILL (or signo) to all processes in it and below. */
int cgroup_kill(const struct cgroup *cg, int signo, struct error *err);
/* The pids in it and below it (malloc'd, *ret_count of them). */
int cgroup_pids(const struct cgroup *cg, pid_t **ret, size_t *ret_count, struct error *err);
/* Kill what is left, wait for it to go, remove the directories (children too).  The cgroup is
 * empty afterwards and may only be freed. */
int cgroup_destroy(struct cgroup *cg, struct error *err);
struct cgroup *cgroup_free(struct cgroup *cg);
DEFINE_CLEANUP(struct cgroup, cgroup_free);
#define autocgroup __attribute__((cleanup(cgroup_freep_)))

/* Watching for the OOM killer: *ret_fd becomes readable on an event (v1: eventfd on
 * memory.oom_control; v2: inotify on memory.events); the caller owns it and, after reading it
 * empty (read(2), nonblocking), asks cgroup_oom_count(). */
int cgroup_oom_watch(const struct cgroup *cg, int *ret_fd, struct error *err);
/* Processes the OOM killer has killed in it so far. */
int cgroup_oom_count(const struct cgroup *cg, uint64_t *ret, struct error *err);

struct cgroup_io_stat {
	uint32_t major, minor;
	uint64_t read_bytes, write_bytes, read_ops, write_ops;
};
/* v1's tables, by the names that runc prints them with; v2 has the first two. */
enum cgroup_io_table {
	CGROUP_IO_SERVICE_BYTES,
	CGROUP_IO_SERVICED,
	CGROUP_IO_QUEUED,
	CGROUP_IO_SERVICE_TIME,
	CGROUP_IO_WAIT_TIME,
	CGROUP_IO_MERGED,
	CGROUP_IO_TIME,
	CGROUP_IO_SECTORS,
	CGROUP_IO_TABLES,
};
struct cgroup_io_entry {
	uint32_t major, minor;
	char op[16]; /* "Read", "Write", "Sync", ...; "" in tables without */
	uint64_t value;
};
struct cgroup_io_entries {
	struct cgroup_io_entry *v; /* owned */
	size_t n;
};
struct cgroup_counter { /* bytes */
	bool present;
	uint64_t usage, max, failcnt;
	uint64_t limit; /* UINT64_MAX: none */
};
struct cgroup_psi_line {
	double avg10, avg60, avg300; /* percent of the time */
	uint64_t total_us;
};
struct cgroup_psi {
	bool present;
	struct cgroup_psi_line some, full;
};
struct cgroup_hugetlb_stat {
	char page_size[16]; /* "2MB" */
	uint64_t usage, max, failcnt;
};
struct cgroup_rdma_stat {
	char device[64];
	uint64_t handles, objects;             /* in use */
	uint64_t handles_limit, objects_limit; /* UINT64_MAX: none */
};
struct cgroup_cpuset_stat {    /* v1; v2 has only cpus and mems */
	uint16_t *cpus, *mems; /* owned */
	size_t cpu_count, mem_count;
	uint64_t cpu_exclusive, mem_exclusive, mem_hardwall, memory_migrate, memory_pressure;
	uint64_t memory_spread_page, memory_spread_slab, sched_load_balance;
	int64_t sched_relax_domain_level;
};
struct cgroup_memory_events { /* v2, but for oom_kill */
	uint64_t low, high, max, oom, oom_kill, oom_group_kill;
};

#define CGROUP_MEMORY_STATS 128
struct cgroup_stats {
	bool is_v2; /* memory_stat has v2's names */
	bool has_memory, has_cpu, has_pids, has_io;
	uint64_t memory_usage, memory_max_usage, memory_failcnt; /* bytes; max 0 if unknown */
	uint64_t memory_limit;                                   /* bytes; UINT64_MAX: none */
	size_t memory_stat_count;
	struct {
		char name[32];
		uint64_t value;
	} memory_stat[CGROUP_MEMORY_STATS];
	uint64_t cpu_usage_ns, cpu_user_ns, cpu_system_ns;
	uint64_t *percpu_ns; /* owned; v1 only */
	size_t percpu_count;
	uint64_t throttling_periods, throttled_periods, throttled_ns;
	uint64_t pids_current, pids_limit; /* UINT64_MAX: none */
	struct cgroup_io_stat *io;         /* owned */
	size_t io_count;

	/* from here on by cgroup_stats_read_all() alone */
	uint64_t *percpu_user_ns,
		*percpu_kernel_ns; /* owned; v1 only, percpu_count of them, or NULL */
	uint64_t burst_periods, burst_ns;
	uint64_t memory_cache; /* bytes: v1's "cache", v2's "file" */
	/* swap: memory plus swap, as v1 counts; swap_only: v2's; kernel_tcp: v1's */
	struct cgroup_counter swap, swap_only, kernel, kernel_tcp;
	struct cgroup_memory_events memory_events;
	struct cgroup_psi cpu_psi, memory_psi, io_psi; /* from the unified tree, on hybrid too */
	struct cgroup_io_entries io_tables[CGROUP_IO_TABLES];
	struct cgroup_hugetlb_stat *hugetlb; /* owned */
	size_t hugetlb_count;
	struct cgroup_rdma_stat *rdma; /* owned */
	size_t rdma_count;
	struct cgroup_cpuset_stat cpuset;
};
/* Read what `docker stats` shows.  Free with cgroup_stats_done. */
int cgroup_stats_read(const struct cgroup *cg, struct cgroup_stats *ret, struct error *err);
/* Read all that is there, as runc's `events --stats` does. */
int cgroup_stats_read_all(const struct cgroup *cg, struct cgroup_stats *ret, struct error *err);
void cgroup_stats_done(struct cgroup_stats *s);
