/* Limits as properties of systemd units, and where units are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "../base/tmpdir.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "linux/cgroup_priv.h"
#include "linux/cgroup_systemd.h"

static void put(int dir, const char *path, const char *text)
{
	int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	(void)close(fd);
}

static struct cgroup *make(const struct tmpdir *dir, bool v2, struct cgroup_layout **layout)
{
	static const char *const v1_dirs[] = {"cpu", "memory", "devices", "systemd"};
	struct cgroup *cg = NULL;
	struct error err = {0};

	if (v2)
		put(dir->fd, "cgroup.controllers", "cpu memory\n");
	for (size_t i = 0; !v2 && i < ARRAY_SIZE(v1_dirs); i++)
		assert_int_equal(mkdirat(dir->fd, v1_dirs[i], 0755), 0);
	assert_int_equal(cgroup_layout_open(dir->fd, layout, &err), 0);
	assert_int_equal(
		cgroup_create_unified(*layout, "systemd:/system.slice/vessel-x.scope", &cg, &err),
		0);
	return cg;
}

/* The properties as an array in `out`. */
static int limits(const struct cgroup *cg, const struct cgroup_resources *res, struct strbuf *out,
		  struct error *err)
{
	struct json_writer w;
	int r;

	strbuf_reset(out);
	json_writer_init(&w, out);
	jw_array(&w);
	r = cgroup_unit_limits(&w, cg, res, err);
	jw_array_end(&w);
	return r;
}

static void has(const struct strbuf *out, const char *property)
{
	if (!strstr(out->s, property))
		fail_msg("%s is not in %s", property, out->s);
}

static const int64_t limit = 64 << 20, swap = 96 << 20, none = -1, quota = 25500, one = 1, zero;
static const uint64_t shares = 2048, period = 50000;
static const struct cgroup_device_rule rules[] = {
	{false, 'a', -1, -1, true, true, true},  {true, 'c', 1, 3, true, true, true},
	{true, 'c', -1, -1, false, false, true}, {true, 'b', 7, 0, true, false, false},
	{false, 'c', 1, 3, false, true, false},
};

