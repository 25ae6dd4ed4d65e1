/* Limits that a host cannot enforce. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/config_discard.h"

static int make_root(char dir[])
{
	assert_non_null(mkdtemp(dir));
	return open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static struct host_config all_limits(void)
{
	static const int64_t some = 10;
	static const bool yes = true;

	return (struct host_config){.memory = 64 << 20,
				    .memory_swap = 128 << 20,
				    .memory_swappiness = &some,
				    .memory_reservation = 32 << 20,
				    .oom_kill_disable = &yes,
				    .pids_limit = &some,
				    .cpu_shares = 2,
				    .cpu_quota = 1000,
				    .cpuset_cpus = "0",
				    .cpuset_mems = "",
				    .blkio_weight = 10};
}

static void v2(void **state)
{
	static const char some[] = "cpuset memory pids\n";
	char dir[] = "/tmp/vessel-test-discard-XXXXXX";
	autoclose int root = make_root(dir);
	struct host_config h = all_limits();
	autostrv struct strv warnings = {0};

	(void)state;
	assert_int_equal(
		file_write_atomic(root, "cgroup.controllers", some, strlen(some), 0600, 0, NULL),
		0);
	assert_int_equal(config_discard_at(root, &h, &warnings, NULL), 0);
	assert_int_equal(h.memory, 64 << 20);
	assert_int_equal(h.memory_swap, 128 << 20);
	assert_int_equal(h.memory_reservation, 32 << 20);
	assert_non_null(h.pids_limit);
	assert_string_equal(h.cpuset_cpus, "0");
	assert_null(h.memory_swappiness);
	assert_null(h.oom_kill_disable);
	assert_int_equal(h.cpu_shares, 0);
	assert_int_equal(h.cpu_quota, 0);
	assert_int_equal(h.blkio_weight, 0);
	assert_int_equal(warnings.n, 5);
	assert_string_equal(warnings.v[0],
			    "Your kernel does not support memory swappiness capabilities or the "
			    "cgroup is not mounted. Memory swappiness discarded.");
	h = (struct host_config){.nano_cpus = 1};
	assert_true(config_discard_at(root, &h, NULL, NULL) < 0);
	assert_int_equal(unlinkat(root, "cgroup.controllers", 0), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void v1(void **state)
{
	char dir[] = "/tmp/vessel-test-discard-XXXXXX";
	autoclose int root = make_root(dir);
	struct host_config h = all_limits();
	autostrv struct strv warnings = {0};

	(void)state;
	assert_int_equal(mkdirat(root, "memory", 0700), 0);
	assert_int_equal(mkdirat(root, "memory/memory.limit_in_bytes", 0700), 0);
	assert_int_equal(config_discard_at(root, &h, &warnings, NULL), 0);
	assert_int_equal(h.memory, 64 << 20);
	assert_int_equal(h.memory_swap, -1);
	assert_null(h.pids_limit);
	assert_string_equal(h.cpuset_cpus, "");
	assert_int_equal(warnings.n, 9);
	assert_int_equal(file_remove_tree(AT_FDCWD, dir, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(v2), cmocka_unit_test(v1)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
