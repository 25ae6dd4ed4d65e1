/* engine/engine_priv.h - what the files of engine/ share: the tables, a container's running side.
 *
 * Everything in here belongs to the loop's thread unless a comment says otherwise.  Workers reach it
 * through engine_call(), or hold an operation (engine/operation.h), which keeps the container alive
 * and everyone else from changing it.
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>

#include "base/loop.h"
#include "base/pool.h"
#include "engine/engine.h"
#include "engine/remap.h"
#include "engine/settings.h"
#include "linux/cgroup.h"
#include "network/network.h"
#include "store/db.h"
#include "store/store.h"
#include "volume/volume.h"

struct operation;
struct shim_client;
struct shim_client_events;

/* A client's connection waiting for a shim, or for the end of a container. */
struct held_client {
	struct held_client *next;
	bool is_wait;
	enum engine_wait_condition condition; /* is_wait */
	struct engine_attach_args attach;     /* otherwise; strings owned */
	int fd;                               /* owned */
	bool sent;                            /* a shim has a duplicate */
	struct container *container;          /* borrowed: whose list it is in */
	struct loop_source *source;           /* owned: tells when the client is gone */
	void *early;                          /* owned */
	size_t early_len;
};

/* A worker that waits until the container's present run is over and cleaned up; or for its start. */
struct exit_waiter {
	struct exit_waiter *next;
	sem_t done;
	bool is_done;
};

/* How a container's run ended, as the shim reports it. */
struct exit_info {
	int code;
	bool oom_killed;
	int64_t started_at, finished_at; /* ns */
};

struct container_runtime {
	struct engine *engine;      /* borrowed */
	unsigned refs;              /* the table's, and one for each operation */
	struct operation *ops;      /* the first one has its turn */
	struct shim_client *shim;   /* owned reference; NULL: no shim */
	pid_t shim_pid;             /* valid while the connection to it is open */
	struct held_client *held;   /* owned list, in order of arrival */
	struct exit_waiter *exits;  /* list of stack objects */
	struct exit_waiter *starts; /* likewise: engine_settle() */
	struct exit_info exit;      /* of the last run; being cleaned up if exit_pending */
	unsigned ends;              /* runs that are over and cleaned up */
	unsigned stops;             /* those that no policy follows with another one */
	bool exit_pending;          /* the run is over, its cleaning up is not */
	bool shim_lost;             /* the shim went without a word */
	bool unsaved;               /* its row could not be written */
	bool unreadable;   /* its stored configuration is none: it can only end and be removed */
	bool starting;     /* a start is under way: the state is still the one before it */
	_Atomic bool told; /* the start under way has been let go, and is not on record yet */
	bool removing;     /* somebody removes it */
	bool remove_volumes;
	bool forgotten;       /* out of the tables */
	bool restarting;      /* by engine_restart: --rm and policies wait */
	bool stopped_by_user; /* no restart by policy */
	int64_t starting_at;  /* ns; a start was recorded but not confirmed */
	int64_t policy_delay_ms;
	struct loop_source *policy_timer; /* owned */
	struct prober *prober;            /* owned; engine/health.h */
};

#define CREATE_MARKER "unfinished" /* a file in containers/<id> until its row is there */

struct engine_helpers {
	int shim_fd;          /* owned */
	char *init_path;      /* owned; NULL if not installed */
	bool own_init;        /* that is vessel-init, and not one that somebody configured */
	char *seccomp_helper; /* owned; NULL if not installed */
	char *log_helper;     /* owned; NULL if not installed */
};

struct engine_security {       /* engine/security.h */
	bool apparmor;         /* the kernel enforces it */
	bool apparmor_default; /* the default profile is loaded */
	bool selinux;          /* containers are labelled */
	struct label_policy labels;
	char *seccomp; /* owned: --seccomp-profile's text, or "unconfined"; NULL: built in */
};

