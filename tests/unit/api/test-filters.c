/* The filters parameter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/filters.h"
#include "base/mem.h"

static const char *const keys[] = {"label", "name", "id", "flag", NULL};

static void parse(struct arena *a, const char *text, struct filters *f)
{
	autoerror struct error err = {0};

	if (filters_parse(a, text, keys, f, &err) < 0)
		fail_msg("%s: %s", text, error_msg(&err));
}

static void test_forms(void **state)
{
	autoarena struct arena *a = arena_new();
	struct filters f;

	(void)state;
	parse(a, NULL, &f);
	assert_int_equal(f.n, 0);
	parse(a, "", &f);
	assert_int_equal(f.n, 0);
	parse(a, "{\"name\":{\"a\":true,\"b\":true}}", &f);
	assert_int_equal(filters_get(&f, "name")->n, 2);
	parse(a, "{\"name\":[\"a\",\"b\"],\"label\":[]}", &f);
	assert_int_equal(filters_get(&f, "name")->n, 2);
	assert_null(filters_get(&f, "label"));
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *msg;
	} bad[] = {
		{"{\"nope\":[\"x\"]}", "invalid filter 'nope'"},
		{"{\"name\":\"x\"}", "invalid filter 'name'"},
		{"{\"name\":[1]}", "invalid filter 'name'"},
		{"[]", "invalid filter"},
		{"{", "invalid filter"},
	};
	autoarena struct arena *a = arena_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		autoerror struct error err = {0};
		struct filters f;

		assert_true(filters_parse(a, bad[i].text, keys, &f, &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_ptr_equal(strstr(error_msg(&err), bad[i].msg), error_msg(&err));
	}
}

static void test_match(void **state)
{
	autoarena struct arena *a = arena_new();
	struct filters f;

	(void)state;
	parse(a, "{\"name\":[\"^web[0-9]+$\",\"db\"],\"id\":[\"abc\"]}", &f);
	assert_true(filters_match_pattern(&f, "name", "web12"));
	assert_true(filters_match_pattern(&f, "name", "mydb2"));
	assert_false(filters_match_pattern(&f, "name", "web"));
	assert_true(filters_match_prefix(&f, "id", "abcdef"));
	assert_false(filters_match_prefix(&f, "id", "ab"));
	assert_true(filters_match(&f, "id", "abc"));
	assert_false(filters_match(&f, "id", "abcd"));
	assert_true(filters_match(&f, "label", "anything"));
}

static void test_bad_pattern(void **state)
{
	autoarena struct arena *a = arena_new();
	struct filters f;

	(void)state;
	parse(a, "{\"name\":[\"a[\"]}", &f);
	assert_true(filters_match_pattern(&f, "name", "xa[y"));
	assert_false(filters_match_pattern(&f, "name", "b"));
}

static void test_labels(void **state)
{
	autoarena struct arena *a = arena_new();
	const char text[] = "{\"app\":\"web\",\"tier\":\"front=1\",\"empty\":\"\"}";
	const struct json *labels;
	struct filters f;

	(void)state;
	assert_int_equal(json_parse(a, text, strlen(text), &labels, NULL), 0);
	parse(a, "{\"label\":[\"app\",\"tier=front=1\"]}", &f);
	assert_true(filters_match_labels(&f, "label", labels));
	assert_false(filters_match_labels(&f, "label", NULL));
	parse(a, "{\"label\":[\"app=db\"]}", &f);
	assert_false(filters_match_labels(&f, "label", labels));
	parse(a, "{\"label\":[\"ap\"]}", &f);
	assert_false(filters_match_labels(&f, "label", labels));
	parse(a, "{\"label\":[\"empty=\"]}", &f);
	assert_true(filters_match_labels(&f, "label", labels));
}

static void test_bool(void **state)
{
	autoarena struct arena *a = arena_new();
	autoerror struct error err = {0};
	struct filters f;
	bool b;

	(void)state;
	parse(a, "{\"flag\":[\"True\"]}", &f);
	assert_int_equal(filters_bool(&f, "flag", false, &b, &err), 0);
	assert_true(b);
	parse(a, "{\"flag\":{\"0\":true}}", &f);
	assert_int_equal(filters_bool(&f, "flag", true, &b, &err), 0);
	assert_false(b);
	parse(a, "{\"flag\":[\"maybe\"]}", &f);
	assert_true(filters_bool(&f, "flag", true, &b, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_string_equal(error_msg(&err), "invalid filter 'flag=[maybe]'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_match),  cmocka_unit_test(test_bad_pattern),
		cmocka_unit_test(test_labels), cmocka_unit_test(test_bool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
