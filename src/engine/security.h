/* engine/security.h - the kernel's security modules: what is in force, and what a container gets of it. */
#pragma once

#include "engine/engine.h"

struct volume_binds;

/* [before the loop runs] Look at the kernel, read SELinux' policy, load the default AppArmor profile;
 * without the profile containers run all the same, which is logged. */
int security_open(struct engine *e, struct error *err);

/* AppArmor -------------------------------------------------------------------------------------- */

/* [any thread] The profile of a container's processes; NULL: none, as AppArmor is not in force.
 * Borrowed from the container's configuration or static. */
const char *security_apparmor_of(const struct engine *e, const struct container *c);

/* SELinux --------------------------------------------------------------------------------------- */

/* [worker] Choose the labels of a container that is being created.  Its categories are kept for it
 * until security_unreserve [loop], when it is in the table or given up. */
int security_label(struct engine *e, struct container *c, struct error *err);
void security_unreserve(struct engine *e, const struct container *c);
/* [any thread] NULL: they are not used (any more). */
const struct labels *security_labels_of(const struct engine *e, const struct container *c);
/* [worker] Volumes are for all containers. */
int security_label_volumes(const struct engine *e, const struct container *c,
			   const struct volume_binds *volumes, struct error *err);

/* Both ------------------------------------------------------------------------------------------ */

/* [worker] Before a start: the default profile, which the kernel may have lost, as after aa-teardown(8);
 * labels of the container's files in `files_dir` and of bind mounts with :z and :Z. */
int security_prepare(struct engine *e, const struct container *c, const char *files_dir,
		     struct error *err);

/* [worker] Options that have no effect here are said at create. */
void security_warn(const struct engine *e, const struct container_spec *s, struct strv *warnings);
