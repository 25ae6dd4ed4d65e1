/* Labels of security modules, through /proc/thread-self/attr. */
#include "linux/lsm.h"

#include <errno.h>

#include "base/error.h"
#include "base/mem.h"
#include "linux/procfs.h"

/* Since Linux 5.8 each module has a directory of its own; before, and beside others, the first one has
 * the old files. */
int lsm_apparmor_exec(int proc_fd, const char *profile, struct error *err)
{
	autofree char *command = xasprintf("exec %s", profile);
	autoerror struct error why = {0};
	int r = procfs_write(proc_fd, "thread-self/attr/apparmor/exec", command, &why);

	if (r == -ENOENT)
		return procfs_write(proc_fd, "thread-self/attr/exec", command, err);
	return r < 0 ? error_move(err, &why, r) : 0;
}

int lsm_selinux_exec(int proc_fd, const char *label, struct error *err)
{
	return procfs_write(proc_fd, "thread-self/attr/exec", label, err);
}

int lsm_selinux_keycreate(int proc_fd, const char *label, struct error *err)
{
	return procfs_write(proc_fd, "thread-self/attr/keycreate", label ? label : "\n", err);
}
