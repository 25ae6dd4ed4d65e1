/* Decoding tables: every type, its limits, and the path in each refusal. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/json_decode.h"

struct point {
	int x, y;
};

struct thing {
	const char *name;
	bool flag;
	int number;
	uint32_t u32;
	uint16_t u16;
	int64_t i64;
	uint64_t u64;
	double real;
	const bool *opt_flag;
	const int64_t *opt_i64;
	const uint64_t *opt_u64;
	const uint32_t *opt_u32;
	const int *opt_int;
	struct json_strings strings;
	struct json_string_map map;
	struct point point;
	struct point *point_ptr;
	struct json_objects points;
	const struct json *any;
	uint32_t mode;
};

static int decode_mode(struct json_decoder *d, const struct json *v, void *field, struct error *err)
{
	if (json_type(v) == JSON_OBJECT) {
		static const struct json_field table[] = {
			JSON_FIELD(struct point, "x", JSON_DECODE_INT, x, JSON_REQUIRED),
			{0},
		};
		struct point *p = arena_new0(json_decoder_arena(d), struct point);
		int r = json_decoder_object(d, v, table, p, err);

		if (r == 0)
			*(uint32_t *)field = (uint32_t)p->x;
		return r;
	}
	if (!json_string(v) || str_parse_octal(json_string(v), field) < 0)
		return json_decoder_error(d, err, "expected an octal mode");
	return 0;
}

static const struct json_field point_fields[] = {
	JSON_FIELD(struct point, "x", JSON_DECODE_INT, x, JSON_REQUIRED),
	JSON_FIELD(struct point, "y", JSON_DECODE_INT, y, 0),
	{0},
};

static const struct json_field thing_fields[] = {
	JSON_FIELD(struct thing, "name", JSON_DECODE_STRING, name, JSON_NONEMPTY),
	JSON_FIELD(struct thing, "flag", JSON_DECODE_BOOL, flag, 0),
	JSON_FIELD(struct thing, "number", JSON_DECODE_INT, number, 0),
	JSON_FIELD(struct thing, "u32", JSON_DECODE_U32, u32, 0),
	JSON_FIELD(struct thing, "u16", JSON_DECODE_U16, u16, 0),
	JSON_FIELD(struct thing, "i64", JSON_DECODE_I64, i64, 0),
	JSON_FIELD(struct thing, "u64", JSON_DECODE_U64, u64, 0),
	JSON_FIELD(struct thing, "real", JSON_DECODE_DOUBLE, real, 0),
	JSON_FIELD(struct thing, "optFlag", JSON_DECODE_OPT_BOOL, opt_flag, 0),
	JSON_FIELD(struct thing, "optI64", JSON_DECODE_OPT_I64, opt_i64, 0),
	JSON_FIELD(struct thing, "optU64", JSON_DECODE_OPT_U64, opt_u64, 0),
	JSON_FIELD(struct thing, "optU32", JSON_DECODE_OPT_U32, opt_u32, 0),
	JSON_FIELD(struct thing, "optInt", JSON_DECODE_OPT_INT, opt_int, 0),
	JSON_FIELD(struct thing, "strings", JSON_DECODE_STRINGS, strings, JSON_NONEMPTY),
	JSON_FIELD(struct thing, "map", JSON_DECODE_STRING_MAP, map, 0),
	JSON_FIELD_SUB(struct thing, "point", JSON_DECODE_OBJECT, point, point_fields, 0),
	JSON_FIELD_PTR(struct thing, "pointPtr", JSON_DECODE_OBJECT_PTR, point_ptr, point_fields,
		       struct point, 0),
	JSON_FIELD_PTR(struct thing, "points", JSON_DECODE_OBJECTS, points, point_fields,
		       struct point, 0),
	JSON_FIELD(struct thing, "any", JSON_DECODE_VALUE, any, 0),
	JSON_FIELD_FN(struct thing, "mode", mode, decode_mode, 0),
	{0},
};

static int decode(struct arena *a, const char *text, struct thing *ret, struct error *err)
{
	const struct json *v;

	assert_int_equal(json_parse(a, text, strlen(text), &v, NULL), 0);
	*ret = (struct thing){0};
	return json_decode(a, v, thing_fields, ret, "", err);
}

static void test_everything(void **state)
{
	autoarena struct arena *a = arena_new();
	autoerror struct error err = {0};
	const struct point *points;
	struct thing t;

	(void)state;
	assert_int_equal(
		decode(a,
		       "{\"name\":\"n\",\"flag\":true,\"number\":-2147483648,\"u32\":4294967295,"
		       "\"u16\":65535,\"i64\":-9223372036854775808,\"u64\":18446744073709551615,"
		       "\"real\":2,\"optFlag\":false,\"optI64\":-1,\"optU64\":0,\"optU32\":7,"
		       "\"optInt\":-7,\"strings\":[\"a\",\"\"],\"map\":{\"z\":\"1\",\"a\":\"2\","
		       "\"nil\":null},\"point\":{\"x\":1,\"y\":2},\"pointPtr\":{\"X\":3},"
		       "\"points\":[{\"x\":4},{\"x\":5,\"y\":6}],\"any\":[1],\"mode\":\"0755\","
		       "\"unknown\":{}}",
		       &t, &err),
		0);
	assert_string_equal(t.name, "n");
	assert_true(t.flag);
	assert_int_equal(t.number, INT_MIN);
	assert_true(t.u32 == UINT32_MAX);
	assert_int_equal(t.u16, UINT16_MAX);
	assert_true(t.i64 == INT64_MIN);
	assert_true(t.u64 == UINT64_MAX);
	assert_true(t.real == 2.0);
	assert_true(t.opt_flag && !*t.opt_flag);
	assert_true(t.opt_i64 && *t.opt_i64 == -1);
	assert_true(t.opt_u64 && *t.opt_u64 == 0);
	assert_true(t.opt_u32 && *t.opt_u32 == 7);
	assert_true(t.opt_int && *t.opt_int == -7);
	assert_int_equal(t.strings.n, 2);
	assert_string_equal(t.strings.v[0], "a");
	assert_string_equal(t.strings.v[1], "");
	assert_null(t.strings.v[2]);
	assert_int_equal(t.map.n, 3);
	assert_string_equal(t.map.keys[0], "z");
	assert_string_equal(t.map.values[1], "2");
	assert_string_equal(t.map.values[2], "");
	assert_int_equal(t.point.y, 2);
	assert_int_equal(t.point_ptr->x, 3); /* names match whatever their case */
	points = t.points.v;
	assert_int_equal(t.points.n, 2);
	assert_int_equal(points[0].x + points[1].y, 10);
	assert_int_equal(json_count(t.any), 1);
	assert_int_equal(t.mode, 0755);
}

