/* Create bodies: decoded, refused, merged with an image, written back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/config.h"

#define TEXT_MAX ((size_t)1 << 20)

/* What a docker client sends, with most fields at work. */
static const char full_body[] =
	"{\"Hostname\":\"hh\",\"Domainname\":\"\",\"User\":\"1:2\",\"AttachStdin\":true,"
	"\"AttachStdout\":true,\"AttachStderr\":true,\"Tty\":true,\"OpenStdin\":true,"
	"\"StdinOnce\":true,\"Env\":[\"A=b\"],\"Cmd\":[\"-c\",\"true\"],"
	"\"Healthcheck\":{\"Test\":[\"NONE\"]},\"Image\":\"busybox\",\"Volumes\":{},"
	"\"WorkingDir\":\"/tmp\",\"Entrypoint\":[\"/bin/sh\"],\"OnBuild\":null,"
	"\"Labels\":{\"a\":\"b\"},\"StopTimeout\":4,\"HostConfig\":{\"Binds\":[\"/tmp:/x:ro,"
	"rslave\"],\"ContainerIDFile\":\"\",\"LogConfig\":{\"Type\":\"\","
	"\"Config\":{\"max-size\":\"1m\"}},\"NetworkMode\":\"default\","
	"\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\","
	"\"HostPort\":\"8000-8010\"},{\"HostIp\":\"\",\"HostPort\":\"\"}],\"53/udp\":[]},"
	"\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":3},"
	"\"AutoRemove\":false,\"VolumeDriver\":\"\",\"VolumesFrom\":null,"
	"\"ConsoleSize\":[0,0],\"CapAdd\":[\"CAP_NET_ADMIN\"],\"CapDrop\":[\"ALL\"],"
	"\"CgroupnsMode\":\"\",\"Dns\":[\"1.1.1.1\"],\"DnsOptions\":[],\"DnsSearch\":[],"
	"\"ExtraHosts\":[\"a:1.2.3.4\"],\"GroupAdd\":null,\"IpcMode\":\"\",\"Cgroup\":\"\","
	"\"Links\":null,\"OomScoreAdj\":0,\"PidMode\":\"\",\"Privileged\":false,"
	"\"PublishAllPorts\":false,\"ReadonlyRootfs\":true,"
	"\"SecurityOpt\":[\"no-new-privileges\",\"seccomp=unconfined\"],"
	"\"Tmpfs\":{\"/t\":\"size=1m\"},\"UTSMode\":\"\",\"UsernsMode\":\"\",\"ShmSize\":0,"
	"\"Sysctls\":{\"net.ipv4.ip_forward\":\"1\"},\"Isolation\":\"\",\"CpuShares\":0,"
	"\"Memory\":67108864,\"NanoCpus\":500000000,\"CgroupParent\":\"\","
	"\"BlkioWeight\":0,\"BlkioWeightDevice\":[],\"BlkioDeviceReadBps\":[],"
	"\"BlkioDeviceWriteBps\":[],\"BlkioDeviceReadIOps\":[],"
	"\"BlkioDeviceWriteIOps\":[],\"CpuPeriod\":0,\"CpuQuota\":0,"
	"\"CpuRealtimePeriod\":0,\"CpuRealtimeRuntime\":0,\"CpusetCpus\":\"0\","
	"\"CpusetMems\":\"\",\"Devices\":[{\"PathOnHost\":\"/dev/null\","
	"\"PathInContainer\":\"/dev/x\",\"CgroupPermissions\":\"rw\"}],"
	"\"DeviceCgroupRules\":null,\"DeviceRequests\":null,\"MemoryReservation\":0,"
	"\"MemorySwap\":0,\"MemorySwappiness\":-1,\"OomKillDisable\":false,"
	"\"PidsLimit\":10,\"Ulimits\":[{\"Name\":\"nofile\",\"Hard\":20,\"Soft\":10}],"
	"\"CpuCount\":0,\"CpuPercent\":0,\"IOMaximumIOps\":0,\"IOMaximumBandwidth\":0,"
	"\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/tmp\",\"Target\":\"/m\","
	"\"ReadOnly\":true},{\"Type\":\"tmpfs\",\"Target\":\"/q\","
	"\"TmpfsOptions\":{\"SizeBytes\":1048576}}],\"MaskedPaths\":[],"
	"\"ReadonlyPaths\":[],\"Init\":true},"
	"\"NetworkingConfig\":{\"EndpointsConfig\":{\"default\":{\"IPAMConfig\":{\"IPv4A"
	"ddress\":\"10.1.2.3\"},\"Links\":null,\"Aliases\":null,"
	"\"MacAddress\":\"02:42:0a:01:02:03\",\"DriverOpts\":null,\"GwPriority\":0,"
	"\"NetworkID\":\"\",\"EndpointID\":\"\",\"Gateway\":\"\",\"IPAddress\":\"\","
	"\"IPPrefixLen\":0,\"IPv6Gateway\":\"\",\"GlobalIPv6Address\":\"\","
	"\"GlobalIPv6PrefixLen\":0,\"DNSNames\":null}}}}";

