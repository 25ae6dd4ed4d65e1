/* The kernel's list of profiles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "linux/apparmor.h"

static void test_list(void **state)
{
	static const char list[] = "/usr/bin/man (enforce)\n"
				   "vessel-default (enforce)\n"
				   "with (parentheses) in it (complain)\n"
				   "last (kill)";

	(void)state;
	assert_true(apparmor_list_has(list, "/usr/bin/man"));
	assert_true(apparmor_list_has(list, "vessel-default"));
	assert_true(apparmor_list_has(list, "with (parentheses) in it"));
	assert_true(apparmor_list_has(list, "last"));
	assert_false(apparmor_list_has(list, "with"));
	assert_false(apparmor_list_has(list, "vessel"));
	assert_false(apparmor_list_has(list, "default"));
	assert_false(apparmor_list_has("", "x"));
	assert_false(apparmor_list_has("short\n", "short"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_list)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