static void test_absent_and_null(void **state)
{
	autoarena struct arena *a = arena_new();
	autoerror struct error err = {0};
	struct thing t, zero = {0};

	(void)state;
	assert_int_equal(decode(a, "{}", &t, &err), 0);
	assert_memory_equal(&t, &zero, sizeof(t));
	assert_int_equal(decode(a,
				"{\"name\":null,\"flag\":null,\"u64\":null,\"optInt\":null,"
				"\"strings\":null,\"map\":null,\"point\":null,\"pointPtr\":null,"
				"\"points\":null,\"any\":null,\"mode\":null}",
				&t, &err),
			 0);
	assert_memory_equal(&t, &zero, sizeof(t));
	assert_int_equal(decode(a, "{\"map\":{},\"points\":[]}", &t, &err), 0);
	assert_int_equal(t.map.n, 0);
	assert_int_equal(t.points.n, 0);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *text, *msg;
	} cases[] = {
		{"[]", "expected an object, found an array"},
		{"{\"name\":5}", "name: expected a string, found an integer"},
		{"{\"name\":\"\"}", "name: must not be empty"},
		{"{\"name\":\"a\\u0000\"}", "name: the string contains NUL"},
		{"{\"flag\":1}", "flag: expected a boolean, found an integer"},
		{"{\"number\":2147483648}",
		 "number: expected an integer from -2147483648 to 2147483647"},
		{"{\"number\":1.5}", "number: expected an integer, found a number"},
		{"{\"number\":\"1\"}", "number: expected an integer, found a string"},
		{"{\"u32\":4294967296}", "u32: expected an integer from 0 to 4294967295"},
		{"{\"u32\":-1}", "u32: expected an integer from 0 to 4294967295"},
		{"{\"u16\":65536}", "u16: expected an integer from 0 to 65535"},
		{"{\"i64\":9223372036854775808}",
		 "i64: expected an integer from -9223372036854775808 to 9223372036854775807"},
		{"{\"u64\":-1}", "u64: expected an integer from 0 to 18446744073709551615"},
		{"{\"u64\":18446744073709551616}", "u64: expected an integer, found a number"},
		{"{\"real\":\"1\"}", "real: expected a number, found a string"},
		{"{\"optFlag\":\"yes\"}", "optFlag: expected a boolean, found a string"},
		{"{\"optU32\":-1}", "optU32: expected an integer from 0 to 4294967295"},
		{"{\"strings\":[]}", "strings: must not be empty"},
		{"{\"strings\":\"x\"}", "strings: expected an array, found a string"},
		{"{\"strings\":[\"a\",2]}", "strings[1]: expected a string, found an integer"},
		{"{\"map\":[]}", "map: expected an object, found an array"},
		{"{\"map\":{\"k\":1}}", "map.k: expected a string, found an integer"},
		{"{\"point\":{}}", "point.x: is required"},
		{"{\"point\":{\"x\":null}}", "point.x: is required"},
		{"{\"pointPtr\":{\"x\":true}}", "pointPtr.x: expected an integer, found a boolean"},
		{"{\"points\":{}}", "points: expected an array, found an object"},
		{"{\"points\":[{\"x\":1},{\"x\":1,\"y\":[]}]}",
		 "points[1].y: expected an integer, found an array"},
		{"{\"points\":[null]}", "points[0]: expected an object, found null"},
		{"{\"mode\":\"9\"}", "mode: expected an octal mode"},
		{"{\"mode\":{\"x\":\"\"}}", "mode.x: expected an integer, found a string"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoarena struct arena *a = arena_new();
		autoerror struct error err = {0};
		struct thing t;

		assert_true(decode(a, cases[i].text, &t, &err) < 0);
		assert_string_equal(error_msg(&err), cases[i].msg);
		assert_int_equal(err.kind, ERROR_INVALID);
	}
}

static void test_prefix(void **state)
{
	autoarena struct arena *a = arena_new();
	autoerror struct error err = {0};
	struct point p = {0};
	const struct json *v;

	(void)state;
	assert_int_equal(json_parse(a, "{\"x\":\"\"}", 8, &v, NULL), 0);
	assert_true(json_decode(a, v, point_fields, &p, "HostConfig", &err) < 0);
	assert_string_equal(error_msg(&err), "HostConfig.x: expected an integer, found a string");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_absent_and_null),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
