/* linux/rootless.h - whether this process is root on the host, or only somebody who may make user
 * namespaces. */
#pragma once

#include <stdbool.h>

enum rootless { ROOTLESS_AUTO, ROOTLESS_TRUE, ROOTLESS_FALSE };

/* For the whole process, once and before anything asks: vessel-runtime's --rootless. */
void rootless_set(enum rootless value);
/* Whether missing rights over cgroups are put up with: as it was set, else whether we are not root, or
 * root in a user namespace alone.  Looks into /proc the first time. */
bool rootless_is(void);
/* Whether the user namespace that we are in is not the host's. */
bool rootless_in_user_namespace(void);
