/* engine/propagation.h - bind mounts whose propagation needs something of the host. */
#pragma once

#include "base/error.h"

/* Does the mount that `source` (absolute) lies on share with others what is mounted below it, as `propagation`
 * ("rshared", "slave", ...) needs?  Others, and "", ask for nothing.  ERROR_INVALID with Docker's words. */
int propagation_check(const char *source, const char *propagation, struct error *err);

/* The same on the text of a mountinfo, which is taken apart, and a path without links. */
int propagation_check_text(char *mountinfo, const char *path, const char *propagation,
			   struct error *err);
