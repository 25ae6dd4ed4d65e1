/* linux/lsm.h - security modules: the label that execve(2) gives, and that of new keys.  Whether there
 * is such a module say linux/apparmor.h and linux/selinux.h.  proc_fd: linux/procfs.h. */
#pragma once

struct error;

/* The profile of the calling thread from its next execve(2) on. */
int lsm_apparmor_exec(int proc_fd, const char *profile, struct error *err);
/* The context of the calling thread from its next execve(2) on; of the keys that it makes (NULL: the
 * default). */
int lsm_selinux_exec(int proc_fd, const char *label, struct error *err);
int lsm_selinux_keycreate(int proc_fd, const char *label, struct error *err);
