/* runtime/runtime.h - create, start, exec into, signal and remove containers.
 *
 * The library that the shim and vessel-runtime share.  Life of a container:
 *
 *     runtime_create()   clones process 1 into its namespaces, puts it into its cgroup and lets it
 *                        set itself up; returns when it waits for the word to start
 *     runtime_start()    gives that word; returns when execve(2) has succeeded or failed
 *     (the caller waits for process 1, its child, and reaps it)
 *     runtime_delete()   kills what is left, removes the cgroup
 *     runtime_free()
 *
 * Process 1 is the caller's child.  If create or start fails it is dead, reaped, and its cgroup
 * is removed (create) or left to runtime_delete (start).  Should the caller die between the two,
 * process 1 exits.  The calling process must be single-threaded, or keep its other threads out
 * of malloc during create and exec.
 *
 * Errors: a program that cannot be executed is ERROR_INVALID with errnum ENOENT, EACCES, EISDIR,
 * ENOEXEC, ...; see runtime_error_exit_code().  Every message of the set-up names its stage.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mem.h"

struct cgroup;
struct cgroup_layout;
struct error;
struct json_objects;
struct oci_process;
struct oci_resources;
struct oci_spec;
struct runtime_container;
struct runtime_prepared;

/* An overlay mounted in the container's own mount namespace; absolute host paths. */
struct runtime_rootfs {
	const char *const *lower; /* topmost first, as overlayfs orders them */
	size_t lower_count;
	/* both NULL: read-only.  Of an ordinary user's container: made with "userxattr" */
	const char *upper, *work;
	/* With a user namespace given by path: how the layers' owners are shown (struct
	 * oci_id_mapping).  With a new one they are shown as the spec maps ids. */
	const struct json_objects *uid_mappings, *gid_mappings;
};

/* A detached mount of it, for a container of that configuration which another program makes; in a mount
 * namespace of the caller's own.  Returns the fd. */
int runtime_new_rootfs(const struct oci_spec *spec, const struct runtime_rootfs *rootfs,
		       struct error *err);

/* The same of what is at `source`, with all mounts below, its owners shown as the specification maps ids; those
 * of the mounts below as well if recursive. */
int runtime_new_idmapped(const struct oci_spec *spec, const char *source, bool recursive,
			 struct error *err);

struct runtime_rename {
	int dir_fd; /* borrowed */
	const char *from, *to;
};

struct runtime_create_args {
	const char *id;
	const struct oci_spec *spec;         /* borrowed until runtime_free */
	int bundle_fd;                       /* what relative paths in the spec are relative to */
	const struct runtime_rootfs *rootfs; /* NULL: spec->root.path is the root file system */
	/* The container's stdin, stdout, stderr, borrowed; -1: /dev/null.  Ignored with
	 * spec->process.terminal: take the pty's master with runtime_console_take() instead. */
	int stdio[3];
	const char *cgroup_place; /* NULL: runtime_cgroup_place() without systemd */
	/* The terminal does not turn "\n" into "\r\n": another one, or a file, is behind it. */
	bool plain_newlines;
	bool no_pivot;                 /* move the root's mount to / instead of pivot_root(2) */
	bool no_new_keyring;           /* keep the caller's session keyring */
	unsigned preserve_fds;         /* fds 3 ... 3+n-1 of the caller are passed on as they are */
	const char *seccomp_cache_dir; /* existing directory, or NULL: compile each time */
	const char *seccomp_helper;    /* path of vessel-seccomp; NULL: next to our own binary */
	/* vessel-init: bind-mounted at /sbin/docker-init and run as process 1 in front of the
	 * spec's arguments; NULL: the arguments run as process 1 */
	const char *init_path;
	/* Called once the namespaces exist and long before the mounts are made, so that the network
	 * can be configured meanwhile.  netns_fd is borrowed; -EBADF if the container has none of
	 * its own (host's, or joined by path).  May be NULL. */
	void (*on_namespaces)(void *data, pid_t pid, int netns_fd);
	/* Called while process 1 makes its mounts and needs nothing of the caller's any more: for what
	 * is to be done before it starts.  A failure is runtime_create's.  May be NULL. */
	int (*on_process)(void *data, pid_t pid, struct error *err);
	void *data;
	/* runtime_start() follows at once and nothing is done before it: process 1 need not wait for
	 * the word.  Whatever it fails with may then be runtime_start's error. */
	bool starts_at_once;
	/* With that: what is renamed, mostly by process 1, when its file systems are complete and its
	 * program does not run yet, so that others learn of it neither too early nor too late. */
	struct runtime_rename publishes;
	/* Made while the caller had nothing to do (runtime_prepare); used once; or NULL. */
	struct runtime_prepared *prepared;
};

