/* Names of signals, capabilities and resource limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "linux/caps.h"
#include "linux/rlimits.h"
#include "linux/signals.h"

static void signals(void **state)
{
	static const struct {
		const char *text;
		int signo;
	} cases[] = {
		{"TERM", SIGTERM},
		{"SIGTERM", SIGTERM},
		{"sigkill", SIGKILL},
		{"9", 9},
		{"64", 64},
		{"RTMIN", 34},
		{"SIGRTMIN+3", 37},
		{"rtmax-2", 62},
		{"RTMAX", 64},
		{"POLL", SIGIO},
		{"IOT", SIGABRT},
		{"0", -EINVAL},
		{"65", -EINVAL},
		{"", -EINVAL},
		{"SIG", -EINVAL},
		{"-9", -EINVAL},
		{" 9", -EINVAL},
		{"RTMIN-1", -EINVAL},
		{"RTMIN+31", -EINVAL},
		{"RTMIN+", -EINVAL},
		{"TERMX", -EINVAL},
		{"9x", -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (signal_parse(cases[i].text) != cases[i].signo)
			fail_msg("'%s' is %d", cases[i].text, signal_parse(cases[i].text));
	assert_string_equal(signal_name(SIGTERM), "SIGTERM");
	assert_string_equal(signal_name(SIGABRT), "SIGABRT");
	assert_string_equal(signal_name(37), "SIGRTMIN+3");
	assert_null(signal_name(0));
	assert_null(signal_name(65));
	for (int signo = 1; signo <= 64; signo++)
		if (signal_name(signo))
			assert_int_equal(signal_parse(signal_name(signo)), signo);
}

static void capabilities(void **state)
{
	struct caps caps;

	(void)state;
	assert_int_equal(caps_parse("CAP_CHOWN"), 0);
	assert_int_equal(caps_parse("sys_admin"), 21);
	assert_int_equal(caps_parse("CAP_CHECKPOINT_RESTORE"), 40);
	assert_int_equal(caps_parse("CAP_"), -EINVAL);
	assert_int_equal(caps_parse("ALL"), -EINVAL);
	assert_null(caps_name(64));
	assert_null(caps_name(-1));
	for (int i = 0; i <= 40; i++)
		assert_int_equal(caps_parse(caps_name(i)), i);
	assert_true(caps_count() > 37); /* CAP_AUDIT_READ is older than any kernel we run on */
	assert_int_equal(caps_get(&caps, NULL), 0);
	assert_int_equal(caps.effective & ~caps.permitted, 0);
	assert_int_equal(caps.ambient & ~caps.inheritable, 0);
}

static void limits(void **state)
{
	(void)state;
	assert_int_equal(rlimit_parse("RLIMIT_NOFILE"), RLIMIT_NOFILE);
	assert_int_equal(rlimit_parse("RLIMIT_RTTIME"), 15);
	assert_int_equal(rlimit_parse("NOFILE"), -EINVAL);
	assert_int_equal(rlimit_parse(""), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals),
		cmocka_unit_test(capabilities),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
