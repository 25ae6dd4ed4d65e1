/* engine/seccomp_default.h - Docker's default seccomp profile, seccomp-default.json, as data.
 *
 * The array is made at build time by engine/embed.py.
 */
#pragma once

#include <stddef.h>

extern const unsigned char seccomp_default[];
extern const size_t seccomp_default_len; /* bytes */
