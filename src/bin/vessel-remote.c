/* vessel-remote: the command line for engines behind TCP and TLS; see vessel.c. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv, NULL);
}
