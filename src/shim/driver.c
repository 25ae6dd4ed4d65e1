/* Who makes the container. */
#include "shim/driver.h"

#include "shim/protocol.h"

int driver_create(const struct driver_create_args *args, struct driver **ret, struct error *err)
{
	return args->config->program.path ? driver_program_create(args, ret, err)
					  : driver_library_create(args, ret, err);
}

struct driver *driver_free(struct driver *d)
{
	return d ? d->ops->free(d) : NULL;
}
