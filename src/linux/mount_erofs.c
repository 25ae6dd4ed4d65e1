/* EROFS images that are files, without a loop device. */
#include <errno.h>

#include "base/error.h"
#include "base/mem.h"
#include "linux/mount_priv.h"
#include "linux/sys.h"

int mount_new_erofs(int index_fd, int data_fd, struct error *err)
{
	autoclose int fs_fd = sys_fsopen("erofs", FSOPEN_CLOEXEC);
	char index[FD_PATH_SIZE], data[FD_PATH_SIZE];
	int fd;

	if (fs_fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "open file system type 'erofs'");
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "source", mount_fd_path(index_fd, index),
			 0) < 0 ||
	    sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "device", mount_fd_path(data_fd, data),
			 0) < 0)
		return mount_context_error(fs_fd, errno, "erofs", err);
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_CREATE, NULL, NULL, 0) < 0) {
		if (errno == ENOTBLK || errno == EOPNOTSUPP)
			return error_set(err, ERROR_UNAVAILABLE, errno,
					 "mount an EROFS image from a file");
		return mount_context_error(fs_fd, errno, "create erofs", err);
	}
	fd = sys_fsmount(fs_fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
	return fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "mount erofs") : fd;
}
