/* The crash points' names, and the end that an armed one brings. */
#include "base/crash.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {
#define CRASH_POINT(id, name) [CRASH_##id] = (name),
#include "base/crash-points.def"
#undef CRASH_POINT
};

int crash_armed_ = -1;

int crash_init(void)
{
	const char *name = getenv("VESSEL_CRASH_AT");

	if (!name || !*name)
		return 0;
	for (int i = 0; i < CRASH_POINT_COUNT; i++) {
		if (strcmp(name, names[i]) == 0) {
			crash_armed_ = i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *crash_point_name(enum crash_point p)
{
	return (unsigned)p < CRASH_POINT_COUNT ? names[p] : NULL;
}

void crash_now_(void)
{
	(void)kill(getpid(), SIGKILL);
	abort(); /* only where signals to oneself are filtered away */
}
