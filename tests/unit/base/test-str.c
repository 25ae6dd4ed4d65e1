/* Bounded strings and strict parsing. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"

static void test_strbuf_appends(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(1000);
	char expected[1001], *taken;

	(void)state;
	assert_string_equal(b.s, "");
	strbuf_adds(&b, "ab");
	strbuf_addc(&b, 'c');
	strbuf_add(&b, "d\0e", 3);
	strbuf_addf(&b, "%d", 7);
	assert_int_equal(b.len, 7);
	assert_memory_equal(b.s, "abcd\0e7", 8);
	strbuf_drop(&b, 5);
	assert_string_equal(b.s, "e7");
	strbuf_drop(&b, 2);
	assert_string_equal(b.s, "");
	strbuf_drop(&b, 0);

	memset(expected, 'z', 1000);
	expected[1000] = '\0';
	strbuf_addf(&b, "%s", expected);
	assert_string_equal(b.s, expected);
	assert_int_equal(strbuf_error(&b), 0);
	taken = strbuf_take(&b);
	assert_string_equal(taken, expected);
	free(taken);
	assert_string_equal(b.s, "");
	assert_int_equal(b.max, 1000);
	taken = strbuf_take(&b);
	assert_string_equal(taken, "");
	free(taken);
}

static void test_strbuf_limit(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(4);

	(void)state;
	strbuf_adds(&b, "abc");
	strbuf_adds(&b, "de"); /* dropped whole */
	assert_string_equal(b.s, "abc");
	assert_int_equal(strbuf_error(&b), -E2BIG);
	strbuf_addc(&b, 'd'); /* would fit, but the error is sticky */
	assert_string_equal(b.s, "abc");
	strbuf_reset(&b);
	assert_int_equal(strbuf_error(&b), 0);
	strbuf_adds(&b, "abcd"); /* exactly the limit */
	assert_string_equal(b.s, "abcd");
	assert_int_equal(strbuf_error(&b), 0);
	strbuf_addc(&b, 'e');
	assert_int_equal(strbuf_error(&b), -E2BIG);
	strbuf_reset(&b);
	strbuf_addf(&b, "%s", "abcde");
	assert_string_equal(b.s, "");
	assert_int_equal(strbuf_error(&b), -E2BIG);
	strbuf_reset(&b);
	assert_null(strbuf_reserve(&b, SIZE_MAX));
	assert_int_equal(strbuf_error(&b), -E2BIG);
}

static void test_strbuf_reserve(void **state)
{
	autostrbuf struct strbuf b = {0};
	char *p;

	(void)state;
	strbuf_init(&b, 100);
	p = strbuf_reserve(&b, 100);
	assert_non_null(p);
	memset(p, 'q', 100);
	strbuf_advance(&b, 100);
	assert_int_equal(b.len, 100);
	assert_int_equal(strlen(b.s), 100);
	assert_non_null(strbuf_reserve(&b, 0));
	assert_null(strbuf_reserve(&b, 1));
	strbuf_done(&b);
	strbuf_done(&b); /* harmless again */
}

