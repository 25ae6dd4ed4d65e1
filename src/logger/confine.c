/* What vessel-log gives up.
 *
 * It meets what containers write and what peers answer, for as long as the container runs.  Who speaks with a host,
 * or with a socket that is everybody's (the journal's, /dev/log), becomes nobody.  A socket that only root may
 * write to needs root's name to be connected again, but no capability.  Files need both: a container's directory may
 * belong to a user of its own.  None of them writes files elsewhere, signals or traces; and only the last
 * executes: this program, to compress.
 */
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/caps.h"
#include "linux/confine.h"
#include "logger/logger.h"

static int keep_capabilities(uint64_t kept, struct error *err)
{
	const struct caps caps = {.effective = kept, .permitted = kept};

	return geteuid() == 0 ? caps_apply(&caps, NULL, err) : 0;
}

/* The directory of the log's file. */
static char *directory_of(const struct logger_config *c)
{
	const char *path = json_get_string(c->file, "Path");
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? xstrndup(path, (size_t)(slash - path)) : NULL;
}

int logger_confine(const struct logger *l, const struct log_driver *driver, struct error *err)
{
	unsigned flags = driver->writes_files ? CONFINE_MAY_EXECUTE : 0;
	autofree char *directory = driver->writes_files ? directory_of(l->config) : NULL;
	bool needs_root =
		driver->writes_files || (geteuid() == 0 && l->path[0] && !confine_reaches(l->path));
	int r;

	if (needs_root)
		r = keep_capabilities(
			driver->writes_files ? (uint64_t)1 << caps_parse("DAC_OVERRIDE") : 0, err);
	else
		r = confine_user(err);
	r = r < 0 ? r : confine_calls(flags, err);
	if (r < 0 || (driver->writes_files && !directory))
		return r;
	return confine_files(directory, flags, err);
}
