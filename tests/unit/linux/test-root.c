/* Paths below a root that tries everything to lead out of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "../base/tmpdir.h"
#include "base/error.h"
#include "base/mem.h"
#include "linux/root_priv.h"
#include "linux/sys.h"

static void clean_paths(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"/a/b", "a/b"}, {"a//b/", "a/b"},         {"/a/./b/../c", "a/c"}, {"/", "."},
		{"", "."},       {"../../x", "x"},         {"/a/../../b", "b"},    {"a/..", "."},
		{"/...", "..."}, {"/a/b/../../../c", "c"}, {"..a/b..", "..a/b.."},
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(root_clean_path(cases[i].in, out, sizeof(out)), 0);
		assert_string_equal(out, cases[i].out);
	}
	assert_int_equal(root_clean_path("/abcdefgh", out, 4), -ENAMETOOLONG);
}

static bool same(int fd, int dirfd, const char *path)
{
	struct stat a, b;

	return fd >= 0 && fstat(fd, &a) == 0 && fstatat(dirfd, path, &b, AT_EMPTY_PATH) == 0 &&
	       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

typedef int (*open_fn)(int root_fd, const char *path, int open_flags, unsigned flags);
/* The system call's way, and the walk that stands in for it. */
static const open_fn ways[] = {root_open, root_walk};

