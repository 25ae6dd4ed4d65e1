/* runtime/setup_priv.h - what the caller and the process being set up share.
 *
 * The new process is a copy of the caller (clone3 without CLONE_VM), so it simply uses this
 * struct.  From then on the two talk over a SOCK_SEQPACKET pair; the struct is no longer shared.
 *
 *     caller                          process
 *     clone3                      ->  stages ...
 *     MAPPED [+ time offsets]     ->  user namespaces: id maps are written; timens_offsets to write
 *     NETNS [+ the namespace]     -> any time after the clone, by a thread (runtime/netns.h)
 *     CGROUP (it is in its cgroup) -> before the cgroup is mounted or its namespace made
 *                                 <-  CGROUP_TREE, to be made by the   } only if the caller tries it
 *     CGROUP_TREE [+ the mount]   ->  caller while the process goes on } (rootfs_takes_cgroup_tree)
 *                                 <-  SOURCE of a bind mount that the process cannot reach
 *     SOURCE + its clone          ->
 *                                 <-  HOOKS (mounts are made)        } only with hooks to run
 *     HOOKS_DONE                  ->                                  } in the runtime's namespaces
 *                                 <-  READY [+ the terminal's master]
 *     GO                          -> (in advance, if nothing is waited for in between)
 *                                 <-  AGENT, the path in its text     } only with a filter that
 *     AGENT [+ the connection]    ->                                  } has an agent
 *                                 <-  end of file: execve(2) worked
 *                                 <-  ERROR instead of any of these: the process then exits
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/mem.h"
#include "linux/seccomp_program.h"
#include "oci/runtime_spec.h"
#include "runtime/plan.h"
#include "runtime/runtime.h"

enum sync_type {
	SYNC_ERROR = 1,
	SYNC_WARNING,
	SYNC_MAPPED,
	SYNC_NETNS,
	SYNC_CGROUP,
	SYNC_CGROUP_TREE, /* with a mount, or without if it could not be made */
	SYNC_SOURCE,      /* index: of plan.mounts; answered with a clone of its source */
	SYNC_HOOKS,
	SYNC_HOOKS_DONE,
	SYNC_READY,
	SYNC_GO,
	SYNC_AGENT,
};

#define SYNC_TEXT_SIZE 1024
struct sync_message {   /* fixed: between clone and exec nothing is framed by lengths */
	uint32_t type;  /* enum sync_type */
	uint32_t kind;  /* error: enum error_kind */
	int32_t errnum; /* error: positive errno */
	uint32_t index;
	char text[SYNC_TEXT_SIZE]; /* error, warning: "stage: message"; agent: its path */
};

int sync_send(int sock, enum sync_type type, int fd);
int sync_send_index(int sock, enum sync_type type, uint32_t index);
int sync_send_error(int sock, enum sync_type type, const char *stage, const struct error *err);
/* Wait for one message; 0 at end of file, else 1 or -errno.  *ret_fd (may be NULL) gets a passed fd
 * or -EBADF. */
int sync_recv(int sock, struct sync_message *ret, int *ret_fd);
/* Fill err from an ERROR message; returns its negative errno. */
int sync_take_error(const struct sync_message *m, struct error *err);
/* Wait for `want`; fills err from an ERROR message, or when the other side is gone. Warnings are
 * logged. */
int sync_expect(int sock, enum sync_type want, int *ret_fd, struct error *err);
/* The same, for whichever of `wants` comes first. */
int sync_expect_one_of(int sock, const enum sync_type *wants, size_t n, enum sync_type *ret,
		       int *ret_fd, struct error *err);
/* The same for a caller that answers requests meanwhile. */
struct sync_server {
	enum sync_type type;
	int (*serve)(void *data, const struct sync_message *m, struct error *err);
	void *data;
};
int sync_expect_serving(int sock, enum sync_type want, int *ret_fd,
			const struct sync_server *server, struct error *err);

