/* The life-cycle table: every state meets every event. */
#include "shim/lifecycle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Written the other way round from the table: a letter a state, a row an event, '-' refused. */
static const char *const expected[LIFECYCLE_EVENT_COUNT] = {
	/*                          setting up, created, starting, running, paused, exited, leaving */
	[LIFECYCLE_EV_CREATED] = "c------",      [LIFECYCLE_EV_CREATE_FAILED] = "l------",
	[LIFECYCLE_EV_DAEMON_GONE] = "llsrpxl",  [LIFECYCLE_EV_ABORT] = "ll-----",
	[LIFECYCLE_EV_START] = "-s-----",        [LIFECYCLE_EV_STARTED] = "--r----",
	[LIFECYCLE_EV_START_FAILED] = "--l----", [LIFECYCLE_EV_PAUSE] = "---p---",
	[LIFECYCLE_EV_RESUME] = "----r--",       [LIFECYCLE_EV_DIED] = "-l-xx-l",
	[LIFECYCLE_EV_RELEASE] = "-----l-",
};
static const char letters[LIFECYCLE_STATE_COUNT + 1] = "ucsrpxl";

static void every_cell(void **state)
{
	(void)state;
	for (int e = 0; e < LIFECYCLE_EVENT_COUNT; e++)
		for (int s = 0; s < LIFECYCLE_STATE_COUNT; s++) {
			enum lifecycle_state to = LIFECYCLE_STATE_COUNT;
			bool allowed = lifecycle_next((enum lifecycle_state)s,
						      (enum lifecycle_event)e, &to);
			char got = allowed ? letters[to] : '-';

			if (got != expected[e][s])
				fail_msg("%s in state %s: '%c', not '%c'",
					 lifecycle_event_name((enum lifecycle_event)e),
					 lifecycle_state_name((enum lifecycle_state)s), got,
					 expected[e][s]);
			if (!allowed)
				assert_int_equal(to, LIFECYCLE_STATE_COUNT);
		}
}

/* What cannot be undone is not left by a daemon's end, and nothing comes back from leaving. */
static void invariants(void **state)
{
	enum lifecycle_state to;

	(void)state;
	for (int e = 0; e < LIFECYCLE_EVENT_COUNT; e++)
		if (lifecycle_next(LIFECYCLE_LEAVING, (enum lifecycle_event)e, &to))
			assert_int_equal(to, LIFECYCLE_LEAVING);
	for (int s = LIFECYCLE_STARTING; s < LIFECYCLE_STATE_COUNT; s++) {
		assert_true(lifecycle_next((enum lifecycle_state)s, LIFECYCLE_EV_DAEMON_GONE, &to));
		assert_int_equal(to, s);
	}
	assert_string_equal(lifecycle_status(LIFECYCLE_STARTING), "created");
	assert_string_equal(lifecycle_status(LIFECYCLE_PAUSED), "paused");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_cell),
					   cmocka_unit_test(invariants)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