static void links_resolve_within(void **state)
{
	autotmpdir struct tmpdir dir = tmpdir_new();
	autoclose int root = -EBADF;

	(void)state;
	assert_int_equal(mkdirat(dir.fd, "root", 0755), 0);
	assert_int_equal(mkdirat(dir.fd, "root/etc", 0755), 0);
	assert_int_equal(mkdirat(dir.fd, "outside", 0755), 0);
	assert_int_equal(symlinkat("/etc", dir.fd, "root/absolute"), 0);
	assert_int_equal(symlinkat("../../../../etc", dir.fd, "root/up"), 0);
	assert_int_equal(symlinkat("../outside", dir.fd, "root/out"), 0);
	assert_int_equal(symlinkat("loop", dir.fd, "root/loop"), 0);
	root = openat(dir.fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	{
		static const char *const to_etc[] = {"absolute", "/absolute", "up", "/etc/../etc",
						     "../../etc"};

		for (size_t i = 0; i < 2 * ARRAY_SIZE(to_etc); i++) {
			autoclose int fd = ways[i % 2](root, to_etc[i / 2], O_PATH, 0);

			assert_true(same(fd, dir.fd, "root/etc"));
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		assert_int_equal(ways[i](root, "out", O_PATH, 0), -ENOENT);
		assert_int_equal(ways[i](root, "loop", O_PATH, 0), -ELOOP);
		assert_int_equal(ways[i](root, "absolute", O_PATH, ROOT_NO_SYMLINKS), -ELOOP);
		assert_int_equal(ways[i](root, "nothing", O_PATH, 0), -ENOENT);
		assert_int_equal(ways[i](root, "", O_PATH, 0), -ENOENT);
	}
}

/* Every combination of a path and of flags gives the same from both. */
static void the_walk_is_as_the_system_call(void **state)
{
	static const char *const paths[] = {
		"/",       ".",           "..",         "a/b/../../f", "f",    "f/",
		"f/.",     "f/..",        "f/x",        "a/up/f",      "a/up", "a/up/",
		"a/b/abs", "a/b/abs/./b", "dangling",   "dangling/x",  "none", "a/../../..//a/b",
		"to-f",    "to-f/",       "a/b/c/../x",
	};
	static const int flags[] = {O_PATH, O_PATH | O_DIRECTORY, O_PATH | O_NOFOLLOW, O_RDONLY,
				    O_RDONLY | O_DIRECTORY};
	autotmpdir struct tmpdir dir = tmpdir_new();
	autoclose int root = -EBADF, f = -EBADF;

	(void)state;
	assert_int_equal(mkdirat(dir.fd, "root", 0755), 0);
	assert_int_equal(mkdirat(dir.fd, "root/a", 0755), 0);
	assert_int_equal(mkdirat(dir.fd, "root/a/b", 0755), 0);
	f = openat(dir.fd, "root/f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(f >= 0);
	assert_int_equal(symlinkat("..", dir.fd, "root/a/up"), 0);
	assert_int_equal(symlinkat("/a", dir.fd, "root/a/b/abs"), 0);
	assert_int_equal(symlinkat("a/nothing", dir.fd, "root/dangling"), 0);
	assert_int_equal(symlinkat("/f", dir.fd, "root/to-f"), 0);
	root = openat(dir.fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		for (size_t j = 0; j < ARRAY_SIZE(flags); j++) {
			autoclose int ours = root_walk(root, paths[i], flags[j], 0);
			autoclose int kernels = -EBADF;

			do /* EAGAIN: something was renamed or mounted meanwhile, anywhere */
				kernels =
					sys_openat2(root, paths[i], (uint64_t)flags[j] | O_CLOEXEC,
						    0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
			while (kernels < 0 && errno == EAGAIN);

			if (kernels < 0 && errno == ENOSYS)
				return; /* nothing to compare with */
			if (kernels < 0 ? ours != -errno : !same(ours, kernels, ""))
				fail_msg("'%s' with flags %#x: %d", paths[i], (unsigned)flags[j],
					 ours);
		}
}

static void links_of_procfs_are_no_way_out(void **state)
{
	autoclose int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		autoclose int self = ways[i](proc, "self/status", O_RDONLY, 0);

		assert_true(self >= 0);
		assert_int_equal(ways[i](proc, "self/root", O_PATH, 0), -ELOOP);
		assert_int_equal(ways[i](proc, "self/cwd/x", O_PATH, 0), -ELOOP);
		assert_int_equal(ways[i](proc, "self/fd/0", O_PATH, 0), -ELOOP);
	}
	{
		autoclose int self = root_walk(proc, "self/status", O_RDONLY, ROOT_WALK_NO_XDEV);
		autoclose int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

		assert_true(self >= 0);
		assert_int_equal(root_walk(root, "proc/self", O_PATH, ROOT_WALK_NO_XDEV), -EXDEV);
	}
}

static void directories_are_made_within(void **state)
{
	autotmpdir struct tmpdir dir = tmpdir_new();
	autoclose int root = -EBADF, fd = -EBADF, again = -EBADF, file = -EBADF, existing = -EBADF;
	struct error err = {0};

	(void)state;
	assert_int_equal(mkdirat(dir.fd, "root", 0755), 0);
	assert_int_equal(mkdirat(dir.fd, "outside", 0755), 0);
	assert_int_equal(symlinkat("../outside/made", dir.fd, "root/dangling"), 0);
	assert_int_equal(symlinkat("/real", dir.fd, "root/link"), 0);
	assert_int_equal(mkdirat(dir.fd, "root/real", 0755), 0);
	root = openat(dir.fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);

	fd = root_mkdir_p(root, "/link/a/b", 0755, 0, &err);
	assert_true(same(fd, dir.fd, "root/real/a/b"));
	again = root_mkdir_p(root, "link/a/b", 0755, 0, &err);
	assert_true(same(again, dir.fd, "root/real/a/b"));
	/* a link to nowhere is not followed and nothing is made behind it */
	assert_true(root_mkdir_p(root, "dangling/x", 0755, 0, &err) < 0);
	error_done(&err);
	assert_int_equal(faccessat(dir.fd, "outside/made", F_OK, 0), -1);

	file = root_create_file(root, "link/sub/file", 0640, &err);
	assert_true(same(file, dir.fd, "root/real/sub/file"));
	existing = root_create_file(root, "real/sub/file", 0600, &err);
	assert_true(same(existing, dir.fd, "root/real/sub/file"));
	assert_true(root_mkdir_p(root, "real/sub/file", 0755, 0, &err) < 0);
	assert_int_equal(err.errnum, ENOTDIR);
	error_done(&err);
	assert_true(root_create_file(root, "dangling", 0600, &err) < 0);
	error_done(&err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_paths),
		cmocka_unit_test(links_resolve_within),
		cmocka_unit_test(the_walk_is_as_the_system_call),
		cmocka_unit_test(links_of_procfs_are_no_way_out),
		cmocka_unit_test(directories_are_made_within),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
