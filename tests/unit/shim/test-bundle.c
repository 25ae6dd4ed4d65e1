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
#include "linux/caps.h"
#include "shim/bundle.h"

static void test_config(void **state)
{
	static const char spec[] =
		"{\"ociVersion\":\"1.2.0\",\"mounts\":[{\"source\":\"/a\",\"options\":[\"ro\"]},"
		"{\"source\":\"/c\",\"options\":[\"rbind\",\"idmap\"]}],"
		"\"root\":{\"path\":\"rootfs\",\"readonly\":true},"
		"\"process\":{\"args\":[\"a\"],\"terminal\":true},\"linux\":{\"namespaces\":["
		"{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/proc/self/fd/7\"},"
		"{\"type\":\"user\",\"path\":\"/proc/9/ns/user\"}],\"cgroupsPath\":\"/x/y\"}}";
	autofree char *expected = xasprintf(
		"{\"ociVersion\":\"1.0.2\",\"mounts\":[{\"source\":\"/a\",\"options\":[\"ro\"]},"
		"{\"source\":\"/b/mounts/1\",\"options\":[\"rbind\"]}],"
		"\"root\":{\"path\":\"rootfs\",\"readonly\":true},"
		"\"process\":{\"args\":[\"a\"],\"terminal\":true},\"linux\":{\"namespaces\":["
		"{\"type\":\"pid\"},{\"type\":\"network\",\"path\":\"/proc/%d/fd/7\"},"
		"{\"type\":\"user\",\"path\":\"/proc/9/ns/user\"}],\"cgroupsPath\":\"/x/y\"}}",
		(int)getpid());
	autostrbuf struct strbuf out = STRBUF_INIT(4096);
	autoarena struct arena *a = arena_new();
	const struct json *doc;

	(void)state;
	assert_int_equal(json_parse(a, spec, strlen(spec), &doc, NULL), 0);
	bundle_write_config(doc, "/b", &out);
	assert_string_equal(out.s, expected);
}

/* What this process has, and a name that no kernel has; an exec's terminal in place of the object's. */
static void test_process(void **state)
{
	static const char process[] =
		"{\"terminal\":false,\"consoleSize\":{\"height\":1,\"width\":2},\"cwd\":\"/\","
		"\"capabilities\":{\"bounding\":[\"CAP_CHOWN\",\"CAP_NOTHING\"],\"ambient\":[]}}";
	const struct bundle_terminal terminal = {true, 24, 80};
	autostrbuf struct strbuf out = STRBUF_INIT(4096);
	autoarena struct arena *a = arena_new();
	const struct json *doc;
	struct json_writer w;
	struct caps own;
	autofree char *expected = NULL;

	(void)state;
	assert_int_equal(caps_get(&own, NULL), 0);
	expected = xasprintf("{\"cwd\":\"/\",\"capabilities\":{\"bounding\":[%s],\"ambient\":[]},"
			     "\"terminal\":true,\"consoleSize\":{\"height\":24,\"width\":80}}",
			     own.permitted & 1 ? "\"CAP_CHOWN\"" : "");
	assert_int_equal(json_parse(a, process, strlen(process), &doc, NULL), 0);
	json_writer_init(&w, &out);
	bundle_write_process(doc, &terminal, &w);
	assert_string_equal(out.s, expected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_config),
					   cmocka_unit_test(test_process)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
