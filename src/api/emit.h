/* api/emit.h - events of what requests do; those of containers' lives are the engine's. */
#pragma once

#include <stdint.h>

struct api_call;
struct event;

/* [worker] */
void api_emit(struct api_call *c, const struct event *ev);
/* [worker] The event of a prune, of "image", "container", "network" or "volume". */
void api_emit_prune(struct api_call *c, const char *type, int64_t reclaimed);
