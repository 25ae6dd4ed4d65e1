/* linux/resctrl.h - classes of service and monitoring groups of the resctrl file system (Intel RDT, AMD
 * QoS; Documentation/filesystems/resctrl.rst).
 *
 * The functions work below a descriptor of the file system's root (or of anything that looks like it).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;

struct resctrl_group {
	const char *
		clos_id; /* a directory of the root; "/": the root itself; NULL: `id`, to be made */
	const char *id;  /* the container's; also names its monitoring group */
	const char *l3, *mb;         /* lines of `schemata`; NULL or "": none */
	const char *const *schemata; /* more lines, written last */
	size_t schemata_count;
	bool monitoring; /* a monitoring group of its own */
};

/* Where it is mounted, by /proc/self/mountinfo; ERROR_UNAVAILABLE if it is not. */
int resctrl_open(int proc_fd, struct error *err);
/* Make the group where the runtime-spec says so, or compare it, and put the process in.  On failure
 * nothing new is left. */
int resctrl_join(int root_fd, const struct resctrl_group *g, pid_t pid, struct error *err);
/* Remove what join made; what is gone already is fine. */
int resctrl_remove(int root_fd, const struct resctrl_group *g, struct error *err);

/* Whether a schemata file's text says the same as one line, for all that the line names: numbers are
 * compared as such, order and spaces do not count. */
bool resctrl_schemata_match(const char *text, const char *line);