static void of_v2(void **state)
{
	autotmpdir struct tmpdir dir = tmpdir_new();
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = make(&dir, true, &layout);
	autostrbuf struct strbuf out = STRBUF_INIT(8192);
	const struct cgroup_setting settings[] = {{"memory.high", "max"},
						  {"cpu.max", "max 100000"},
						  {"memory.min", "1M"},
						  {"io.latency", "8:0 target=10"}};
	const struct cgroup_device_rate rate = {'W', 8, 0, 0};
	struct cgroup_resources res = {.memory_limit = &limit,
				       .memory_swap = &swap,
				       .memory_reservation = &none,
				       .cpu_shares = &shares,
				       .cpu_quota = &quota,
				       .cpu_period = &period,
				       .cpuset_cpus = "0,8-9",
				       .pids_limit = &zero,
				       .io_weight = 10,
				       .io_rates = &rate,
				       .io_rate_count = 1,
				       .devices = rules,
				       .device_count = ARRAY_SIZE(rules)};
	struct error err = {0};

	(void)state;
	assert_true(cgroup_is_unit(cg));
	assert_string_equal(cgroup_path(cg), "/system.slice/vessel-x.scope");
	assert_int_equal(cgroup_clone_fd(cg), -EBADF); /* systemd makes it */
	assert_int_equal(limits(cg, &res, &out, &err), 0);
	has(&out, "[\"MemoryMax\",\"t\",67108864,0]");
	has(&out, "[\"MemorySwapMax\",\"t\",33554432,0]"); /* swap alone */
	has(&out, "[\"MemoryLow\",\"t\",18446744073709551615,0]");
	has(&out, "[\"CPUWeight\",\"t\",174,0]");
	has(&out, "[\"CPUQuotaPerSecUSec\",\"t\",510000,0]");
	has(&out, "[\"CPUQuotaPeriodUSec\",\"t\",50000,242]");
	has(&out, "[\"AllowedCPUs\",\"ay\",[1,3],244]");
	has(&out, "[\"TasksMax\",\"t\",1,0]");
	has(&out, "[\"IOWeight\",\"t\",1,0]");
	has(&out, "[\"IOWriteIOPSMax\",\"a(st)\",[[\"/dev/block/8:0\",18446744073709551615]],0]");
	has(&out, "[\"DevicePolicy\",\"s\",\"strict\",0],[\"DeviceAllow\",\"a(ss)\",[],0]");
	has(&out, "[[\"/dev/char/1:3\",\"rwm\"],[\"char-*\",\"m\"],[\"/dev/block/7:0\",\"r\"]]");

	res = (struct cgroup_resources){.cpu_idle = &one, .cpu_shares = &shares};
	assert_int_equal(limits(cg, &res, &out, &err), 0);
	has(&out, "[\"CPUWeight\",\"t\",0,252]");
	assert_null(strstr(out.s, "174"));
	res = (struct cgroup_resources){.unified = settings, .unified_count = ARRAY_SIZE(settings)};
	assert_int_equal(limits(cg, &res, &out, &err), 0);
	assert_string_equal(out.s, "[[\"MemoryHigh\",\"t\",18446744073709551615,0],"
				   "[\"CPUQuotaPeriodUSec\",\"t\",100000,242],"
				   "[\"CPUQuotaPerSecUSec\",\"t\",18446744073709551615,0]]");
	res = (struct cgroup_resources){0};
	assert_int_equal(limits(cg, &res, &out, &err), 0);
	assert_string_equal(out.s, "[]");
	res = (struct cgroup_resources){.cpuset_cpus = "all"};
	assert_true(limits(cg, &res, &out, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	error_done(&err);
}

static void of_v1(void **state)
{
	autotmpdir struct tmpdir dir = tmpdir_new();
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = make(&dir, false, &layout);
	autostrbuf struct strbuf out = STRBUF_INIT(8192);
	const struct cgroup_resources res = {.memory_limit = &limit,
					     .memory_swap = &swap,
					     .cpu_shares = &shares,
					     .pids_limit = &none,
					     .io_weight = 500};
	struct error err = {0};

	(void)state;
	assert_int_equal(limits(cg, &res, &out, &err), 0);
	assert_string_equal(out.s, "[[\"MemoryLimit\",\"t\",67108864,0],"
				   "[\"CPUShares\",\"t\",2048,0],[\"BlockIOWeight\",\"t\",500,0],"
				   "[\"TasksMax\",\"t\",18446744073709551615,0]]");
}

static void policies(void **state)
{
	static const struct cgroup_device_rule all[] = {{true, 'a', -1, -1, true, true, true},
							{false, 'c', 1, 1, true, true, true}};
	static const struct cgroup_device_rule minors[] = {{false, 'a', -1, -1, true, true, true},
							   {true, 'c', -1, 5, true, true, true}};
	autotmpdir struct tmpdir dir = tmpdir_new(), dir1 = tmpdir_new();
	autocgrouplayout struct cgroup_layout *layout = NULL, *layout1 = NULL;
	autocgroup struct cgroup *cg = make(&dir, true, &layout),
				 *v1 = make(&dir1, false, &layout1);
	autostrbuf struct strbuf out = STRBUF_INIT(8192);
	struct cgroup_resources res = {.devices = all, .device_count = 2};
	struct error err = {0};

	(void)state;
	assert_int_equal(limits(cg, &res, &out, &err), 0);
	has(&out, "\"auto\"");
	/* what systemd cannot say is left to our own program, but on v1 there is only one list */
	res.devices = minors;
	assert_int_equal(limits(cg, &res, &out, &err), 0);
	has(&out, "\"auto\"");
	assert_int_equal(limits(v1, &res, &out, &err), 0);
	has(&out, "\"strict\"");
}

static int property(const char *name, const char *value, struct strbuf *out, struct error *err)
{
	const struct cgroup_unit_property p = {name, value};
	struct json_writer w;

	strbuf_reset(out);
	json_writer_init(&w, out);
	return cgroup_unit_property(&w, &p, err);
}

static void properties(void **state)
{
	static const struct {
		const char *name, *value;
	} bad[] = {{"X", "1"},
		   {"No-Dash", "1"},
		   {"", "1"},
		   {"Description", "a test"},
		   {"TimeoutSec", "'soon'"},
		   {"TimeoutSec", "-1"}};
	autostrbuf struct strbuf out = STRBUF_INIT(8192);
	struct error err = {0};

	(void)state;
	assert_int_equal(property("CollectMode", "'inactive'", &out, &err), 0);
	assert_string_equal(out.s, "[\"CollectMode\",\"s\",\"inactive\",0]");
	assert_int_equal(property("TimeoutStopSec", "1.5", &out, &err), 0);
	assert_string_equal(out.s, "[\"TimeoutStopUSec\",\"t\",1500000,0]");
	assert_int_equal(property("TimeoutStopUSec", "uint64 5", &out, &err), 0);
	assert_string_equal(out.s, "[\"TimeoutStopUSec\",\"t\",5,0]");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (property(bad[i].name, bad[i].value, &out, &err) >= 0)
			fail_msg("%s=%s is taken", bad[i].name, bad[i].value);
		assert_int_equal(err.kind, ERROR_INVALID);
		error_done(&err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(of_v2), cmocka_unit_test(of_v1),
					   cmocka_unit_test(policies),
					   cmocka_unit_test(properties)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
