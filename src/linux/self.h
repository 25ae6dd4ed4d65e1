/* linux/self.h - running from where our own program cannot be written to.
 *
 * A container whose entrypoint is /proc/self/exe makes the runtime execute itself inside the
 * container, where its binary can then be opened for writing through /proc (CVE-2019-5736).  Run
 * from a read-only mount that is nowhere, or from a sealed memfd, there is nothing behind that link that
 * can be written to.
 */
#pragma once

#include <stdbool.h>

struct error;

/* A sealed, executable memfd with the contents of `path`; give it to spawn() as exec_fd. */
int self_memfd(const char *path, struct error *err);
/* Whether this process already runs from one, or from a read-only mount. */
bool self_is_sealed(void);
/* The path of our program as it was started, malloc'd; NULL if it cannot be known. */
char *self_path(void);
/* A program of ours that only others start: beside our own, else where `make install` puts those, in
 * ../libexec/vessel from there; malloc'd, NULL if it is in neither. */
char *self_helper(const char *name);
/* Execute ourselves again from such a place, unless self_is_sealed(); returns only then, or on failure. */
int self_reexec(char *const argv[], struct error *err);
/* After that: the descriptor that keeps the read-only mount attached to something, -EBADF if there is
 * none.  To be called first of all: it is not one of those that our caller passed on. */
int self_find_mount(void);
/* Close it, if that has not been done.  No process may execute what is a container's as long as anybody has
 * it. */
void self_forget_mount(void);
