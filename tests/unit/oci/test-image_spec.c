/* Image configs, manifests, indexes: both dialects, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "oci/image_spec.h"

#define D1 "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define D2 "sha256:1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char config[] =
	"{\"architecture\":\"arm64\",\"variant\":\"v8\",\"os\":\"linux\",\"author\":\"me\","
	"\"created\":\"2024-05-06T07:08:09.123Z\",\"config\":{\"User\":\"1:2\",\"ExposedPorts\":"
	"{\"80/tcp\":{},\"53/udp\":{}},\"Env\":[\"A=b\"],\"Entrypoint\":[\"/e\"],\"Cmd\":[],"
	"\"Volumes\":{\"/data\":{}},\"WorkingDir\":\"/w\",\"Labels\":{\"k\":\"v\"},\"StopSignal\":"
	"\"SIGINT\",\"StopTimeout\":7,\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Interval\":"
	"30000000000,\"Retries\":3},\"Shell\":null,\"Unknown\":{\"x\":1}},\"history\":[{"
	"\"created\":"
	"\"2024-05-06T07:08:09Z\",\"created_by\":\"COPY\"},{\"empty_layer\":true}],\"rootfs\":"
	"{\"type\":\"layers\",\"diff_ids\":[\"" D1 "\",\"" D2 "\"]}}";

static void test_config(void **state)
{
	autoarena struct arena *a = arena_new();
	const struct image_spec *s = NULL;
	const struct image_history *h;

	(void)state;
	assert_int_equal(image_spec_parse(a, config, strlen(config), &s, NULL), 0);
	assert_string_equal(s->architecture, "arm64");
	assert_string_equal(s->variant, "v8");
	assert_string_equal(s->config.user, "1:2");
	assert_int_equal(s->config.exposed_ports.n, 2);
	assert_string_equal(s->config.exposed_ports.v[1], "53/udp");
	assert_string_equal(s->config.env.v[0], "A=b");
	assert_non_null(s->config.cmd.v);
	assert_int_equal(s->config.cmd.n, 0);
	assert_null(s->config.shell.v);
	assert_string_equal(s->config.volumes.v[0], "/data");
	assert_string_equal(s->config.labels.values[0], "v");
	assert_int_equal(*s->config.stop_timeout, 7);
	assert_int_equal(s->config.healthcheck->interval_ns, 30000000000);
	assert_int_equal(s->config.healthcheck->retries, 3);
	assert_int_equal(s->history.n, 2);
	h = s->history.v;
	assert_string_equal(h[0].created_by, "COPY");
	assert_true(h[1].empty_layer);
	assert_int_equal(s->diff_ids.n, 2);
	assert_string_equal(s->diff_ids.v[1], D2);
}

/* What is written says the same when parsed again, and is written the same. */
static void test_config_round_trip(void **state)
{
	autoarena struct arena *a = arena_new();
	autostrbuf struct strbuf first = STRBUF_INIT(65536), second = STRBUF_INIT(65536);
	const struct image_spec *s = NULL;

	(void)state;
	assert_int_equal(image_spec_parse(a, config, strlen(config), &s, NULL), 0);
	image_spec_write(s, &first);
	assert_int_equal(image_spec_parse(a, first.s, first.len, &s, NULL), 0);
	assert_int_equal(s->config.healthcheck->interval_ns, 30000000000);
	assert_int_equal(s->diff_ids.n, 2);
	image_spec_write(s, &second);
	assert_string_equal(first.s, second.s);
}

static void test_old_forms(void **state)
{
	static const char text[] = "{\"config\":{\"Cmd\":\"sh\",\"Entrypoint\":null},\"rootfs\":"
				   "{\"diff_ids\":null}}";
	autoarena struct arena *a = arena_new();
	const struct image_spec *s = NULL;

	(void)state;
	assert_int_equal(image_spec_parse(a, text, strlen(text), &s, NULL), 0);
	assert_int_equal(s->config.cmd.n, 1);
	assert_string_equal(s->config.cmd.v[0], "sh");
	assert_int_equal(s->diff_ids.n, 0);
}

static void expect_bad_config(const char *text, const char *part)
{
	autoarena struct arena *a = arena_new();
	autoerror struct error err = {0};
	const struct image_spec *s;

	assert_true(image_spec_parse(a, text, strlen(text), &s, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	if (!strstr(error_msg(&err), part))
		fail_msg("'%s' lacks '%s'", error_msg(&err), part);
}

static void test_bad_configs(void **state)
{
	(void)state;
	expect_bad_config("", "image config");
	expect_bad_config("[]", "image config");
	expect_bad_config("{}", "rootfs");
	expect_bad_config("{\"rootfs\":{\"diff_ids\":[\"sha256:abc\"]}}", "rootfs.diff_ids");
	expect_bad_config("{\"rootfs\":{\"diff_ids\":[1]}}", "rootfs.diff_ids");
	expect_bad_config("{\"rootfs\":{},\"config\":{\"Env\":[1]}}", "config.Env");
	expect_bad_config("{\"rootfs\":{},\"config\":{\"Cmd\":{}}}", "config.Cmd");
	expect_bad_config("{\"rootfs\":{},\"config\":{\"ExposedPorts\":[]}}",
			  "config.ExposedPorts");
}

static void test_manifest_and_index(void **state)
{
	static const char manifest[] =
		"{\"schemaVersion\":2,\"mediaType\":\"" IMAGE_TYPE_OCI_MANIFEST "\",\"config\":"
		"{\"digest\":\"" D1
		"\",\"size\":10},\"layers\":[{\"mediaType\":\"" IMAGE_TYPE_OCI_LAYER_GZIP
		"\",\"digest\":\"" D2 "\",\"size\":5000000000}]}";
	static const char index[] =
		"{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" D1
		"\",\"size\":1,\"platform\":"
		"{\"architecture\":\"s390x\",\"os\":\"linux\"},\"annotations\":{\"a\":\"b\"}}]}";
	autoarena struct arena *a = arena_new();
	const struct image_descriptor *d;
	const struct image_manifest *m = NULL;
	const struct image_index *x = NULL;
	autoerror struct error err = {0};

	(void)state;
	assert_int_equal(image_manifest_parse(a, manifest, strlen(manifest), &m, NULL), 0);
	d = m->layers.v;
	assert_int_equal(m->layers.n, 1);
	assert_int_equal(d[0].size, 5000000000);
	assert_int_equal(image_index_parse(a, index, strlen(index), &x, NULL), 0);
	d = x->manifests.v;
	assert_string_equal(image_annotation(&d[0].annotations, "a"), "b");
	assert_null(image_annotation(&d[0].annotations, "c"));
	assert_int_equal(image_platform_is_native(d[0].platform),
			 strcmp(image_native_architecture(), "s390x") == 0);
	assert_true(image_platform_is_native(NULL));
	assert_true(image_manifest_parse(a, index, strlen(index), &m, &err) < 0);
	assert_non_null(strstr(error_msg(&err), "config"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_config_round_trip),
		cmocka_unit_test(test_old_forms),
		cmocka_unit_test(test_bad_configs),
		cmocka_unit_test(test_manifest_and_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
