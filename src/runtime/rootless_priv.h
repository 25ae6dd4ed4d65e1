/* runtime/rootless_priv.h - what is different for containers of an ordinary user. */
#pragma once

struct cgroup;
struct error;
struct oci_resources;

/* After the cgroup was made as far as it could be: limits that it cannot keep are an error, naming the
 * first of them. */
int rootless_check_limits(const struct cgroup *cg, const struct oci_resources *res,
			  struct error *err);
