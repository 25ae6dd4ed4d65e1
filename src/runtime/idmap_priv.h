/* runtime/idmap_priv.h - the id mappings of a container's user namespace. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "oci/runtime_spec.h"

struct error;

/* Whether ids that the spec uses have a mapping: root's, the process's, those in mount options; and,
 * for who is not root, that there is a user namespace at all.  ERROR_INVALID naming the member. */
int idmap_check(const struct oci_spec *spec, struct error *err);
/* The same for the ids of one process; nothing is known of a user namespace given by path. */
int idmap_check_process(const struct oci_spec *spec, const struct oci_process *p,
			struct error *err);

/* Write the maps of a process that has just been cloned into a new user namespace: oneself with the
 * right to, or for one's own id alone; otherwise by newuidmap(1) and newgidmap(1), which ask
 * subuid(5).  ERROR_UNAVAILABLE when those are needed and not installed. */
int idmap_write(int proc_fd, pid_t pid, const struct oci_linux *l, struct error *err);
/* An fd of a new user namespace that nobody is in with the same mappings, for idmapped mounts;
 * `with_root`: and one more entry each for the host's root. */
int idmap_new_user_namespace(int proc_fd, const struct oci_linux *l, bool with_root,
			     struct error *err);
