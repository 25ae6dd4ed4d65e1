/* base/crash.h - named stages at which a test may kill the process: the crash points.
 *
 * Every stage boundary of an operation that changes the world calls crash_point() with a name from
 * base/crash-points.def, which is the whole list.  With VESSEL_CRASH_AT=<name> in the environment at
 * start, reaching that point is SIGKILL to oneself.  Costs one integer comparison otherwise.
 */
#pragma once

enum crash_point {
#define CRASH_POINT(id, name) CRASH_##id,
#include "base/crash-points.def"
#undef CRASH_POINT
	CRASH_POINT_COUNT,
};

/* Read VESSEL_CRASH_AT; -EINVAL when it names no point.  Call once, before threads. */
int crash_init(void);
const char *crash_point_name(enum crash_point p);

extern int crash_armed_; /* the armed point, or -1 */
void crash_now_(void) __attribute__((noreturn, cold));

static inline void crash_point(enum crash_point p)
{
	if (__builtin_expect(crash_armed_ == (int)p, 0))
		crash_now_();
}
