/* vessel-fsck: the data root of an engine that does not run, checked and mended.
 *
 * What `vessel system fsck` executes if there is no engine to ask.  Exit codes are fsck(8)'s.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/db.h"
#include "store/fsck.h"

enum { FSCK_OK = 0, FSCK_MENDED = 1, FSCK_LEFT = 4, FSCK_FAILED = 8, FSCK_USAGE = 16 };

static void report(void *data, const struct fsck_problem *p)
{
	(void)data;
	printf("%s: %s%s\n", p->path, p->what, p->mended ? " (mended)" : "");
}

/* Nobody else has it, and there is a database. */
static int open_root(const char *path, int *ret_lock, struct error *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return error_set(err, ERROR_NOT_FOUND, errno, "open data root '%s'", path);
	*ret_lock = openat(fd, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_lock >= 0 && flock(*ret_lock, LOCK_EX | LOCK_NB) < 0) {
		fd_close(&fd);
		return error_set(err, ERROR_CONFLICT, 0,
				 "data root '%s' is in use by a vesseld: ask that one (-H)", path);
	}
	if (fstatat(fd, "vessel.db", &st, AT_SYMLINK_NOFOLLOW) < 0) {
		int r = error_set(err, ERROR_NOT_FOUND, errno, "'%s/vessel.db'", path);

		fd_close(&fd);
		return r;
	}
	return fd;
}

static int check(const char *path, const struct fsck_args *args, struct fsck_result *ret,
		 struct error *err)
{
	autoclose int lock = -EBADF, fd = open_root(path, &lock, err);
	autodb struct db *db = NULL;
	int r = fd;

	r = r < 0 ? r : db_open(fd, "vessel.db", &db, err);
	return r < 0 ? r : fsck_run_offline(fd, db, args, ret, err);
}

int main(int argc, char **argv)
{
	struct fsck_args args = {.report = report};
	const char *path = "/var/lib/vessel";
	autoerror struct error err = {0};
	struct fsck_result result = {0};

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--repair") == 0) {
			args.repair = true;
		} else if (strcmp(argv[i], "--deep") == 0) {
			args.deep = true;
		} else if (strcmp(argv[i], "--data-root") == 0 && i + 1 < argc) {
			path = argv[++i];
		} else {
			(void)fprintf(stderr, "usage: vessel-fsck [--repair] [--deep] "
					      "[--data-root DIRECTORY]\n");
			return FSCK_USAGE;
		}
	}
	if (check(path, &args, &result, &err) < 0) {
		(void)fprintf(stderr, "%s\n", error_msg(&err));
		return FSCK_FAILED;
	}
	printf("%llu images, %llu layers, %llu containers: %llu problems, %llu mended\n",
	       (unsigned long long)result.images, (unsigned long long)result.layers,
	       (unsigned long long)result.containers, (unsigned long long)result.problems,
	       (unsigned long long)result.mended);
	return result.problems > result.mended ? FSCK_LEFT
	       : result.problems > 0           ? FSCK_MENDED
					       : FSCK_OK;
}
