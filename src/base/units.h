/* base/units.h - sizes, durations and switches as Docker's options write them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* "10m", "1.5GB", "7b"; decimal (1000), or with `binary` by 1024. -EINVAL. */
int units_parse_size(const char *text, bool binary, uint64_t *ret);
/* Go's: "1s", "1h0.5m", "300ms", "0".  -EINVAL. */
int units_parse_duration(const char *text, int64_t *ret_ns);
/* Go's strconv.ParseBool: 1, 0, or -EINVAL. */
int units_parse_bool(const char *text);
