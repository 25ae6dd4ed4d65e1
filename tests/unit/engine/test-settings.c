/* Settings from flags and file: types, conflicts, what is refused, what a reload keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/str.h"
#include "engine/settings.h"

static struct settings *made(const char *flags, const char *file, struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct settings_source source = {0};
	struct settings *s = NULL;

	if (flags)
		assert_int_equal(json_parse(a, flags, strlen(flags), &source.flags, NULL), 0);
	if (file)
		assert_int_equal(json_parse(a, file, strlen(file), &source.file, NULL), 0);
	(void)settings_new(&source, &s, err);
	return s;
}

static void defaults(void **state)
{
	autosettings struct settings *s = made(NULL, NULL, NULL);

	(void)state;
	assert_string_equal(s->data_root, "/var/lib/vessel");
	assert_string_equal(s->log_level, "info");
	assert_string_equal(s->group, "");
	assert_int_equal(s->shm_size, 64 << 20);
	assert_int_equal(s->max_concurrent_downloads, 3);
	assert_int_equal(s->cdi_spec_dirs.n, 2);
	assert_true(s->icc && s->ip_masq && !s->tls && !s->debug);
	assert_string_equal(settings_cgroup_driver(s), "cgroupfs");
}

static void both_sources(void **state)
{
	autosettings struct settings *s = made(
		"{\"labels\":[\"a=b\"],\"tlsverify\":true,\"runtimes\":{\"x\":{\"path\":\"/x\"}}}",
		"{\"proxies\":{\"http-proxy\":\"http://"
		"p\"},\"default-shm-size\":\"1g\",\"mtu\":1400,"
		"\"runtimes\":{\"x\":{\"path\":\"/other\"},\"y\":{\"runtimeType\":\"t\"}},"
		"\"deprecated-key-path\":\"k\",\"dns\":[\"10.0.0.1\",\"fd00::1\"],\"icc\":false}",
		NULL);

	(void)state;
	assert_non_null(s);
	assert_string_equal(s->labels.v[0], "a=b");
	assert_true(s->tls && s->tls_verify && !s->icc);
	assert_string_equal(s->http_proxy, "http://p");
	assert_int_equal(s->shm_size, 1 << 30);
	assert_int_equal(s->mtu, 1400);
	assert_int_equal(json_count(s->runtimes), 2);
	assert_string_equal(json_get_string(json_get(s->runtimes, "x"), "path"), "/x");
	assert_string_equal(s->dns.v[1], "fd00::1");
}

static void refused(void **state)
{
	static const struct {
		const char *flags, *file, *message;
		enum error_kind kind;
	} rows[] = {
		{NULL, "{\"nope\":1,\"debug\":true,\"other\":2}",
		 "the following directives don't match any configuration option: nope, other",
		 ERROR_INVALID},
		{"{\"debug\":true}", "{\"debug\":true}",
		 "the following directives are specified both as a flag and in the configuration "
		 "file: debug: (from flag: true, from file: true)",
		 ERROR_INVALID},
		{NULL, "{\"debug\":\"yes\"}", "'debug': expected true or false", ERROR_INVALID},
		{NULL, "{\"labels\":[1]}", "'labels': expected an array of strings", ERROR_INVALID},
		{NULL, "{\"labels\":[\"a=b\",\"a=c\"]}", "labels: conflict labels for a=b and a=c",
		 ERROR_INVALID},
		{NULL, "{\"iptables\":false}", "'iptables' is not implemented",
		 ERROR_NOT_IMPLEMENTED},
		{NULL, "{\"containerd\":\"/run/c.sock\"}", "'containerd' is not implemented",
		 ERROR_NOT_IMPLEMENTED},
		{NULL, "{\"features\":{\"containerd-snapshotter\":true}}",
		 "features: 'containerd-snapshotter' is not implemented", ERROR_NOT_IMPLEMENTED},
		{NULL, "{\"default-shm-size\":\"1x\"}", "'default-shm-size': expected a size",
		 ERROR_INVALID},
		{NULL, "{\"default-runtime\":\"kata\"}",
		 "specified default runtime 'kata' does not exist", ERROR_INVALID},
		{NULL, "{\"mtu\":99999999999}", "'mtu': expected an integer", ERROR_INVALID},
		{NULL, "{\"log-level\":\"loud\"}", "log-level: invalid logging level: loud",
		 ERROR_INVALID},
		{NULL, "[]", "expected an object", ERROR_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autoerror struct error err = {0};

		assert_null(made(rows[i].flags, rows[i].file, &err));
		assert_string_equal(error_msg(&err), rows[i].message);
		assert_int_equal(err.kind, rows[i].kind);
	}
}

/* What is not there can be asked not to be there. */
static void harmless(void **state)
{
	autosettings struct settings *s = made(
		NULL,
		"{\"iptables\":true,\"containerd-namespace\":\"moby\",\"features\":{\"x\":false},"
		"\"authorization-plugins\":[],\"builder\":{},\"cpu-rt-period\":0,\"ip\":\"\","
		"\"live-restore\":true,\"containerd\":null,\"userland-proxy\":false,"
		"\"raw-logs\":true,\"shutdown-timeout\":60}",
		NULL);

	(void)state;
	assert_non_null(s);
}

static void reload(void **state)
{
	autosettings struct settings *now =
		made(NULL, "{\"labels\":[\"old\"],\"data-root\":\"/old\",\"mtu\":1400}", NULL);
	autosettings struct settings *fresh =
		made(NULL, "{\"labels\":[\"new\"],\"data-root\":\"/new\",\"debug\":true}", NULL);
	autosettings struct settings *s = NULL;
	autostrbuf struct strbuf kept = STRBUF_INIT(1000), out = STRBUF_INIT(1000);
	struct json_writer w;

	(void)state;
	assert_int_equal(settings_reload(now, fresh, &s, &kept, NULL), 0);
	assert_string_equal(s->labels.v[0], "new");
	assert_true(s->debug);
	assert_string_equal(s->data_root, "/old");
	assert_int_equal(s->mtu, 1400);
	assert_string_equal(kept.s, "data-root, mtu");
	json_writer_init(&w, &out);
	jw_array(&w);
	for (size_t i = 0; settings_table[i].key; i++)
		if (str_eq(settings_table[i].key, "labels") ||
		    str_eq(settings_table[i].key, "mtu") ||
		    str_eq(settings_table[i].key, "features") ||
		    str_eq(settings_table[i].key, "ipv6"))
			settings_write(s, i, &w);
	jw_array_end(&w);
	assert_string_equal(out.s, "[{},true,[\"new\"],1400]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults), cmocka_unit_test(both_sources),
		cmocka_unit_test(refused),  cmocka_unit_test(harmless),
		cmocka_unit_test(reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
