/* vessel-shim - beside each running container; see shim/protocol.h. */
#include <string.h>

#include "shim/program.h"
#include "shim/shim.h"

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], PROGRAM_WORD) == 0)
		return program_become(argc, argv);
	return shim_run(argc > 1 ? argv[1] : NULL);
}