/* One process to set up: process 1 of a new container, or one more in a running one. */
struct setup {
	const struct oci_spec *spec;
	const struct oci_process *process;
	const struct plan *plan;             /* NULL for exec */
	const struct runtime_rootfs *rootfs; /* NULL: spec->root.path */
	const char *id;
	const char *bundle; /* its path in the runtime's mount namespace, for the state document */
	int bundle_fd;      /* borrowed */
	int proc_fd;        /* the host's procfs, verified */
	int sync_fd;        /* in the process: its end of the pair */
	int caller_sync_fd; /* the other end, of which the process closes its copy at once */
	int listen_fd; /* -EBADF, or a listening socket on which GO arrives (runtime/state.h) */
	int stdio[3];
	unsigned preserve_fds;
	uint64_t clone_flags;              /* CLONE_NEW* made by clone3 */
	int join_fds[OCI_NAMESPACE_COUNT]; /* -EBADF, or namespaces to join by path */
	pid_t target_pid;                  /* exec: process 1, as the runtime sees it; else 0 */
	int target_pidfd;      /* exec: process 1, whose namespaces are joined; else -EBADF */
	uint64_t target_flags; /* exec: CLONE_NEW* to join */
	/* exec: a cgroup to be born in, should the container's take no processes: an fd of the
	 * caller's, or -errno.  NULL: there is no other. */
	int (*open_other_cgroup)(const struct setup *s, struct error *err);
	int target_root_fd; /* exec: process 1's root, if no mount namespace says it; else -EBADF */
	const struct seccomp_program *seccomp; /* NULL: none */
	struct cgroup_layout *cgroup_layout;   /* borrowed */
	const char *cgroup_path;               /* made by the caller, on v1 after clone3 */
	bool joins_cgroup;      /* the process moves itself; else the caller does it */
	bool cgroup_joined;     /* in the process: SYNC_CGROUP has been seen and acted on */
	bool cgroup_made;       /* in the process: it has been seen */
	bool cgroup_tree_comes; /* SYNC_CGROUP_TREE is to be asked for: not yet seen */
	int cgroup_tree_fd;     /* in the process: what came with it; else -EBADF */
	bool netns_comes;       /* the network namespace comes as SYNC_NETNS: not yet joined */
	int netns_fd;           /* in the process: -EBADF until it has come */
	bool wait_for_hooks;    /* hooks run in the runtime's namespaces */
	/* NULL: GO comes when READY has been said.  Else it comes unasked, and this is to be renamed. */
	const struct runtime_rename *publishes;
	bool no_pivot;  /* MS_MOVE and chroot instead of pivot_root */
	int *mount_fds; /* of the arena, or NULL: idmapped mounts, one for each of the plan's */
	bool plain_newlines; /* of the terminal */
	bool no_new_keyring; /* keep the caller's session keyring */
	bool has_apparmor;
	bool bounding_dropped; /* in the process */

	/* of the process, while it works */
	pid_t own_pid;        /* as the runtime sees it; only for an agent */
	int null_fd;          /* the host's null device, for streams that are not given */
	int prepared_root_fd; /* user namespaces: the root's mount, made by the caller */
	bool waits_mapped;    /* a user namespace: the caller has something to do first */
	int time_offsets_fd;  /* with one: where the time namespace's are written, or -EBADF */
	int place_fd;         /* spec->root.path; with layers: a directory of theirs */
	int root_fd;          /* the root file system's mount, attached */
	int devpts_fd;        /* the container's devpts, if it was mounted; else -EBADF */
	int own_proc_fd;      /* what is mounted at its /proc, and at its /sys; else -EBADF */
	int own_sys_fd;
	int console_fd;        /* the terminal's master */
	int tty_fd;            /* and its other end */
	const char *exec_path; /* what the look-up found */
	char *exec_path_buf;
};

typedef int (*stage_fn)(struct setup *s, struct error *err);
struct stage {
	const char *name; /* in every error */
	stage_fn fn;
};

/* Run the stages in the new process; never returns. */
void setup_run(struct setup *s, const struct stage *stages, size_t n) __attribute__((noreturn));
extern const struct stage create_stages[], exec_stages[];
extern const size_t create_stage_count, exec_stage_count;

int setup_publish(const struct runtime_rename *file, struct error *err);
/* Block until the network namespace is there, and join it (once). */
int setup_wait_network(struct setup *s, struct error *err);
/* Block until the caller has put the process into its cgroup (once). */
int setup_wait_cgroup(struct setup *s, struct error *err);
/* Behind that: whether or not a tree comes is known. */
int setup_wait_cgroup_tree(struct setup *s, struct error *err);

/* process.c: what it is */
int process_check_labels(const struct oci_process *p, struct error *err);
int process_open_null(struct setup *s, struct error *err);
int process_set_streams(struct setup *s, struct error *err);
int process_try_cwd(struct setup *s,
		    struct error *err); /* as root; what root may not enter, later */
int process_enter_cwd(struct setup *s, struct error *err); /* and check that it is inside */
int process_close_descriptors(struct setup *s, struct error *err);
int process_keep_descriptors(struct setup *s, struct error *err); /* those to preserve */
int process_join_keyring(struct setup *s, struct error *err);
int process_set_labels(struct setup *s, struct error *err);
int process_set_scheduling(struct setup *s, struct error *err);
int process_set_limits(struct setup *s, struct error *err); /* all but of open files */
int process_limit_files(struct setup *s, struct error *err);
/* Once: it takes nothing from the process itself, but from what it executes. */
int process_drop_bounding(struct setup *s, struct error *err);
int process_set_user(struct setup *s, struct error *err);
int process_drop_privileges(struct setup *s, struct error *err);

/* agent.c: who answers for filtered system calls.  The first two are for who starts the process. */
int agent_check(const struct oci_linux *l, const struct seccomp_program *program,
		struct error *err);
