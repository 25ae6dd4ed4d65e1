/* base/clock.h - wall-clock time, injectable where time is the feature under test. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define CLOCK_RFC3339_SIZE 40

int64_t clock_realtime_ns(void);
int64_t clock_monotonic_ns(void);
/* "2006-01-02T15:04:05.999999999Z", always UTC; trailing zeros of the fraction dropped as Go's
 * RFC3339Nano does, or kept to 9 digits. */
void clock_format_rfc3339(int64_t ns, char ret[static CLOCK_RFC3339_SIZE]);
void clock_format_rfc3339_fixed(int64_t ns, char ret[static CLOCK_RFC3339_SIZE]);
/* RFC 3339 with any offset and fraction. -EINVAL. */
int clock_parse_rfc3339(const char *s, int64_t *ret_ns);
