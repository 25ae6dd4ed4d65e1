/* Our own program where nobody can write to it.
 *
 * Cheap: a clone of its mount, of that one file, detached and read-only.  Executing it keeps the mount, and
 * closing its descriptor takes it out of all namespaces for good: mount_setattr(2),
 * remounting and cloning are refused for what is mounted nowhere, so that not even a container with
 * CAP_SYS_ADMIN makes it writable again.  It costs a tenth of copying the program, which is what is done
 * where mounts cannot be made.
 *
 * The kernel makes whoever closes the last descriptor of it wait for all processors
 * (synchronize_rcu_expedited), so it survives the execve and is closed by self_forget_mount(): by the process
 * that is cloned for a container first of all, by us when we would only wait for that process, and in any case
 * before it executes what the container has.
 */
#include "linux/self.h"

#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/sys.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
/* Where the sealed copy finds the path of its original. */
#define PATH_VARIABLE "VESSEL_SELF_PATH"
#define FD_VARIABLE   "VESSEL_SELF_MOUNT"
#define SEALS         (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int copy(int from, int to, off_t size, struct error *err)
{
	while (size > 0) {
		ssize_t n = sendfile(to, from, NULL, (size_t)size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_set(err, ERROR_INTERNAL, n < 0 ? errno : EIO,
					 "copy our program");
		size -= n;
	}
	return 0;
}

int self_memfd(const char *path, struct error *err)
{
	autoclose int from = open(path, O_RDONLY | O_CLOEXEC), fd = -EBADF;
	struct stat st;
	int r;

	if (from < 0 || fstat(from, &st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", path);
	fd = memfd_create("vessel", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("vessel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create a memfd");
	r = copy(from, fd, st.st_size, err);
	if (r < 0)
		return r;
	if (fchmod(fd, 0500) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "seal our program");
	return TAKE_FD(fd);
}

bool self_is_sealed(void)
{
	autoclose int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int seals = fd >= 0 ? fcntl(fd, F_GET_SEALS) : -1;
	struct statvfs fs;

	if (seals >= 0 && (seals & SEALS) == SEALS)
		return true;
	/* The host's own read-only mount, in no container's namespace, is as good. */
	return fd >= 0 && fstatvfs(fd, &fs) == 0 && fs.f_flag & ST_RDONLY;
}

/* -1: not here. */
static int readonly_mount(void)
{
	struct sys_mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	autoclose int fd = sys_open_tree(AT_FDCWD, "/proc/self/exe",
					 OPEN_TREE_CLONE | (unsigned)OPEN_TREE_CLOEXEC);

	if (fd < 0 || sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr) < 0)
		return -1;
	return TAKE_FD(fd);
}

static char *linked_path(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path));

	return n > 0 && (size_t)n < sizeof(path) ? xstrndup(path, (size_t)n) : NULL;
}

char *self_path(void)
{
	const char *inherited = self_is_sealed() ? getenv(PATH_VARIABLE) : NULL;

	return inherited ? xstrdup(inherited) : linked_path();
}

char *self_helper(const char *name)
{
	static const char *const places[] = {"", "../libexec/vessel/"};
	autofree char *self = self_path();
	char *slash = self ? strrchr(self, '/') : NULL;

	if (!slash)
		return NULL;
	*slash = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		autofree char *path = xasprintf("%s/%s%s", self, places[i], name);

		if (access(path, X_OK) == 0)
			return TAKE_PTR(path);
	}
	return NULL;
}

static atomic_int mount_fd = -EBADF;

/* Without it the descriptor is closed on execve, which is as good. */
static void keep_mount(int fd)
{
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", fd);
	if (setenv(FD_VARIABLE, number, 1) == 0)
		(void)fcntl(fd, F_SETFD, 0);
}

int self_find_mount(void)
{
	const char *number = getenv(FD_VARIABLE);
	uint32_t fd;

	if (!number)
		return -EBADF;
	if (str_parse_u32(number, &fd) == 0 && fd > 2 && fd <= INT_MAX)
		atomic_store(&mount_fd, (int)fd);
	(void)unsetenv(FD_VARIABLE);
	return atomic_load(&mount_fd);
}

void self_forget_mount(void)
{
	int fd = atomic_exchange(&mount_fd, -EBADF);

	fd_close(&fd);
}

int self_reexec(char *const argv[], struct error *err)
{
	autofree char *path = NULL;
	autoclose int fd = -EBADF;

	if (self_is_sealed())
		return 0;
	fd = readonly_mount();
	if (fd >= 0)
		keep_mount(fd);
	else
		fd = self_memfd("/proc/self/exe", err);
	if (fd < 0)
		return fd;
	/* Neither tells where its neighbours are. */
	path = linked_path();
	if (path && setenv(PATH_VARIABLE, path, 1) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set our environment");
	(void)syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
	return error_set(err, ERROR_INTERNAL, errno, "execute ourselves anew");
}
