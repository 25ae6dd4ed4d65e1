#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "oci/runtime_spec.h"

/* A document with `process` members, `linux` members and others, each with a leading comma. */
#define DOC(process, linux_, top)                                                              \
	"{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"rootfs\"},\"process\":{\"cwd\":\"/\"," \
	"\"args\":[\"true\"]" process "},\"linux\":{\"namespaces\":[{\"type\":\"mount\"},"     \
	"{\"type\":\"uts\"}]" linux_ "}" top "}"

static void parse(struct arena *a, const char *text, struct oci_spec *ret)
{
	struct error err = {0};

	if (oci_spec_parse(a, text, strlen(text), ret, &err) < 0)
		fail_msg("%s", error_msg(&err));
}

static void minimal_and_defaults(void **state)
{
	autoarena struct arena *a = arena_new();
	struct oci_spec spec;

	(void)state;
	parse(a, DOC("", "", ""), &spec);
	assert_true(spec.has_process);
	assert_string_equal(spec.version, "1.2.0");
	assert_string_equal(spec.root.path, "rootfs");
	assert_false(spec.root.readonly);
	assert_int_equal(spec.process.args.n, 1);
	assert_int_equal(spec.process.user.uid, 0);
	assert_null(spec.process.user.umask);
	assert_null(spec.process.capabilities);
	assert_null(spec.hostname);
	assert_null(spec.linux_.resources.memory.limit);
	assert_true(spec.linux_.namespaces[OCI_NAMESPACE_MOUNT].present);
	assert_false(spec.linux_.namespaces[OCI_NAMESPACE_PID].present);

	/* state, delete and hooks work without a process */
	parse(a, "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"/r\"}}", &spec);
	assert_false(spec.has_process);
}

static void process_members(void **state)
{
	autoarena struct arena *a = arena_new();
	struct oci_spec spec;
	const struct oci_rlimit *limit;

	(void)state;
	parse(a,
	      DOC(",\"terminal\":true,\"consoleSize\":{\"height\":25,\"width\":80},\"user\":{"
		  "\"uid\":1,\"gid\":2,\"umask\":18,\"additionalGids\":[5,6]},\"env\":[\"A=1\","
		  "\"B=\"],\"capabilities\":{\"bounding\":[\"CAP_KILL\"]},\"rlimits\":[{\"type\":"
		  "\"RLIMIT_CORE\",\"hard\":18446744073709551615,\"soft\":0}],\"oomScoreAdj\":-5,"
		  "\"noNewPrivileges\":true,\"apparmorProfile\":\"p\"",
		  "", ""),
	      &spec);
	assert_true(spec.process.terminal);
	assert_int_equal(spec.process.console_size.height, 25);
	assert_int_equal(spec.process.console_size.width, 80);
	assert_int_equal(spec.process.user.gid, 2);
	assert_int_equal(*spec.process.user.umask, 022);
	assert_int_equal(spec.process.user.additional_gid_count, 2);
	assert_int_equal(spec.process.user.additional_gids[1], 6);
	assert_int_equal(spec.process.env.n, 2);
	assert_string_equal(spec.process.capabilities->bounding.v[0], "CAP_KILL");
	limit = oci_at(&spec.process.rlimits, struct oci_rlimit, 0);
	assert_true(limit->hard == UINT64_MAX);
	assert_int_equal(*spec.process.oom_score_adj, -5);
	assert_true(spec.process.no_new_privileges);
	assert_string_equal(spec.process.apparmor_profile, "p");
}

