/* engine/engine.h - containers, execs and events: the state, its rules, its only owner.
 *
 * Threads.  The loop's thread owns all state.  Functions here are of two sorts, and say which:
 *   [loop]    only on the loop's thread (directly in an HTTP handler, or inside loop_call); never block
 *   [worker]  only on a pool worker; linear, blocking: database, shim, network, files.  They reach
 *             state through loop_call themselves.
 * Each container has one operation in progress at a time; a second waits its turn, but remove with
 * force and kill cancel a start that is stuck.
 *
 * References ("ref") are a full id, a unique prefix, a name, or a name with a leading slash.
 * ERROR_NOT_FOUND reads "No such container: REF" as Docker's clients expect.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/pool.h"
#include "base/str.h"
#include "engine/container.h"
#include "engine/event.h"

struct engine;
struct settings;
struct store;
struct db;
struct network_manager;

struct engine_args {
	struct loop *loop; /* borrowed, outlives the engine */
	struct pool *pool; /* borrowed */
	struct settings
		*settings; /* owned by the engine from engine_open on, whatever comes of it */
	/* Filled in by the engine, from the settings it was opened with: */
	const char *data_root;     /* absolute; made if missing */
	const char *exec_root;     /* absolute; made if missing */
	const char *cgroup_parent; /* "/docker" unless configured */
};

/* [before the loop runs] Open everything, then find running containers again (engine/restore.c).
 * What can't be reconciled is logged and set aside, never a reason not to start. */
int engine_open(const struct engine_args *args, struct engine **ret, struct error *err);
/* [after the loop] The process is about to end in order: what only running containers need goes if there
 * are none. */
void engine_leave(struct engine *e);
struct engine *engine_close(struct engine *e); /* containers go on */
/* [loop] Now and then: what could not be written while the disk was full. */
void engine_maintain(struct engine *e);
/* [worker] A request is about to remove something: it shall not fail for want of space. */
void engine_make_room(struct engine *e);

struct loop *engine_loop(struct engine *e);
struct pool *engine_pool(struct engine *e);
struct store *engine_store(struct engine *e);
struct network_manager *engine_network(struct engine *e);
struct event_log *engine_events(struct engine *e);
/* [any thread] What was mounted when the engine was opened; NULL: nothing. */
struct cgroup_layout;
const struct cgroup_layout *engine_cgroups(const struct engine *e);
const struct engine_args *engine_get_args(const struct engine *e);
/* [any thread] The newest; valid for as long as the engine is. */
const struct settings *engine_settings(const struct engine *e);
/* [loop] After a reload; emits the event. */
void engine_set_settings(struct engine *e, struct settings *settings_take);
/* [any thread] Of this data root, for /info and the daemon's events: 36 characters, kept over restarts. */
const char *engine_id(const struct engine *e);
bool engine_is_remapped(const struct engine *e); /* there is a --userns-remap */

struct engine_counts {
	uint64_t events, health_checks, health_failures; /* since the start */
	size_t subscribers, shims, operations;           /* now */
};
/* [loop] */
void engine_get_counts(const struct engine *e, struct engine_counts *ret);
/* [loop] Containers with what happens to them, threads, memory: for people. */
void engine_dump(struct engine *e, struct strbuf *out);

/* Containers -------------------------------------------------------------------------------- */

/* [loop] Borrowed until the handler returns. */
int engine_container_get(struct engine *e, const char *ref, struct container **ret,
			 struct error *err);
/* [loop] All of them, newest first; borrowed array of *ret_n pointers, valid until the next change. */
struct container *const *engine_containers(struct engine *e, size_t *ret_n);

struct engine_create_args {
	const char *name;     /* without slash, or NULL: an "adjective_surname" is made */
	const char *platform; /* or NULL */
	const struct json
		*body; /* Docker's create body: Config fields + HostConfig + NetworkingConfig */
	unsigned api_version; /* 124 for 1.24, ... 151 */
};
struct engine_created {
	char id[65];
	struct strv warnings; /* owned by the caller */
};
/* [worker] */
int engine_create(struct engine *e, const struct engine_create_args *args,
		  struct engine_created *ret, struct error *err);
int engine_start(struct engine *e, const char *ref,
		 struct error *err);     /* NOT_MODIFIED if running */
#define ENGINE_TIMEOUT_DEFAULT INT32_MIN /* the container's StopTimeout, else 10 s */
/* signal 0: the container's StopSignal, else SIGTERM; timeout in seconds, -1 waits for ever. */
int engine_stop(struct engine *e, const char *ref, int signal, int timeout_s, struct error *err);
int engine_restart(struct engine *e, const char *ref, int signal, int timeout_s, struct error *err);
int engine_kill(struct engine *e, const char *ref, int signal, struct error *err);
/* Wait until a start that has been let go is on record, for a bounded time: its output may have told somebody
 * that the container runs.  Before a state is answered, where that does not take the container's turn. */