static int spec_of(const char *text, unsigned version, struct container_spec **ret,
		   struct strv *warnings, struct error *err)
{
	autoarena struct arena *a = arena_new();
	const struct json *body;

	assert_int_equal(json_parse(a, text, strlen(text), &body, err), 0);
	return container_spec_new(body, version, ret, warnings, err);
}

static char *host_json(const struct container_spec *s)
{
	struct strbuf b = STRBUF_INIT(TEXT_MAX);
	struct json_writer w;

	json_writer_init(&w, &b);
	jw_object(&w);
	host_config_write(&s->host, 151, &w);
	jw_object_end(&w);
	return strbuf_take(&b);
}

static char *config_json(const struct container_spec *s)
{
	struct strbuf b = STRBUF_INIT(TEXT_MAX);
	struct json_writer w;

	json_writer_init(&w, &b);
	jw_object(&w);
	container_config_write(&s->config, 151, &w);
	jw_object_end(&w);
	return strbuf_take(&b);
}

static char *stored(const struct container_spec *s)
{
	struct strbuf b = STRBUF_INIT(TEXT_MAX);
	struct json_writer w;

	json_writer_init(&w, &b);
	container_spec_write(s, &w);
	return strbuf_take(&b);
}

static void assert_merged(struct container_spec *s, const char *image)
{
	autoarena struct arena *a = arena_new();
	autoerror struct error err = {0};
	const struct json *v = NULL;

	if (image)
		assert_int_equal(json_parse(a, image, strlen(image), &v, &err), 0);
	if (container_spec_merge_image(s, v, &err) < 0)
		fail_msg("%s", error_msg(&err));
}

static void test_full(void **state)
{
	autospec struct container_spec *s = NULL;
	autoerror struct error err = {0};

	(void)state;
	if (spec_of(full_body, 150, &s, NULL, &err) < 0)
		fail_msg("%s", error_msg(&err));
	assert_string_equal(s->config.hostname, "hh");
	assert_string_equal(s->config.user, "1:2");
	assert_true(s->config.tty && s->config.open_stdin && s->config.stdin_once);
	assert_int_equal(*s->config.stop_timeout, 4);
	assert_string_equal(s->config.entrypoint.v[0], "/bin/sh");
	assert_int_equal(s->config.cmd.n, 2);
	assert_int_equal(s->host.memory, 67108864);
	assert_int_equal(s->host.nano_cpus, 500000000);
	assert_string_equal(s->host.restart.name, "on-failure");
	assert_int_equal(s->host.restart.max_retries, 3);
	assert_true(*s->host.init);
	assert_null(s->host.memory_swappiness); /* -1 */
	assert_int_equal(*s->host.pids_limit, 10);

	assert_int_equal(s->host.binding_count, 2);
	assert_int_equal(s->host.bindings[0].container.port, 80);
	assert_string_equal(s->host.bindings[0].container.proto, "tcp");
	assert_string_equal(s->host.bindings[0].host_ip, "127.0.0.1");
	assert_int_equal(s->host.bindings[0].host_port, 8000);
	assert_int_equal(s->host.bindings[0].host_port_end, 8010);
	assert_string_equal(s->host.bindings[1].host_ip, "");
	assert_int_equal(s->host.bindings[1].host_port, 0);

	assert_int_equal(s->endpoint_count, 1);
	assert_string_equal(s->endpoints[0].ipv4, "10.1.2.3");
	assert_null(s->endpoints[0].ipv6);
	assert_string_equal(s->endpoints[0].mac_address, "02:42:0a:01:02:03");
}

