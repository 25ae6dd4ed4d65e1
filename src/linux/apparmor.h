/* linux/apparmor.h - whether AppArmor is in force, and which profiles the kernel has (apparmor(7)). */
#pragma once

#include <stdbool.h>

/* The kernel enforces AppArmor, and its interface in securityfs is mounted. */
bool apparmor_is_enabled(void);
/* In the caller's policy namespace. */
bool apparmor_has_profile(const char *name);
/* Whether the text of securityfs's apparmor/profiles, lines of "NAME (MODE)", has the profile. */
bool apparmor_list_has(const char *list, const char *name);
/* The calling thread's profile without its mode, "unconfined" where there is none; malloc'd; NULL if
 * it cannot be known. */
char *apparmor_current(void);
