/* The systemd driver of cgroups; see the header. */
#include "linux/cgroup_systemd.h"

#include "base/error.h"
#include "linux/cgroup_priv.h"

int cgroup_systemd_place(const char *cgroups_path, const char *id, bool user, char **ret,
			 struct error *err)
{
	(void)cgroups_path, (void)id, (void)user, (void)ret;
	return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
			 "the systemd cgroup driver is not implemented");
}

bool cgroup_is_unit(const struct cgroup *cg)
{
	return cg->driver != CGROUP_DRIVER_FS;
}

int cgroup_systemd_start(struct cgroup *cg, const struct cgroup_unit_args *args, struct error *err)
{
	(void)cg, (void)args;
	return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
			 "the systemd cgroup driver is not implemented");
}

int cgroup_systemd_update(const struct cgroup *cg, const struct cgroup_resources *res,
			  struct error *err)
{
	(void)cg, (void)res;
	return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
			 "the systemd cgroup driver is not implemented");
}

int cgroup_systemd_stop(const struct cgroup *cg, struct error *err)
{
	(void)cg;
	return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
			 "the systemd cgroup driver is not implemented");
}