/* A stored document gives the same inspect as the one it was made from. */
static void test_round_trip(void **state)
{
	autospec struct container_spec *s = NULL, *again = NULL;
	autofree char *first = NULL, *second = NULL;
	autoerror struct error err = {0};

	(void)state;
	assert_int_equal(spec_of(full_body, 150, &s, NULL, &err), 0);
	assert_merged(s,
		      "{\"Env\":[\"PATH=/bin\",\"A=image\"],\"Labels\":{\"x\":\"y\",\"a\":\"n\"},"
		      "\"ExposedPorts\":{\"443/tcp\":{}},\"Volumes\":{\"/data\":{}},"
		      "\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Interval\":5000000}}");
	first = stored(s);
	if (container_spec_load(first, strlen(first), &again, &err) < 0)
		fail_msg("%s", error_msg(&err));
	second = stored(again);
	assert_string_equal(first, second);
	assert_int_equal(again->host.binding_count, 2);
	assert_string_equal(again->endpoints[0].network, "bridge");
	assert_string_equal(again->endpoints[0].ipv4, "10.1.2.3");
}

/* The smallest body, as a program would send it: each default, null, [] and absence. */
static void test_defaults(void **state)
{
	autospec struct container_spec *s = NULL;
	autofree char *config = NULL, *host = NULL;
	autoerror struct error err = {0};
	static const char *const host_parts[] = {
		"{\"Binds\":null,\"ContainerIDFile\":\"\",\"LogConfig\":{\"Type\":\"json-file\","
		"\"Config\":{}},\"NetworkMode\":\"bridge\",\"PortBindings\":null,"
		"\"RestartPolicy\":{\"Name\":\"no\",\"MaximumRetryCount\":0},",
		"\"ConsoleSize\":[0,0],\"CapAdd\":null,\"CapDrop\":null,",
		"\"Dns\":null,",
		"\"IpcMode\":\"private\",\"Cgroup\":\"\",\"Links\":null,",
		"\"ShmSize\":67108864,",
		"\"Devices\":null,",
		"\"DeviceCgroupRules\":null,\"DeviceRequests\":null,",
		"\"PidsLimit\":null,\"Ulimits\":null,",
		"\"MaskedPaths\":[\"/proc/asound\",",
		"\"ReadonlyPaths\":[\"/proc/bus\",",
	};
	static const char *const absent[] = {"\"Mounts\"",  "\"Init\"",        "\"Tmpfs\"",
					     "\"Sysctls\"", "\"Annotations\"", "\"StorageOpt\""};

	(void)state;
	assert_int_equal(spec_of("{\"Image\":\"i\",\"Cmd\":\"true\"}", 151, &s, NULL, &err), 0);
	assert_merged(s, NULL);
	config = config_json(s);
	assert_string_equal(config, "{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"\","
				    "\"AttachStdin\":false,\"AttachStdout\":false,"
				    "\"AttachStderr\":false,\"Tty\":false,\"OpenStdin\":false,"
				    "\"StdinOnce\":false,\"Env\":null,\"Cmd\":[\"true\"],"
				    "\"Image\":\"i\",\"Volumes\":null,\"WorkingDir\":\"\","
				    "\"Entrypoint\":null,\"OnBuild\":null,\"Labels\":{}}");
	host = host_json(s);
	for (size_t i = 0; i < ARRAY_SIZE(host_parts); i++)
		if (!strstr(host, host_parts[i]))
			fail_msg("'%s' is not in %s", host_parts[i], host);
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		if (strstr(host, absent[i]))
			fail_msg("'%s' is in %s", absent[i], host);
}

