/* engine/container.h - what the engine knows of a container and of an exec.
 *
 * Everything here is owned by the loop's thread (see engine/engine.h).  The configuration never
 * changes after create but by update and rename, which replace `spec` whole.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"
#include "engine/config.h"
#include "engine/label.h"
#include "network/network.h"

enum container_status {
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	CONTAINER_PAUSED,
	CONTAINER_RESTARTING,
	CONTAINER_REMOVING,
	CONTAINER_EXITED,
	CONTAINER_DEAD,
	CONTAINER_STATUS_COUNT,
};
const char *container_status_name(
	enum container_status s); /* Docker's: "created", "running", ... */

struct container_state {
	enum container_status status;
	pid_t pid; /* 0 when not running */
	int exit_code;
	bool oom_killed;
	char *error;         /* owned; "" rather than NULL */
	int64_t started_at;  /* ns since 1970; 0: never */
	int64_t finished_at; /* ns; 0: never */
	unsigned restart_count;
};

struct exec {
	char id[65];
	char container_id[65];
	struct exec_config *config; /* owned */
	pid_t pid;                  /* 0: not started or gone */
	bool started, running;
	bool busy;     /* somebody is starting it: it must stay */
	bool is_probe; /* of the container's health: it has no row */
	int exit_code; /* valid when started and not running */
};

struct health;            /* engine/health.h */
struct container_runtime; /* shim connection, operation in progress, held clients: engine/ only */

struct container {
	char id[65];
	char *name;                  /* without slash; owned */
	int64_t created_at;          /* ns */
	char *image_id;              /* "sha256:..."; owned */
	struct container_spec *spec; /* owned; engine/config.h */
	struct labels labels;        /* owned; both "" where SELinux is not used */
	struct container_state state;
	struct health *health;               /* owned; NULL: it never ran with a health check */
	struct network_endpoint **endpoints; /* owned; of a running container, or leased */
	size_t endpoint_count;
	struct exec **execs; /* owned */
	size_t exec_count, exec_cap;
	char *log_path;  /* owned; "" for log driver none */
	char *state_dir; /* data-root/containers/<id>; owned */
	bool auto_removing;
	struct container_runtime *rt; /* owned */
};

/* Docker's "Up 3 seconds", "Exited (0) 2 minutes ago", "Created", ...; appended. now in ns. */
void container_status_text(const struct container *c, int64_t now, struct strbuf *out);
