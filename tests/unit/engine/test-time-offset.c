/* Durations as time offsets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/time_offset.h"

static void good(void **state)
{
	static const struct {
		const char *text;
		int64_t secs;
		uint32_t nanosecs;
	} cases[] = {
		{"0", 0, 0},
		{"90", 90, 0},
		{"+90s", 90, 0},
		{"1h30m", 5400, 0},
		{"7d", 604800, 0},
		{"1.5s", 1, 500000000},
		{".5s", 0, 500000000},
		{"0.25h", 900, 0},
		{"-1s", -1, 0},
		{"-1.25s", -2, 750000000},
		{"-1ns", -1, 999999999},
		{"1s1ms1us1ns", 1, 1001001},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct time_offset t;

		assert_int_equal(time_offset_parse(cases[i].text, &t), 0);
		assert_int_equal(t.secs, cases[i].secs);
		assert_int_equal(t.nanosecs, cases[i].nanosecs);
	}
}

static void bad(void **state)
{
	static const char *const cases[] = {"",      "-",   "h",           "1x",
					    "1h1",   "--1", "1 s",         ".s",
					    "1..5s", "1w",  "9999999999d", "99999999999999999999",
					    "40000d"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct time_offset t;

		if (time_offset_parse(cases[i], &t) != -EINVAL)
			fail_msg("'%s' was taken", cases[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(bad)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
