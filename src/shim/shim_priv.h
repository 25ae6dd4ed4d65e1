/* shim/shim_priv.h - the shim's state, shared by life (shim.c), requests (request.c) and execs. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "oci/runtime_spec.h"
#include "runtime/runtime.h"
#include "shim/conn.h"
#include "shim/driver.h"
#include "shim/lifecycle.h"
#include "shim/logfile.h"
#include "shim/ports.h"
#include "shim/resolver.h"
#include "shim/scratch.h"
#include "shim/streams.h"
#include "shim/waiter.h"

struct loop;
struct shim_exec;

struct shim {
	enum lifecycle_state state;
	int exit_status; /* of this process */
	struct loop *loop;
	int config_fd;                             /* owned, until it has been read */
	int state_dir_fd, runtime_dir_fd, lock_fd; /* owned */
	int join_fds
		[SHIM_JOIN_COUNT]; /* owned: namespaces of another container, until ours has joined */
	struct scratch *scratch;
	struct logfile *log;
	struct streams *streams;
	struct ports *ports;
	bool want_resolver;
	struct resolver *resolver; /* NULL: none */
	struct conns *conns;
	struct waiters waiters;
	struct loop_source *child_src, *oom_src, *answer_timer, *discard_timer;
	int oom_fd;               /* owned */
	struct arena *spec_arena; /* owned; what the container borrows */
	struct oci_spec spec;
	struct runtime_prepared *prepared; /* owned; until there is a container */
	struct driver *container;          /* owned */
	pid_t pid;                         /* process 1; 0 before, and when it has been reaped */
	bool own_pids;                     /* a pid namespace of the container's own */
	bool open_stdin;
	bool auto_remove;
	char *detach_keys; /* owned */
	char *cgroup;      /* owned; to join later; NULL: none, or done */
	struct loop_source *cgroup_timer;
	int64_t started_at, finished_at; /* ns since 1970 */
	int exit_code;
	bool oom;
	struct shim_exec *execs; /* newest first */
};

/* shim.c */

/* Move on; an event that the state refuses is ERROR_CONFLICT. */
int shim_event(struct shim *s, enum lifecycle_event e, struct error *err);
/* The container runs: note the time, give back what only its creation needed. */
void shim_started(struct shim *s);
/* Remove what is left of a container that has ended; may be repeated. */
void shim_discard(struct shim *s);
/* Nothing has been started, or starting failed: undo everything and leave. */
void shim_undo(struct shim *s);
/* Give up ports, socket and lock, and end when the last client has its output. */
void shim_leave(struct shim *s);
void shim_leave_if_idle(void *data);
/* Start the resolver, unless it is there. */
int shim_start_resolver(struct shim *s, int netns_fd, struct error *err);
void shim_resolver_write(const struct shim *s, struct json_writer *w); /* "resolver":{...} */
/* An event's message: begin, add members, send. */
void shim_event_begin(struct json_writer *w, struct strbuf *out, const char *name);
void shim_event_send(struct shim *s, struct json_writer *w);
void shim_write_exit(const struct shim *s, struct json_writer *w); /* ev exit's members */
/* After the exit: at once without a daemon, else at its release, but not for ever. */
void shim_answer_waiters_in_time(struct shim *s);
/* Pipes for the streams that are wanted.  theirs[i]: -EBADF where not. */
int shim_pipes(const bool wanted[static 3], int ours[static 3], int theirs[static 3],
	       struct error *err);
void shim_close_all(int *fds, size_t n);

/* request.c */
void shim_request(void *data, struct conn *c, struct shim_message *m);

/* exec.c */
struct shim_exec_args {
	const char *id;
	bool tty, in, out, err, client;
	uint32_t rows, cols;
	const char *detach_keys;
	const void *early;
	size_t early_len;
	int process_fd;     /* borrowed: a memfd with the OCI process object */
	int client_fd_take; /* -EBADF without `client` */
};
int shim_exec_start(struct shim *s, struct shim_exec_args *args, pid_t *ret_pid, struct error *err);
int shim_exec_resize(struct shim *s, const char *id, uint32_t rows, uint32_t cols,
		     struct error *err);
/* SIGKILL. */
int shim_exec_kill(struct shim *s, const char *id, struct error *err);
/* Whether the reaped pid was an exec's. */
bool shim_exec_died(struct shim *s, pid_t pid, int code);
void shim_execs_write(const struct shim *s, struct json_writer *w); /* "execs":[...] */
bool shim_execs_idle(const struct shim *s);
/* The container is gone, and with it whatever still runs. */
void shim_execs_end(struct shim *s);
void shim_execs_free(struct shim *s);
