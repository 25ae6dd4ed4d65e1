/* What can be made before the container is known. */
#include "runtime/prepared_priv.h"

#include "base/file.h"
#include "base/mem.h"
#include "linux/cgroup.h"
#include "oci/runtime_spec.h"
#include "runtime/netns.h"
#include "runtime/runtime.h"

struct runtime_prepared {
	struct cgroup_layout *cgroups; /* owned; NULL: could not be read, or taken */
	struct netns_maker *netns;     /* owned; NULL: not wanted, or taken */
};

struct runtime_prepared *runtime_prepare(bool network)
{
	struct runtime_prepared *p = xnew0(struct runtime_prepared);

	if (network)
		p->netns = netns_maker_start();
	(void)cgroup_layout_detect(&p->cgroups, NULL); /* runtime_create tries again, and tells */
	return p;
}

bool runtime_takes_netns(const struct oci_spec *spec)
{
	const struct oci_namespace *ns = spec->linux_.namespaces;

	return ns[OCI_NAMESPACE_NETWORK].present && !ns[OCI_NAMESPACE_NETWORK].path &&
	       !ns[OCI_NAMESPACE_USER].present;
}

const struct cgroup_layout *runtime_prepared_cgroups(const struct runtime_prepared *p)
{
	return p->cgroups;
}

struct cgroup_layout *prepared_take_cgroups(struct runtime_prepared *p)
{
	return p ? TAKE_PTR(p->cgroups) : NULL;
}

struct netns_maker *prepared_take_netns(struct runtime_prepared *p)
{
	return p ? TAKE_PTR(p->netns) : NULL;
}

struct runtime_prepared *runtime_prepared_free(struct runtime_prepared *p)
{
	int fd;

	if (!p)
		return NULL;
	fd = p->netns ? netns_maker_finish(p->netns, NULL) : -EBADF;
	fd_close(&fd);
	p->cgroups = cgroup_layout_free(p->cgroups);
	free(p);
	return NULL;
}
