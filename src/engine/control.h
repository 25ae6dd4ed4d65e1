/* engine/control.h - signals to a container, and what waits for their effect. */
#pragma once

#include "base/error.h"
#include "engine/container.h"

struct engine;

/* [worker] SIGKILL, thawing it if need be, and wait until the exit is cleaned up.  Succeeds at once if
 * it does not run; ERROR_UNAVAILABLE if it will not die. */
int signal_kill_and_wait(struct engine *e, struct container *c, struct error *err);
/* [worker, with the operation] Freeze or go on, with the state and the event of it.  ERROR_CONFLICT when
 * it is so already or does not run. */
int pause_locked(struct engine *e, struct container *c, bool pause, struct error *err);
/* [worker] A reference on the shim of a running container; ERROR_CONFLICT "Container X is not
 * running". */
struct shim_client;
int signal_shim(struct engine *e, struct container *c, struct shim_client **ret, struct error *err);
