/* What restart policies decide, and Docker's back-off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/restart.h"

#define SECOND 1000000000LL

static void back_off(void **state)
{
	static const int64_t delays[] = {100,  200,   400,   800,   1600,  3200,
					 6400, 12800, 25600, 51200, 60000, 60000};
	int64_t delay = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(delays); i++) {
		delay = restart_delay(delay, 10 * SECOND - 1);
		assert_int_equal(delay, delays[i]);
	}
	assert_int_equal(restart_delay(delay, 10 * SECOND), 100);
}

static void policies(void **state)
{
	static const struct {
		struct config_restart policy;
		int code;
		unsigned restarts;
		bool wanted;
	} cases[] = {
		{{"", 0}, 1, 0, false},           {{"no", 0}, 1, 0, false},
		{{"always", 0}, 0, 900, true},    {{"unless-stopped", 0}, 0, 900, true},
		{{"on-failure", 0}, 0, 0, false}, {{"on-failure", 0}, 1, 900, true},
		{{"on-failure", 2}, 1, 1, true},  {{"on-failure", 2}, 1, 2, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(restart_wanted(&cases[i].policy, cases[i].code, cases[i].restarts),
				 cases[i].wanted);
}

static void at_boot(void **state)
{
	const struct config_restart always = {.name = "always"},
				    unless_stopped = {.name = "unless-stopped"},
				    on_failure = {.name = "on-failure"}, none = {.name = "no"};

	(void)state;
	assert_true(restart_wanted_at_boot(&always, false));
	assert_true(restart_wanted_at_boot(&always, true));
	assert_true(restart_wanted_at_boot(&unless_stopped, false));
	assert_false(restart_wanted_at_boot(&unless_stopped, true));
	assert_false(restart_wanted_at_boot(&on_failure, false));
	assert_false(restart_wanted_at_boot(&none, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(back_off),
		cmocka_unit_test(policies),
		cmocka_unit_test(at_boot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
