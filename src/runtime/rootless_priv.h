/* runtime/rootless_priv.h - what is different for containers of an ordinary user. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct cgroup;
struct error;
struct oci_resources;

/* After the cgroup was made as far as it could be: limits that it cannot keep are an error, naming the
 * first of them. */
int rootless_check_limits(const struct cgroup *cg, const struct oci_resources *res,
			  struct error *err);
/* The processes of a container without a cgroup (malloc'd): process 1, what it has started, and what is
 * in its pid namespace as far as we may see that.  pid 0: none. */
int rootless_pids(pid_t pid, pid_t **ret, size_t *ret_count, struct error *err);
