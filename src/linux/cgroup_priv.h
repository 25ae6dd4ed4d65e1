/* linux/cgroup_priv.h - what the parts of linux/cgroup share. */
#pragma once

#include "linux/cgroup.h"

struct hierarchy {         /* one mounted hierarchy */
	char *name;        /* owned: "cpu,cpuacct", "systemd", "unified" */
	char *controllers; /* owned: "cpu,cpuacct", "name=systemd"; v2: "" */
	char *path;        /* owned: where it is mounted; NULL in tests */
	char *view; /* owned: the part of it that is mounted, "/docker/x" in a container; NULL: all */
	char *own;   /* owned: where we are in it, once the layout is optional */
	int root_fd; /* owned: O_PATH of its root */
	bool rules;  /* its controllers are the ones in use: v1's, unless all is v2 */
	bool is_v2;
};

struct cgroup_layout {
	struct hierarchy *hierarchies; /* owned */
	size_t count, cap;
	enum cgroup_mode mode;
	bool optional; /* cgroup_layout_set_optional() */
};

enum cgroup_driver { CGROUP_DRIVER_FS, CGROUP_DRIVER_SYSTEMD, CGROUP_DRIVER_SYSTEMD_USER };
#define CGROUP_PLACE_SYSTEMD      "systemd:"
#define CGROUP_PLACE_SYSTEMD_USER "systemd-user:"

struct cgroup {
	const struct cgroup_layout *layout; /* borrowed */
	enum cgroup_driver driver;
	bool started; /* a unit: it is ours to stop */
	char *path;   /* owned, "/docker/x" */
	int *dir_fds; /* owned: one a hierarchy, -EBADF where it does not exist */
};

/* The directory that has a v1 controller, or -EBADF. */
int cgroup_v1_dir(const struct cgroup *cg, const char *controller);
/* The directory in the unified tree (hybrid: too), or -EBADF. */
int cgroup_v2_dir(const struct cgroup *cg);

/* From the text of a /proc/PID/cgroup: the path in the part of the hierarchy that is mounted; NULL if it has no
 * line, or lies outside. */