int agent_connect(const char *path, struct error *err);
/* Load s->seccomp, which has rules for an agent, and hand the agent its descriptor. */
int agent_load_filter(struct setup *s, struct error *err);

/* rdt.c: linux.intelRdt.  Nothing is done without it. */
int rdt_check(const struct oci_linux *l, int proc_fd, struct error *err);
int rdt_join(const struct oci_linux *l, const char *id, int proc_fd, pid_t pid, struct error *err);
int rdt_remove(const struct oci_linux *l, const char *id, struct error *err);

/* program.c: what it executes */
int program_look_up(struct setup *s, struct error *err);
int program_prepare(struct setup *s, struct error *err); /* arguments and environment */
int program_execute(struct setup *s, struct error *err);

/* rootfs.c, rootfs_mounts.c, rootfs_devices.c, rootfs_paths.c */
/* Open the bundle and the root's place anew: fds from before the mount namespace refer to the old one's
 * mounts.  The bundle's is -EBADF where the container's root may not reach it. */
int rootfs_reopen_bundle(struct setup *s, struct error *err);
/* The directory that a mount of layers hangs on until pivot_root(2). */
const char *runtime_rootfs_place(const struct runtime_rootfs *root);
int rootfs_set_propagation(struct setup *s, struct error *err);
int rootfs_mount_root(struct setup *s, struct error *err);
int rootfs_mount_all(struct setup *s, struct error *err);
int rootfs_make_devices(struct setup *s, struct error *err);
int rootfs_protect_paths(struct setup *s, struct error *err);
int rootfs_make_cwd(struct setup *s, struct error *err);
int rootfs_enter(struct setup *s, struct error *err);

/* cgroup v1 as the container sees it: a tree of ten mounts, which the caller can make beside the process when
 * the cgroups are there (Linux 6.15; else it fails).  Whether it is worth trying: */
bool rootfs_takes_cgroup_tree(const struct setup *s);
/* Detached.  Returns the fd. */
int rootfs_new_cgroup_tree(struct setup *s, struct error *err);

/* rootfs_userns.c: a detached mount for a PLAN_MOUNT_FS, with what stands in for it where the
 * container's root may not make one. */
int rootfs_new_file_system(struct setup *s, const struct plan_mount *m, struct error *err);

/* rootfs_idmap.c, on the caller's side: make the mounts whose owners are mapped, for which it takes
 * more rights than root in a user namespace has.  Fills s->mount_fds. */
int rootfs_prepare_idmapped(struct setup *s, struct arena *a, struct error *err);
void rootfs_close_idmapped(struct setup *s);

/* console.c */
int console_create(struct setup *s, struct error *err);
int console_open_in_container(struct setup *s, struct error *err);
int console_take_control(struct setup *s, struct error *err);

/* hooks.c: run each with the container's state on stdin (OCI runtime-spec, "Hooks"). */
int hooks_run(const struct json_objects *hooks, const char *name, const char *state,
	      struct error *err);
/* The same, but what fails is logged and the next one runs. */
void hooks_run_all(const struct json_objects *hooks, const char *name, const char *state);
/* The state document of the spec; malloc'd. */
char *runtime_state_json(const struct oci_spec *spec, const char *id, const char *status, pid_t pid,
			 const char *bundle);

/* resources.c: the spec's limits in linux/cgroup.h's terms. */
struct cgroup_resources;
void resources_convert(struct arena *a, const struct oci_resources *res,
		       const struct oci_linux *linux_or_null, struct cgroup_resources *ret);

struct runtime_container;
/* Give the unified cgroup to root of a new user namespace, where he can see and write it. */
int resources_delegate(struct runtime_container *c, struct error *err);
/* Let systemd make the cgroup, with process 1 in it, and the annotations' properties. */
int resources_start_unit(struct runtime_container *c, const struct cgroup_resources *res,
			 struct error *err);

struct runtime_container {
	char *id;                    /* owned */
	const struct oci_spec *spec; /* borrowed */
	pid_t pid;
	int pidfd;                     /* owned */
	int netns_fd;                  /* owned, or -EBADF */
	int console_fd;                /* owned until taken, or -EBADF */
	int sync_fd;                   /* owned until started, else -EBADF */
	int listen_fd;                 /* borrowed */
	int bundle_fd;                 /* owned */
	char *bundle;                  /* owned: its path */
	uint64_t ns_flags;             /* CLONE_NEW* that differ from ours: what exec joins */
	struct cgroup_layout *cgroups; /* owned */
	struct cgroup *cgroup;         /* owned; NULL once deleted */
	struct seccomp_program seccomp;
	bool has_seccomp, has_init, no_new_keyring;
	bool finished, told_to_go;
	struct oci_spec *own_spec; /* owned; what `spec` points to after runtime_release_spec */
};
