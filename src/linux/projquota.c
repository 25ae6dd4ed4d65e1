/* Limits on directory trees: project quotas of ext4 and XFS.
 *
 * XFS's commands of quotactl(2) serve both file systems.  Root's files count like all others: XFS has no
 * exceptions, and overlayfs gives CAP_SYS_RESOURCE away, by which ext4 would make one.
 */
#include "linux/projquota.h"

#include <errno.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"

#ifndef SYS_quotactl_fd
#define SYS_quotactl_fd 443
#endif

#define PROJECT_FIRST 0x56000000U /* clear of what administrators and other engines count from */
#define PROJECT_TRIES 100000
#define BLOCK_SIZE_   512 /* bytes: the unit of struct fs_disk_quota */

static pthread_mutex_t choosing = PTHREAD_MUTEX_INITIALIZER;
static uint32_t next_project = PROJECT_FIRST;

static int quota_command(int fd, unsigned command, uint32_t id, void *data)
{
	return syscall(SYS_quotactl_fd, fd, QCMD(command, PRJQUOTA), id, data) < 0 ? -errno : 0;
}

int projquota_check(int dir_fd, struct error *err)
{
	struct fs_quota_stat state = {.qs_version = FS_QSTAT_VERSION};
	int r = quota_command(dir_fd, Q_XGETQSTAT, 0, &state);

	if (r == 0 && state.qs_flags & FS_QUOTA_PDQ_ENFD)
		return 0;
	/* ENOSYS: no such call, or no quotas on this file system */
	return error_set(
		err, ERROR_INVALID, 0,
		"sizes are supported only on XFS that is mounted with the option 'pquota', "
		"and on ext4 that has the features 'quota' and 'project' and is mounted "
		"with 'prjquota' (Linux 5.14)");
}

static int set_project(int fd, uint32_t project, struct error *err)
{
	struct fsxattr attr;

	if (ioctl(fd, FS_IOC_FSGETXATTR, &attr) < 0)
		return error_set(err, ERROR_INVALID, errno, "read a directory's project");
	attr.fsx_projid = project;
	if (project)
		attr.fsx_xflags |= FS_XFLAG_PROJINHERIT;
	else
		attr.fsx_xflags &= ~(uint32_t)FS_XFLAG_PROJINHERIT;
	if (ioctl(fd, FS_IOC_FSSETXATTR, &attr) < 0)
		return error_set(err, ERROR_INVALID, errno, "set a directory's project");
	return 0;
}

/* Files that have it, or -errno. */
static int64_t count_files(int fd, uint32_t project)
{
	struct fs_disk_quota q = {0};
	int r = quota_command(fd, Q_XGETQUOTA, project, &q);

	if (r == -ENOENT || r == -ESRCH)
		return 0; /* never used */
	return r < 0 ? r : (int64_t)q.d_icount;
}

static int set_limit(int fd, uint32_t project, uint64_t bytes, struct error *err)
{
	uint64_t blocks = bytes / BLOCK_SIZE_ + (bytes % BLOCK_SIZE_ != 0);
	struct fs_disk_quota q = {
		.d_version = FS_DQUOT_VERSION,
		.d_flags = FS_PROJ_QUOTA,
		.d_fieldmask = FS_DQ_BHARD | FS_DQ_BSOFT,
		.d_id = project,
		.d_blk_hardlimit = blocks,
		.d_blk_softlimit = blocks,
	};
	int r = quota_command(fd, Q_XSETQLIM, project, &q);

	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "limit project %u", project) : 0;
}

static void leave(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)set_project(fds[i], 0, NULL); /* the caller removes them */
}

/* 1: it was somebody else's in the same moment. */
static int take(const int *fds, size_t n, uint32_t project, struct error *err)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n; i++)
		r = set_project(fds[i], project, err);
	if (r >= 0 && count_files(fds[0], project) > (int64_t)n)
		r = 1;
	if (r != 0)
		leave(fds, n);
	return r;
}

static int choose(const int *fds, size_t n, uint64_t bytes, struct error *err)
{
	for (unsigned i = 0; i < PROJECT_TRIES; i++) {
		uint32_t project = next_project++;
		int64_t files;
		int r;

		if (next_project > INT32_MAX) /* ext4 and tools take them for signed numbers */
			next_project = PROJECT_FIRST;
		files = count_files(fds[0], project);
		if (files < 0)
			return error_set(err, ERROR_INTERNAL, (int)-files, "look up project %u",
					 project);
		r = files > 0 ? 1 : take(fds, n, project, err);
		if (r > 0)
			continue;
		if (r == 0) {
			r = set_limit(fds[0], project, bytes, err);
			if (r < 0)
				leave(fds, n);
		}
		return r;
	}
	return error_set(err, ERROR_UNAVAILABLE, 0, "no project is free");
}

int projquota_limit(const int *dir_fds, size_t n, uint64_t bytes, struct error *err)
{
	int r = projquota_check(dir_fds[0], err);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&choosing);
	r = choose(dir_fds, n, bytes, err);
	(void)pthread_mutex_unlock(&choosing);
	return r;
}

int projquota_share(int from_fd, int to_fd, struct error *err)
{
	struct fsxattr attr;

	if (ioctl(from_fd, FS_IOC_FSGETXATTR, &attr) < 0 || attr.fsx_projid == 0)
		return 0; /* most file systems have no projects */
	return set_project(to_fd, attr.fsx_projid, err);
}
