/* linux/procfs.h - a verified handle of procfs, and writes that cannot be redirected.
 *
 * The handle is opened on the host's /proc before anything of a container exists, and verified to
 * be procfs's root; files below it are opened without crossing mounts or following magic links.
 * "self" and "thread-self" mean the calling process, whatever namespaces it has entered since.
 */
#pragma once

#include <stddef.h>

struct error;

/* An O_PATH fd of /proc. */
int procfs_open(struct error *err);
/* The same of another one, below dir_fd. */
int procfs_open_at(int dir_fd, const char *path, struct error *err);
/* A new proc file system, mounted nowhere, of the caller's pid namespace: -errno where there cannot be
 * one. */
int procfs_new(void);
/* open(2) flags; returns the fd or -errno. */
int procfs_open_file(int proc_fd, const char *path, int flags);
/* One write(2). */
int procfs_write(int proc_fd, const char *path, const char *value, struct error *err);
/* /proc/sys by a sysctl's name; dots separate unless the name has slashes. */
int procfs_sysctl(int proc_fd, const char *name, const char *value, struct error *err);
