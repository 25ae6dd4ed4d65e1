/* linux/selinux.h - whether SELinux is in force; contexts taken apart; labels of files (selinux(8)). */
#pragma once

#include <stdbool.h>

struct error;

/* The kernel runs SELinux with a policy, and its file system is mounted at /sys/fs/selinux. */
bool selinux_is_enabled(void);
/* Has the policy such a context?  ERROR_INVALID if not. */
int selinux_check_context(const char *context, struct error *err);

/* "user:role:type:level"; the level may have colons, and may be missing.  Strings are owned. */
struct selinux_context {
	char *user, *role, *type, *level; /* level NULL: none */
};
int selinux_context_parse(const char *text, struct selinux_context *ret); /* -EINVAL */
char *selinux_context_format(const struct selinux_context *c);            /* malloc'd */
void selinux_context_done(struct selinux_context *c);
#define autoselinux_context __attribute__((cleanup(selinux_context_done)))

/* Label the file, and all below it if it is a directory; symbolic links are labelled and not followed,
 * but the path itself may be one.  What has vanished meanwhile, and file systems without labels
 * (ENOTSUP), are no errors. */
int selinux_label_tree(const char *path, const char *context, struct error *err);