static void test_empty_lists_stay(void **state)
{
	autospec struct container_spec *s = NULL;
	autofree char *host = NULL;
	autoerror struct error err = {0};

	(void)state;
	assert_int_equal(spec_of("{\"Cmd\":[\"a\"],\"HostConfig\":{\"Binds\":[],\"Devices\":[],"
				 "\"Dns\":[],\"Ulimits\":[],\"BlkioWeightDevice\":[],"
				 "\"MaskedPaths\":[],\"ReadonlyPaths\":[]}}",
				 151, &s, NULL, &err),
			 0);
	assert_merged(s, NULL);
	host = host_json(s);
	assert_non_null(strstr(host, "\"Binds\":[],"));
	assert_non_null(strstr(host, "\"Devices\":[],"));
	assert_non_null(strstr(host, "\"Dns\":[],"));
	assert_non_null(strstr(host, "\"Ulimits\":[],"));
	assert_non_null(strstr(host, "\"BlkioWeightDevice\":[],"));
	assert_non_null(strstr(host, "\"MaskedPaths\":[],\"ReadonlyPaths\":[]"));
}

static void test_memory_swap(void **state)
{
	autospec struct container_spec *s = NULL;
	autoerror struct error err = {0};

	(void)state;
	assert_int_equal(spec_of("{\"Cmd\":[\"a\"],\"HostConfig\":{\"Memory\":10485760,"
				 "\"Privileged\":true}}",
				 151, &s, NULL, &err),
			 0);
	assert_merged(s, NULL);
	assert_int_equal(s->host.memory_swap, 20971520);
	assert_null(s->host.masked_paths.v); /* privileged */
}

static void test_merge(void **state)
{
	static const char image[] =
		"{\"User\":\"u\",\"WorkingDir\":\"/w\",\"Env\":[\"PATH=/bin\",\"A=1\"],"
		"\"Cmd\":[\"c\"],\"Entrypoint\":[\"e\"],\"StopSignal\":\"SIGINT\","
		"\"Labels\":{\"k\":\"image\",\"l\":\"image\"},\"ExposedPorts\":{\"80/tcp\":{}}}";
	autospec struct container_spec *s = NULL, *plain = NULL, *reset = NULL;
	autoerror struct error err = {0};

	(void)state;
	assert_int_equal(spec_of("{\"Env\":[\"A=2\"],\"Entrypoint\":[\"mine\"],"
				 "\"Labels\":{\"k\":\"mine\"},\"ExposedPorts\":{\"81/udp\":{}}}",
				 151, &s, NULL, &err),
			 0);
	assert_merged(s, image);
	assert_string_equal(s->config.user, "u");
	assert_string_equal(s->config.working_dir, "/w");
	assert_string_equal(s->config.stop_signal, "SIGINT");
	assert_int_equal(s->config.env.n, 2);
	assert_string_equal(s->config.env.v[0], "A=2");
	assert_string_equal(s->config.env.v[1], "PATH=/bin");
	assert_string_equal(s->config.entrypoint.v[0], "mine");
	assert_int_equal(s->config.cmd.n, 0); /* another entrypoint: the image's arguments go */
	assert_string_equal(json_get_string(s->config.labels, "k"), "mine");
	assert_string_equal(json_get_string(s->config.labels, "l"), "image");
	assert_int_equal(json_count(s->config.exposed_ports), 2);

	assert_int_equal(spec_of("{\"Image\":\"i\"}", 151, &plain, NULL, &err), 0);
	assert_merged(plain, image);
	assert_string_equal(plain->config.entrypoint.v[0], "e");
	assert_string_equal(plain->config.cmd.v[0], "c");

	assert_int_equal(
		spec_of("{\"Entrypoint\":[\"\"],\"Cmd\":[\"x\"]}", 151, &reset, NULL, &err), 0);
	assert_merged(reset, image);
	assert_int_equal(reset->config.entrypoint.n, 0);
	assert_string_equal(reset->config.cmd.v[0], "x");
}

