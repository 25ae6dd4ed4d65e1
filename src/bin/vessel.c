/* vessel: the command line.
 *
 * Nearly every command goes to an engine on the same host and ends within milliseconds, of which a
 * dynamic program with OpenSSL would spend the first two on loading: so this one is static, and
 * executes its sibling for engines behind TCP and TLS.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"

#define REMOTE "vessel-remote"

static int run_remote(char **argv, struct error *err)
{
	static const char *const places[] = {REMOTE, "../libexec/vessel/" REMOTE};
	char self[PATH_MAX], path[PATH_MAX + sizeof("../libexec/vessel/" REMOTE)];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return error_set(err, ERROR_INTERNAL, errno, "find " REMOTE);
	self[n] = '\0';
	slash = strrchr(self, '/');
	for (size_t i = 0; slash && i < ARRAY_SIZE(places); i++) {
		(void)snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - self), self, places[i]);
		(void)execv(path, argv);
	}
	return error_set(err, ERROR_INTERNAL, errno, "execute " REMOTE ", for hosts behind TCP");
}

int main(int argc, char **argv)
{
	return cli_main(argc, argv, run_remote);
}
