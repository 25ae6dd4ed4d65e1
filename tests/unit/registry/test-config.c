/* Which servers stand for a name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"
#include "registry/config.h"

static const char *mirrors[] = {"https://mirror.example/cache/", "http://10.1.2.3:5000", NULL};
static const char *insecure[] = {"registry.example:5000", "10.0.0.0/8", "2001:db8::/32", NULL};
static const struct registry_config config = {.mirrors = {mirrors, 2}, .insecure = {insecure, 3}};

static void test_insecure(void **state)
{
	static const struct {
		const char *domain;
		bool insecure;
	} cases[] = {
		{"registry.example:5000", true},
		{"REGISTRY.example:5000", true},
		{"registry.example", false},
		{"registry.example:5001", false},
		{"10.255.0.1:5000", true},
		{"10.255.0.1", true},
		{"11.0.0.1", false},
		{"127.0.0.1:5000", true},
		{"127.255.255.254", true},
		{"128.0.0.1", false},
		{"localhost:5000", true},
		{"localhost.example", false},
		{"[::1]:5000", true},
		{"[2001:db8::5]:5000", true},
		{"[2001:db9::5]:5000", false},
		{"docker.io", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (registry_is_insecure(&config, cases[i].domain) != cases[i].insecure)
			fail_msg("%s", cases[i].domain);
}

/* "url[!] ..." of what is written; ! without verification, * a mirror. */
static char *endpoints(const char *domain, enum registry_purpose purpose)
{
	autostrbuf struct strbuf json = STRBUF_INIT(65536), text = STRBUF_INIT(65536);
	autoarena struct arena *a = arena_new();
	const struct json *doc, *one;
	struct json_writer w;

	json_writer_init(&w, &json);
	jw_object(&w);
	assert_int_equal(registry_write_endpoints(&config, domain, purpose, &w, NULL), 0);
	jw_object_end(&w);
	assert_int_equal(json_parse(a, json.s, json.len, &doc, NULL), 0);
	json_array_foreach(one, json_get(doc, "endpoints"))
		strbuf_addf(&text, "%s%s%s ", json_get_string(one, "url"),
			    json_get_bool(one, "skip_verify") ? "!" : "",
			    json_get_bool(one, "mirror") ? "*" : "");
	return strbuf_take(&text);
}

static void check(const char *domain, enum registry_purpose purpose, const char *wanted)
{
	autofree char *got = endpoints(domain, purpose);

	assert_string_equal(got, wanted);
}

static void test_endpoints(void **state)
{
	(void)state;
	check("docker.io", REGISTRY_PULL,
	      "https://mirror.example/cache* http://10.1.2.3:5000!* https://registry-1.docker.io ");
	check("docker.io", REGISTRY_PUSH, "https://registry-1.docker.io ");
	check("docker.io", REGISTRY_SEARCH, "https://index.docker.io ");
	check("quay.example", REGISTRY_PULL, "https://quay.example ");
	check("10.0.0.1:5000", REGISTRY_PUSH, "https://10.0.0.1:5000! http://10.0.0.1:5000! ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_insecure),
		cmocka_unit_test(test_endpoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