static void test_no_command(void **state)
{
	autospec struct container_spec *s = NULL;
	autoerror struct error err = {0};

	(void)state;
	assert_int_equal(spec_of("{\"Image\":\"i\"}", 151, &s, NULL, &err), 0);
	assert_true(container_spec_merge_image(s, NULL, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_string_equal(error_msg(&err), "no command specified");
}

struct refusal {
	const char *body;
	enum error_kind kind;
	const char *msg; /* what the message contains */
};
#define HOST(json) "{\"Cmd\":[\"a\"],\"HostConfig\":{" json "}}"
static const struct refusal refusals[] = {
	{"{}", ERROR_INVALID, "config cannot be empty in order to create a container"},
	{"null", ERROR_INVALID, "config cannot be empty in order to create a container"},
	{"{\"Env\":\"a\"}", ERROR_INVALID, "Env: expected an array"},
	{"{\"Tty\":1}", ERROR_INVALID, "Tty: expected a boolean"},
	{"{\"Env\":[\"=x\"]}", ERROR_INVALID, "invalid environment variable: =x"},
	{"{\"WorkingDir\":\"x\"}", ERROR_INVALID,
	 "the working directory 'x' is invalid, it needs to be an absolute path"},
	{"{\"StopSignal\":\"NOPE\"}", ERROR_INVALID, "invalid signal: NOPE"},
	{"{\"Hostname\":\"a b\"}", ERROR_INVALID, "invalid hostname format: a b"},
	{"{\"Volumes\":{\"data\":{}}}", ERROR_INVALID, "mount path must be absolute"},
	{"{\"Healthcheck\":{\"Interval\":5}}", ERROR_INVALID,
	 "Interval in Healthcheck cannot be less than 1ms"},
	{"{\"ExposedPorts\":{\"x/tcp\":{}}}", ERROR_INVALID, "invalid port specification: \"x\""},
	{"{\"ExposedPorts\":{\"80/icmp\":{}}}", ERROR_INVALID,
	 "invalid port specification: \"80/icmp\""},
	{HOST("\"Memory\":1048576"), ERROR_INVALID, "Minimum memory limit allowed is 6MB"},
	{HOST("\"Memory\":10485760,\"MemorySwap\":8388608"), ERROR_INVALID,
	 "Minimum memoryswap limit should be larger than memory limit, see usage"},
	{HOST("\"MemorySwap\":8388608"), ERROR_INVALID,
	 "You should always set the Memory limit when using Memoryswap limit, see usage"},
	{HOST("\"MemorySwappiness\":101"), ERROR_INVALID, "valid memory swappiness range is 0-100"},
	{HOST("\"NanoCpus\":100000000000000"), ERROR_INVALID, "range of CPUs is from 0.01 to "},
	{HOST("\"NanoCpus\":1000000000,\"CpuQuota\":5000"), ERROR_INVALID,
	 "Conflicting options: Nano CPUs and CPU Quota cannot both be set"},
	{HOST("\"NanoCpus\":1000000000,\"CpuPeriod\":5000"), ERROR_INVALID,
	 "Conflicting options: Nano CPUs and CPU Period cannot both be set"},
	{HOST("\"CpuPeriod\":1"), ERROR_INVALID, "CPU cfs period can not be less than 1ms"},
	{HOST("\"CpuQuota\":1"), ERROR_INVALID, "CPU cfs quota can not be less than 1ms"},
	{HOST("\"CpusetCpus\":\"0-x\""), ERROR_INVALID, "Invalid value 0-x for cpuset cpus"},
	{HOST("\"CpusetCpus\":\"0,\""), ERROR_INVALID, "Invalid value 0, for cpuset cpus"},
	{HOST("\"CpusetCpus\":\"8000\""), ERROR_INVALID,
	 "Requested CPUs are not available - requested 8000, available: "},
	{HOST("\"BlkioWeight\":5"), ERROR_INVALID, "Range of blkio weight is from 10 to 1000"},
	{HOST("\"OomScoreAdj\":1001"), ERROR_INVALID,
	 "Invalid value 1001, range for oom score adj is [-1000, 1000]"},
	{HOST("\"ShmSize\":-1"), ERROR_INVALID, "SHM size can not be less than 0"},
	{HOST("\"AutoRemove\":true,\"RestartPolicy\":{\"Name\":\"always\"}"), ERROR_INVALID,
	 "can't create 'AutoRemove' container with restart policy"},
	{HOST("\"RestartPolicy\":{\"Name\":\"sometimes\"}"), ERROR_INVALID,
	 "invalid restart policy: unknown policy 'sometimes'"},
	{HOST("\"RestartPolicy\":{\"Name\":\"always\",\"MaximumRetryCount\":2}"), ERROR_INVALID,
	 "maximum retry count can only be used with 'on-failure'"},
	{HOST("\"CapAdd\":[\"CAP_NOPE\"]"), ERROR_INVALID,
	 "invalid CapAdd: unknown capability: \"CAP_NOPE\""},
	{HOST("\"Ulimits\":[{\"Name\":\"nope\",\"Soft\":1,\"Hard\":1}]"), ERROR_INVALID,
	 "invalid ulimit type: nope"},
	{HOST("\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":2,\"Hard\":1}]"), ERROR_INVALID,
	 "ulimit soft limit must be less than or equal to hard limit: 2 > 1"},
	{HOST("\"SecurityOpt\":[\"nonsense\"]"), ERROR_INVALID,
	 "invalid --security-opt 1: \"nonsense\""},
	{HOST("\"SecurityOpt\":[\"label=tipe:x\"]"), ERROR_INVALID, "Bad label option \"tipe:x\""},
	{HOST("\"SecurityOpt\":[\"label=type:\"]"), ERROR_INVALID, "Bad label option \"type:\""},
	{HOST("\"SecurityOpt\":[\"what=x\"]"), ERROR_INVALID,
	 "invalid --security-opt 2: \"what=x\""},
	{HOST("\"SecurityOpt\":[\"seccomp={\"]"), ERROR_INVALID, "decoding seccomp profile failed"},
	{HOST("\"NetworkMode\":\"container:\""), ERROR_INVALID,
	 "invalid container format container:<name|id>"},
	{HOST("\"NetworkMode\":\"container:x\",\"PortBindings\":{\"80/tcp\":[{}]}"), ERROR_INVALID,
	 "conflicting options: port publishing and the container type network mode"},
	{HOST("\"PidMode\":\"mine\""), ERROR_INVALID, "invalid PID mode: mine"},
	{HOST("\"IpcMode\":\"mine\""), ERROR_INVALID, "invalid IPC mode: mine"},
	{HOST("\"CgroupnsMode\":\"mine\""), ERROR_INVALID, "invalid cgroup namespace mode: mine"},
	{HOST("\"UsernsMode\":\"private\""), ERROR_INVALID, "user namespace mode: private"},
	{HOST("\"DeviceRequests\":[{\"Count\":1,\"DeviceIDs\":[\"0\"]}]"), ERROR_INVALID,
	 "cannot set both Count and DeviceIDs"},
	{HOST("\"LogConfig\":{\"Type\":\"nope\"}"), ERROR_INVALID,
	 "error looking up logging plugin nope: plugin \"nope\" not found"},
	{HOST("\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"x\":\"y\"}}"), ERROR_INVALID,
	 "unknown log opt 'x' for json-file log driver"},
	{HOST("\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"10q\"}}"),
	 ERROR_INVALID, "invalid size"},
	{HOST("\"Sysctls\":{\"kernel.panic\":\"1\"}"), ERROR_INVALID,
	 "sysctl 'kernel.panic' is not allowed"},
	{HOST("\"Binds\":[\"/a\"]"), ERROR_INVALID, "invalid volume specification: '/a'"},
	{HOST("\"Binds\":[\"/a:/b:rw,ro\"]"), ERROR_INVALID, "invalid mode: rw,ro"},
	{HOST("\"Binds\":[\"/a:/b:fast\"]"), ERROR_INVALID, "invalid mode: fast"},
	{HOST("\"Binds\":[\"/a:/\"]"), ERROR_INVALID, "destination can't be '/'"},
	{HOST("\"Binds\":[\"/a:b\"]"), ERROR_INVALID, "mount path must be absolute"},
	{HOST("\"Binds\":[\"/a:/b\",\"/c:/b/\"]"), ERROR_INVALID, "Duplicate mount point: /b"},
	{HOST("\"Mounts\":[{\"Type\":\"odd\",\"Target\":\"/x\"}]"), ERROR_INVALID,
	 "mount type unknown"},
	{HOST("\"Mounts\":[{\"Type\":\"bind\",\"Target\":\"/x\",\"Source\":\"/nowhere/at/all\"}]"),
	 ERROR_INVALID,
	 "invalid mount config for type \"bind\": bind source path does not exist: "
	 "/nowhere/at/all"},
	{HOST("\"Mounts\":[{\"Type\":\"tmpfs\"}]"), ERROR_INVALID,
	 "invalid mount config for type \"tmpfs\": field Target must not be empty"},
	{HOST("\"Tmpfs\":{\"x\":\"\"}"), ERROR_INVALID, "mount path must be absolute"},
	{HOST("\"PortBindings\":{\"80/tcp\":[{\"HostPort\":\"9-1\"}]}"), ERROR_INVALID,
	 "invalid port specification: \"9-1\""},
	{HOST("\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"nope\"}]}"), ERROR_INVALID,
	 "invalid IP address: nope"},
	{HOST("\"ExtraHosts\":[\"x\"]"), ERROR_INVALID, "bad format for add-host: \"x\""},
};

static void test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		autospec struct container_spec *s = NULL;
		autoerror struct error err = {0};

		if (spec_of(refusals[i].body, 151, &s, NULL, &err) >= 0)
			fail_msg("accepted: %s", refusals[i].body);
		if (err.kind != refusals[i].kind || !strstr(error_msg(&err), refusals[i].msg))
			fail_msg("%s: %s: %s", refusals[i].body, error_kind_name(err.kind),
				 error_msg(&err));
	}
}

