/* Log entries: the bytes are Docker's, and come back whatever is in them. */
#include "base/logentry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

/* As protobuf encodes it, by hand. */
static void exact_bytes(void **state)
{
	static const char want[] = "\x00\x00\x00\x12"
				   "\x0a\x06stderr"
				   "\x10\xac\x02"
				   "\x1a\x05hello"
				   "\x00\x00\x00\x12";
	const struct logentry e = {
		.stream = LOGENTRY_STDERR, .time_ns = 300, .line = "hello", .len = 5};
	char out[128];

	(void)state;
	assert_int_equal(logentry_encode(out, &e), sizeof(want) - 1);
	assert_memory_equal(out, want, sizeof(want) - 1);
}

static void there_and_back(void **state)
{
	static const char line[] = "a\0b\n\xff";
	autoarena struct arena *a = arena_new();
	autostrbuf struct strbuf attrs = STRBUF_INIT(1000);
	const struct json *doc;
	struct logentry e = {.stream = LOGENTRY_STDOUT,
			     .time_ns = INT64_C(1136214245999000001),
			     .line = line,
			     .len = sizeof(line) - 1,
			     .partial = true,
			     .last = true,
			     .ordinal = 300,
			     .id = "0123",
			     .id_len = 4};
	struct logentry got;
	struct logentry_attr attr;
	size_t pos = 0, n;
	char out[256];

	(void)state;
	assert_int_equal(json_parse(a, "{\"k\":\"v\",\"empty\":\"\"}", 20, &doc, NULL), 0);
	logentry_attrs(&attrs, doc);
	e.attrs = attrs.s;
	e.attrs_len = attrs.len;
	n = logentry_encode(out, &e);
	assert_true(n <= LOGENTRY_ROOM(e.len, attrs.len));
	for (size_t len = 0; len < n; len++) {
		assert_int_equal(logentry_next(out, len, &got), 0);
		if (len >= 4)
			(void)logentry_before(out, len);
	}
	assert_int_equal(logentry_next(out, n, &got), (ssize_t)n);
	assert_int_equal(logentry_before(out, n), (ssize_t)n);
	assert_int_equal(logentry_before(out + 1, n - 1), 0);
	assert_int_equal(got.stream, LOGENTRY_STDOUT);
	assert_true(got.time_ns == e.time_ns);
	assert_int_equal(got.len, e.len);
	assert_memory_equal(got.line, line, e.len);
	assert_true(got.partial && got.last && got.ordinal == 300);
	assert_int_equal(got.id_len, 4);
	assert_memory_equal(got.id, "0123", 4);
	assert_true(logentry_attr_next(&got, &pos, &attr));
	assert_int_equal(attr.key_len, 1);
	assert_memory_equal(attr.value, "v", 1);
	assert_true(logentry_attr_next(&got, &pos, &attr));
	assert_int_equal(attr.key_len, 5);
	assert_int_equal(attr.value_len, 0);
	assert_false(logentry_attr_next(&got, &pos, &attr));
}

static void damage(void **state)
{
	const struct logentry e = {.stream = LOGENTRY_STDOUT, .time_ns = 1, .line = "x", .len = 1};
	struct logentry got;
	char out[64];
	size_t n = logentry_encode(out, &e);

	(void)state;
	out[n - 1]++; /* the sizes differ */
	assert_int_equal(logentry_next(out, n, &got), -EBADMSG);
	assert_int_equal(logentry_before(out, n), 0);
	out[n - 1] -= 2;
	assert_int_equal(logentry_before(out, n), -EBADMSG);
	out[n - 1]++;
	out[5] = 100; /* a string longer than the message */
	assert_int_equal(logentry_next(out, n, &got), -EBADMSG);
	memset(out, 0, 4);
	assert_int_equal(logentry_next(out, n, &got), -EBADMSG);
	memset(out, 0xff, 4);
	assert_int_equal(logentry_next(out, n, &got), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_bytes),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
