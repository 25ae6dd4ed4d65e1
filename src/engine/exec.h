/* engine/exec.h - execs: what the shim's events and the restoring of state need of them.  [loop] */
#pragma once

#include "base/json.h"
#include "engine/container.h"

void exec_exited(struct container *c, const char *id, int code);
/* [worker] Start a probe of the container's health: an exec without a row, of an ExecConfig document.  The
 * client is taken on success.  ret_id is set ("" else) as soon as exec_forget must be called. */
struct engine_client;
int exec_probe(struct container *c, const struct strbuf *config, struct engine_client *client_take,
	       char ret_id[65], struct error *err);
/* The exec is gone, if it is there; nobody starts it. */
void exec_forget(struct container *c, const char *id);
/* The container's run is over, and with it all of its execs. */
void execs_end(struct container *c);
/* The "execs" of the shim's state. */
void execs_adopt(struct container *c, const struct json *list);
