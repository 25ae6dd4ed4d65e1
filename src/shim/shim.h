/* shim/shim.h - the supervisor of one container, from its creation to its release.
 *
 * Runs in a process of its own, with descriptors and configuration as shim/protocol.h says.
 */
#pragma once

/* Take over SHIM_CONFIG_FD and what follows, or wait for them, and serve until the life-cycle ends.
 * `id_arg`: the container's id among the process's arguments, or what stands there as long as there is
 * none: it is overwritten; may be NULL.  Returns the process's exit code: 0 after a release or an
 * abort, or if no container came, 1 when it could not be created or started. */
int shim_run(char *id_arg);
