/* engine/time_offset.h - clocks of a container that are ahead of the host's, or behind (time_namespaces(7)).
 *
 * Docker's API has no field for it, so annotations carry it: "vessel.time-offset.monotonic" and
 * "vessel.time-offset.boottime", as durations: "24h", "-1h30m", "1.5s", "7d", or seconds alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum time_offset_clock { TIME_OFFSET_MONOTONIC, TIME_OFFSET_BOOTTIME, TIME_OFFSET_CLOCK_COUNT };

struct time_offset {
	int64_t secs; /* may be negative */
	uint32_t nanosecs;
};

struct time_offsets {
	bool present[TIME_OFFSET_CLOCK_COUNT];
	struct time_offset v[TIME_OFFSET_CLOCK_COUNT];
};

/* As in the OCI specification: secs + nanosecs, the latter not negative.  -EINVAL. */
int time_offset_parse(const char *text, struct time_offset *ret);

struct host_config;
/* From the annotations; ERROR_INVALID names the one that is wrong. */
int time_offsets_get(const struct host_config *h, struct time_offsets *ret, struct error *err);
