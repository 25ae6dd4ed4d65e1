/* Close-on-exec for all that is open. */
#include "linux/descriptors.h"

#include <dirent.h>
#include <errno.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/procfs.h"
#include "linux/sys.h"

static int mark_listed(int proc_fd, unsigned first, struct error *err)
{
	int fd = procfs_open_file(proc_fd, "self/fd", O_RDONLY | O_DIRECTORY), r = 0;
	const struct dirent *entry;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		r = fd < 0 ? -fd : errno;
		fd_close(&fd);
		return error_set(err, ERROR_INTERNAL, r, "list open files");
	}
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		uint32_t number;

		if (str_parse_u32(entry->d_name, &number) < 0 || number < first)
			continue; /* "." and ".." too */
		if (fcntl((int)number, F_SETFD, FD_CLOEXEC) < 0)
			r = error_set(err, ERROR_INTERNAL, errno, "mark descriptor %u", number);
	}
	if (r == 0 && errno)
		r = error_set(err, ERROR_INTERNAL, errno, "list open files");
	(void)closedir(dir);
	return r;
}

int descriptors_cloexec(int proc_fd, unsigned first, struct error *err)
{
	if (sys_close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return 0;
	/* EINVAL: Linux 5.9 and 5.10 have the call, but not the flag */
	if (errno != ENOSYS && errno != EINVAL)
		return error_set(err, ERROR_INTERNAL, errno, "close_range");
	return mark_listed(proc_fd, first, err);
}
