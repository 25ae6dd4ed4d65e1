/* vessel: the command line.
 *
 * Nearly every command goes to an engine on the same host and ends within milliseconds, of which a
 * dynamic program with OpenSSL would spend the first two on loading: so this one is static, and
 * executes its sibling for engines behind TCP and TLS.
 */
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "linux/self.h"

static int run(const char *name, char **argv, struct error *err)
{
	autofree char *path = self_helper(name);

	errno = ENOENT;
	if (path)
		(void)execv(path, argv);
	return error_set(err, ERROR_INTERNAL, errno, "execute %s", name);
}

int main(int argc, char **argv)
{
	return cli_main(argc, argv, run);
}