struct engine {
	struct engine_args args;                 /* strings live in the first settings */
	const struct settings *_Atomic settings; /* the newest */
	struct settings **all_settings;          /* owned: somebody may still look at old ones */
	size_t settings_count, settings_cap;
	const char *data_root, *exec_root, *cgroup_parent;
	char id[37];                   /* a UUID, from the file engine-id */
	char *seccomp_cache;           /* owned: directory */
	int data_fd, exec_fd, lock_fd; /* owned */
	struct db *db;
	struct store *store;
	struct network_manager *network;
	struct event_log *events;
	struct cgroup_layout *cgroups;
	struct engine_helpers helpers;
	struct engine_security security; /* constant after engine_open */
	struct remap remap;              /* constant after engine_open */
	bool network_is_up;
	struct standby *standby; /* owned; engine/standby.h; NULL: none */
	struct loop_source *standby_timer;
	bool standby_wanted;        /* it is being made, or will be */
	struct unlink_job *unlinks; /* owned; engine/exit.c: links to be deleted soon */
	struct loop_source *unlink_timer;
	struct { /* engine/endpoint.c: addresses are given back */
		pthread_mutex_t lock;
		pthread_cond_t changed;
		uint64_t count;
	} releases;
	struct volumes volumes;
	/* engine/volume*.c; never taken by the loop while it runs */
	pthread_mutex_t volumes_lock, populate_lock;
	pthread_mutex_t names_lock; /* engine/resolver.c; never taken by the loop while it runs */
	struct loop_source *firewall_source;     /* owned; engine/firewall.c */
	struct boot_wait *boot_waits;            /* owned list; engine/boot.c */
	bool boot_begun;                         /* their order is known */
	uint64_t health_checks, health_failures; /* counted by engine/probe.c */
	bool restore_hurries;                    /* engine/restore.c: a shim has not answered */
	bool opened;                             /* the loop's thread is at work (or about to be) */
	bool closing;
	struct container **containers; /* newest first */
	size_t container_count, container_cap;
	struct container **by_id; /* sorted */
	size_t by_id_cap;
	struct strv reserved_names;  /* of creates and renames under way */
	struct strv reserved_levels; /* of creates under way: engine/security.h */
};

/* Run fn(data) on the loop's thread and wait for it (loop_call; before the loop runs: directly). */
void engine_call(struct engine *e, loop_fn fn, void *data);
/* Run fn on a worker, even if requests occupy all of them, waiting for what is to be done here. */
void engine_work(struct engine *e, loop_fn fn, void *data);
void engine_new_id(char ret[static 65]);       /* 64 random hex digits */
bool engine_has_space(const struct engine *e); /* on the disk of the data root */

/* engine/roster.c ------------------------------------------------------------------------------- */
void roster_add(struct engine *e, struct container *c);    /* takes the caller's reference */
void roster_remove(struct engine *e, struct container *c); /* drops the table's reference */
/* By full id, name, /name or unique prefix of an id. */
int roster_find(struct engine *e, const char *ref, struct container **ret, struct error *err);
struct container *roster_find_name(struct engine *e, const char *name);
struct container *roster_find_id(struct engine *e, const char *id); /* full id only */
/* ERROR_CONFLICT with Docker's text if a container or another create has the name. */
int roster_reserve_name(struct engine *e, const char *name, struct error *err);
void roster_unreserve_name(struct engine *e, const char *name);

/* engine/container.c --------------------------------------------------------------------------- */
struct container *container_new(struct engine *e, const char *id);
void container_ref(struct container *c);
void container_unref(struct container *c);
void container_unref_on_loop(void *container); /* for engine_call */
void container_set_error(struct container *c, const char *msg);
bool container_is_active(const struct container *c); /* running or paused */
/* Defaults that depend on the identity: hostname. */
void container_fill_defaults(struct container *c);
void container_drop_endpoints(struct container *c);
struct exec *container_exec(const struct container *c, const char *id);
void container_add_exec(struct container *c, struct exec *x_take);
struct exec *exec_free(struct exec *x);

