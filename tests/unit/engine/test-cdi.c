/* CDI specifications and what requests make of them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/cdi.h"
#include "engine/cdi_yaml.h"

static void check_yaml(const char *yaml, const char *json)
{
	autostrbuf struct strbuf out = STRBUF_INIT(65536);

	if (!json) {
		assert_true(cdi_yaml_to_json(yaml, strlen(yaml), &out, NULL) < 0);
		return;
	}
	assert_int_equal(cdi_yaml_to_json(yaml, strlen(yaml), &out, NULL), 0);
	assert_string_equal(out.s, json);
}

static void yaml(void **state)
{
	(void)state;
	check_yaml("a: 1\nb: [x, \"2\", true, ~]\nc:\n- d: e\n  f: {}\n",
		   "{\"a\":1,\"b\":[\"x\",\"2\",true,null],\"c\":[{\"d\":\"e\",\"f\":{}}]}");
	check_yaml("", "null");
	check_yaml("a: b\n---\nc: d\n", "{\"a\":\"b\"}");
	check_yaml("a: [b\n", NULL);
	check_yaml("a: &x b\nc: *x\n", NULL);
	check_yaml("? [a]\n: b\n", NULL);
	check_yaml("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", NULL);
}

static const char spec_text[] =
	"cdiVersion: 0.6.0\nkind: nvidia.com/gpu\ncontainerEdits: {env: [SPEC=1]}\ndevices:\n"
	"- {name: '0', containerEdits: {env: [GPU=0]}}\n- {name: '1', containerEdits: {env: "
	"[GPU=1]}}\n";

/* "driver;count;ids;capabilities" -> the variables of the edits, or the error. */
static void check(const char *dir, const char *request, const char *wanted)
{
	const char *const dirs_v[] = {dir, NULL};
	const struct json_strings dirs = {.v = (const char **)(uintptr_t)dirs_v, .n = 1};
	autoarena struct arena *a = arena_new();
	autofree char *text =
		xasprintf("{\"Image\":\"x\",\"HostConfig\":{\"DeviceRequests\":[%s]}}", request);
	autostrbuf struct strbuf found = STRBUF_INIT(65536);
	autoerror struct error err = {0};
	autospec struct container_spec *s = NULL;
	struct cdi_result result;
	const struct json *doc;

	assert_int_equal(json_parse(a, text, strlen(text), &doc, NULL), 0);
	assert_int_equal(container_spec_new(doc, 51, &s, NULL, NULL), 0);
	if (cdi_collect(a, &dirs, &s->host, &result, &err) < 0)
		strbuf_adds(&found, error_msg(&err));
	for (size_t i = 0; i < result.n; i++)
		for (size_t k = 0; k < result.v[i]->env.n; k++)
			strbuf_addf(&found, "%s ", result.v[i]->env.v[k]);
	assert_string_equal(found.s, wanted);
}

static void requests(void **state)
{
	char dir[] = "/tmp/vessel-test-cdi-XXXXXX";
	autofree char *path = NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	check(dir, "{\"Count\":-1,\"Capabilities\":[[\"gpu\"]]}",
	      "could not select device driver \"\" with capabilities: [[gpu]]");
	path = xasprintf("%s/nvidia.yaml", dir);
	assert_int_equal(
		file_write_atomic(AT_FDCWD, path, spec_text, strlen(spec_text), 0600, 0, NULL), 0);
	check(dir, "{\"Count\":-1,\"Capabilities\":[[\"gpu\"]]}", "SPEC=1 GPU=0 GPU=1 ");
	check(dir, "{\"Count\":1,\"Capabilities\":[[\"compute\"],[\"gpu\",\"utility\"]]}",
	      "SPEC=1 GPU=0 ");
	check(dir, "{\"Driver\":\"nvidia\",\"DeviceIDs\":[\"1\"],\"Capabilities\":[[\"gpu\"]]}",
	      "SPEC=1 GPU=1 ");
	check(dir, "{\"Driver\":\"cdi\",\"DeviceIDs\":[\"nvidia.com/gpu=1\",\"nvidia.com/gpu=0\"]}",
	      "SPEC=1 GPU=1 GPU=0 ");
	check(dir, "{\"Driver\":\"cdi\",\"DeviceIDs\":[\"nvidia.com/gpu=2\",\"a.com/b=c\"]}",
	      "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=2, a.com/b=c");
	check(dir, "{\"Count\":3,\"Capabilities\":[[\"gpu\"]]}",
	      "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=2");
	check(dir, "{\"Driver\":\"other\",\"Capabilities\":[[\"gpu\"]]}",
	      "could not select device driver \"other\" with capabilities: [[gpu]]");
	check(dir, "{\"Capabilities\":[[\"tpu\",\"x\"],[\"y\"]]}",
	      "could not select device driver \"\" with capabilities: [[tpu x] [y]]");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void bad_specs(void **state)
{
	static const char *const bad[] = {
		"{}",
		"[]",
		"{\"cdiVersion\":\"0.6.0\",\"kind\":\"gpu\",\"devices\":[]}",
		"{\"cdiVersion\":\"2.0.0\",\"kind\":\"a.com/gpu\",\"devices\":[]}",
		"{\"cdiVersion\":\"0.6.0\",\"kind\":\"a.com/gpu\",\"devices\":[{}]}",
		"{\"cdiVersion\":\"0.6.0\",\"kind\":\"a.com/"
		"gpu\",\"devices\":[],\"containerEdits\":{\"env\":[\"A\"]}}",
		"{\"cdiVersion\":\"0.6.0\",\"kind\":\"a.com/"
		"gpu\",\"devices\":[],\"containerEdits\":{\"deviceNodes\":[{"
		"\"path\":\"dev/x\"}]}}",
		"{\"cdiVersion\":\"0.6.0\",\"kind\":\"a.com/"
		"gpu\",\"devices\":[],\"containerEdits\":{\"hooks\":[{"
		"\"hookName\":\"never\",\"path\":\"/x\"}]}}",
		"{\"cdiVersion\":\"0.6.0\",\"kind\":\"a.com/"
		"gpu\",\"devices\":[],\"containerEdits\":{\"netDevices\":[{}]}}",
		"{\"cdiVersion\":\"0.6.0\",\"kind\":\"a.com/"
		"gpu\",\"devices\":[],\"containerEdits\":{\"additionalGids\":["
		"-1]}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		autoarena struct arena *a = arena_new();
		const struct json *doc;
		struct cdi_spec *spec;

		assert_int_equal(json_parse(a, bad[i], strlen(bad[i]), &doc, NULL), 0);
		if (cdi_spec_parse(a, doc, &spec, NULL) >= 0)
			fail_msg("taken: %s", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(yaml), cmocka_unit_test(requests),
					   cmocka_unit_test(bad_specs)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
