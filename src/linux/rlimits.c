/* Resource limit names. */
#include "linux/rlimits.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"

#ifndef RLIMIT_RTTIME
#define RLIMIT_RTTIME 15
#endif

#define LIMIT(name)                            \
	{                                      \
		"RLIMIT_" #name, RLIMIT_##name \
	}
static const struct {
	const char *name;
	int resource;
} limits[] = {
	LIMIT(AS),     LIMIT(CORE),       LIMIT(CPU),     LIMIT(DATA),
	LIMIT(FSIZE),  LIMIT(LOCKS),      LIMIT(MEMLOCK), LIMIT(NICE),
	LIMIT(NOFILE), LIMIT(NPROC),      LIMIT(RSS),     LIMIT(RTPRIO),
	LIMIT(RTTIME), LIMIT(SIGPENDING), LIMIT(STACK),   LIMIT(MSGQUEUE),
};

int rlimit_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (strcmp(limits[i].name, name) == 0)
			return limits[i].resource;
	return -EINVAL;
}
