/* EROFS images that are files, without a loop device. */
#include <errno.h>

#include "base/error.h"
#include "base/mem.h"
#include "linux/mount_priv.h"
#include "linux/sys.h"

#define EROFS_BLOCK      512 /* what files in an image begin at multiples of */
#define STATX_DIO_ALIGN_ 0x2000U

/* statx(2), as much of it as is looked at. */
struct statx_dio {
	uint32_t mask, others[37];
	uint32_t mem_align, offset_align; /* bytes; 0: no direct I/O on this file (Linux 6.1) */
	uint32_t rest[24];
};
_Static_assert(sizeof(struct statx_dio) == 256, "struct statx has 256 bytes");

/* Read directly, contents are cached once, in the image's files; else the file behind them has a copy, too. */
static bool can_read_directly(int fd)
{
	struct statx_dio st = {0};

	return syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_DIO_ALIGN_, &st) == 0 &&
	       (st.mask & STATX_DIO_ALIGN_) != 0 && st.offset_align > 0 &&
	       st.offset_align <= EROFS_BLOCK && st.mem_align <= EROFS_BLOCK;
}

static int configure(int fs_fd, int index_fd, int data_fd, struct error *err)
{
	char index[FD_PATH_SIZE], data[FD_PATH_SIZE];

	/* Before Linux 6.15 there is no such option. */
	if (can_read_directly(data_fd))
		(void)sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FLAG, "directio", NULL, 0);
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "source", mount_fd_path(index_fd, index),
			 0) < 0 ||
	    sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "device", mount_fd_path(data_fd, data),
			 0) < 0)
		return mount_context_error(fs_fd, errno, "erofs", err);
	return 0;
}

int mount_new_erofs(int index_fd, int data_fd, struct error *err)
{
	autoclose int fs_fd = sys_fsopen("erofs", FSOPEN_CLOEXEC);
	int fd, r;

	if (fs_fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "open file system type 'erofs'");
	r = configure(fs_fd, index_fd, data_fd, err);
	if (r < 0)
		return r;
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_CREATE, NULL, NULL, 0) < 0) {
		if (errno == ENOTBLK || errno == EOPNOTSUPP)
			return error_set(err, ERROR_UNAVAILABLE, errno,
					 "mount an EROFS image from a file");
		return mount_context_error(fs_fd, errno, "create erofs", err);
	}
	fd = sys_fsmount(fs_fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
	return fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "mount erofs") : fd;
}
