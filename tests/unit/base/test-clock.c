/* RFC 3339 both ways, against the C library's calendar. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

#define NS_PER_S INT64_C(1000000000)

static void assert_format(int64_t ns, const char *expected)
{
	char buf[CLOCK_RFC3339_SIZE];
	int64_t back = -1;

	clock_format_rfc3339(ns, buf);
	assert_string_equal(buf, expected);
	assert_int_equal(clock_parse_rfc3339(buf, &back), 0);
	assert_true(back == ns);
}

static void test_known(void **state)
{
	char buf[CLOCK_RFC3339_SIZE];

	(void)state;
	assert_format(0, "1970-01-01T00:00:00Z");
	assert_format(1, "1970-01-01T00:00:00.000000001Z");
	assert_format(-1, "1969-12-31T23:59:59.999999999Z");
	assert_format(NS_PER_S / 2, "1970-01-01T00:00:00.5Z");
	assert_format(INT64_C(951782399) * NS_PER_S, "2000-02-28T23:59:59Z");
	assert_format(INT64_C(951782400) * NS_PER_S, "2000-02-29T00:00:00Z");
	assert_format(INT64_MAX, "2262-04-11T23:47:16.854775807Z");
	assert_format(INT64_MIN, "1677-09-21T00:12:43.145224192Z");
	clock_format_rfc3339_fixed(NS_PER_S / 2, buf);
	assert_string_equal(buf, "1970-01-01T00:00:00.500000000Z");
}

static void test_calendar(void **state)
{
	(void)state;
	/* Every 11 hours and a bit, from 1700 to 2250. */
	for (int64_t s = -INT64_C(8520336000); s < INT64_C(8835984000); s += 39877) {
		char expected[CLOCK_RFC3339_SIZE + 32];
		time_t t = (time_t)s;
		struct tm tm;

		assert_non_null(gmtime_r(&t, &tm));
		(void)snprintf(expected, sizeof(expected), "%04d-%02d-%02dT%02d:%02d:%02dZ",
			       tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			       tm.tm_sec);
		assert_format(s * NS_PER_S, expected);
	}
}

static void assert_parse(const char *s, int64_t expected)
{
	int64_t ns = -7;

	assert_int_equal(clock_parse_rfc3339(s, &ns), 0);
	assert_true(ns == expected);
}

static void test_parse(void **state)
{
	static const char *const invalid[] = {
		"",
		"1970-01-01",
		"1970-01-01T00:00:00",
		"1970-01-01T00:00Z",
		"1970-01-01 00:00:00Z",
		"1970-13-01T00:00:00Z",
		"1970-00-01T00:00:00Z",
		"1970-01-32T00:00:00Z",
		"1970-04-31T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2001-02-29T00:00:00Z",
		"1970-01-01T24:00:00Z",
		"1970-01-01T00:60:00Z",
		"1970-01-01T00:00:60Z",
		"1970-01-01T00:00:00.Z",
		"1970-01-01T00:00:00Zz",
		"1970-01-01T00:00:00+0100",
		"1970-01-01T00:00:00+24:00",
		"1970-01-01T00:00:00+01:00x",
		"+970-01-01T00:00:00Z",
		"0001-01-01T00:00:00Z",
		"2262-04-11T23:47:16.854775808Z",
		"1677-09-21T00:12:43.145224191Z",
	};
	int64_t ns = -7;

	(void)state;
	assert_parse("1970-01-01t01:00:00z", 3600 * NS_PER_S);
	assert_parse("1970-01-01T01:00:00+01:00", 0);
	assert_parse("1969-12-31T22:30:00-01:30", 0);
	assert_parse("1970-01-01T00:00:00.1234567899Z", 123456789);
	assert_parse("1970-01-01T00:00:00.000Z", 0);
	assert_parse("1969-12-31T23:59:59.5Z", -NS_PER_S / 2);
	for (size_t i = 0; i < ARRAY_SIZE(invalid); i++)
		assert_int_equal(clock_parse_rfc3339(invalid[i], &ns), -EINVAL);
	assert_true(ns == -7);
}

static void test_now(void **state)
{
	int64_t a = clock_monotonic_ns(), b = clock_monotonic_ns();

	(void)state;
	assert_true(b >= a);
	assert_true(clock_realtime_ns() > INT64_C(1700000000) * NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
