/* A program's config.json: the specification, with what only the shim could read said otherwise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "shim/bundle.h"

static void test_config(void **state)
{
	static const char spec[] =
		"{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\",\"readonly\":true},"
		"\"process\":{\"args\":[\"a\"],\"terminal\":true},\"linux\":{\"namespaces\":["
		"{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/proc/self/fd/7\"},"
		"{\"type\":\"user\",\"path\":\"/proc/9/ns/user\"}],\"cgroupsPath\":\"/x/y\"}}";
	autofree char *expected = xasprintf(
		"{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"rootfs\",\"readonly\":true},"
		"\"process\":{\"args\":[\"a\"],\"terminal\":true},\"linux\":{\"namespaces\":["
		"{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/proc/%d/fd/7\"},"
		"{\"type\":\"user\",\"path\":\"/proc/9/ns/user\"}],\"cgroupsPath\":\"/x/y\"}}",
		(int)getpid());
	autostrbuf struct strbuf out = STRBUF_INIT(4096);
	autoarena struct arena *a = arena_new();
	const struct json *doc;

	(void)state;
	assert_int_equal(json_parse(a, spec, strlen(spec), &doc, NULL), 0);
	bundle_write_config(doc, &out);
	assert_string_equal(out.s, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_config)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
