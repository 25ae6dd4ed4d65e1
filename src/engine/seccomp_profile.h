/* engine/seccomp_profile.h - Docker's seccomp profiles into the runtime-spec's linux.seccomp.
 *
 * A profile's rules may hold only for some capabilities, architectures or kernels ("includes",
 * "excludes", "minKernel"); here they are decided.  The default profile is compiled in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"

struct seccomp_context {
	const char *const *caps; /* "CAP_SYS_ADMIN", ...: the container's bounding set */
	size_t cap_count;
	const char *arch; /* as profiles name it: "amd64"; NULL: this machine's */
	unsigned kernel_major, kernel_minor; /* 0, 0: the running one */
};

/* Write the object.  text NULL: the default profile.  ERROR_INVALID for a profile that is none. */
int seccomp_profile_write(const char *text, size_t len, const struct seccomp_context *ctx,
			  struct json_writer *w, struct error *err);