/* Zero values of what is not there yet, as clients send them. */
static void test_zero_values(void **state)
{
	autospec struct container_spec *s = NULL;
	autoerror struct error err = {0};

	(void)state;
	if (spec_of(HOST("\"DeviceRequests\":[],\"CpuCount\":0,\"VolumesFrom\":null,\"Cgroup\":"
			 "\"\","
			 "\"Isolation\":\"default\",\"UsernsMode\":\"host\",\"PidsLimit\":-1,"
			 "\"SecurityOpt\":[\"label=disable\",\"no-new-privileges:true\"]"),
		    151, &s, NULL, &err) < 0)
		fail_msg("%s", error_msg(&err));
	assert_null(s->host.pids_limit);
}

static void test_old_versions(void **state)
{
	autospec struct container_spec *s = NULL;
	autoerror struct error err = {0};

	(void)state;
	assert_int_equal(spec_of("{\"Cmd\":[\"a\"]}", 139, &s, NULL, &err), 0);
	assert_merged(s, NULL);
	assert_string_equal(s->host.cgroupns_mode, "host");
	assert_string_equal(s->host.ipc_mode, "shareable");
}

static void test_warnings(void **state)
{
	autospec struct container_spec *s = NULL;
	autoerror struct error err = {0};
	autostrv struct strv warnings = {0};

	(void)state;
	assert_int_equal(spec_of(HOST("\"NetworkMode\":\"host\",\"PortBindings\":{\"80/tcp\":"
				      "[{\"HostPort\":\"80\"}]}"),
				 151, &s, &warnings, &err),
			 0);
	assert_int_equal(warnings.n, 1);
	assert_string_equal(warnings.v[0],
			    "Published ports are discarded when using host network mode");
}

