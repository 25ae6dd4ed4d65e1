/* engine/user.h - "user[:group]" of a container or exec into numbers, by the image's own files.
 *
 * passwd(5), group(5).  Numbers need no entry; names do: ERROR_INVALID with Docker's words, "unable to
 * find user NAME: no matching entries in passwd file".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/rootfs_file.h"

struct user {
	uint32_t uid, gid;
	uint32_t *groups; /* owned: additional group ids */
	size_t group_count, group_cap;
	char *home; /* owned, never NULL after user_resolve */
};
void user_done(struct user *u); /* accepts a zeroed one */
#define autouser __attribute__((cleanup(user_done)))

/* spec: NULL or "" is root; extra: --group-add, names or numbers. */
int user_resolve(const struct rootfs_dirs *dirs, const char *spec, const char *const *extra,
		 size_t extra_count, struct user *ret, struct error *err);
/* The same on texts already read (NULL: no such file). */
struct user_files {
	const char *passwd, *group;
};
int user_resolve_texts(const struct user_files *files, const char *spec, const char *const *extra,
		       size_t extra_count, struct user *ret, struct error *err);
