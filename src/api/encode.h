/* api/encode.h - a container in the API's JSON. [loop] all of it. */
#pragma once

#include <stdint.h>

#include "base/json.h"

struct container;
struct engine;
struct store_snapshot;

struct encode_args {
	struct engine *engine;
	unsigned version;                  /* 151 for 1.51 */
	const struct store_snapshot *snap; /* inspect: NULL if there is none any more */
	int64_t size_rw, size_root;        /* bytes; size_rw < 0: not asked for */
	int64_t now_ns;
};

/* One object each. */
void encode_container_inspect(const struct encode_args *a, const struct container *c,
			      struct json_writer *w);
void encode_container_summary(const struct encode_args *a, const struct container *c,
			      struct json_writer *w);

/* Members "Networks":{...}, "Ports":..., "Mounts":[...] */
void encode_networks(const struct encode_args *a, const struct container *c, struct json_writer *w);
void encode_mounts(const struct encode_args *a, const struct container *c, struct json_writer *w);
/* "2006-01-02T15:04:05.9Z", Go's zero time for 0. */
void encode_time(struct json_writer *w, const char *key, int64_t ns);