static void test_binds(void **state)
{
	autoarena struct arena *a = arena_new();
	autoerror struct error err = {0};
	struct config_bind b;

	(void)state;
	assert_int_equal(config_bind_parse(a, "/a//b/../c/:/x/:ro,z,rshared", &b, &err), 0);
	assert_string_equal(b.source, "/a/c");
	assert_string_equal(b.target, "/x");
	assert_true(b.read_only);
	assert_false(b.is_volume);
	assert_string_equal(b.propagation, "rshared");
	assert_string_equal(b.relabel, "z");
	assert_int_equal(config_bind_parse(a, "vol:/x:nocopy", &b, &err), 0);
	assert_true(b.is_volume && b.nocopy);
	assert_true(config_bind_parse(a, "/x:ro", &b, &err) < 0);
	assert_true(config_bind_parse(a, "a:b:c:d", &b, &err) < 0);
}

static void test_security(void **state)
{
	const char *opts[] = {"no-new-privileges", "seccomp=unconfined", "apparmor=unconfined",
			      "systempaths=unconfined", NULL};
	const struct json_strings list = {.v = opts, .n = 4};
	struct config_security s;

	(void)state;
	assert_int_equal(config_security_parse(&list, &s, NULL), 0);
	assert_true(s.no_new_privileges && s.unconfined_paths);
	assert_string_equal(s.seccomp, "unconfined");
	assert_string_equal(s.apparmor, "unconfined");
	assert_false(s.label_disable);
}

