/* vessel-shim - beside each running container; see shim/protocol.h. */
#include "shim/shim.h"

int main(void)
{
	return shim_run();
}
