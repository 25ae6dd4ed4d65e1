/* SELinux contexts taken apart and put together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "linux/selinux.h"

static void test_context(void **state)
{
	static const char *const good[] = {"u:r:t", "u:r:t:s0", "u:r:t:s0:c1,c2",
					   "system_u:system_r:container_t:s0-s0:c0.c1023"};
	static const char *const bad[] = {"", "u", "u:r", "u:r:", ":r:t", "u::t"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		autoselinux_context struct selinux_context c = {0};
		autofree char *text = NULL;

		assert_int_equal(selinux_context_parse(good[i], &c), 0);
		text = selinux_context_format(&c);
		assert_string_equal(text, good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct selinux_context c = {0};

		assert_true(selinux_context_parse(bad[i], &c) < 0);
		assert_null(c.user);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_context)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
