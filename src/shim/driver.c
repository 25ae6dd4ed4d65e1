/* Who makes the container. */
#include "shim/driver.h"

#include "runtime/runtime.h"
#include "shim/protocol.h"

int driver_create(const struct driver_create_args *args, struct driver **ret, struct error *err)
{
	return args->config->program.path ? driver_program_create(args, ret, err)
					  : driver_library_create(args, ret, err);
}

struct runtime_rootfs driver_rootfs(const struct shim_config *c)
{
	return (struct runtime_rootfs){
		.lower = c->lower.v,
		.lower_count = c->lower.n,
		.upper = c->upper,
		.work = c->work,
		.uid_mappings = c->uid_mappings.n > 0 ? &c->uid_mappings : NULL,
		.gid_mappings = c->gid_mappings.n > 0 ? &c->gid_mappings : NULL,
	};
}

struct driver *driver_free(struct driver *d)
{
	return d ? d->ops->free(d) : NULL;
}