/* What a container needs whatever its configuration says: the cgroup hierarchies' descriptors and, if
 * `network`, a network namespace, which a thread makes.  Never fails: what is missing is made later. */
struct runtime_prepared *runtime_prepare(bool network);
/* Whether a container of that configuration takes such a namespace.  In a user namespace of its own,
 * that must own it. */
bool runtime_takes_netns(const struct oci_spec *spec);
/* The hierarchies, to be used by the same thread until runtime_create; NULL if there are none. */
const struct cgroup_layout *runtime_prepared_cgroups(const struct runtime_prepared *p);
/* Accepts NULL, returns NULL. */
struct runtime_prepared *runtime_prepared_free(struct runtime_prepared *p);
DEFINE_CLEANUP(struct runtime_prepared, runtime_prepared_free);

int runtime_create(const struct runtime_create_args *args, struct runtime_container **ret,
		   struct error *err);

/* The cgroup and its limits alone, with process `pid` in it: for a restore, which makes the rest by
 * other means (args' descriptors and hooks are not looked at).  runtime_set_process() then says who
 * process 1 is; pidfd and console (or -EBADF) are taken. */
int runtime_adopt(const struct runtime_create_args *args, pid_t pid, struct runtime_container **ret,
		  struct error *err);
void runtime_set_process(struct runtime_container *c, pid_t pid, int pidfd_take, int console_take);

struct runtime_open_args {
	const char *id, *bundle;
	const struct oci_spec *spec; /* borrowed until runtime_free */
	pid_t pid;
	int pidfd; /* of process 1; borrowed for the call */
	const char *cgroup_place;
	bool no_new_keyring;
	bool own_time; /* it is in a time namespace that the configuration does not have */
	const char *seccomp_cache_dir, *seccomp_helper; /* as in runtime_create_args */
};

/* A running container that another program has created: to exec into, signal, pause. */
int runtime_open(const struct runtime_open_args *args, struct runtime_container **ret,
		 struct error *err);

pid_t runtime_pid(const struct runtime_container *c);
int runtime_pidfd(const struct runtime_container *c);    /* borrowed */
int runtime_netns_fd(const struct runtime_container *c); /* borrowed; -EBADF: no own netns */
/* The pty's master, once; afterwards and without a terminal -EBADF.  The caller owns it. */
int runtime_console_take(struct runtime_container *c);
struct cgroup *runtime_cgroup(struct runtime_container *c); /* borrowed; linux/cgroup.h */

/* Let process 1 go.  Returns when it has executed its program, or failed to. */
int runtime_start(struct runtime_container *c, struct error *err);

/* After start: copy the little that exec and delete need of the spec, for a caller that counts its
 * memory.  True: the spec is not borrowed any more; false: it still is (there are poststop
 * hooks, a class of service or a seccomp agent). */
bool runtime_release_spec(struct runtime_container *c);

