/* oci/runtime_spec.h - the OCI runtime-spec's config.json as C structs (Linux, version 1.3).
 *
 * oci_spec_parse() decodes and validates; everything lives in the caller's arena.  A member that
 * asks for something this runtime cannot do yet is ERROR_NOT_IMPLEMENTED naming the field; zero
 * and empty values of such members are accepted.  Errors name the field by its path in the
 * document: "linux.namespaces[2].type: unknown namespace 'foo'".
 *
 * Specification: https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md and
 * config-linux.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json_decode.h"

/* The newest version of the specification that is implemented. */
#define OCI_SPEC_VERSION "1.3.0"

/* Largest config.json accepted, bytes. */
#define OCI_SPEC_MAX ((size_t)8 << 20)

/* Element i of a struct json_objects that holds `type`. */
#define oci_at(list, type, i) (&((const type *)(list)->v)[i])

enum oci_namespace_type {
	OCI_NAMESPACE_MOUNT,
	OCI_NAMESPACE_PID,
	OCI_NAMESPACE_NETWORK,
	OCI_NAMESPACE_UTS,
	OCI_NAMESPACE_IPC,
	OCI_NAMESPACE_USER,
	OCI_NAMESPACE_CGROUP,
	OCI_NAMESPACE_TIME,
	OCI_NAMESPACE_COUNT,
};

/* One row of namespaces[], by type: absent means shared with the caller. */
struct oci_namespace {
	bool present;
	const char *path; /* NULL: a new one */
};

struct oci_id_mapping {
	uint32_t container_id, host_id, size;
};

struct oci_user {
	uint32_t uid, gid;
	const uint32_t *umask; /* NULL: 0022 */
	const uint32_t *additional_gids;
	size_t additional_gid_count;
};

struct oci_console_size {
	uint16_t height, width; /* characters; 0: the terminal's default */
};

struct oci_capabilities { /* names such as "CAP_CHOWN"; unknown ones are kept and warned about */
	struct json_strings bounding, effective, permitted, inheritable, ambient;
};

struct oci_rlimit {
	const char *type;    /* "RLIMIT_NOFILE" */
	uint64_t hard, soft; /* UINT64_MAX: unlimited */
};

/* sched_setattr(2); numbers are the kernel's */
struct oci_scheduler {
	uint32_t policy; /* SCHED_* */
	const char *policy_name;
	int nice, priority;
	uint64_t flags;                     /* SCHED_FLAG_* */
	uint64_t runtime, deadline, period; /* ns; SCHED_DEADLINE */
};

struct oci_io_priority {   /* ioprio_set(2) */
	uint32_t io_class; /* IOPRIO_CLASS_* */
	int priority;      /* 0 (highest) ... 7 */
};

struct oci_cpu_affinity { /* of processes that join a container; lists as in linux/cpulist.h */
	const char *initial, *final; /* before and in the container's cgroup; NULL: unchanged */
};

struct oci_process {
	bool terminal;
	bool no_new_privileges;
	struct oci_console_size console_size;
	struct oci_user user;
	struct json_strings args, env;
	const char *cwd;                             /* absolute */
	const struct oci_capabilities *capabilities; /* NULL: drop nothing (all that we have) */
	struct json_objects rlimits;                 /* struct oci_rlimit */
	const int *oom_score_adj;                    /* NULL: unchanged */
	const char *apparmor_profile;                /* NULL: none */
	const char *selinux_label;                   /* NULL: none */
	const struct oci_scheduler *scheduler;       /* NULL: inherited */
	const struct oci_io_priority *io_priority;   /* NULL: inherited */
	struct oci_cpu_affinity exec_cpu_affinity;
};

struct oci_root {
	const char *path; /* absolute, or relative to the bundle */
	bool readonly;
};

struct oci_mount {
	const char *destination; /* in the container */
	const char *type;        /* may be NULL for binds */
	const char *source;      /* may be NULL; relative to the bundle for binds */
	struct json_strings options;
	struct json_objects uid_mappings, gid_mappings; /* struct oci_id_mapping: of this mount */
};

struct oci_hook {
	const char *path; /* absolute */
	struct json_strings args, env;
	const int *timeout; /* seconds; NULL: none */
};

struct oci_hooks { /* each: struct oci_hook */
	struct json_objects prestart, create_runtime, create_container, start_container, poststart,
		poststop;
};

struct oci_device {
	char type; /* 'c', 'b' or 'p' ('u' is stored as 'c') */
	const char *path;
	int64_t major, minor;
	const uint32_t *file_mode; /* NULL: 0666 */
	uint32_t uid, gid;
};

struct oci_device_rule {
	bool allow;
	char type;                    /* 'a', 'b', 'c' */
	const int64_t *major, *minor; /* NULL or -1: all */
	bool read, write, mknod;
};

struct oci_memory { /* bytes; NULL: unset, -1: unlimited */
	const int64_t *limit, *reservation, *swap, *kernel, *kernel_tcp;
	const uint64_t *swappiness;
	const bool *disable_oom_killer, *use_hierarchy, *check_before_update;
};

struct oci_cpu {
	const uint64_t *shares;
	const int64_t *quota;           /* us a period; <= 0: none */
	const uint64_t *burst, *period; /* us */
	const int64_t *realtime_runtime;
	const uint64_t *realtime_period; /* us */
	const char *cpus, *mems;         /* "0-3,7" */
	const int64_t *idle;
};

