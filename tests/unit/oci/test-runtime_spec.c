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

static void scheduling_members(void **state)
{
	autoarena struct arena *a = arena_new();
	struct oci_spec spec;

	(void)state;
	parse(a, DOC("", "", ""), &spec);
	assert_null(spec.process.scheduler);
	assert_null(spec.process.io_priority);
	assert_null(spec.linux_.memory_policy);
	assert_null(spec.linux_.personality);
	parse(a,
	      DOC(",\"scheduler\":{\"policy\":\"SCHED_DEADLINE\",\"flags\":["
		  "\"SCHED_FLAG_RESET_ON_FORK\",\"SCHED_FLAG_DL_OVERRUN\"],\"runtime\":1,"
		  "\"deadline\":2,\"period\":3},\"ioPriority\":{\"class\":\"IOPRIO_CLASS_IDLE\","
		  "\"priority\":7},\"execCPUAffinity\":{\"initial\":\"0-1,3\",\"final\":\"\"}",
		  ",\"memoryPolicy\":{\"mode\":\"MPOL_WEIGHTED_INTERLEAVE\",\"nodes\":\"0,2-3\","
		  "\"flags\":[\"MPOL_F_STATIC_NODES\"]},\"personality\":{\"domain\":\"LINUX32\"}",
		  ""),
	      &spec);
	assert_int_equal(spec.process.scheduler->policy, 6);
	assert_int_equal(spec.process.scheduler->flags, 5);
	assert_int_equal(spec.process.scheduler->period, 3);
	assert_int_equal(spec.process.io_priority->io_class, 3);
	assert_int_equal(spec.process.io_priority->priority, 7);
	assert_string_equal(spec.process.exec_cpu_affinity.initial, "0-1,3");
	assert_int_equal(spec.linux_.memory_policy->mode, 6);
	assert_int_equal(spec.linux_.memory_policy->flags, 1 << 15);
	assert_int_equal(*spec.linux_.personality, 8);
}

static void device_members(void **state)
{
	autoarena struct arena *a = arena_new();
	const struct oci_net_device *dev;
	struct oci_spec spec;

	(void)state;
	parse(a,
	      DOC("",
		  ",\"netDevices\":{\"eth0\":{\"name\":\"in%d\"},\"eth1\":{}},\"intelRdt\":{"
		  "\"closID\":\"c\",\"schemata\":[\"L2:0=f\"],\"memBwSchema\":\"MB:0=20\","
		  "\"enableMonitoring\":true},\"seccomp\":{\"defaultAction\":\"x\","
		  "\"listenerPath\":\"/l\",\"listenerMetadata\":\"m\"}",
		  ""),
	      &spec);
	assert_int_equal(spec.linux_.net_devices.n, 2);
	dev = oci_at(&spec.linux_.net_devices, struct oci_net_device, 0);
	assert_string_equal(dev->name, "eth0");
	assert_string_equal(dev->new_name, "in%d");
	assert_string_equal(dev[1].new_name, "eth1");
	assert_string_equal(spec.linux_.intel_rdt->clos_id, "c");
	assert_string_equal(spec.linux_.intel_rdt->schemata.v[0], "L2:0=f");
	assert_string_equal(spec.linux_.intel_rdt->mem_bw_schema, "MB:0=20");
	assert_true(spec.linux_.intel_rdt->enable_monitoring);
	assert_string_equal(spec.linux_.seccomp_listener_path, "/l");
	assert_string_equal(spec.linux_.seccomp_listener_metadata, "m");
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

static void what_is_not_implemented(void **state)
{
	static const struct {
		const char *text, *field;
	} cases[] = {
		{DOC("", "", ",\"vm\":{\"kernel\":{\"path\":\"/k\"}}"), "vm"},
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
		cmocka_unit_test(minimal_and_defaults),    cmocka_unit_test(process_members),
		cmocka_unit_test(scheduling_members),      cmocka_unit_test(device_members),
		cmocka_unit_test(linux_members),           cmocka_unit_test(mounts_and_hooks),
		cmocka_unit_test(what_is_not_implemented), cmocka_unit_test(lone_objects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
