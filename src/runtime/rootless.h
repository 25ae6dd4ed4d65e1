/* runtime/rootless.h - vessel-runtime as an ordinary user: where its records are. */
#pragma once

struct error;

/* The default of --root, as runc chooses it: /run/vessel-runtime, but below $XDG_RUNTIME_DIR for who is
 * not root on the host; malloc'd.  Without that variable an ordinary user gets a directory of his
 * own in /tmp. */
char *rootless_state_root(void);
/* Make that directory, unless --root was given: with the sticky bit, by which the XDG specification
 * has it left alone by cleaners.  ERROR_FORBIDDEN when it is another user's. */
int rootless_make_state_root(const char *root, struct error *err);