char *cgroup_path_in(const struct hierarchy *h, const char *text);
/* Write one value; the errors are those of cgroup_apply(), but for the field's name. */
int cgroup_write(int dir_fd, const char *file, const char *value, struct error *err);
int cgroup_writef(int dir_fd, const char *file, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Open the directories, and make those that are missing in v1. */
int cgroup_adopt(struct cgroup *cg, struct error *err);
/* One hierarchy that knows all processes; -EBADF if it is nowhere. */
int cgroup_process_dir(const struct cgroup *cg);
/* A file with one number; "max" is UINT64_MAX.  false if it is not there. */
bool cgroup_read_u64(int dir_fd, const char *file, uint64_t *ret);
/* The value behind "key " in a flat-keyed file's text; false if absent. */
bool cgroup_flat_get(const char *text, const char *key, uint64_t *ret);
/* The whole file, NUL-terminated, malloc'd; NULL if it cannot be read. */
char *cgroup_read_text(int dir_fd, const char *file);

/* On hybrid each controller is in one of the versions: where, and what is wanted of it. */
struct cgroup_target {
	const struct cgroup *cg;
	const struct cgroup_resources *res;
	int fd; /* borrowed: the directory that has the controller */
};
/* Apply the fields of one controller that are given. */
typedef int (*cgroup_apply_fn)(const struct cgroup_target *t, struct error *err);
int cgroup_v1_cpuset(const struct cgroup_target *t, struct error *err);
int cgroup_v1_memory(const struct cgroup_target *t, struct error *err);
int cgroup_v1_cpu(const struct cgroup_target *t, struct error *err);
int cgroup_v1_io(const struct cgroup_target *t, struct error *err);
int cgroup_v1_net_cls(const struct cgroup_target *t, struct error *err);
int cgroup_v1_net_prio(const struct cgroup_target *t, struct error *err);
int cgroup_v1_devices(const struct cgroup_target *t, struct error *err);
int cgroup_v2_cpuset(const struct cgroup_target *t, struct error *err);
int cgroup_v2_memory(const struct cgroup_target *t, struct error *err);
int cgroup_v2_cpu(const struct cgroup_target *t, struct error *err);
int cgroup_v2_io(const struct cgroup_target *t, struct error *err);
/* What memory.swap.max is to be for the spec's memory plus swap, -1: unlimited; 0 if it is not to be set. */
int cgroup_v2_swap(const struct cgroup *cg, const struct cgroup_resources *res, int64_t *ret,
		   struct error *err);
unsigned cgroup_v2_weight(uint64_t shares);
/* The device policy by a BPF program made of the rules (cgroup_bpf.c). */
int cgroup_v2_devices(const struct cgroup_target *t, struct error *err);

/* Write one value of a field; errors begin with its name. */
int cgroup_put(const struct cgroup_target *t, const char *field, const char *file,
	       struct error *err, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The error of a limit that there is not. */
int cgroup_no_limit(struct error *err, const char *field, const char *why);

/* What docker stats needs; with `all` the rest. */
void cgroup_v1_memory_stats(int fd, bool all, struct cgroup_stats *s);
void cgroup_v1_cpu_stats(const struct cgroup *cg, bool all, struct cgroup_stats *s);
void cgroup_v1_io_stats(int fd, bool all, struct cgroup_stats *s);
void cgroup_v1_cpuset_stats(int fd, struct cgroup_stats *s);
void cgroup_v2_memory_stats(int fd, bool all, struct cgroup_stats *s);
void cgroup_v2_cpu_stats(int fd, struct cgroup_stats *s);
void cgroup_v2_io_stats(int fd, bool all, struct cgroup_stats *s);
void cgroup_v2_psi_stats(int fd, struct cgroup_stats *s);
void cgroup_v2_cpuset_stats(int fd, struct cgroup_stats *s);
/* "1-3,7" as numbers; malloc'd. */
void cgroup_parse_list(const char *text, uint16_t **ret, size_t *ret_count);
/* memory.stat of both versions. */
void cgroup_add_memory_stats(int fd, struct cgroup_stats *s);
void cgroup_add_io_entry(struct cgroup_stats *s, enum cgroup_io_table table,
			 const struct cgroup_io_entry *entry);

/* cgroup_systemd.c: the same limits as properties of the unit. */
int cgroup_systemd_update(const struct cgroup *cg, const struct cgroup_resources *res,
			  struct error *err);
int cgroup_systemd_stop(const struct cgroup *cg, struct error *err);

/* cgroup_unit.c: properties for linux/systemd_bus.h, each an element of the array being written. */
struct json_writer;
struct cgroup_unit_property;
void cgroup_unit_string(struct json_writer *w, const char *name, const char *value);
void cgroup_unit_bool(struct json_writer *w, const char *name, bool value);
int cgroup_unit_limits(struct json_writer *w, const struct cgroup *cg,
		       const struct cgroup_resources *res, struct error *err);
int cgroup_unit_property(struct json_writer *w, const struct cgroup_unit_property *p,
			 struct error *err);

int cgroup_v1_freeze(const struct cgroup *cg, bool frozen, struct error *err);
int cgroup_v2_freeze(const struct cgroup *cg, bool frozen, struct error *err);
int cgroup_v1_oom_watch(int fd, int *ret_fd, struct error *err);
int cgroup_v2_oom_watch(int fd, int *ret_fd, struct error *err);

/* Enable controllers for the children of a v2 directory; what cannot be enabled is skipped. */
void cgroup_v2_enable_controllers(int dir_fd);
/* On hybrid, for a limit that only v2 has: enable controllers along the path, where it can be done. */
void cgroup_enable_path(const struct cgroup *cg);
/* Whether a v1 directory needs something of its parent's before it takes processes: cpuset. */
bool cgroup_v1_inherits(const struct hierarchy *h);
/* Give a v1 directory its parent's cpus and mems, if it has none. */
int cgroup_v1_prepare(const struct hierarchy *h, int parent_fd, int dir_fd, struct error *err);
