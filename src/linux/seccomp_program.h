/* linux/seccomp_program.h - seccomp filters: the cache of compiled programs, and loading one.
 *
 * Compiling takes libseccomp and tens of milliseconds, so it is left to a helper program
 * (vessel-seccomp: the OCI seccomp object on stdin, BPF on stdout) that runs when the cache has no
 * entry.  A cache file is named by a 64-bit hash of its key and holds the whole key, which is
 * compared, then the program; the key is the profile's text, the kernel's release and machine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct json;

struct seccomp_program {
	uint64_t *insns; /* owned; struct sock_filter, 8 bytes each */
	size_t count;
	unsigned flags; /* SECCOMP_FILTER_FLAG_* */
};

struct seccomp_cache {
	const char *dir;    /* existing directory; NULL: no cache */
	const char *helper; /* absolute path of vessel-seccomp */
};

/* Get the program for a profile (the `linux.seccomp` object), compiling it if need be. */
int seccomp_program_get(const struct seccomp_cache *cache, const struct json *profile,
			struct seccomp_program *ret, struct error *err);
/* Whether it has rules for an agent (SCMP_ACT_NOTIFY). */
bool seccomp_program_notifies(const struct seccomp_program *program);
/* Load into the calling thread; needs no_new_privs or CAP_SYS_ADMIN.  Returns 0, or with such rules the
 * agent's descriptor, close-on-exec: from then on every system call of this thread may have to wait for
 * the agent. */
int seccomp_program_load(const struct seccomp_program *program, struct error *err);
void seccomp_program_done(struct seccomp_program *program);
