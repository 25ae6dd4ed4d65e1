/* A container's configuration as config.json: generated, then read back by the runtime's own parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "engine/oci_spec.h"
#include "oci/runtime_spec.h"

struct fixture {
	char dir[64];
	const char *dirs[1];
	struct arena *a;
	struct strbuf text;
};

static int setup(void **state)
{
	struct fixture *f = xnew0(struct fixture);
	int dir;

	(void)str_copy(f->dir, sizeof(f->dir), "/tmp/test-oci-spec-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	dir = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(dir, "etc", 0755), 0);
	assert_int_equal(file_write_atomic(dir, "etc/passwd",
					   "root:x:0:0::/root:\napp:x:1000:1000::/home/app:\n", 48,
					   0644, 0, NULL),
			 0);
	(void)close(dir);
	f->dirs[0] = f->dir;
	f->a = arena_new();
	strbuf_init(&f->text, (size_t)1 << 20);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(file_remove_tree(AT_FDCWD, f->dir, NULL), 0);
	strbuf_done(&f->text);
	(void)arena_free(f->a);
	free(f);
	return 0;
}

/* Config fields, then members of HostConfig. */
static int generate(struct fixture *f, const char *config, const char *host, struct oci_spec *ret,
		    struct error *err)
{
	autofree char *body = xasprintf("{\"Image\":\"x\",%s\"HostConfig\":{%s}}", config, host);
	autospec struct container_spec *s = NULL;
	struct container c = {
		.id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"};
	const struct oci_bind binds[] = {{"/data/hosts", "/etc/hosts", false}};
	const struct oci_spec_args args = {
		.container = &c,
		.rootfs = {f->dirs, 1},
		.cgroup_parent = "/docker",
		.init_path = "/usr/libexec/vessel-init",
		.binds = binds,
		.bind_count = 1,
	};
	int r = container_spec_load(body, strlen(body), &s, err);

	if (r < 0)
		return r;
	/* Fills the defaults, as create does. */
	assert_int_equal(container_spec_merge_image(s, NULL, err), 0);
	c.spec = s;
	strbuf_reset(&f->text);
	r = oci_spec_generate(&args, &f->text, err);
	return r < 0 ? r : oci_spec_parse(f->a, f->text.s, f->text.len, ret, err);
}

static bool has(const struct json_strings *list, const char *s)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i], s))
			return true;
	return false;
}

/* One without a destination if there is none. */
static const struct oci_mount *mount_at(const struct oci_spec *s, const char *destination)
{
	static const struct oci_mount none;

	for (size_t i = 0; i < s->mounts.n; i++)
		if (str_eq(oci_at(&s->mounts, struct oci_mount, i)->destination, destination))
			return oci_at(&s->mounts, struct oci_mount, i);
	return &none;
}

