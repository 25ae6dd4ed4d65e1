/* X-Registry-Auth: what clients write into it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/registry.h"
#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"

static int decode(struct arena *a, const char *json, bool is_url, struct registry_auth *ret)
{
	autostrbuf struct strbuf b = STRBUF_INIT(65536);

	base64_encode(json, strlen(json), &b);
	for (char *p = b.s; is_url && *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	return registry_auth_decode(a, b.s, ret, NULL);
}

static void test_members(void **state)
{
	/* With characters that the two alphabets write differently. */
	static const char json[] = "{\"username\":\"\xc3\xbf\xc3\xbe?>\",\"password\":\"p:w\","
				   "\"serveraddress\":\"host:5000\",\"email\":\"\"}";

	(void)state;
	for (int is_url = 0; is_url < 2; is_url++) {
		autoarena struct arena *a = arena_new();
		struct registry_auth auth;

		assert_int_equal(decode(a, json, is_url, &auth), 0);
		assert_string_equal(auth.username, "\xc3\xbf\xc3\xbe?>");
		assert_string_equal(auth.password, "p:w");
		assert_string_equal(auth.server, "host:5000");
		assert_null(auth.identity_token);
		assert_null(auth.registry_token);
	}
}

static void test_others(void **state)
{
	autoarena struct arena *a = arena_new();
	struct registry_auth auth;

	(void)state;
	/* "anna:se:cret" as config.json has it */
	assert_int_equal(decode(a, "{\"auth\":\"YW5uYTpzZTpjcmV0\"}", true, &auth), 0);
	assert_string_equal(auth.username, "anna");
	assert_string_equal(auth.password, "se:cret");
	assert_int_equal(
		decode(a, "{\"identitytoken\":\"i\",\"registrytoken\":\"r\"}", true, &auth), 0);
	assert_string_equal(auth.identity_token, "i");
	assert_string_equal(auth.registry_token, "r");
	for (size_t i = 0; i < 3; i++) {
		static const char *const nothing[] = {NULL, "", "e30="};

		assert_int_equal(registry_auth_decode(a, nothing[i], &auth, NULL), 0);
		assert_null(auth.username);
	}
	assert_int_equal(decode(a, "null", true, &auth), 0);
	assert_null(auth.username);
}

static void test_malformed(void **state)
{
	static const char *const json[] = {"[]", "7", "{", "{\"auth\":\"bm9uZQ==\"}",
					   "{\"auth\":\"*\"}"};
	autoarena struct arena *a = arena_new();
	autoerror struct error err = {0};
	struct registry_auth auth;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(json); i++)
		assert_true(decode(a, json[i], true, &auth) < 0);
	assert_true(registry_auth_decode(a, "not base64!", &auth, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
