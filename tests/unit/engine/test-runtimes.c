/* OCI runtimes: what a name means, and what daemon.json may say of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/error.h"
#include "engine/runtimes.h"
#include "engine/settings.h"

static struct settings *made(const char *file, struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct settings_source source = {0};
	struct settings *s = NULL;

	assert_int_equal(json_parse(a, file, strlen(file), &source.file, NULL), 0);
	(void)settings_new(&source, &s, err);
	return s;
}

static const char config[] =
	"{\"default-runtime\":\"crun\",\"runtimes\":{"
	"\"crun\":{\"path\":\"/usr/bin/crun\",\"runtimeArgs\":[\"--debug\",\"-x\"]},"
	"\"bare\":{\"runtimeType\":\"io.containerd.runc.v2\"},"
	"\"named\":{\"runtimeType\":\"io.containerd.runc.v2\",\"options\":"
	"{\"BinaryName\":\"/opt/runsc\",\"SystemdCgroup\":false,\"Root\":\"\"}},"
	"\"rooted\":{\"runtimeType\":\"io.containerd.runc.v2\",\"options\":{\"Root\":\"/r\"}},"
	"\"kata\":{\"runtimeType\":\"io.containerd.kata.v2\"}}}";

static void test_names(void **state)
{
	static const struct {
		const char *name, *path;
	} cases[] = {
		{"vessel", NULL},          {"runc", NULL}, {"io.containerd.runc.v2", NULL},
		{"crun", "/usr/bin/crun"}, {"bare", NULL}, {"named", "/opt/runsc"},
	};
	autosettings struct settings *s = made(config, NULL);
	struct runtime_program p;

	(void)state;
	assert_non_null(s);
	assert_string_equal(s->default_runtime, "crun");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(runtimes_find(s, cases[i].name, &p, NULL), 0);
		if (cases[i].path)
			assert_string_equal(p.path, cases[i].path);
		else
			assert_null(p.path);
	}
	assert_int_equal(runtimes_find(s, "crun", &p, NULL), 0);
	assert_int_equal(json_count(p.args), 2);
	assert_string_equal(json_string(json_at(p.args, 1)), "-x");
}

/* The alias of dockerd's default gives way to a runtime of that name. */
static void test_own_runc(void **state)
{
	autosettings struct settings *s =
		made("{\"runtimes\":{\"runc\":{\"path\":\"/usr/sbin/runc\"}}}", NULL);
	struct runtime_program p;

	(void)state;
	assert_int_equal(runtimes_find(s, "runc", &p, NULL), 0);
	assert_string_equal(p.path, "/usr/sbin/runc");
	assert_int_equal(runtimes_find(s, s->default_runtime, &p, NULL), 0);
	assert_null(p.path);
}

static void test_refused(void **state)
{
	static const struct {
		const char *name;
		enum error_kind kind;
		const char *message;
	} cases[] = {
		{"CRUN", ERROR_INVALID, "unknown or invalid runtime name: CRUN"},
		{"kata", ERROR_NOT_IMPLEMENTED,
		 "runtimes.kata.runtimeType: 'io.containerd.kata.v2' is not implemented"},
		{"rooted", ERROR_NOT_IMPLEMENTED,
		 "runtimes.rooted.options.Root is not implemented"},
		{"io.containerd.runsc.v1", ERROR_NOT_IMPLEMENTED,
		 "HostConfig.Runtime: containerd's shim 'io.containerd.runsc.v1' is not "
		 "implemented"},
	};
	autosettings struct settings *s = made(config, NULL);
	struct runtime_program p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoerror struct error err = {0};

		assert_true(runtimes_find(s, cases[i].name, &p, &err) < 0);
		assert_int_equal(err.kind, cases[i].kind);
		assert_string_equal(error_msg(&err), cases[i].message);
	}
}

static void test_bad_settings(void **state)
{
	static const struct {
		const char *file, *message;
	} cases[] = {
		{"{\"runtimes\":{\"vessel\":{\"path\":\"/x\"}}}",
		 "runtime name 'vessel' is reserved"},
		{"{\"default-runtime\":\"nope\"}",
		 "specified default runtime 'nope' does not exist"},
		{"{\"runtimes\":{\"x\":{\"path\":\"/x\",\"options\":{\"a\":1}}}}",
		 "runtime x: options cannot be used with a path runtime"},
		{"{\"runtimes\":{\"x\":{\"runtimeType\":\"t\",\"runtimeArgs\":[\"a\"]}}}",
		 "runtime x: args cannot be used with a runtimeType runtime"},
		{"{\"runtimes\":{\"x\":{\"path\":\"/x\",\"runtimeArgs\":[1]}}}",
		 "runtime x: runtimeArgs: expected strings"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoerror struct error err = {0};
		autosettings struct settings *s = made(cases[i].file, &err);

		assert_null(s);
		assert_string_equal(error_msg(&err), cases[i].message);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_own_runc),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bad_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
