/* engine/exit.h - the end of a container's run: parts that restore and remove use too. */
#pragma once

#define EXIT_SHIM_KILLED 137 /* the exit code of a container whose shim was killed */

#include "base/json.h"
#include "engine/engine_priv.h"

/* The "exit" object of the shim's protocol. */
void exit_info_parse(const struct json *v, struct exit_info *ret);
/* containers/<id>/exit.json; -errno. */
int exit_json_read(const struct container *c, struct exit_info *ret);
/* [worker with the operation, or before the loop runs (direct)] All steps of rt->exit. */
void exit_run(struct engine *e, struct container *c, bool direct);