/* "network", NET.ID, with its name and driver. */
void engine_emit_network_life(struct engine *e, const struct network *net, const char *action);
/* engine/event.c: with the container's labels, image and name, then `attrs`. */
void engine_emit(struct engine *e, const struct container *c, const char *action,
		 const struct event_attr *attrs, size_t n);
void engine_emit_network(struct engine *e, const struct container *c,
			 const struct network_endpoint *ep, const char *action);
/* "mount" or "unmount" of each of its volumes. */
void engine_emit_volumes(struct engine *e, const struct container *c, bool mount);

/* engine/attach.c ------------------------------------------------------------------------------ */
void held_client_add(struct container *c, struct held_client *h_take);
void held_client_add_wait(struct container *c, int fd_take, enum engine_wait_condition condition);
/* Give held clients to the new shim, which takes them once it has created the container [worker, with
 * the start's operation]; fails when the shim is gone.  Confirm in any case: what becomes of one
 * client is only logged. */
struct held_posted {
	struct shim_pending *v; /* owned */
	size_t n;
};
int held_clients_post(struct container *c, struct shim_client *shim, struct held_posted *ret,
		      struct error *err);
void held_clients_confirm(const struct container *c, struct shim_client *shim,
			  struct held_posted *posted);
/* After the start: forget those the shim has.  After a failed one: close attached clients;
 * waiters stay. [loop] */
void held_clients_started(struct container *c);
void held_clients_failed(struct container *c);
/* At the end of a run: those that came when the shim had exited already, and the daemon did not say so
 * yet. [loop] */
void held_clients_exited(struct container *c, bool will_restart);
/* Answer those that wait for the container's removal, close the others. [loop] */
void held_clients_removed(struct container *c);
void held_client_answer_wait(int fd, int code);
struct held_client *held_client_free(struct held_client *h);

/* engine/exit.c -------------------------------------------------------------------------------- */
/* [loop] The shim's events and its end of file. */
extern const struct shim_client_events exit_shim_events;
/* [loop] The run is over: show it at once and clean up on a worker. */
void exit_begin(struct container *c, const struct exit_info *info);
/* [worker] Until the present run is cleaned up; timeout_ms < 0 waits for ever.  -ETIMEDOUT without
 * an error set. */
int exit_wait(struct engine *e, struct container *c, int64_t timeout_ms);
/* [worker] exec-root/containers/<id> and the cgroup, when no shim is left. */
void exit_clean_runtime(struct engine *e, const struct container *c);
/* The same of a container that nothing is known of but its directory. */
void exit_clean_unknown(struct engine *e, const char *id);

/* engine/remove.c: [worker, with the operation] everything but the shim's release. */
int remove_locked(struct engine *e, struct container *c, bool volumes, struct error *err);
/* The same for a container whose row says already that its removal has begun. */
int remove_recorded(struct engine *e, struct container *c, bool volumes, struct error *err);
/* engine/update.c: [before the loop] a change of limits that was cut off is taken back. */
void update_settle(struct container *c);
/* engine/start.c: [worker, with the operation]. */
int start_locked(struct engine *e, struct container *c, struct error *err);
/* engine/restart.c: [loop] after an exit: shall it run again? */
bool restart_is_due(struct container *c);
void restart_schedule(struct container *c);
void restart_reset(
	struct container *c); /* a user starts it: RestartCount and back-off begin anew */
void restart_cancel(struct container *c);

/* engine/restore.c ----------------------------------------------------------------------------- */
int restore_containers(struct engine *e, struct error *err);
int restore_remove_unfinished(struct engine *e, struct strv *ret_ids, struct error *err);
/* A lock on exec-root/containers/<id>: held by the shim while it lives. */
int runtime_dir_open(struct engine *e, const char *id, bool create, struct error *err);
/* [worker] With what is mounted at places in it.  Only while no shim has it. */
void runtime_dir_remove(struct engine *e, const char *id);
int runtime_dir_lock(int dir_fd, struct error *err); /* waits; the lock's fd */