static void linux_members(void **state)
{
	autoarena struct arena *a = arena_new();
	const struct oci_device_rule *rule;
	const struct oci_device *device;
	struct oci_spec spec;

	(void)state;
	parse(a,
	      "{\"ociVersion\":\"1.2.0\",\"root\":{\"path\":\"r\"},\"linux\":{\"namespaces\":[{"
	      "\"type\":\"network\",\"path\":\"/run/netns/x\"},{\"type\":\"time\"},{\"type\":"
	      "\"user\"}],\"uidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":10}],"
	      "\"gidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":10}],\"timeOffsets\":{"
	      "\"monotonic\":{\"secs\":-7,\"nanosecs\":5}},\"devices\":[{\"path\":\"/dev/fuse\","
	      "\"type\":\"u\",\"major\":10,\"minor\":229,\"fileMode\":438}],\"resources\":{"
	      "\"devices\":[{\"allow\":false},{\"allow\":true,\"type\":\"c\",\"major\":1,"
	      "\"access\":\"rw\"}],\"memory\":{\"limit\":-1,\"swap\":0},\"pids\":{\"limit\":7},"
	      "\"network\":{\"classID\":4294967295},\"rdma\":{\"mlx5\":{\"hcaHandles\":3}},"
	      "\"unified\":{\"memory.high\":\"1\"}},\"sysctl\":{\"net.ipv4.ip_forward\":\"1\"},"
	      "\"maskedPaths\":[\"/proc/kcore\"],\"seccomp\":{\"defaultAction\":\"x\"}}}",
	      &spec);
	assert_string_equal(spec.linux_.namespaces[OCI_NAMESPACE_NETWORK].path, "/run/netns/x");
	assert_true(spec.linux_.namespaces[OCI_NAMESPACE_TIME].present);
	assert_true(spec.linux_.monotonic.present);
	assert_int_equal(spec.linux_.monotonic.secs, -7);
	assert_false(spec.linux_.boottime.present);
	device = oci_at(&spec.linux_.devices, struct oci_device, 0);
	assert_int_equal(device->type, 'c');
	assert_int_equal(*device->file_mode, 0666);
	assert_int_equal(spec.linux_.resources.devices.n, 2);
	rule = oci_at(&spec.linux_.resources.devices, struct oci_device_rule, 1);
	assert_true(rule->allow && rule->read && rule->write && !rule->mknod);
	assert_int_equal(*rule->major, 1);
	assert_null(rule->minor);
	assert_true(*spec.linux_.resources.memory.limit == -1);
	assert_int_equal(*spec.linux_.resources.pids_limit, 7);
	assert_true(*spec.linux_.resources.network_class_id == UINT32_MAX);
	assert_string_equal(oci_at(&spec.linux_.resources.rdma, struct oci_rdma, 0)->device,
			    "mlx5");
	assert_string_equal(spec.linux_.resources.unified.keys[0], "memory.high");
	assert_non_null(spec.linux_.seccomp);
}

static void mounts_and_hooks(void **state)
{
	autoarena struct arena *a = arena_new();
	const struct oci_mount *m;
	struct oci_spec spec;

	(void)state;
	parse(a,
	      DOC("", "",
		  ",\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\"},{\"destination\":"
		  "\"/x\",\"source\":\"/y\",\"options\":[\"rbind\",\"ro\"]}],\"hooks\":{"
		  "\"prestart\":[{\"path\":\"/h\",\"args\":[\"h\",\"1\"],\"timeout\":3}]},"
		  "\"annotations\":{\"k\":\"v\"},\"hostname\":\"h\",\"domainname\":\"d\""),
	      &spec);
	assert_int_equal(spec.mounts.n, 2);
	m = oci_at(&spec.mounts, struct oci_mount, 1);
	assert_string_equal(m->destination, "/x");
	assert_string_equal(m->options.v[1], "ro");
	assert_int_equal(spec.hooks.prestart.n, 1);
	assert_int_equal(*oci_at(&spec.hooks.prestart, struct oci_hook, 0)->timeout, 3);
	assert_string_equal(spec.annotations.values[0], "v");
	assert_string_equal(spec.domainname, "d");
}

