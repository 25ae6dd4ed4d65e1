/* linux/projquota.h - limits on directory trees: project quotas of ext4 and XFS (quotactl(2)).
 *
 * A project is a number in each inode, inherited from the directory that a file is made in.  One is free
 * when no file has it: the file system's own accounts say so, whoever uses them, and nothing else needs to
 * be remembered.  Linux 5.14 (quotactl_fd).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct error;

/* Are limits of projects enforced where dir_fd is?  ERROR_INVALID, telling what it takes. */
int projquota_check(int dir_fd, struct error *err);
/* Give empty directories of one file system a project of their own, which may take `bytes` of the disk.
 * ERROR_INVALID as above.  [any thread, one at a time in a process] */
int projquota_limit(const int *dir_fds, size_t n, uint64_t bytes, struct error *err);
/* Another empty directory is to count as `from_fd` does, if that is limited at all. */
int projquota_share(int from_fd, int to_fd, struct error *err);
