/* Which AppArmor profile a container gets, and what the default one says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/apparmor.h"

static void check(const char *host, const char *want)
{
	autofree char *body = xasprintf("{\"Image\":\"x\",\"HostConfig\":{%s}}", host);
	autospec struct container_spec *s = NULL;

	assert_int_equal(container_spec_load(body, strlen(body), &s, NULL), 0);
	assert_string_equal(apparmor_profile_of(&s->host), want);
}

static void test_choice(void **state)
{
	(void)state;
	check("", "vessel-default");
	check("\"Privileged\":true", "unconfined");
	check("\"SecurityOpt\":[\"apparmor=unconfined\"]", "unconfined");
	check("\"SecurityOpt\":[\"apparmor=\"]", "vessel-default");
	check("\"SecurityOpt\":[\"apparmor:old\"]", "old");
	check("\"SecurityOpt\":[\"label=disable\",\"apparmor=a=b\"]", "a=b");
	/* Asked for by name, it holds. */
	check("\"Privileged\":true,\"SecurityOpt\":[\"apparmor=mine\"]", "mine");
}

static void test_text(void **state)
{
	autostrbuf struct strbuf plain = STRBUF_INIT(65536), confined = STRBUF_INIT(65536);

	(void)state;
	apparmor_profile_write("unconfined", &plain);
	apparmor_profile_write("/usr/sbin/vesseld", &confined);
	assert_int_equal(strbuf_error(&plain), 0);
	assert_non_null(strstr(plain.s, "profile vessel-default "));
	assert_non_null(strstr(plain.s, "deny mount,"));
	assert_null(strstr(plain.s, "#include")); /* loads where AppArmor's own files are not */
	assert_null(strstr(plain.s, "vesseld\","));
	assert_non_null(strstr(confined.s, "signal (receive) peer=\"/usr/sbin/vesseld\",\n"));
	assert_string_equal(confined.s + confined.len - 2, "}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_choice),
					   cmocka_unit_test(test_text)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
