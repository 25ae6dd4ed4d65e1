/* linux/confine.h - what a process gives up for good before it meets strangers' bytes.
 *
 * For programs of one task, before their first thread.  What the kernel does not know is left out.
 */
#pragma once

#include <stdbool.h>

struct error;

/* As root: nobody's user and group, no others, and so no capabilities.  One that may not change its user has
 * lost that before, and stays. */
int confine_user(struct error *err);
/* As root: would nobody reach this path, to write to it? */
bool confine_reaches(const char *path);

enum confine_flags { CONFINE_MAY_EXECUTE = 1 };

/* No new privileges, no core dump, not to be traced; and a filter of system calls: none that execute, signal, trace,
 * mount, load, or reach into other processes. */
int confine_calls(unsigned flags, struct error *err);
/* By Landlock (Linux 5.13): files are not written, made, renamed or removed, but for those below `directory` (NULL:
 * nowhere).  What is open already is not concerned.  After confine_calls. */
int confine_files(const char *directory, unsigned flags, struct error *err);