struct oci_weight_device {
	int64_t major, minor;
	uint16_t weight, leaf_weight; /* 0: unset */
};
struct oci_throttle_device {
	int64_t major, minor;
	uint64_t rate; /* bytes or operations a second */
};
struct oci_block_io {
	uint16_t weight, leaf_weight;      /* 0: unset */
	struct json_objects weight_device; /* struct oci_weight_device */
	struct json_objects read_bps, write_bps, read_iops, write_iops; /* oci_throttle_device */
};

struct oci_hugepage_limit {
	const char *page_size; /* "2MB" */
	uint64_t limit;        /* bytes */
};

struct oci_network_priority {
	const char *name;
	uint32_t priority;
};

struct oci_rdma {
	const char *device;
	const uint32_t *hca_handles, *hca_objects;
};

struct oci_resources {
	struct json_objects devices; /* struct oci_device_rule, in order */
	struct oci_memory memory;
	struct oci_cpu cpu;
	const int64_t *pids_limit; /* NULL: unset; <= 0: unlimited */
	struct oci_block_io block_io;
	struct json_objects hugepage_limits; /* struct oci_hugepage_limit */
	const uint32_t *network_class_id;
	struct json_objects network_priorities; /* struct oci_network_priority */
	struct json_objects rdma;               /* struct oci_rdma */
	struct json_string_map unified;         /* cgroup v2 file -> value */
};

struct oci_time_offset { /* seconds and nanoseconds added to a clock */
	bool present;
	int64_t secs;
	uint32_t nanosecs;
};

struct oci_net_device {
	const char *name;     /* on the host */
	const char *new_name; /* in the container; may end in "%d"; never NULL */
};

struct oci_intel_rdt {       /* resctrl file system; NULL and empty: unset */
	const char *clos_id; /* NULL: the container's id; "/": the default class */
	struct json_strings schemata;
	const char *l3_cache_schema, *mem_bw_schema;
	bool enable_monitoring;
};

struct oci_memory_policy {    /* set_mempolicy(2) */
	uint32_t mode, flags; /* MPOL_*, MPOL_F_* */
	const char *nodes;    /* linux/cpulist.h; NULL: none */
};

struct oci_linux {
	struct oci_namespace namespaces[OCI_NAMESPACE_COUNT];
	struct json_objects uid_mappings, gid_mappings; /* struct oci_id_mapping */
	struct oci_time_offset monotonic, boottime;
	struct json_objects devices; /* struct oci_device */
	const char *cgroups_path;    /* NULL: the runtime chooses */
	struct oci_resources resources;
	const char *rootfs_propagation; /* NULL: private to the container, slave of the host */
	struct json_strings masked_paths, readonly_paths;
	const char *mount_label;
	struct json_string_map sysctl;
	const struct json *seccomp; /* NULL: none; see linux/seccomp_program.h */
	const char *seccomp_listener_path, *seccomp_listener_metadata; /* NULL: none */
	struct json_objects net_devices;                               /* struct oci_net_device */
	const struct oci_intel_rdt *intel_rdt;                         /* NULL: none */
	const struct oci_memory_policy *memory_policy;                 /* NULL: inherited */
	const uint32_t *personality; /* PER_* and flags, personality(2); NULL: inherited */
};

/* An annotation ("true"): process 1 begins with all signals blocked, for it is an init that blocks them itself,
 * and what comes before it does must not be lost. */
#define OCI_BLOCKED_SIGNALS "vessel.init.signals-blocked"

struct oci_spec {
	const char *version;
	bool has_process;
	struct oci_process process; /* valid if has_process */
	struct oci_root root;
	const char *hostname, *domainname; /* NULL: unchanged */
	struct json_objects mounts;        /* struct oci_mount */
	struct oci_hooks hooks;
	struct json_string_map annotations;
	struct oci_linux linux_;
};

/* Parse config.json (`len` bytes).  *ret is filled; it borrows only from the arena.
 * ERROR_INVALID with line and column or the field's path; ERROR_NOT_IMPLEMENTED. */
int oci_spec_parse(struct arena *a, const char *text, size_t len, struct oci_spec *ret,
		   struct error *err);
/* The same of a document that has been parsed; it is borrowed as long as the arena lives. */
int oci_spec_decode(struct arena *a, const struct json *v, struct oci_spec *ret, struct error *err);

/* A lone `process` object, as exec takes it (`v` borrowed, kept alive by its arena). */
int oci_process_parse(struct arena *a, const struct json *v, struct oci_process *ret,
		      struct error *err);
/* A lone `linux.resources` object, as update takes it. */
int oci_resources_parse(struct arena *a, const struct json *v, struct oci_resources *ret,
			struct error *err);

/* The spec's name of a namespace type: "network". */
const char *oci_namespace_name(enum oci_namespace_type type);
/* The kind of namespace (enum oci_namespace_type) that a sysctl is confined by; -EINVAL: by none. */
int oci_sysctl_namespace(const char *key);

/* What `linux.memoryPolicy` may name; the last row's name is NULL. */
struct oci_name {
	const char *name;
	uint32_t value;
};
extern const struct oci_name oci_memory_policy_modes[], oci_memory_policy_flags[];
