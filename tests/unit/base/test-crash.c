/* Crash points: unique names, and a SIGKILL at the armed one only. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/crash.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "base/str.h"

static void test_names(void **state)
{
	(void)state;
	assert_true(CRASH_POINT_COUNT > 0);
	for (int i = 0; i < CRASH_POINT_COUNT; i++) {
		const char *name = crash_point_name((enum crash_point)i), *dot = strchr(name, '.');

		assert_true(dot && dot > name && dot[1] != '\0' && !strchr(dot + 1, '.'));
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-."), strlen(name));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(name, crash_point_name((enum crash_point)j));
	}
	assert_null(crash_point_name(CRASH_POINT_COUNT));
}

static void test_init(void **state)
{
	(void)state;
	(void)unsetenv("VESSEL_CRASH_AT");
	assert_int_equal(crash_init(), 0);
	assert_int_equal(crash_armed_, -1);
	(void)setenv("VESSEL_CRASH_AT", "", 1);
	assert_int_equal(crash_init(), 0);
	assert_int_equal(crash_armed_, -1);
	(void)setenv("VESSEL_CRASH_AT", "no.such", 1);
	assert_int_equal(crash_init(), -EINVAL);
	assert_int_equal(crash_armed_, -1);
	(void)setenv("VESSEL_CRASH_AT", "start.go", 1);
	assert_int_equal(crash_init(), 0);
	assert_int_equal(crash_armed_, CRASH_START_GO);
	crash_armed_ = -1;
	(void)unsetenv("VESSEL_CRASH_AT");
}

/* This program again, as a process that may die. */
static int run_self(const char *armed)
{
	const char *const argv[] = {"test-crash", "reach-start-go", NULL};
	autofree char *env = xasprintf("VESSEL_CRASH_AT=%s", armed);
	const char *const envp[] = {env, NULL};
	struct spawn_args args = {.path = "/proc/self/exe", .argv = argv, .envp = envp};
	autoerror struct error err = {0};
	int status = -1;

	assert_int_equal(spawn_run(&args, 100, NULL, &status, &err), 0);
	return status;
}

static void test_kills(void **state)
{
	(void)state;
	assert_int_equal(run_self("start.go"), 128 + SIGKILL);
	assert_int_equal(run_self("start.done"), 0);
	assert_int_equal(run_self("no.such"), 3);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_kills),
	};

	if (argc == 2 && str_eq(argv[1], "reach-start-go")) {
		if (crash_init() < 0)
			return 3;
		crash_point(CRASH_START_BEGIN);
		crash_point(CRASH_START_GO);
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
