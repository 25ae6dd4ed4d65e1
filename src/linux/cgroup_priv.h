/* linux/cgroup_priv.h - what the parts of linux/cgroup share. */
#pragma once

#include "linux/cgroup.h"

struct hierarchy {         /* one mounted hierarchy */
	char *name;        /* owned: "cpu,cpuacct", "systemd", "unified" */
	char *controllers; /* owned: "cpu,cpuacct", "name=systemd"; v2: "" */
	char *path;        /* owned: where it is mounted; NULL in tests */
	int root_fd;       /* owned: O_PATH of its root */
	bool rules;        /* its controllers are the ones in use: v1's, unless all is v2 */
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
	char *path;   /* owned, "/docker/x" */
	int *dir_fds; /* owned: one a hierarchy, -EBADF where it does not exist */
};

/* The directory that has a v1 controller, or -EBADF. */
int cgroup_v1_dir(const struct cgroup *cg, const char *controller);
/* The directory in the unified tree (hybrid: too), or -EBADF. */
int cgroup_v2_dir(const struct cgroup *cg);

/* Write one value; the errors are those of cgroup_apply(). */
int cgroup_write(int dir_fd, const char *file, const char *value, struct error *err);
int cgroup_writef(int dir_fd, const char *file, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* A file with one number; "max" is UINT64_MAX.  false if it is not there. */
bool cgroup_read_u64(int dir_fd, const char *file, uint64_t *ret);
/* The value behind "key " in a flat-keyed file's text; false if absent. */
bool cgroup_flat_get(const char *text, const char *key, uint64_t *ret);
/* The whole file, NUL-terminated, malloc'd; NULL if it cannot be read. */
char *cgroup_read_text(int dir_fd, const char *file);

/* What differs between the versions. */
struct cgroup_ops {
	int (*apply)(const struct cgroup *cg, const struct cgroup_resources *res,
		     struct error *err);
	int (*freeze)(const struct cgroup *cg, bool frozen, struct error *err);
	int (*is_frozen)(const struct cgroup *cg, bool *ret, struct error *err);
	int (*oom_watch)(const struct cgroup *cg, int *ret_fd, struct error *err);
	int (*oom_count)(const struct cgroup *cg, uint64_t *ret, struct error *err);
	void (*stats)(const struct cgroup *cg, struct cgroup_stats *s);
};
extern const struct cgroup_ops cgroup_v1_ops, cgroup_v2_ops;

/* Enable controllers for the children of a v2 directory; what cannot be enabled is skipped. */
void cgroup_v2_enable_controllers(int dir_fd);
/* On hybrid, for a limit that only v2 has: enable controllers along the path, where it can be done. */
void cgroup_enable_path(const struct cgroup *cg);
/* Whether a v1 directory needs something of its parent's before it takes processes: cpuset. */
bool cgroup_v1_inherits(const struct hierarchy *h);
/* Give a v1 directory its parent's cpus and mems, if it has none. */
int cgroup_v1_prepare(const struct hierarchy *h, int parent_fd, int dir_fd, struct error *err);
/* v2 device policy: attach a BPF program made of the rules. */
int cgroup_bpf_devices(int dir_fd, const struct cgroup_device_rule *rules, size_t n,
		       struct error *err);