static void defaults(void **state)
{
	struct fixture *f = *state;
	struct oci_spec s;
	const struct oci_mount *shm;

	assert_int_equal(
		generate(f, "\"Hostname\":\"hh\",\"Cmd\":[\"echo\",\"hi\"],", "", &s, NULL), 0);
	assert_string_equal(s.hostname, "hh");
	assert_int_equal(s.process.args.n, 2);
	assert_string_equal(s.process.args.v[1], "hi");
	assert_string_equal(s.process.cwd, "/");
	assert_true(has(&s.process.env, "HOME=/root"));
	assert_true(has(&s.process.env, "HOSTNAME=hh"));
	assert_true(str_has_prefix(s.process.env.v[0], "PATH="));
	assert_int_equal(s.process.capabilities->bounding.n, 14);
	assert_int_equal(s.process.capabilities->effective.n, 14);
	assert_int_equal(s.process.capabilities->inheritable.n, 0);
	assert_int_equal(s.process.capabilities->ambient.n, 0);
	assert_false(s.process.no_new_privileges);
	assert_true(s.linux_.namespaces[OCI_NAMESPACE_MOUNT].present);
	assert_true(s.linux_.namespaces[OCI_NAMESPACE_PID].present);
	assert_true(s.linux_.namespaces[OCI_NAMESPACE_NETWORK].present);
	assert_true(s.linux_.namespaces[OCI_NAMESPACE_IPC].present);
	assert_true(s.linux_.namespaces[OCI_NAMESPACE_UTS].present);
	assert_false(s.linux_.namespaces[OCI_NAMESPACE_USER].present);
	assert_string_equal(
		s.linux_.cgroups_path,
		"/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
	assert_non_null(s.linux_.seccomp);
	assert_true(has(&s.linux_.masked_paths, "/proc/kcore"));
	assert_true(has(&s.linux_.readonly_paths, "/proc/sys"));
	shm = mount_at(&s, "/dev/shm");
	assert_true(has(&shm->options, "size=67108864"));
	assert_non_null(mount_at(&s, "/etc/hosts")->destination);
	assert_false(s.root.readonly);
	assert_false(oci_at(&s.linux_.resources.devices, struct oci_device_rule, 0)->allow);
}

static void process(void **state)
{
	struct fixture *f = *state;
	struct oci_spec s;

	assert_int_equal(
		generate(f,
			 "\"Entrypoint\":[\"/e\"],\"Cmd\":[\"c\"],\"User\":\"app\",\"Tty\":true,"
			 "\"WorkingDir\":\"/w\",\"Env\":[\"PATH=/x\",\"A=1\",\"TERM\"],",
			 "\"Init\":true,\"CapAdd\":[\"NET_ADMIN\"],\"CapDrop\":[\"CHOWN\"],"
			 "\"SecurityOpt\":[\"no-new-privileges\",\"seccomp=unconfined\"],"
			 "\"Ulimits\":[{\"Name\":\"nofile\",\"Soft\":10,\"Hard\":-1}],"
			 "\"OomScoreAdj\":7,\"ConsoleSize\":[24,80]",
			 &s, NULL),
		0);
	assert_string_equal(s.process.args.v[0], "/sbin/docker-init");
	assert_string_equal(s.process.args.v[1], "--");
	assert_string_equal(s.process.args.v[2], "/e");
	assert_string_equal(s.process.args.v[3], "c");
	assert_non_null(mount_at(&s, "/sbin/docker-init")->destination);
	assert_int_equal(s.process.user.uid, 1000);
	assert_int_equal(s.process.user.gid, 1000);
	assert_true(s.process.terminal);
	assert_int_equal(s.process.console_size.width, 80);
	assert_string_equal(s.process.env.v[0], "PATH=/x");
	assert_true(has(&s.process.env, "A=1"));
	assert_true(has(&s.process.env, "HOME=/home/app"));
	assert_false(has(&s.process.env, "TERM=xterm")); /* "TERM" alone takes it out */
	assert_string_equal(s.process.cwd, "/w");
	assert_true(s.process.no_new_privileges);
	assert_null(s.linux_.seccomp);
	assert_true(has(&s.process.capabilities->bounding, "CAP_NET_ADMIN"));
	assert_false(has(&s.process.capabilities->bounding, "CAP_CHOWN"));
	assert_int_equal(s.process.capabilities->effective.n, 0); /* not root */
	assert_int_equal(s.process.rlimits.n, 1);
	assert_string_equal(oci_at(&s.process.rlimits, struct oci_rlimit, 0)->type,
			    "RLIMIT_NOFILE");
	assert_true(oci_at(&s.process.rlimits, struct oci_rlimit, 0)->hard == UINT64_MAX);
	assert_int_equal(*s.process.oom_score_adj, 7);
}

static void limits(void **state)
{
	struct fixture *f = *state;
	struct oci_spec s;

	assert_int_equal(generate(f, "\"Cmd\":[\"x\"],",
				  "\"Memory\":67108864,\"NanoCpus\":500000000,\"PidsLimit\":9,"
				  "\"CpusetCpus\":\"0\",\"CpuShares\":512,\"BlkioWeight\":100",
				  &s, NULL),
			 0);
	assert_int_equal(*s.linux_.resources.memory.limit, 67108864);
	assert_int_equal(*s.linux_.resources.cpu.quota, 50000);
	assert_int_equal(*s.linux_.resources.cpu.period, 100000);
	assert_int_equal(*s.linux_.resources.cpu.shares, 512);
	assert_string_equal(s.linux_.resources.cpu.cpus, "0");
	assert_int_equal(*s.linux_.resources.pids_limit, 9);
	assert_int_equal(s.linux_.resources.block_io.weight, 100);
}

static void mounts(void **state)
{
	struct fixture *f = *state;
	const struct oci_mount *m;
	struct oci_spec s;
	size_t shallow = 0, deep = 0;

	assert_int_equal(
		generate(f, "\"Cmd\":[\"x\"],",
			 "\"Binds\":[\"/tmp:/a/b/c:ro\",\"/tmp:/a:private\"],"
			 "\"Tmpfs\":{\"/t\":\"size=1m,exec\"},\"ReadonlyRootfs\":true,"
			 "\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/q\","
			 "\"TmpfsOptions\":{\"SizeBytes\":4096,\"Mode\":448}},"
			 "{\"Type\":\"bind\",\"Source\":\"/tmp\",\"Target\":\"/dev/shm\"}]",
			 &s, NULL),
		0);
	assert_true(s.root.readonly);
	for (size_t i = 0; i < s.mounts.n; i++) {
		const char *d = oci_at(&s.mounts, struct oci_mount, i)->destination;

		if (str_eq(d, "/a"))
			shallow = i;
		if (str_eq(d, "/a/b/c"))
			deep = i;
	}
	assert_true(shallow < deep);
	assert_true(has(&mount_at(&s, "/a/b/c")->options, "ro"));
	assert_true(has(&mount_at(&s, "/a/b/c")->options, "rprivate"));
	assert_true(has(&mount_at(&s, "/a")->options, "private"));
	m = mount_at(&s, "/t");
	assert_true(has(&m->options, "size=1m"));
	assert_string_equal(m->options.v[m->options.n - 1], "exec"); /* behind noexec: it wins */
	m = mount_at(&s, "/q");
	assert_true(has(&m->options, "size=4096"));
	assert_true(has(&m->options, "mode=700"));
	assert_string_equal(mount_at(&s, "/dev/shm")->source, "/tmp");
}

static void host_namespaces_and_privileges(void **state)
{
	struct fixture *f = *state;
	struct oci_spec s;

	assert_int_equal(generate(f, "\"Cmd\":[\"x\"],",
				  "\"NetworkMode\":\"host\",\"PidMode\":\"host\","
				  "\"IpcMode\":\"host\",\"UTSMode\":\"host\","
				  "\"CgroupnsMode\":\"host\",\"Privileged\":true",
				  &s, NULL),
			 0);
	assert_false(s.linux_.namespaces[OCI_NAMESPACE_NETWORK].present);
	assert_false(s.linux_.namespaces[OCI_NAMESPACE_PID].present);
	assert_false(s.linux_.namespaces[OCI_NAMESPACE_IPC].present);
	assert_false(s.linux_.namespaces[OCI_NAMESPACE_UTS].present);
	assert_false(s.linux_.namespaces[OCI_NAMESPACE_CGROUP].present);
	assert_null(s.hostname);
	assert_null(s.linux_.seccomp);
	assert_int_equal(s.linux_.masked_paths.n, 0);
	assert_true(s.process.capabilities->bounding.n > 30);
	assert_true(oci_at(&s.linux_.resources.devices, struct oci_device_rule, 0)->allow);
	assert_int_equal(oci_at(&s.linux_.resources.devices, struct oci_device_rule, 0)->type, 'a');
}

static void refuses(void **state)
{
	static const struct {
		const char *config, *host, *text;
	} cases[] = {
		{"\"Cmd\":[\"x\"],\"User\":\"nobody\",", "",
		 "unable to find user nobody: no matching entries in passwd file"},
		{"\"Cmd\":[\"x\"],",
		 "\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/nonexistent/x\",\"Target\":\"/y\"}]",
		 "invalid mount config for type \"bind\": bind source path does not exist: "
		 "/nonexistent/x"},
		{"\"Cmd\":[\"x\"],", "\"Devices\":[{\"PathOnHost\":\"/nonexistent\"}]",
		 "error gathering device information while adding custom device "
		 "\"/nonexistent\": no such file or directory"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoerror struct error err = {0};
		struct oci_spec s;

		assert_true(generate(f, cases[i].config, cases[i].host, &s, &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_string_equal(error_msg(&err), cases[i].text);
	}
}

static void exec_process(void **state)
{
	static const char config[] = "{\"Image\":\"x\",\"Cmd\":[\"y\"],\"Env\":[\"A=1\"],"
				     "\"WorkingDir\":\"/w\",\"HostConfig\":{}}";
	static const char body[] = "{\"Cmd\":[\"ls\",\"-l\"],\"Env\":[\"A=2\",\"B=3\"],"
				   "\"User\":\"app\",\"Tty\":true,\"Privileged\":true}";
	struct fixture *f = *state;
	struct container_spec *s = NULL;
	struct exec_config *x = NULL;
	struct container c = {.id = "x"};
	const struct oci_spec_args args = {.container = &c, .rootfs = {f->dirs, 1}};
	const struct json *doc;
	struct oci_process p = {0};

	assert_int_equal(container_spec_load(config, strlen(config), &s, NULL), 0);
	assert_int_equal(json_parse(f->a, body, strlen(body), &doc, NULL), 0);
	assert_int_equal(exec_config_new(doc, &x, NULL), 0);
	c.spec = s;
	assert_int_equal(oci_spec_exec(&args, x, &f->text, NULL), 0);
	assert_int_equal(json_parse(f->a, f->text.s, f->text.len, &doc, NULL), 0);
	assert_int_equal(oci_process_parse(f->a, doc, &p, NULL), 0);
	assert_string_equal(p.args.v[0], "ls");
	assert_string_equal(p.cwd, "/w");
	assert_true(has(&p.env, "A=2"));
	assert_true(has(&p.env, "B=3"));
	assert_true(has(&p.env, "TERM=xterm"));
	assert_int_equal(p.user.uid, 1000);
	assert_true(p.capabilities->bounding.n > 30);
	assert_true(p.terminal);
	(void)exec_config_free(x);
	(void)container_spec_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(defaults, setup, teardown),
		cmocka_unit_test_setup_teardown(process, setup, teardown),
		cmocka_unit_test_setup_teardown(limits, setup, teardown),
		cmocka_unit_test_setup_teardown(mounts, setup, teardown),
		cmocka_unit_test_setup_teardown(host_namespaces_and_privileges, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(exec_process, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
