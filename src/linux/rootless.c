/* Root, or root of a user namespace, or neither. */
#include "linux/rootless.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define MAP_MAX ((size_t)64 << 10)

static enum rootless mode = ROOTLESS_AUTO;

void rootless_set(enum rootless value)
{
	mode = value;
}

/* Only the first one maps every id onto itself. */
bool rootless_in_user_namespace(void)
{
	autofree char *map = NULL;
	unsigned long inside, outside, count;

	/* ENOENT: a kernel without user namespaces */
	if (file_read(AT_FDCWD, "/proc/self/uid_map", MAP_MAX, &map, NULL, NULL) < 0)
		return false;
	return sscanf(map, "%lu %lu %lu", &inside, &outside, &count) != 3 || inside != 0 ||
	       outside != 0 || count != 4294967295UL;
}

bool rootless_is(void)
{
	if (mode == ROOTLESS_AUTO)
		mode = geteuid() != 0 || rootless_in_user_namespace() ? ROOTLESS_TRUE
								      : ROOTLESS_FALSE;
	return mode == ROOTLESS_TRUE;
}
