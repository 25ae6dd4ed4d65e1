/* Records of the forward protocol. */
#include "logger/fluentd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "logger/msgpack.h"

static void expect(const struct strbuf *record, const char *key, const char *want)
{
	const char *value = NULL;
	size_t len = 0;

	if (!msgpack_find(record->s, record->len, key, &value, &len)) {
		assert_null(want);
		return;
	}
	assert_non_null(want);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(value, want, len);
}

static void record(void **state)
{
	static const char *keys[] = {"label"}, *values[] = {"v"};
	const struct logger_config config = {
		.container_id = "0123", .container_name = "/name", .attrs = {keys, values, 1}};
	struct logentry e = {.stream = LOGENTRY_STDERR, .line = "text", .len = 4};
	autostrbuf struct strbuf out = STRBUF_INIT(1000);
	size_t len;

	(void)state;
	fluentd_record(&config, &e, &out);
	assert_int_equal(msgpack_skip(out.s, out.len, &len), 1);
	assert_int_equal(len, out.len);
	expect(&out, "container_id", "0123");
	expect(&out, "container_name", "/name");
	expect(&out, "source", "stderr");
	expect(&out, "log", "text");
	expect(&out, "label", "v");
	expect(&out, "partial_message", NULL);

	e.partial = e.last = true;
	e.ordinal = 12;
	e.id = "ab";
	e.id_len = 2;
	strbuf_reset(&out);
	fluentd_record(&config, &e, &out);
	assert_int_equal(msgpack_skip(out.s, out.len, &len), 1);
	assert_int_equal(len, out.len);
	expect(&out, "partial_message", "true");
	expect(&out, "partial_id", "ab");
	expect(&out, "partial_ordinal", "12");
	expect(&out, "partial_last", "true");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(record)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
