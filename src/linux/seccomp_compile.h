/* linux/seccomp_compile.h - OCI seccomp profiles to BPF, by libseccomp; only in vessel-seccomp. */
#pragma once

#include <stddef.h>

struct error;

/* `profile`: the text of a `linux.seccomp` object.  *ret: a struct seccomp_header and the program,
 * malloc'd.  ERROR_INVALID names the field; ERROR_NOT_IMPLEMENTED. */
int seccomp_compile(const char *profile, size_t len, char **ret, size_t *ret_len,
		    struct error *err);
