/* api/volumes.h - a volume in the API's JSON. */
#pragma once

#include <stdint.h>

#include "base/json.h"

struct api_call;
struct volume;

struct volume_usage {
	int64_t refs, size; /* size: bytes */
};
/* [loop] usage: NULL, or the member UsageData. */
void volume_write(const struct api_call *c, const struct volume *v,
		  const struct volume_usage *usage, struct json_writer *w);
/* [loop] How many containers mount it. */
int64_t volume_refs(const struct api_call *c, const struct volume *v);