/* Every refusal names the place. */
static void invalid_documents(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"{", "config.json"},
		{"[]", "expected an object"},
		{"{}", "ociVersion"},
		{"{\"ociVersion\":\"1.0.0\"}", "root"},
		{"{\"ociVersion\":\"2.0.0\",\"root\":{\"path\":\"r\"}}", "ociVersion"},
		{"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"\"}}", "root.path"},
		{DOC(",\"args\":[]", "", ""), "args"},
		{DOC(",\"env\":[\"novalue\"]", "", ""), "process.env[0]"},
		{DOC(",\"user\":{\"uid\":-1}", "", ""), "process.user.uid"},
		{DOC(",\"user\":{\"uid\":4294967296}", "", ""), "process.user.uid"},
		{DOC(",\"user\":{\"umask\":512}", "", ""), "process.user.umask"},
		{DOC(",\"user\":{\"additionalGids\":[\"x\"]}", "", ""), "additionalGids"},
		{DOC(",\"oomScoreAdj\":1001", "", ""), "process.oomScoreAdj"},
		{DOC(",\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":2,\"hard\":1}]", "", ""),
		 "process.rlimits[0]"},
		{DOC(",\"rlimits\":[{\"type\":\"A\",\"soft\":1,\"hard\":1},{\"type\":\"A\","
		     "\"soft\":1,\"hard\":1}]",
		     "", ""),
		 "process.rlimits[1]"},
		{DOC("", ",\"uidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":1}]", ""),
		 "linux.uidMappings"},
		{DOC("", ",\"timeOffsets\":{\"boottime\":{\"secs\":1}}", ""), "linux.timeOffsets"},
		{DOC("", ",\"rootfsPropagation\":\"sideways\"", ""), "linux.rootfsPropagation"},
		{DOC("", ",\"devices\":[{\"type\":\"c\",\"path\":\"null\"}]", ""),
		 "linux.devices[0]"},
		{DOC("", ",\"devices\":[{\"type\":\"x\",\"path\":\"/dev/null\"}]", ""),
		 "linux.devices[0].type"},
		{DOC("", ",\"maskedPaths\":[\"proc\"]", ""), "linux.maskedPaths"},
		{DOC("", ",\"resources\":{\"memory\":{\"swappiness\":101}}", ""),
		 "linux.resources.memory.swappiness"},
		{DOC("", ",\"resources\":{\"memory\":{\"limit\":\"1g\"}}", ""),
		 "linux.resources.memory.limit"},
		{DOC("", ",\"resources\":{\"blockIO\":{\"weight\":5}}", ""),
		 "linux.resources.blockIO.weight"},
		{DOC("", ",\"resources\":{\"unified\":{\"../x\":\"1\"}}", ""),
		 "linux.resources.unified"},
		{DOC("", ",\"resources\":{\"devices\":[{\"allow\":true,\"access\":\"rwx\"}]}", ""),
		 "linux.resources.devices[0].access"},
		{DOC("", ",\"resources\":{\"hugepageLimits\":[{\"limit\":1}]}", ""),
		 "linux.resources.hugepageLimits[0].pageSize"},
		{DOC("", "", ",\"mounts\":[{\"type\":\"proc\"}]"), "mounts[0].destination"},
		{DOC("", "", ",\"hooks\":{\"poststop\":[{\"path\":\"relative\"}]}"),
		 "hooks.poststop[0].path"},
		{DOC("", "", ",\"hooks\":{\"prestart\":[{\"path\":\"/x\",\"timeout\":0}]}"),
		 "hooks.prestart[0].timeout"},
		{"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"hostname\":\"h\"}",
		 "hostname"},
		{"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"linux\":{\"namespaces\":[{"
		 "\"type\":\"pid\"},{\"type\":\"pid\"}]}}",
		 "linux.namespaces"},
		{"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"linux\":{\"namespaces\":[{"
		 "\"type\":\"moon\"}]}}",
		 "unknown namespace 'moon'"},
		{"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"linux\":{\"namespaces\":[{"
		 "\"type\":\"pid\",\"path\":\"x\"}]}}",
		 "not absolute"},
		{"{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"},\"linux\":{\"namespaces\":[{"
		 "\"type\":\"user\"}]}}",
		 "linux.uidMappings"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		autoarena struct arena *a = arena_new();
		struct error err = {0};
		struct oci_spec spec;

		if (oci_spec_parse(a, cases[i].text, strlen(cases[i].text), &spec, &err) >= 0)
			fail_msg("accepted: %s", cases[i].text);
		assert_int_equal(err.kind, ERROR_INVALID);
		if (!strstr(err.msg, cases[i].message))
			fail_msg("'%s' is not in '%s'", cases[i].message, err.msg);
		error_done(&err);
	}
}

