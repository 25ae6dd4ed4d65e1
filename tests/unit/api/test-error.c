/* Kinds to status, bodies, timestamps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/api_priv.h"
#include "base/arena.h"
#include "base/mem.h"

static void test_statuses(void **state)
{
	(void)state;
	assert_int_equal(api_status(ERROR_INTERNAL), 500);
	assert_int_equal(api_status(ERROR_INVALID), 400);
	assert_int_equal(api_status(ERROR_NOT_FOUND), 404);
	assert_int_equal(api_status(ERROR_CONFLICT), 409);
	assert_int_equal(api_status(ERROR_FORBIDDEN), 403);
	assert_int_equal(api_status(ERROR_UNAUTHORIZED), 401);
	assert_int_equal(api_status(ERROR_UNAVAILABLE), 503);
	assert_int_equal(api_status(ERROR_NOT_MODIFIED), 304);
	assert_int_equal(api_status(ERROR_NOT_IMPLEMENTED), 501);
}

static void test_bodies(void **state)
{
	autoarena struct arena *a = arena_new();
	autoerror struct error empty = {0}, broken = {0}, more = {0};
	const struct json *v;

	(void)state;
	assert_true(api_body_parse(a, "", 0, &v, &empty) < 0);
	assert_int_equal(empty.kind, ERROR_INVALID);
	assert_string_equal(error_msg(&empty), "invalid JSON: got EOF while reading request body");
	assert_true(api_body_parse(a, "{x", 2, &v, &broken) < 0);
	assert_int_equal(broken.kind, ERROR_INVALID);
	assert_ptr_equal(strstr(error_msg(&broken), "invalid JSON: "), error_msg(&broken));
	assert_true(api_body_parse(a, "{} x", 4, &v, &more) < 0);
	assert_string_equal(error_msg(&more), "unexpected content after JSON");
	assert_int_equal(api_body_parse(a, "{}", 2, &v, NULL), 0);
	assert_int_equal(json_type(v), JSON_OBJECT);
}

static void test_timestamps(void **state)
{
	static const char *const bad[] = {"", "x", "1.x", ".5", "99999999999999999999", "1e3"};
	int64_t ns;

	(void)state;
	assert_int_equal(api_parse_timestamp("1700000000", &ns, NULL), 0);
	assert_true(ns == 1700000000LL * 1000000000);
	assert_int_equal(api_parse_timestamp("1.5", &ns, NULL), 0);
	assert_true(ns == 1500000000);
	assert_int_equal(api_parse_timestamp("1.000000001", &ns, NULL), 0);
	assert_true(ns == 1000000001);
	assert_int_equal(api_parse_timestamp("1.0000000019", &ns, NULL), 0);
	assert_true(ns == 1000000001);
	assert_int_equal(api_parse_timestamp("0", &ns, NULL), 0);
	assert_true(ns == 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(api_parse_timestamp(bad[i], &ns, NULL) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_timestamps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
