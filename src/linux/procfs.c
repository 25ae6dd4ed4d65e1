/* procfs, reached through one verified descriptor. */
#include "linux/procfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/root_priv.h"
#include "linux/sys.h"

#define PROC_SUPER_MAGIC_ 0x9fa0
#define PROC_ROOT_INO_    1

int procfs_open(struct error *err)
{
	return procfs_open_at(AT_FDCWD, "/proc", err);
}

int procfs_open_at(int dir_fd, const char *path, struct error *err)
{
	autoclose int fd = openat(dir_fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statfs fs;
	struct stat st;

	if (fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "open /proc");
	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "inspect /proc");
	if (fs.f_type != PROC_SUPER_MAGIC_ || st.st_ino != PROC_ROOT_INO_)
		return error_set(err, ERROR_FORBIDDEN, 0, "/proc is not a proc file system");
	return TAKE_FD(fd);
}

int procfs_new(void)
{
	autoclose int fs_fd = sys_fsopen("proc", FSOPEN_CLOEXEC);
	int fd = -1;

	if (fs_fd >= 0 && sys_fsconfig(fs_fd, SYS_FSCONFIG_CREATE, NULL, NULL, 0) == 0)
		fd = sys_fsmount(fs_fd, FSMOUNT_CLOEXEC,
				 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	return fd >= 0 ? fd : -errno;
}

int procfs_open_file(int proc_fd, const char *path, int flags)
{
	static bool missing; /* openat2, found out once */
	int fd = -1;

	if (!missing) {
		fd = sys_openat2(proc_fd, path, (uint64_t)(flags | O_CLOEXEC), 0,
				 RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
		missing = fd < 0 && errno == ENOSYS;
	}
	if (missing)
		return root_walk(proc_fd, path, flags, ROOT_WALK_NO_XDEV);
	return fd >= 0 ? fd : -errno;
}

int procfs_write(int proc_fd, const char *path, const char *value, struct error *err)
{
	autoclose int fd = procfs_open_file(proc_fd, path, O_WRONLY);

	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, -fd, "open /proc/%s", path);
	if (write(fd, value, strlen(value)) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "write '%.*s' to /proc/%s",
				 (int)strcspn(value, "\n"), value, path);
	return 0;
}

int procfs_sysctl(int proc_fd, const char *name, const char *value, struct error *err)
{
	char path[256] = "sys/";
	int r;

	if (!str_copy(path + 4, sizeof(path) - 4, name))
		return error_set(err, ERROR_INVALID, ENAMETOOLONG, "sysctl '%s'", name);
	/* As sysctl(8): the first separator decides; a dot inside "a/b.c" is part of a name. */
	if (path[4 + strcspn(path + 4, "./")] == '.')
		for (char *p = path + 4; *p; p++)
			*p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
	r = procfs_write(proc_fd, path, value, err);
	if (r < 0 && err)
		err->kind = r == -ENOENT || r == -EINVAL ? ERROR_INVALID : ERROR_INTERNAL;
	return r < 0 ? error_wrap(err, r, "sysctl '%s'", name) : 0;
}
