/* Session keyrings. */
#include "linux/keyring.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"

/* include/uapi/linux/keyctl.h, include/linux/key.h */
#define KEYCTL_JOIN_SESSION_KEYRING_ 1
#define KEYCTL_SETPERM_              5
#define KEYCTL_DESCRIBE_             6
#define KEY_USR_SEARCH_              0x00080000UL
#define KEY_OTH_SEARCH_              0x00000008UL

/* "type;uid;gid;permissions in hex;name" */
static int permissions(long key, unsigned long *ret)
{
	char text[512];
	long n = syscall(SYS_keyctl, KEYCTL_DESCRIBE_, key, text, sizeof(text) - 1);
	const char *p = text;

	if (n < 0)
		return -errno;
	text[(size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1] = '\0';
	for (int i = 0; i < 3; i++) {
		p = strchr(p, ';');
		if (!p++)
			return -EBADMSG;
	}
	*ret = strtoul(p, NULL, 16);
	return 0;
}

int keyring_join_session(const char *name, bool in_userns, struct error *err)
{
	long key = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING_, name);
	unsigned long mode = 0, search = in_userns ? KEY_OTH_SEARCH_ : KEY_USR_SEARCH_;
	int r;

	if (key < 0 && errno == ENOSYS)
		return 0;
	if (key < 0)
		return error_set(err, ERROR_INTERNAL, errno, "join session keyring '%s'", name);
	r = permissions(key, &mode);
	/* EACCES: somebody else of the same name has made it, and let us join. */
	if (r == 0 && !(mode & search) &&
	    syscall(SYS_keyctl, KEYCTL_SETPERM_, key, mode | search) < 0 && errno != EACCES)
		r = -errno;
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "open session keyring '%s'", name) : 0;
}
