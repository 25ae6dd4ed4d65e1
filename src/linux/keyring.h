/* linux/keyring.h - session keyrings, keyctl(2). */
#pragma once

#include <stdbool.h>

struct error;

/* Join the session keyring of that name, or make it: the caller's own is left behind.  Those who run as
 * the same user may find it by its name and join it later; in a user namespace of its own (in_userns)
 * anybody there, for its processes join as root.  A kernel without keyrings is fine: there is nothing to
 * leave behind. */
int keyring_join_session(const char *name, bool in_userns, struct error *err);
