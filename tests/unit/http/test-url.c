/* Percent-encoding and queries. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/url.h"

static void test_decode(void **state)
{
	autoarena struct arena *a = arena_new();
	char *s;

	(void)state;
	assert_int_equal(url_decode(a, "/a%2fb+c%C3%A9", 14, false, &s), 0);
	assert_string_equal(s, "/a/b+c\xc3\xa9");
	assert_int_equal(url_decode(a, "a+b%2B", 6, true, &s), 0);
	assert_string_equal(s, "a b+");
	assert_int_equal(url_decode(a, "%41%42", 3, false, &s), 0);
	assert_string_equal(s, "A");
}

static void test_decode_refuses(void **state)
{
	static const char *const bad[] = {"%", "%4", "a%zz", "%4g", "%00", "x%"};
	autoarena struct arena *a = arena_new();
	char *s = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(url_decode(a, bad[i], strlen(bad[i]), false, &s), -EINVAL);
	assert_null(s);
}

static void test_query(void **state)
{
	autoarena struct arena *a = arena_new();
	struct url_param *p = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(url_parse_query(a, "&a=1&&b&c=x+y%3D&a=2=3&=v", &p, &n), 0);
	assert_int_equal(n, 5);
	assert_string_equal(p[0].name, "a");
	assert_string_equal(p[0].value, "1");
	assert_string_equal(p[1].name, "b");
	assert_string_equal(p[1].value, "");
	assert_string_equal(p[2].value, "x y=");
	assert_string_equal(p[3].value, "2=3");
	assert_string_equal(p[4].name, "");
	assert_int_equal(url_parse_query(a, "", &p, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(url_parse_query(a, "a=%0", &p, &n), -EINVAL);
}

static void test_query_limit(void **state)
{
	autofree char *s = xcalloc(1, 3 * URL_PARAMS_MAX);
	autoarena struct arena *a = arena_new();
	struct url_param *p = NULL;
	size_t n = 0;

	(void)state;
	memset(s, '&', URL_PARAMS_MAX);
	assert_int_equal(url_parse_query(a, s, &p, &n), -E2BIG);
	s[URL_PARAMS_MAX - 1] = '\0';
	assert_int_equal(url_parse_query(a, s, &p, &n), 0);
}

static void test_encode(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(1000);
	autoarena struct arena *a = arena_new();
	char *back;

	(void)state;
	url_encode(&b, "a/b c+d~\xc3\xa9");
	assert_string_equal(b.s, "a%2Fb%20c%2Bd~%C3%A9");
	assert_int_equal(url_decode(a, b.s, b.len, true, &back), 0);
	assert_string_equal(back, "a/b c+d~\xc3\xa9");
	strbuf_reset(&b);
	url_encode_path(&b, "/x/y:z");
	assert_string_equal(b.s, "/x/y%3Az");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode), cmocka_unit_test(test_decode_refuses),
		cmocka_unit_test(test_query),  cmocka_unit_test(test_query_limit),
		cmocka_unit_test(test_encode),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
