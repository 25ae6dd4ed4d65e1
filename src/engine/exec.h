/* engine/exec.h - execs: what the shim's events and the restoring of state need of them.  [loop] */
#pragma once

#include "base/json.h"
#include "engine/container.h"

void exec_exited(struct container *c, const char *id, int code);
/* The container's run is over, and with it all of its execs. */
void execs_end(struct container *c);
/* The "execs" of the shim's state. */
void execs_adopt(struct container *c, const struct json *list);
