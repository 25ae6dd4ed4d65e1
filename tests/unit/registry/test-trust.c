/* Which rule counts for an image, and what is no policy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "registry/trust.h"

static struct trust_policy *policy_of(const char *text, struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct trust_policy *p = NULL;
	const struct json *doc;

	assert_int_equal(json_parse(a, text, strlen(text), &doc, NULL), 0);
	(void)trust_policy_new(doc, &p, err);
	return p;
}

static const char *rule_for(const struct trust_policy *p, const char *image)
{
	autoimage_ref struct image_ref ref = {0};

	assert_int_equal(image_ref_parse(image, &ref, NULL), 0);
	return trust_rule_prefix(trust_policy_find(p, &ref));
}

static void longest(void **state)
{
	autotrust_policy struct trust_policy *p =
		policy_of("{\"docker.io/library\":\"accept\",\"docker.io\":\"reject\","
			  "\"r.test:5000/a/b\":\"accept\",\"r.test:5000/a\":\"reject\","
			  "\"localhost\":\"accept\",\"default\":\"reject\"}",
			  NULL);
	static const struct {
		const char *image, *prefix;
	} cases[] = {
		{"busybox", "docker.io/library"},
		{"busybox:1", "docker.io/library"},
		{"team/app", "docker.io"},
		{"libraryx/app", "docker.io"},
		{"r.test:5000/a/b", "r.test:5000/a/b"},
		{"r.test:5000/a/b/c", "r.test:5000/a/b"},
		{"r.test:5000/a/bc", "r.test:5000/a"},
		{"r.test:5000/ab", "default"},
		{"r.test/a/b", "default"},
		{"localhost/x", "localhost"},
		{"localhost:5000/x", "default"},
		{"R.Test:5000/a/b", "r.test:5000/a/b"},
		{"r.tes", "docker.io/library"},
		{"Docker.IO/team/app", "docker.io"},
	};

	(void)state;
	assert_non_null(p);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (!str_eq(rule_for(p, cases[i].image), cases[i].prefix))
			fail_msg("'%s': '%s'", cases[i].image, rule_for(p, cases[i].image));
}

static void verdicts(void **state)
{
	autotrust_policy struct trust_policy *p =
		policy_of("{\"a.test\":\"accept\",\"b.test\":\"reject\"}", NULL);
	autoimage_ref struct image_ref a = {0}, b = {0}, c = {0};
	autoerror struct error err = {0};

	(void)state;
	assert_int_equal(image_ref_parse("a.test/x:1", &a, NULL), 0);
	assert_int_equal(image_ref_parse("b.test/x:1", &b, NULL), 0);
	assert_int_equal(image_ref_parse("c.test/x:1", &c, NULL), 0);
	assert_int_equal(trust_check_rule(trust_policy_find(p, &a), &a, NULL), 0);
	assert_int_equal(trust_check_rule(trust_policy_find(p, &c), &c, NULL), 0);
	assert_int_equal(trust_check_rule(trust_policy_find(NULL, &b), &b, NULL), 0);
	assert_false(trust_rule_wants_signature(trust_policy_find(NULL, &b)));
	assert_true(trust_check_rule(trust_policy_find(p, &b), &b, &err) < 0);
	assert_int_equal(err.kind, ERROR_FORBIDDEN);
	assert_string_equal(error_msg(&err), "pull of 'b.test/x:1' is refused by signature-policy "
					     "'b.test': reject");
}

static void no_policies(void **state)
{
	static const char *const texts[] = {
		"{\"r.test\":\"Accept\"}",
		"{\"r.test\":null}",
		"{\"r.test\":{}}",
		"{\"r.test\":{\"signed\":\"/k\"}}",
		"{\"r.test\":{\"signed\":[7]}}",
		"{\"r.test\":{\"signed\":[\"/does/not/exist\"]}}",
		"{\"\":\"accept\"}",
		"{\"/\":\"accept\"}",
		"{\"r.test/\":\"accept\"}",
		"{\"r.test//a\":\"accept\"}",
		"{\"r.test/a@sha256:0\":\"accept\"}",
		"{\"library/busybox\":\"accept\"}",
		"{\"index.docker.io/library\":\"accept\"}",
		"{\"https://r.test\":\"accept\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		autoerror struct error err = {0};

		if (policy_of(texts[i], &err))
			fail_msg("%s is a policy", texts[i]);
		assert_true(error_msg(&err)[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(no_policies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