void engine_settle(struct engine *e, const char *ref);
int engine_pause(struct engine *e, const char *ref, struct error *err);
int engine_unpause(struct engine *e, const char *ref, struct error *err);
int engine_rename(struct engine *e, const char *ref, const char *name, struct error *err);
/* Limits and RestartPolicy, of the body of an update; an error changes nothing. */
int engine_update(struct engine *e, const char *ref, const struct json *body, struct strv *warnings,
		  struct error *err);
int engine_resize(struct engine *e, const char *ref, unsigned rows, unsigned cols,
		  struct error *err);
enum engine_remove_flags {
	ENGINE_REMOVE_FORCE = 1,
	ENGINE_REMOVE_VOLUMES = 2,
};
int engine_remove(struct engine *e, const char *ref, unsigned flags, struct error *err);
/* "web/db": container web loses its link called db. */
int engine_unlink(struct engine *e, const char *ref, struct error *err);

/* A client's connection on its way to a shim. */
struct engine_client {
	int fd;            /* owned; taken on success, and on failure left to the caller */
	const void *early; /* bytes read behind the request's head; borrowed */
	size_t early_len;
};
struct engine_attach_args {
	bool in, out, errs; /* attach standard input, output, error */
	bool stream, logs;
	const char *detach_keys;  /* or NULL */
	struct engine_turn *turn; /* of the check */
};

/* What a client sees of an answer's head must be true already: once it has it, it may start the
 * container, which may be over before the client is on its list.  So between the check and the
 * hand-over of the client's connection a container that does not run is kept from starting: the
 * check takes its turn, the hand-over (or engine_turn_end, when the client went away) gives it up.
 * Of one that runs the check notes which run it is: that run may be over before the hand-over. */
struct engine_turn;
void engine_turn_end(struct engine_turn *t); /* accepts NULL */

/* [worker] Check, so that errors can still be HTTP answers; then hijack; then attach, which takes
 * args->turn in any case.  For a created container the client is kept and handed over by start. */
int engine_attach_check(struct engine *e, const char *ref, struct engine_attach_args *args,
			bool *ret_tty, struct error *err);
int engine_attach(struct engine *e, const char *ref, const struct engine_attach_args *args,
		  struct engine_client *client_take, struct error *err);

enum engine_wait_condition { ENGINE_WAIT_NOT_RUNNING, ENGINE_WAIT_NEXT_EXIT, ENGINE_WAIT_REMOVED };
struct engine_wait_args {
	enum engine_wait_condition condition;
	/* Filled by the check: */
	bool done; /* `code` is the answer already; nothing else to do */
	int code;
	struct engine_turn *turn; /* owned until engine_wait_client */
};
/* [worker] Unless it is done at once, the caller sends the response's head, and gives the
 * connection to engine_wait_client, which takes w->turn in any case.  The client is handed to the
 * shim now or at start, and answered by the engine where there is no shim. */
int engine_wait_check(struct engine *e, const char *ref, struct engine_wait_args *w,
		      struct error *err);
int engine_wait_client(struct engine *e, const char *ref, const struct engine_wait_args *w,
		       struct engine_client *client_take, struct error *err);

/* Security modules --------------------------------------------------------------------------- */

/* [any thread] */
bool engine_has_apparmor(const struct engine *e);
bool engine_has_selinux(const struct engine *e); /* and uses it */
/* [loop] The AppArmor profile that a container was started with; NULL: none, or not started yet. */
const char *engine_apparmor_profile(const struct engine *e, const struct container *c);

/* [worker] An event of a container, of what was done with it: "top", "export".  Nothing if it is gone. */
void engine_note(struct engine *e, const char *ref, const char *action);

/* Execs ------------------------------------------------------------------------------------- */

/* [loop] NOT_FOUND: "No such exec instance: ID". */
int engine_exec_get(struct engine *e, const char *id, struct exec **ret, struct error *err);
/* [worker] body: Docker's ExecConfig.  ret_id: 64 hex. */
int engine_exec_create(struct engine *e, const char *ref, const struct json *body, char ret_id[65],
		       struct error *err);
/* [worker] Is it there and not started yet?  Tells whether it has a terminal. */
int engine_exec_check(struct engine *e, const char *id, bool *ret_tty, struct error *err);
struct engine_exec_start {
	unsigned rows, cols;          /* of the terminal; 0: as the exec was created */
	struct engine_client *client; /* taken once it has started; NULL: detached */
	/* Fills the client in when the process is known to be describable, so that what is wrong with it (a
	 * user who is not there) is an answer as any other: hijacks.  Negative with *err filled: the exec has
	 * failed.  May be NULL. */
	int (*open)(void *data, struct engine_client *client, struct error *err);
	void *data;
};
/* [worker] Errors after a hijack are written to the client by the caller. */
int engine_exec_start(struct engine *e, const char *id, const struct engine_exec_start *args,
		      struct error *err);
int engine_exec_resize(struct engine *e, const char *id, unsigned rows, unsigned cols,
		       struct error *err);
