/* Messages of RFC 3164 and 5424. */
#include "logger/syslog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/mem.h"

/* 2006-01-02T15:04:05.999 UTC */
static const struct logentry entry = {.stream = LOGENTRY_STDERR,
				      .time_ns = INT64_C(1136214245999000000),
				      .line = "hello",
				      .len = 5};

static void expect(enum syslog_kind kind, bool framed, const char *want)
{
	autostrbuf struct strbuf out = STRBUF_INIT(1000);
	struct syslog_format f = {.kind = kind,
				  .facility = 3,
				  .tag = "tag",
				  .hostname = "host",
				  .pid = 7,
				  .framed = framed};

	syslog_format_add(&f, &entry, &out);
	assert_string_equal(out.s, want);
}

static void forms(void **state)
{
	(void)state;
	(void)setenv("TZ", "UTC", 1);
	tzset();
	expect(SYSLOG_LOCAL, false, "<27>Jan  2 15:04:05 tag[7]: hello\n");
	expect(SYSLOG_RFC3164, false, "<27>Jan  2 15:04:05 host tag[7]: hello\n");
	expect(SYSLOG_RFC5424, false, "<27>1 2006-01-02T15:04:05Z host tag 7 tag - hello\n");
	expect(SYSLOG_RFC5424MICRO, false,
	       "<27>1 2006-01-02T15:04:05.999Z host tag 7 tag - hello\n");
	expect(SYSLOG_RFC5424, true, "50 <27>1 2006-01-02T15:04:05Z host tag 7 tag - hello\n");
	expect(SYSLOG_RFC3164, true, "<27>Jan  2 15:04:05 host tag[7]: hello\n");
	(void)setenv("TZ", "ABC-5:30", 1);
	tzset();
	expect(SYSLOG_RFC5424, false, "<27>1 2006-01-02T20:34:05+05:30 host tag 7 tag - hello\n");
}

static void names(void **state)
{
	(void)state;
	assert_int_equal(syslog_facility(NULL), 3);
	assert_int_equal(syslog_facility("kern"), 0);
	assert_int_equal(syslog_facility("authpriv"), 10);
	assert_int_equal(syslog_facility("local7"), 23);
	assert_int_equal(syslog_facility("23"), 23);
	assert_true(syslog_facility("24") < 0);
	assert_true(syslog_facility("nope") < 0);
	assert_int_equal(syslog_kind("rfc5424micro"), SYSLOG_RFC5424MICRO);
	assert_true(syslog_kind("rfc") < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(forms), cmocka_unit_test(names)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
