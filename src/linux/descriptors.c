/* Close-on-exec for all that is open. */
#include "linux/descriptors.h"

#include <dirent.h>
#include <errno.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/procfs.h"
#include "linux/sys.h"

unsigned descriptors_inherited(int but)
{
	unsigned n = 0;

	while (n < DESCRIPTORS_INHERITED_MAX && (int)(3 + n) != but &&
	       fcntl((int)(3 + n), F_GETFD) >= 0)
		n++;
	return n;
}

typedef int (*descriptor_fn)(int fd, const int *keep, size_t n);

static int mark(int fd, const int *keep, size_t n)
{
	(void)keep, (void)n;
	return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int close_unkept(int fd, const int *keep, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (keep[i] == fd)
			return 0;
	return close(fd);
}

static int for_each_listed(int proc_fd, unsigned first, descriptor_fn act, const int *keep,
			   size_t n)
{
	int fd = proc_fd < 0 ? open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
			     : procfs_open_file(proc_fd, "self/fd", O_RDONLY | O_DIRECTORY);
	int r = 0;
	const struct dirent *entry;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		r = fd < -1 ? fd : -errno; /* -1: of open(2) */
		fd_close(&fd);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		uint32_t number;

		if (str_parse_u32(entry->d_name, &number) < 0 || number < first ||
		    (int)number == fd)
			continue; /* "." and ".." too */
		if (act((int)number, keep, n) < 0)
			r = -errno;
	}
	if (r == 0)
		r = -errno;
	(void)closedir(dir);
	return r;
}

int descriptors_cloexec(int proc_fd, unsigned first, struct error *err)
{
	int r;

	if (sys_close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return 0;
	/* EINVAL: Linux 5.9 and 5.10 have the call, but not the flag */
	r = errno == ENOSYS || errno == EINVAL ? for_each_listed(proc_fd, first, mark, NULL, 0)
					       : -errno;
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "mark open files") : 0;
}

/* The ranges between those that stay. */
static int close_ranges(unsigned first, const int *keep, size_t n)
{
	for (;;) {
		unsigned next = ~0U;

		for (size_t i = 0; i < n; i++)
			if (keep[i] >= (int)first && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next > first && sys_close_range(first, next == ~0U ? next : next - 1, 0) < 0)
			return -errno;
		if (next == ~0U)
			return 0;
		first = next + 1;
	}
}

int descriptors_close(int proc_fd, unsigned first, const int *keep, size_t n, struct error *err)
{
	int r = close_ranges(first, keep, n);

	if (r == -ENOSYS)
		r = for_each_listed(proc_fd, first, close_unkept, keep, n);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "close open files") : 0;
}