static void what_is_not_implemented(void **state)
{
	static const struct {
		const char *text, *field;
	} cases[] = {
		{DOC(",\"scheduler\":{\"policy\":\"SCHED_FIFO\"}", "", ""), "process.scheduler"},
		{DOC(",\"ioPriority\":{\"class\":\"IOPRIO_CLASS_IDLE\"}", "", ""),
		 "process.ioPriority"},
		{DOC("", ",\"intelRdt\":{\"closID\":\"x\"}", ""), "linux.intelRdt"},
		{DOC("", ",\"personality\":{\"domain\":\"LINUX32\"}", ""), "linux.personality"},
		{DOC("", "", ",\"mounts\":[{\"destination\":\"/x\",\"uidMappings\":[{}]}]"),
		 "mounts[0].uidMappings"},
	};
	autoarena struct arena *a = arena_new();
	struct oci_spec spec;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct error err = {0};

		assert_true(oci_spec_parse(a, cases[i].text, strlen(cases[i].text), &spec, &err) <
			    0);
		assert_int_equal(err.kind, ERROR_NOT_IMPLEMENTED);
		assert_non_null(strstr(err.msg, cases[i].field));
		error_done(&err);
	}
	/* asking for nothing is fine */
	parse(a,
	      DOC(",\"scheduler\":null,\"ioPriority\":{}", ",\"intelRdt\":{},\"personality\":null",
		  ""),
	      &spec);
}

static void lone_objects(void **state)
{
	autoarena struct arena *a = arena_new();
	static const char process[] = "{\"args\":[\"sh\"],\"cwd\":\"/x\",\"user\":{\"uid\":3}}";
	static const char bad[] = "{\"args\":[\"sh\"],\"cwd\":\"x\"}";
	static const char resources[] = "{\"cpu\":{\"shares\":512}}";
	struct oci_process p;
	struct oci_resources r;
	const struct json *v;
	struct error err = {0};

	(void)state;
	assert_int_equal(json_parse(a, process, strlen(process), &v, &err), 0);
	assert_int_equal(oci_process_parse(a, v, &p, &err), 0);
	assert_string_equal(p.cwd, "/x");
	assert_int_equal(p.user.uid, 3);
	assert_int_equal(json_parse(a, bad, strlen(bad), &v, &err), 0);
	assert_true(oci_process_parse(a, v, &p, &err) < 0);
	assert_non_null(strstr(err.msg, "process.cwd"));
	error_done(&err);
	assert_int_equal(json_parse(a, resources, strlen(resources), &v, &err), 0);
	assert_int_equal(oci_resources_parse(a, v, &r, &err), 0);
	assert_int_equal(*r.cpu.shares, 512);
	assert_string_equal(oci_namespace_name(OCI_NAMESPACE_CGROUP), "cgroup");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(minimal_and_defaults), cmocka_unit_test(process_members),
		cmocka_unit_test(linux_members),        cmocka_unit_test(mounts_and_hooks),
		cmocka_unit_test(invalid_documents),    cmocka_unit_test(what_is_not_implemented),
		cmocka_unit_test(lone_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
