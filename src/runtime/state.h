/* runtime/state.h - containers that outlive the program that made them: vessel-runtime's records.
 *
 * A container is a directory <root>/<id>/ with `cgroup`, a link whose text is the cgroup's path,
 * `config.json`, a copy of the bundle's, which may change or go away, `state.json`, written
 * atomically when process 1 exists, and until it is started `start.sock`, on which its process 1
 * listens for the word to go.  A process is known by pid and start time, so that a reused pid is
 * never taken for it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mem.h"

struct cgroup;
struct cgroup_layout;
struct error;
struct oci_spec;
struct runtime_container;
struct runtime_create_args;
struct runtime_rename;
struct strv;

enum state_status { STATE_CREATING, STATE_CREATED, STATE_RUNNING, STATE_PAUSED, STATE_STOPPED };

struct state { /* the strings are owned */
	char *id, *bundle, *rootfs;
	char *cgroup_path;       /* its place: linux/cgroup.h */
	char *version, *created; /* ociVersion; RFC 3339 */
	char *annotations;       /* a JSON object, or NULL */
	pid_t pid;
	uint64_t start_time;              /* clock ticks since boot, proc_pid_stat(5) */
	bool has_poststart, has_poststop; /* config.json has such hooks, or what ends like them */
	bool no_new_keyring;              /* as in runtime_create_args */
	bool own_time;                    /* as in runtime_open_args */
	int dir_fd;                       /* owned: <root>/<id> */
};

/* Make <root>/<id>.  ERROR_CONFLICT "container with given ID already exists". */
int state_create(const char *root, const char *id, struct state **ret, struct error *err);
/* ERROR_NOT_FOUND "container does not exist". */
int state_load(const char *root, const char *id, struct state **ret, struct error *err);
int state_save(const struct state *s, struct error *err);
/* The same in two steps: under a name at which nobody looks, and (runtime_create_args) what gives it
 * the right one. */
int state_save_hidden(const struct state *s, struct error *err);
struct runtime_rename state_publication(const struct state *s);
/* The copy of config.json.  It counts once state_save() has succeeded. */
int state_save_config(const struct state *s, const char *text, size_t len, struct error *err);
int state_read_config(const struct state *s, char **ret, size_t *ret_len, struct error *err);
/* Before the cgroup (s->cgroup_path) is made, so that it is found whenever its making is cut off. */
int state_note_cgroup(const struct state *s, struct error *err);
/* The ids below `root`, sorted; a root that does not exist has none. */
int state_list(const char *root, struct strv *ret, struct error *err);
/* Remove <root>/<id>. */
int state_remove(const char *root, const struct state *s, struct error *err);
struct state *state_free(struct state *s);
DEFINE_CLEANUP(struct state, state_free);
#define autostate __attribute__((cleanup(state_freep_)))

/* What it is now: looks at the process and its cgroup. */
enum state_status state_status(const struct state *s);
const char *state_status_name(enum state_status status);
/* The process's start time; 1; 0 if there is no such process, or only its zombie; or -errno. */
int state_process_start_time(pid_t pid, uint64_t *ret);
/* Fill s->pid and s->start_time. */
int state_note_process(struct state *s, pid_t pid, struct error *err);

/* runtime_create() for a container that another program will start: process 1 listens on the
 * record's start.sock.  Fills s->pid and s->start_time. */
int state_create_container(struct state *s, const struct runtime_create_args *args,
			   struct runtime_container **ret, struct error *err);
/* Let it go; returns as runtime_start() does. */
int state_start_container(const struct state *s, struct error *err);
/* A handle for runtime_exec() and others; `spec` (the saved config.json's) is borrowed for its life.
 * ERROR_CONFLICT "container not running". */
int state_open_container(const struct state *s, const struct oci_spec *spec,
			 const char *seccomp_cache_dir, struct runtime_container **ret,
			 struct error *err);
/* Its cgroup; both are the caller's.  ERROR_NOT_FOUND when it is gone. */
int state_open_cgroup(const struct state *s, struct cgroup_layout **ret_layout, struct cgroup **ret,
		      struct error *err);
/* A pidfd of process 1 (the caller's), certainly its own, or -ESRCH. */
int state_open_process(const struct state *s);
/* ERROR_CONFLICT "container not running", "container not paused". */
int state_pause_container(const struct state *s, struct error *err);
int state_resume_container(const struct state *s, struct error *err);
/* All its processes (malloc'd): those in its cgroup, or for an ordinary user's container without one those
 * that it has started. */
int state_pids(const struct state *s, pid_t **ret, size_t *ret_count, struct error *err);
/* Signal process 1, or with `all` everything in its cgroup.  ERROR_CONFLICT "container not
 * running". */
int state_kill_container(const struct state *s, int signo, bool all, struct error *err);
/* Kill process 1 and wait until it is gone, up to 10 s. */
void state_end_process(const struct state *s);
/* Kill what is left and remove the cgroup. */
int state_destroy_container(const struct state *s, struct error *err);
