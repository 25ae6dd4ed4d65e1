/* Looking programs up as a shell does. */
#include "bin/runtime/program.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

char *program_find(const char *name)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? xstrdup(name) : NULL;
	for (const char *p = path ? path : DEFAULT_PATH; *p;) {
		size_t n = strcspn(p, ":");
		autofree char *file = xasprintf("%.*s%s%s", (int)n, p, n ? "/" : "", name);

		if (access(file, X_OK) == 0)
			return TAKE_PTR(file);
		p += n + (p[n] == ':');
	}
	return NULL;
}
