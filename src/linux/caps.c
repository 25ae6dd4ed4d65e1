/* Capability names and sets, on the system calls themselves: libcap is not in the static programs. */
#include "linux/caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/error.h"
#include "base/mem.h"

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT           47
#define PR_CAP_AMBIENT_RAISE     2
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif

/* By number; include/uapi/linux/capability.h up to Linux 6.x. */
static const char *const names[] = {
	"CAP_CHOWN",
	"CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",
	"CAP_FSETID",
	"CAP_KILL",
	"CAP_SETGID",
	"CAP_SETUID",
	"CAP_SETPCAP",
	"CAP_LINUX_IMMUTABLE",
	"CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",
	"CAP_NET_ADMIN",
	"CAP_NET_RAW",
	"CAP_IPC_LOCK",
	"CAP_IPC_OWNER",
	"CAP_SYS_MODULE",
	"CAP_SYS_RAWIO",
	"CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE",
	"CAP_SYS_PACCT",
	"CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",
	"CAP_SYS_NICE",
	"CAP_SYS_RESOURCE",
	"CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD",
	"CAP_LEASE",
	"CAP_AUDIT_WRITE",
	"CAP_AUDIT_CONTROL",
	"CAP_SETFCAP",
	"CAP_MAC_OVERRIDE",
	"CAP_MAC_ADMIN",
	"CAP_SYSLOG",
	"CAP_WAKE_ALARM",
	"CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ",
	"CAP_PERFMON",
	"CAP_BPF",
	"CAP_CHECKPOINT_RESTORE",
};

int caps_parse(const char *name)
{
	if (strncasecmp(name, "CAP_", 4) == 0)
		name += 4;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcasecmp(name, names[i] + 4) == 0)
			return (int)i;
	return -EINVAL;
}

const char *caps_name(int cap)
{
	return cap >= 0 && (size_t)cap < ARRAY_SIZE(names) ? names[cap] : NULL;
}

int caps_count(void)
{
	static int count;
	int low = 0, high = 64; /* known: low - 1, unknown: high */

	if (count)
		return count;
	while (low < high) {
		int mid = (low + high) / 2;

		if (prctl(PR_CAPBSET_READ, mid, 0, 0, 0) >= 0)
			low = mid + 1;
		else
			high = mid;
	}
	count = low;
	return count;
}

int caps_get(struct caps *ret, struct error *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	struct caps caps = {0};

	if (syscall(SYS_capget, &header, data) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "read capabilities");
	caps.effective = data[0].effective | (uint64_t)data[1].effective << 32;
	caps.permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	caps.inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	for (int i = 0; i < caps_count(); i++) {
		if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
			caps.bounding |= (uint64_t)1 << i;
		if (prctl(PR_CAP_AMBIENT, 1 /* IS_SET */, i, 0, 0) == 1)
			caps.ambient |= (uint64_t)1 << i;
	}
	*ret = caps;
	return 0;
}

int caps_apply_bounding(uint64_t bounding, struct error *err)
{
	int n = caps_count();

	for (int i = 0; i < n; i++) {
		if (bounding & (uint64_t)1 << i)
			continue;
		if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0) {
			/* Already gone is as good: without CAP_SETPCAP the call fails for that too. */
			if (errno == EPERM && prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 0)
				continue;
			return error_set(err, ERROR_INTERNAL, errno,
					 "drop %s from the bounding set",
					 caps_name(i) ? caps_name(i) : "a capability");
		}
	}
	return 0;
}

int caps_apply(const struct caps *want, uint64_t *ret_missing, struct error *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	uint64_t have, permitted, effective, inheritable, ambient;

	if (syscall(SYS_capget, &header, data) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "read capabilities");
	have = data[0].permitted | (uint64_t)data[1].permitted << 32;

	permitted = want->permitted & have;
	effective = want->effective & permitted;
	inheritable = want->inheritable & have;
	ambient = want->ambient & permitted & inheritable;
	if (ret_missing)
		*ret_missing = ((want->permitted | want->inheritable) & ~have) |
			       (want->effective & ~effective) | (want->ambient & ~ambient);

	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(effective >> 32 * i);
		data[i].permitted = (uint32_t)(permitted >> 32 * i);
		data[i].inheritable = (uint32_t)(inheritable >> 32 * i);
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set capabilities");

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0,
		    0); /* EINVAL before Linux 4.3 */
	for (int i = 0; ambient >> i; i++)
		if (ambient & (uint64_t)1 << i &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "raise ambient %s",
					 caps_name(i) ? caps_name(i) : "capability");
	return 0;
}
