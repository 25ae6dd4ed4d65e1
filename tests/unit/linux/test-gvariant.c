/* GVariant's text form: values and their types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "linux/gvariant.h"

static int parse(const char *text, struct strbuf *out, char **type, struct error *err)
{
	struct json_writer w;

	strbuf_reset(out);
	json_writer_init(&w, out);
	return gvariant_parse(text, &w, type, err);
}

static void values(void **state)
{
	static const struct {
		const char *text, *type, *json;
	} cases[] = {
		{"true", "b", "true"},
		{"7", "i", "7"},
		{"-7", "i", "-7"},
		{"0x10", "i", "16"},
		{"1.5", "d", "1.5"},
		{"uint64 18446744073709551615", "t", "18446744073709551615"},
		{"int64 -9223372036854775808", "x", "-9223372036854775808"},
		{"byte 0xff", "y", "255"},
		{"@t 5", "t", "5"},
		{"double 2", "d", "2"},
		{"'it\\'s'", "s", "\"it's\""},
		{"\"a\\n\"", "s", "\"a\\n\""},
		{"objectpath '/a/b'", "o", "\"/a/b\""},
		{"['a', 'b']", "as", "[\"a\",\"b\"]"},
		{"@as []", "as", "[]"},
		{"[uint32 1, 2]", "au", "[1,2]"},
		{"@ay [1, 2]", "ay", "[1,2]"},
		{"('a', true, uint64 3)", "(sbt)", "[\"a\",true,3]"},
		{"('one',)", "(s)", "[\"one\"]"},
		{"@a(st) [('/dev/sda', 5)]", "a(st)", "[[\"/dev/sda\",5]]"},
		{"{'k': 1, 'l': 2}", "a{si}", "[[\"k\",1],[\"l\",2]]"},
		{"@a{sv} {}", "a{sv}", "[]"},
		{"{'k': <uint64 1>}", "a{sv}", "[[\"k\",[\"t\",1]]]"},
		{"<'x'>", "v", "[\"s\",\"x\"]"},
		{"[[1], [2, 3]]", "aai", "[[1],[2,3]]"},
		{"  [ 1 , 2 ]  ", "ai", "[1,2]"},
	};
	autostrbuf struct strbuf out = STRBUF_INIT(4096);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = {0};
		char *type = NULL;

		if (parse(cases[i].text, &out, &type, &err) < 0)
			fail_msg("%s", error_msg(&err));
		assert_string_equal(type, cases[i].type);
		assert_string_equal(out.s, cases[i].json);
		free(type);
	}
}

static void refusals(void **state)
{
	static const char *const bad[] = {
		"",
		"tru",
		"'open",
		"[1, 'a']",
		"[]",
		"{}",
		"()",
		"[1",
		"1 2",
		"byte 256",
		"uint32 -1",
		"@",
		"@q",
		"@(s 'a'",
		"@t 'a'",
		"@s 1",
		"int16 1.5",
		"<1",
		"<>",
		"{1}",
		"{[1]: 2}",
		"--1",
		"0x",
		"nothing",
		"@as [1]",
		"@b 1",
		"'\\u0041'",
		"[@s 'a', 1]",
		"@(st) ('a')",
		"2147483648",
		"[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]",
		"@aaaaaaaaaaaaaaaaaaaas []",
		"@(st) ('a', 1, 2)",
		"uint64 @s 'a'",
		"'\\",
	};
	autostrbuf struct strbuf out = STRBUF_INIT(4096);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = {0};
		char *type = NULL;

		if (parse(bad[i], &out, &type, &err) >= 0)
			fail_msg("'%s' is taken for '%s' of type %s", bad[i], out.s, type);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_int_equal(out.len, 0); /* nothing is half written */
		error_done(&err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(refusals)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