struct runtime_exec_cgroup;
struct runtime_exec_args {
	struct runtime_container *container;
	const struct oci_process *process; /* borrowed for the call */
	int stdio[3];                      /* as in runtime_create_args */
	unsigned preserve_fds;
	bool no_seccomp;     /* do not load the container's seccomp filter (privileged exec) */
	bool plain_newlines; /* as in runtime_create_args */
	bool ignore_paused;  /* also in a frozen cgroup: returns when it has been thawed */
	/* Cgroups below the container's that exist already; empty: the container's own. */
	const struct runtime_exec_cgroup *cgroups;
	size_t cgroup_count;
};

struct runtime_exec_cgroup {
	const char *controller; /* of v1, or NULL for all hierarchies (then it is the only one) */
	const char *path;       /* relative to the container's */
};

struct runtime_exec_process {
	pid_t pid;
	int pidfd;      /* owned by the caller */
	int console_fd; /* owned by the caller; -EBADF without a terminal */
};

/* Run another process in all namespaces and the cgroup of a running container.  It becomes the
 * caller's child, which reaps it.  Returns when its program was executed; on failure nothing is
 * left to reap.  ERROR_CONFLICT when the container is not running. */
int runtime_exec(const struct runtime_exec_args *args, struct runtime_exec_process *ret,
		 struct error *err);

/* Kill and reap one that nobody is to have after all. */
void runtime_exec_kill(const struct runtime_exec_process *p);

/* Send a signal to process 1, or with `all` to every process of its cgroup.  ERROR_CONFLICT
 * "container not running" when it has exited. */
int runtime_kill(struct runtime_container *c, int signo, bool all, struct error *err);
int runtime_pause(struct runtime_container *c, struct error *err);
int runtime_resume(struct runtime_container *c, struct error *err);

/* Kill what is left in the cgroup, wait for it to die, remove the cgroup, run the poststop hooks.
 * Safe to repeat.  A process 1 that nobody has reaped is killed but not reaped. */
int runtime_delete(struct runtime_container *c, struct error *err);
/* For a container that another program created: the hooks of its creation (prestart, createRuntime), or the
 * poststart hooks, alone. */
int runtime_run_create_hooks(const struct oci_spec *spec, const char *id, pid_t pid,
			     const char *bundle, struct error *err);
int runtime_run_poststart(const struct oci_spec *spec, const char *id, pid_t pid,
			  const char *bundle, struct error *err);
/* And what is left to do when it has been deleted: its class of service, the poststop hooks, whose
 * failures are logged as the specification says. */
int runtime_finish(const struct oci_spec *spec, const char *id, const char *bundle,
		   struct error *err);
struct runtime_container *runtime_free(struct runtime_container *c);
DEFINE_CLEANUP(struct runtime_container, runtime_free);
#define autoruntime __attribute__((cleanup(runtime_freep_)))

/* OOM kills so far, and an fd that becomes readable when there are more (owned by the caller; see
 * linux/cgroup.h).  Both: ERROR_UNAVAILABLE without a memory controller. */
int runtime_oom_count(const struct runtime_container *c, uint64_t *ret, struct error *err);
int runtime_oom_watch(const struct runtime_container *c, int *ret_fd, struct error *err);

/* The place (linux/cgroup.h) of a container's cgroup, malloc'd, for its record and for
 * runtime_create_args.  linux.cgroupsPath as runc reads it: absolute from the root; relative, or by default
 * the id, from the parent of the caller's cgroup on v2, from the root on v1; with `systemd`
 * "slice:prefix:name".  ERROR_INVALID; ERROR_UNAVAILABLE without a systemd. */
int runtime_cgroup_place(const struct oci_spec *spec, const char *id, bool systemd, char **ret,
			 struct error *err);
/* Change the limits of a running container to those given (`update`); what is not given stays. */
int runtime_apply_resources(const struct cgroup *cg, const struct oci_resources *res,
			    struct error *err);

/* The exit code that Docker gives a container whose program could not be started: 127 not found,
 * 126 not executable, else 128. */
int runtime_error_exit_code(const struct error *err);
