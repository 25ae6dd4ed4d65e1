/* engine/security.h - the kernel's security modules: what is in force, and what a container gets of it. */
#pragma once

#include "engine/engine.h"

/* [before the loop runs] Look at the kernel and load the default profile; what cannot be had is logged. */
void security_open(struct engine *e);

/* [any thread] The AppArmor profile of a container's processes; NULL: none, as AppArmor is not in force.
 * Borrowed from the container's configuration or static. */
const char *security_apparmor_of(const struct engine *e, const struct container *c);

/* [worker] Before a start: the kernel may have lost the default profile, as after aa-teardown(8). */
int security_prepare(struct engine *e, const struct container *c, struct error *err);

/* [worker] Options that have no effect here are said at create. */
void security_warn(const struct engine *e, const struct container_spec *s, struct strv *warnings);
