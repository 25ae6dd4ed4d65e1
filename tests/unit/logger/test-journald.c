/* Fields of the journal's native protocol. */
#include "logger/journald.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static void fields(void **state)
{
	static const char want[] = "A=1\nB\n\x03\0\0\0\0\0\0\0x\ny\nC=\n";
	autostrbuf struct strbuf out = STRBUF_INIT(1000);

	(void)state;
	journald_field(&out, "A", "1", 1);
	journald_field(&out, "B", "x\ny", 3);
	journald_field(&out, "C", "", 0);
	assert_int_equal(out.len, sizeof(want) - 1);
	assert_memory_equal(out.s, want, out.len);
}

static void names(void **state)
{
	static const char *const pairs[][2] = {{"com.docker-x", "COM_DOCKER_X"},
					       {"__a", "A"},
					       {"A1", "A1"},
					       {"\xc3\xa9z", "Z"},
					       {"._", ""}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		autofree char *name = journald_name(pairs[i][0]);

		assert_string_equal(name, pairs[i][1]);
	}
}

static void entries(void **state)
{
	static const char *keys[] = {"a.b", "_"}, *values[] = {"1", "lost: no name"};
	const struct logger_config config = {.tag = "t",
					     .container_id = "0123456789abcdef",
					     .container_name = "/name",
					     .image_name = "image",
					     .attrs = {keys, values, 2}};
	struct logentry e = {.stream = LOGENTRY_STDERR,
			     .time_ns = INT64_C(1136214245999000000),
			     .line = "x",
			     .len = 1,
			     .partial = true,
			     .ordinal = 2,
			     .id = "ab",
			     .id_len = 2};
	autostrbuf struct strbuf out = STRBUF_INIT(1000), common = STRBUF_INIT(1000);

	(void)state;
	journald_common(&config, &common);
	assert_non_null(strstr(common.s, "CONTAINER_ID=0123456789ab\n"
					 "CONTAINER_ID_FULL=0123456789abcdef\n"
					 "CONTAINER_NAME=name\nCONTAINER_TAG=t\nIMAGE_NAME=image\n"
					 "SYSLOG_IDENTIFIER=t\n"));
	assert_non_null(strstr(common.s, "\nA_B=1\n"));
	assert_null(strstr(common.s, "lost"));
	journald_entry(&e, 9, &out);
	assert_string_equal(out.s,
			    "MESSAGE=x\nPRIORITY=3\nSYSLOG_TIMESTAMP=2006-01-02T15:04:05.999Z\n"
			    "CONTAINER_LOG_ORDINAL=9\nCONTAINER_PARTIAL_ID=ab\n"
			    "CONTAINER_PARTIAL_ORDINAL=2\nCONTAINER_PARTIAL_LAST=false\n"
			    "CONTAINER_PARTIAL_MESSAGE=true\n");
	e.last = true;
	strbuf_reset(&out);
	journald_entry(&e, 9, &out);
	assert_null(strstr(out.s, "PARTIAL_MESSAGE"));
	assert_non_null(strstr(out.s, "PARTIAL_LAST=true\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(fields), cmocka_unit_test(names),
					   cmocka_unit_test(entries)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