static void test_parse_u64(void **state)
{
	static const char *const invalid[] = {"",   "-1",  "+1",  " 1", "1 ",
					      "0x", "1_0", "1.0", "١",  "18446744073709551616x"};
	uint64_t v = 99;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(invalid); i++)
		assert_int_equal(str_parse_u64(invalid[i], &v), -EINVAL);
	assert_int_equal(str_parse_u64(NULL, &v), -EINVAL);
	assert_int_equal(str_parse_u64("18446744073709551616", &v), -ERANGE);
	assert_int_equal(str_parse_u64("99999999999999999999999", &v), -ERANGE);
	assert_int_equal(v, 99);
	assert_int_equal(str_parse_u64("18446744073709551615", &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(str_parse_u64("0", &v), 0);
	assert_true(v == 0);
	assert_int_equal(str_parse_u64("00000000000000000000000007", &v), 0);
	assert_true(v == 7);
}

static void test_parse_signed_and_narrow(void **state)
{
	int64_t i = 99;
	uint32_t u = 99;
	int n = 99;

	(void)state;
	assert_int_equal(str_parse_i64("-9223372036854775809", &i), -ERANGE);
	assert_int_equal(str_parse_i64("9223372036854775808", &i), -ERANGE);
	assert_int_equal(str_parse_i64("--1", &i), -EINVAL);
	assert_int_equal(str_parse_i64("-", &i), -EINVAL);
	assert_int_equal(str_parse_i64("", &i), -EINVAL);
	assert_true(i == 99);
	assert_int_equal(str_parse_i64("-9223372036854775808", &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(str_parse_i64("9223372036854775807", &i), 0);
	assert_true(i == INT64_MAX);

	assert_int_equal(str_parse_u32("4294967296", &u), -ERANGE);
	assert_int_equal(u, 99);
	assert_int_equal(str_parse_u32("4294967295", &u), 0);
	assert_true(u == UINT32_MAX);

	assert_int_equal(str_parse_int("2147483648", &n), -ERANGE);
	assert_int_equal(str_parse_int("-2147483649", &n), -ERANGE);
	assert_int_equal(n, 99);
	assert_int_equal(str_parse_int("-2147483648", &n), 0);
	assert_int_equal(n, INT_MIN);
	assert_int_equal(str_parse_int("2147483647", &n), 0);
	assert_int_equal(n, INT_MAX);
}

static void test_parse_octal(void **state)
{
	uint32_t v = 99;

	(void)state;
	assert_int_equal(str_parse_octal("8", &v), -EINVAL);
	assert_int_equal(str_parse_octal("", &v), -EINVAL);
	assert_int_equal(str_parse_octal("0o7", &v), -EINVAL);
	assert_int_equal(str_parse_octal("40000000000", &v), -ERANGE);
	assert_int_equal(v, 99);
	assert_int_equal(str_parse_octal("37777777777", &v), 0);
	assert_true(v == UINT32_MAX);
	assert_int_equal(str_parse_octal("0755", &v), 0);
	assert_int_equal(v, 0755);
	assert_int_equal(str_parse_octal("755", &v), 0);
	assert_int_equal(v, 0755);
}

static void test_comparison(void **state)
{
	char buf[4];

	(void)state;
	assert_true(str_eq(NULL, NULL));
	assert_false(str_eq(NULL, ""));
	assert_false(str_eq("", NULL));
	assert_true(str_eq("a", "a"));
	assert_false(str_eq("a", "A"));
	assert_true(str_empty(NULL));
	assert_true(str_empty(""));
	assert_false(str_empty(" "));
	assert_true(str_has_prefix("abc", "ab"));
	assert_true(str_has_prefix("abc", ""));
	assert_false(str_has_prefix("ab", "abc"));
	assert_true(str_has_suffix("abc", "bc"));
	assert_true(str_has_suffix("abc", "abc"));
	assert_false(str_has_suffix("bc", "abc"));
	assert_true(str_copy(buf, sizeof(buf), "abc"));
	assert_string_equal(buf, "abc");
	assert_false(str_copy(buf, sizeof(buf), "abcd"));
	assert_string_equal(buf, "abc");
	assert_true(str_copy(buf, 1, ""));
	assert_string_equal(str_basename("/a/b"), "b");
	assert_string_equal(str_basename("b"), "b");
	assert_string_equal(str_basename("a/"), "");
	assert_string_equal(str_basename(""), "");
}

static void test_utf8(void **state)
{
	static const char *const valid[] = {
		"",
		"ascii\x7f",
		"\xc2\x80",         /* U+0080 */
		"\xdf\xbf",         /* U+07FF */
		"\xe0\xa0\x80",     /* U+0800 */
		"\xed\x9f\xbf",     /* U+D7FF */
		"\xee\x80\x80",     /* U+E000 */
		"\xef\xbf\xbf",     /* U+FFFF */
		"\xf0\x90\x80\x80", /* U+10000 */
		"\xf4\x8f\xbf\xbf", /* U+10FFFF */
	};
	static const char *const invalid[] = {
		"\x80",     "\xbf",         "\xc0\x80",         "\xc1\xbf",         "\xc2",
		"\xc2\x7f", "\xc2\xc0",     "\xe0\x9f\xbf",     "\xed\xa0\x80",     "\xed\xbf\xbf",
		"\xe1\x80", "\xe1\x80\xc0", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5",
		"\xff",     "\xf1\x80\x80", "a\xf1\x80\x80q",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(valid); i++)
		assert_true(utf8_valid(valid[i], strlen(valid[i])));
	for (size_t i = 0; i < ARRAY_SIZE(invalid); i++)
		assert_false(utf8_valid(invalid[i], strlen(invalid[i])));
	assert_true(utf8_valid("a\0b", 3));
	assert_int_equal(utf8_sequence("", 0), 0);
	assert_int_equal(utf8_sequence("a", 1), 1);
	assert_int_equal(utf8_sequence("\xf0\x90\x80\x80zz", 6), 4);
	assert_int_equal(utf8_sequence("\xf0\x90\x80\x80", 3), 0);
}

static void test_hex(void **state)
{
	unsigned char all[256], back[256];
	char text[513];

	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (unsigned char)i;
	hex_encode(all, sizeof(all), text);
	assert_int_equal(strlen(text), 512);
	assert_memory_equal(text, "000102", 6);
	assert_memory_equal(text + 508, "feff", 4);
	assert_true(str_is_hex(text, 512));
	assert_int_equal(hex_decode(text, 512, back), 0);
	assert_memory_equal(all, back, sizeof(all));
	assert_int_equal(hex_decode("aF", 2, back), 0);
	assert_int_equal(back[0], 0xaf);
	assert_int_equal(hex_decode("abc", 3, back), -EINVAL);
	assert_int_equal(hex_decode("0g", 2, back), -EINVAL);
	assert_int_equal(hex_decode("", 0, back), 0);
	assert_false(str_is_hex("AB", 2));
}

static void assert_base64(const char *plain, size_t len, const char *encoded)
{
	autostrbuf struct strbuf b = STRBUF_INIT(100);

	base64_encode(plain, len, &b);
	assert_string_equal(b.s, encoded);
	strbuf_reset(&b);
	assert_int_equal(base64_decode(encoded, strlen(encoded), &b), 0);
	assert_int_equal(b.len, len);
	assert_memory_equal(b.s, plain, len);
}

static void test_base64(void **state)
{
	static const char *const invalid[] = {
		"Z", "Zg=", "Zm=v", "=", "====", "Zg===", "Zm9v=", "Zm9v Zg", "Zm9\n", "Zm9vZ"};
	autostrbuf struct strbuf b = STRBUF_INIT(100);

	(void)state;
	/* RFC 4648 section 10 */
	assert_base64("", 0, "");
	assert_base64("f", 1, "Zg==");
	assert_base64("fo", 2, "Zm8=");
	assert_base64("foo", 3, "Zm9v");
	assert_base64("foob", 4, "Zm9vYg==");
	assert_base64("fooba", 5, "Zm9vYmE=");
	assert_base64("foobar", 6, "Zm9vYmFy");
	assert_base64("\xfb\xff\xfe\0", 4, "+//+AA==");
	assert_int_equal(base64_decode("-__-AA", 6, &b), 0); /* URL alphabet, no padding */
	assert_memory_equal(b.s, "\xfb\xff\xfe\0", 4);
	strbuf_reset(&b);
	for (size_t i = 0; i < ARRAY_SIZE(invalid); i++) {
		assert_int_equal(base64_decode(invalid[i], strlen(invalid[i]), &b), -EINVAL);
		assert_int_equal(b.len, 0);
	}
}

static void test_strv(void **state)
{
	autostrv struct strv v = {0};

	(void)state;
	assert_null(v.v);
	for (int i = 0; i < 100; i++) {
		strv_addf(&v, "%d", i);
		assert_int_equal(v.n, i + 1);
		assert_null(v.v[v.n]);
	}
	strv_add(&v, "x");
	strv_add_take(&v, xstrdup("y"));
	assert_string_equal(v.v[0], "0");
	assert_string_equal(v.v[99], "99");
	assert_string_equal(v.v[101], "y");
	assert_null(v.v[102]);
	strv_done(&v);
	assert_null(v.v);
	assert_int_equal(v.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strbuf_appends),
		cmocka_unit_test(test_strbuf_limit),
		cmocka_unit_test(test_strbuf_reserve),
		cmocka_unit_test(test_parse_u64),
		cmocka_unit_test(test_parse_signed_and_narrow),
		cmocka_unit_test(test_parse_octal),
		cmocka_unit_test(test_comparison),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_strv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
