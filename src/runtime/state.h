/* runtime/state.h - containers that outlive the program that made them: vessel-runtime's records.
 *
 * A container is a directory <root>/<id>/ with `cgroup`, a link whose text is the cgroup's path,
 * `state.json`, written atomically when process 1 exists, and until it is
 * started `start.sock`, on which its process 1 listens for the word to go.  A process is known by
 * pid and start time, so that a reused pid is never taken for it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mem.h"

struct error;
struct oci_spec;
struct runtime_container;
struct runtime_create_args;

enum state_status { STATE_CREATING, STATE_CREATED, STATE_RUNNING, STATE_PAUSED, STATE_STOPPED };

struct state {
	char *id, *bundle, *rootfs, *cgroup_path, *created; /* owned; created: RFC 3339 */
	char *annotations;                                  /* owned: a JSON object, or NULL */
	pid_t pid;
	uint64_t start_time; /* clock ticks since boot, proc_pid_stat(5) */
	bool has_poststop;   /* config.json has hooks to run at deletion */
	int dir_fd;          /* owned: <root>/<id> */
};

/* Make <root>/<id>.  ERROR_CONFLICT "container with given ID already exists". */
int state_create(const char *root, const char *id, struct state **ret, struct error *err);
/* ERROR_NOT_FOUND "container does not exist". */
int state_load(const char *root, const char *id, struct state **ret, struct error *err);
int state_save(const struct state *s, struct error *err);
/* Before the cgroup (s->cgroup_path) is made, so that it is found whenever its making is cut off. */
int state_note_cgroup(const struct state *s, struct error *err);
/* Remove <root>/<id>. */
int state_remove(const char *root, const struct state *s, struct error *err);
struct state *state_free(struct state *s);
DEFINE_CLEANUP(struct state, state_free);
#define autostate __attribute__((cleanup(state_freep_)))

/* What it is now: looks at the process and its cgroup. */
enum state_status state_status(const struct state *s);
const char *state_status_name(enum state_status status);
/* The process's start time; false if there is no such process, or only its zombie. */
bool state_process_start_time(pid_t pid, uint64_t *ret);

/* runtime_create() for a container that another program will start: process 1 listens on the
 * record's start.sock.  Fills s->pid and s->start_time. */
int state_create_container(struct state *s, const struct runtime_create_args *args,
			   struct runtime_container **ret, struct error *err);
/* Let it go; returns as runtime_start() does. */
int state_start_container(const struct state *s, struct error *err);
/* Signal process 1, or with `all` everything in its cgroup.  ERROR_CONFLICT "container not
 * running". */
int state_kill_container(const struct state *s, int signo, bool all, struct error *err);
/* Kill what is left and remove the cgroup. */
int state_destroy_container(const struct state *s, struct error *err);