static void test_exec(void **state)
{
	static const char text[] = "{\"Cmd\":[\"sh\"],\"Tty\":true,\"AttachStdin\":true,"
				   "\"Env\":[\"A=b\"],\"ConsoleSize\":[24,80],\"User\":\"1\"}";
	autoarena struct arena *a = arena_new();
	autoexecconfig struct exec_config *c = NULL, *none = NULL;
	autoerror struct error err = {0};
	const struct json *body;

	(void)state;
	assert_int_equal(json_parse(a, text, strlen(text), &body, &err), 0);
	assert_int_equal(exec_config_new(body, &c, &err), 0);
	assert_string_equal(c->cmd.v[0], "sh");
	assert_true(c->tty && c->attach_stdin);
	assert_string_equal(c->user, "1");
	assert_string_equal(c->working_dir, "");
	assert_int_equal(c->rows, 24);
	assert_int_equal(c->cols, 80);

	assert_int_equal(json_parse(a, "{\"Cmd\":[]}", 10, &body, &err), 0);
	assert_true(exec_config_new(body, &none, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_string_equal(error_msg(&err), "No exec command specified");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full),        cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_defaults),    cmocka_unit_test(test_empty_lists_stay),
		cmocka_unit_test(test_memory_swap), cmocka_unit_test(test_merge),
		cmocka_unit_test(test_no_command),  cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_zero_values), cmocka_unit_test(test_old_versions),
		cmocka_unit_test(test_warnings),    cmocka_unit_test(test_binds),
		cmocka_unit_test(test_security),    cmocka_unit_test(test_exec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
