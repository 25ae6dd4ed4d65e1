/* registry/sandbox.h - what the helper gives up before it meets a stranger. */
#pragma once

struct error;

/* Once, before the first thread.  As root: a user of nobody's, no capabilities, a mount namespace with
 * nothing but what name resolution reads.  Always: no new privileges, limits on memory and descriptors. */
int sandbox_enter(struct error *err);
