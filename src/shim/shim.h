/* shim/shim.h - the supervisor of one container, from its creation to its release.
 *
 * Runs in a process of its own, with descriptors and configuration as shim/protocol.h says.
 */
#pragma once

/* Take over SHIM_CONFIG_FD and what follows, and serve until the life-cycle ends.  Returns the
 * process's exit code: 0 after a release or an abort, 1 when the container could not be created or
 * started. */
int shim_run(void);
