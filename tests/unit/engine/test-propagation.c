/* Which mount a path lies on, and whether it shares with others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "engine/propagation.h"

static const char table[] = "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
			    "21 20 0:30 / /private rw,relatime - tmpfs tmpfs rw\n"
			    "22 20 0:31 / /private/inner rw shared:7 master:2 - tmpfs tmpfs rw\n"
			    "23 20 0:32 / /a\\040b rw master:3 propagate_from:1 - tmpfs tmpfs rw\n"
			    "24 20 0:33 / /over rw shared:9 - tmpfs tmpfs rw\n"
			    "25 24 0:34 / /over rw - tmpfs shared:10 rw\n";

static const struct {
	const char *path, *propagation, *error;
} cases[] = {
	{"/srv", "rshared", NULL},
	{"/srv", "slave", NULL},
	{"/private", "rshared",
	 "path /private is mounted on /private but it is not a shared mount"},
	{"/private/x", "rslave",
	 "path /private/x is mounted on /private but it is not a shared or slave mount"},
	{"/privateer", "shared", NULL},
	{"/private/inner/x", "shared", NULL},
	{"/a b/c", "rslave", NULL},
	{"/a b/c", "rshared", "path /a b/c is mounted on /a b but it is not a shared mount"},
	{"/over/x", "shared", "path /over/x is mounted on /over but it is not a shared mount"},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *text = xstrdup(table);
		autoerror struct error err = {0};
		int r = propagation_check_text(text, cases[i].path, cases[i].propagation, &err);

		assert_int_equal(r < 0, cases[i].error != NULL);
		if (cases[i].error)
			assert_string_equal(error_msg(&err), cases[i].error);
	}
}

static void test_nothing_asked(void **state)
{
	(void)state;
	assert_int_equal(propagation_check("/nothing", "", NULL), 0);
	assert_int_equal(propagation_check("/nothing", NULL, NULL), 0);
	assert_int_equal(propagation_check("/proc", "rprivate", NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_nothing_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
