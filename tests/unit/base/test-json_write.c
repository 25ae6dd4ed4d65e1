/* The JSON writer, and that what it writes reads back as it was. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"

static void test_document(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(4096);
	struct json_writer w;

	(void)state;
	json_writer_init(&w, &b);
	jw_object(&w);
	jw_kstring(&w, "s", "x");
	jw_kstring(&w, "none", NULL);
	jw_kint(&w, "min", INT64_MIN);
	jw_kuint(&w, "max", UINT64_MAX);
	jw_kbool(&w, "t", true);
	jw_knull(&w, "n");
	jw_karray(&w, "a");
	jw_int(&w, 0);
	jw_array(&w);
	jw_array_end(&w);
	jw_object(&w);
	jw_object_end(&w);
	jw_stringf(&w, "%d!", 5);
	jw_raw(&w, "[1]", 3);
	jw_array_end(&w);
	jw_kobject(&w, "o");
	jw_kbool(&w, "f", false);
	jw_object_end(&w);
	jw_kvalue(&w, "absent", NULL);
	jw_object_end(&w);
	assert_string_equal(b.s, "{\"s\":\"x\",\"none\":null,\"min\":-9223372036854775808,"
				 "\"max\":18446744073709551615,\"t\":true,\"n\":null,"
				 "\"a\":[0,[],{},\"5!\",[1]],\"o\":{\"f\":false},\"absent\":null}");
	/* A second document on the same stream has no comma. */
	strbuf_reset(&b);
	jw_int(&w, 1);
	strbuf_addc(&b, '\n');
	jw_int(&w, -2);
	assert_string_equal(b.s, "1\n-2");
}

static void test_pretty(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(4096);
	struct json_writer w;

	(void)state;
	json_writer_init(&w, &b);
	w.pretty_indent = 4;
	jw_array(&w);
	jw_object(&w);
	jw_kint(&w, "a", 1);
	jw_karray(&w, "b");
	jw_array_end(&w);
	jw_object_end(&w);
	jw_null(&w);
	jw_array_end(&w);
	assert_string_equal(b.s,
			    "[\n    {\n        \"a\": 1,\n        \"b\": []\n    },\n    null\n]");
}

static void assert_string(const char *s, size_t len, const char *expected)
{
	autostrbuf struct strbuf b = STRBUF_INIT(4096);
	struct json_writer w;

	json_writer_init(&w, &b);
	jw_stringn(&w, s, len);
	assert_string_equal(b.s, expected);
}

static void test_strings(void **state)
{
	(void)state;
	assert_string("", 0, "\"\"");
	assert_string("a\"\\/b", 5, "\"a\\\"\\\\/b\"");
	assert_string("\b\f\n\r\t\x01\x1f\0", 8, "\"\\b\\f\\n\\r\\t\\u0001\\u001f\\u0000\"");
	assert_string("<&>\x7f", 4, "\"<&>\x7f\"");
	assert_string("\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\"");
	/* Each byte that begins no sequence is one replacement character. */
	assert_string("a\xff\xc3z\xed\xa0\x80", 7,
		      "\"a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	assert_string("\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void assert_double(double v, const char *expected)
{
	autostrbuf struct strbuf b = STRBUF_INIT(4096);
	struct json_writer w;

	json_writer_init(&w, &b);
	jw_double(&w, v);
	assert_string_equal(b.s, expected);
}

static void test_doubles(void **state)
{
	static const double values[] = {0.1,  1.0 / 3, 5e-324, 1.7976931348623157e308,
					1e21, -2.5,    1e-7,   123456789.123456789};
	autoarena struct arena *a = arena_new();

	(void)state;
	assert_double(0, "0");
	assert_double(-0.0, "-0.0");
	assert_double(25, "25");
	assert_double(0.1, "0.1");
	assert_double(-2.5, "-2.5");
	assert_double(NAN, "null");
	assert_double(INFINITY, "null");
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(4096);
		struct json_writer w;
		const struct json *v;

		json_writer_init(&w, &b);
		jw_double(&w, values[i]);
		assert_int_equal(json_parse(a, b.s, b.len, &v, NULL), 0);
		assert_true(json_double(v) == values[i]);
	}
}

static void test_value_round_trip(void **state)
{
	static const char text[] = "{\"a\":[1,-1,18446744073709551615,2.5,true,false,null],"
				   "\"s\":\"\\u0000\\n\xc3\xa9\",\"o\":{\"\":{}},\"e\":[]}";
	autostrbuf struct strbuf b = STRBUF_INIT(4096);
	autoarena struct arena *a = arena_new();
	const struct json *v;
	struct json_writer w;

	(void)state;
	assert_int_equal(json_parse(a, text, sizeof(text) - 1, &v, NULL), 0);
	json_writer_init(&w, &b);
	jw_value(&w, v);
	assert_string_equal(b.s, text);
}

/* A value as deep as the parser allows fits anywhere in a document of ours. */
static void test_depth(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(4096);
	autoarena struct arena *a = arena_new();
	char text[2 * JSON_MAX_DEPTH + 1];
	const struct json *v;
	struct json_writer w;

	(void)state;
	memset(text, '[', JSON_MAX_DEPTH);
	memset(text + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
	text[2 * JSON_MAX_DEPTH] = '\0';
	assert_int_equal(json_parse(a, text, strlen(text), &v, NULL), 0);
	json_writer_init(&w, &b);
	for (int i = 0; i < JSON_WRITER_MAX_DEPTH - JSON_MAX_DEPTH; i++) {
		jw_object(&w);
		jw_kint(&w, "n", i);
		jw_key(&w, "k");
	}
	jw_value(&w, v);
	for (int i = 0; i < JSON_WRITER_MAX_DEPTH - JSON_MAX_DEPTH; i++) {
		jw_kint(&w, "after", i);
		jw_object_end(&w);
	}
	assert_int_equal(w.depth, 0);
	assert_non_null(strstr(b.s, text));
	assert_non_null(strstr(b.s, "]],\"after\":0},\"after\":1}"));
}

static void test_bounded(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(10);
	struct json_writer w;

	(void)state;
	json_writer_init(&w, &b);
	jw_string(&w, "longer than the buffer may be");
	assert_true(strbuf_error(&b) < 0);
	assert_true(b.len <= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_document),         cmocka_unit_test(test_pretty),
		cmocka_unit_test(test_strings),          cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_value_round_trip), cmocka_unit_test(test_depth),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
