/* vessel-shim - beside each running container; see shim/protocol.h. */
#include "shim/shim.h"

int main(int argc, char **argv)
{
	return shim_run(argc > 1 ? argv[1] : NULL);
}
