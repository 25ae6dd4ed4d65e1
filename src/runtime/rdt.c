/* linux.intelRdt: the container's class of service. */
#include "runtime/setup_priv.h"

#include <errno.h>

#include "base/str.h"
#include "linux/procfs.h"
#include "linux/resctrl.h"

static struct resctrl_group group_of(const struct oci_intel_rdt *rdt, const char *id)
{
	return (struct resctrl_group){.clos_id = str_empty(rdt->clos_id) ? NULL : rdt->clos_id,
				      .id = id,
				      .l3 = rdt->l3_cache_schema,
				      .mb = rdt->mem_bw_schema,
				      .schemata = (const char *const *)rdt->schemata.v,
				      .schemata_count = rdt->schemata.n,
				      .monitoring = rdt->enable_monitoring};
}

int rdt_check(const struct oci_linux *l, int proc_fd, struct error *err)
{
	autoclose int fd = -EBADF;

	if (!l->intel_rdt)
		return 0;
	fd = resctrl_open(proc_fd, err);
	return fd < 0 ? error_wrap(err, fd, "linux.intelRdt") : 0;
}

int rdt_join(const struct oci_linux *l, const char *id, int proc_fd, pid_t pid, struct error *err)
{
	autoclose int fd = -EBADF;
	struct resctrl_group g;
	int r;

	if (!l->intel_rdt)
		return 0;
	g = group_of(l->intel_rdt, id);
	fd = resctrl_open(proc_fd, err);
	r = fd < 0 ? fd : resctrl_join(fd, &g, pid, err);
	return r < 0 ? error_wrap(err, r, "linux.intelRdt") : 0;
}

int rdt_remove(const struct oci_linux *l, const char *id, struct error *err)
{
	autoclose int proc_fd = -EBADF, fd = -EBADF;
	struct resctrl_group g;
	int r;

	if (!l->intel_rdt)
		return 0;
	g = group_of(l->intel_rdt, id);
	proc_fd = procfs_open(err);
	fd = proc_fd < 0 ? proc_fd : resctrl_open(proc_fd, err);
	r = fd < 0 ? fd : resctrl_remove(fd, &g, err);
	return r < 0 ? error_wrap(err, r, "linux.intelRdt") : 0;
}
