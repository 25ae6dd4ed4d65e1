/* WWW-Authenticate headers: what registries send, and what they should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "registry/challenge.h"

static void test_bearer(void **state)
{
	autoarena struct arena *a = arena_new();
	struct challenges c = {0};
	const struct challenge *bearer;

	(void)state;
	assert_int_equal(
		challenges_parse(a,
				 "Bearer realm=\"https://auth.docker.io/token\",service="
				 "\"registry.docker.io\",scope=\"repository:a/b:pull,push\"",
				 &c, NULL),
		0);
	assert_int_equal(c.n, 1);
	bearer = challenges_find(&c, "bearer");
	assert_string_equal(challenge_get(bearer, "realm"), "https://auth.docker.io/token");
	assert_string_equal(challenge_get(bearer, "service"), "registry.docker.io");
	assert_string_equal(challenge_get(bearer, "scope"), "repository:a/b:pull,push");
	assert_null(challenge_get(bearer, "error"));
	assert_null(challenges_find(&c, "basic"));
}

static void test_several(void **state)
{
	autoarena struct arena *a = arena_new();
	struct challenges c = {0};

	(void)state;
	assert_int_equal(
		challenges_parse(a,
				 ", Negotiate abc123==, NTLM ,BASIC Realm = \"x \\\"y\\\"\" , "
				 "charset=UTF-8, bearer realm=z",
				 &c, NULL),
		0);
	assert_int_equal(c.n, 4);
	assert_string_equal(c.v[0].scheme, "negotiate");
	assert_int_equal(c.v[0].n_params, 0);
	assert_string_equal(c.v[1].scheme, "ntlm");
	assert_string_equal(challenge_get(&c.v[2], "realm"), "x \"y\"");
	assert_string_equal(challenge_get(&c.v[2], "charset"), "UTF-8");
	assert_string_equal(challenge_get(&c.v[3], "realm"), "z");
	/* A second header adds. */
	assert_int_equal(challenges_parse(a, "Digest", &c, NULL), 0);
	assert_int_equal(c.n, 5);
	assert_string_equal(c.v[4].scheme, "digest");
}

static void test_malformed(void **state)
{
	static const char *const headers[] = {
		"Bearer realm=\"open",
		"Bearer realm=\"a\" junk=\"b\"",
		"\"quoted\"",
		"=x",
		"Bearer realm=\"a\"x",
		"Basic (comment)",
		"a b c",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		autoarena struct arena *a = arena_new();
		autoerror struct error err = {0};
		struct challenges c = {0};

		assert_true(challenges_parse(a, headers[i], &c, &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_int_equal(c.n, 0);
	}
}

static void test_limits(void **state)
{
	autoarena struct arena *a = arena_new();
	struct challenges c = {0};

	(void)state;
	assert_int_equal(challenges_parse(a, "a,b,c,d,e,f,g,h", &c, NULL), 0);
	assert_int_equal(c.n, CHALLENGE_MAX);
	assert_true(challenges_parse(a, "i", &c, NULL) < 0);
	assert_int_equal(c.n, CHALLENGE_MAX);
	c.n = 0;
	assert_true(
		challenges_parse(a,
				 "x a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1,l=1,m=1,n=1,o=1,"
				 "p=1,q=1",
				 &c, NULL) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bearer),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
