/* Statistics: what the kernel's files say, in the API's members. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/stats.h"
#include "base/arena.h"
#include "base/mem.h"
#include "base/str.h"

static const struct json *written(struct arena *a, const struct stats_args *args)
{
	autostrbuf struct strbuf b = STRBUF_INIT((size_t)1 << 20);
	const struct json *v;
	struct json_writer w;

	json_writer_init(&w, &b);
	stats_write(args, &w);
	assert_int_equal(json_parse(a, b.s, b.len, &v, NULL), 0);
	return v;
}

static void test_running(void **state)
{
	static const char net[] = "Inter-|   Receive                |  Transmit\n"
				  " face |bytes    packets errs drop fifo frame compressed "
				  "multicast|bytes    packets errs\n"
				  "    lo:     100       1    0    0    0     0          0         "
				  "0      100       1    0\n"
				  "  eth0: 1552      12    3    4    0     0          0         0  "
				  "    526       5    6    7 "
				  "   0     0       0          0\n";
	struct cgroup_io_stat io = {.major = 8, .minor = 1, .read_bytes = 10, .write_bytes = 20};
	struct stats_sample s = {
		.time_ns = 1500000000,
		.cgroup = {.has_memory = true,
			   .has_cpu = true,
			   .has_pids = true,
			   .has_io = true,
			   .memory_usage = 4096,
			   .memory_limit = UINT64_MAX,
			   .memory_stat_count = 1,
			   .memory_stat = {{"inactive_file", 512}},
			   .cpu_usage_ns = 77,
			   .cpu_user_ns = 50,
			   .cpu_system_ns = 27,
			   .pids_current = 3,
			   .pids_limit = UINT64_MAX,
			   .io = &io,
			   .io_count = 1},
		.net_dev = (char *)(uintptr_t)net,
	};
	const struct stats_cpu before = {.total_ns = 7, .machine_ns = 9};
	const struct stats_args args = {.id = "i",
					.name = "web",
					.sample = &s,
					.before = &before,
					.before_ns = 500000000,
					.machine_memory = 1000000,
					.cpus = 2};
	autoarena struct arena *a = arena_new();
	const struct json *v, *x;

	(void)state;
	stats_sample_cpu(&s, "cpu  10 20 30 40 50 60 70 80 900 900\ncpu0 1 2\n");
	v = written(a, &args);
	assert_string_equal(json_get_string(v, "name"), "/web");
	assert_string_equal(json_get_string(v, "read"), "1970-01-01T00:00:01.5Z");
	assert_string_equal(json_get_string(v, "preread"), "1970-01-01T00:00:00.5Z");
	x = json_get(v, "cpu_stats");
	assert_int_equal(json_get_int(json_get(x, "cpu_usage"), "total_usage"), 77);
	/* guest time is in user's already */
	assert_int_equal(json_get_int(x, "system_cpu_usage"),
			 360 * (1000000000 / sysconf(_SC_CLK_TCK)));
	assert_int_equal(json_get_int(x, "online_cpus"), 2);
	x = json_get(v, "precpu_stats");
	assert_int_equal(json_get_int(json_get(x, "cpu_usage"), "total_usage"), 7);
	assert_int_equal(json_get_int(x, "system_cpu_usage"), 9);
	x = json_get(v, "memory_stats");
	assert_int_equal(json_get_int(x, "limit"), 1000000); /* no limit: the machine's */
	assert_int_equal(json_get_int(json_get(x, "stats"), "inactive_file"), 512);
	x = json_get(v, "networks");
	assert_int_equal(json_count(x), 1);
	x = json_get(x, "eth0");
	assert_int_equal(json_get_int(x, "rx_bytes"), 1552);
	assert_int_equal(json_get_int(x, "rx_dropped"), 4);
	assert_int_equal(json_get_int(x, "tx_bytes"), 526);
	assert_int_equal(json_get_int(x, "tx_dropped"), 7);
	x = json_get(json_get(v, "blkio_stats"), "io_service_bytes_recursive");
	assert_int_equal(json_count(x), 2);
	assert_string_equal(json_get_string(json_at(x, 1), "op"), "write");
	assert_int_equal(json_get_int(json_at(x, 1), "value"), 20);
	x = json_get(v, "pids_stats");
	assert_int_equal(json_get_int(x, "current"), 3);
	assert_null(json_get(x, "limit"));
}

static void test_stopped(void **state)
{
	const struct stats_args args = {.id = "i", .name = "web", .machine_memory = 1, .cpus = 1};
	autoarena struct arena *a = arena_new();
	const struct json *v;

	(void)state;
	v = written(a, &args);
	assert_string_equal(json_get_string(v, "read"), "0001-01-01T00:00:00Z");
	assert_int_equal(json_count(json_get(v, "memory_stats")), 0);
	assert_null(json_get(v, "networks"));
	assert_int_equal(
		json_get_int(json_get(json_get(v, "cpu_stats"), "cpu_usage"), "total_usage"), 0);
}

static void test_odd_proc_stat(void **state)
{
	struct stats_sample s = {0};

	(void)state;
	stats_sample_cpu(&s, NULL);
	assert_int_equal(s.cpu.machine_ns, 0);
	stats_sample_cpu(&s, "intr 1 2");
	assert_int_equal(s.cpu.machine_ns, 0);
	stats_sample_cpu(&s, "cpu  5\n");
	assert_int_equal(s.cpu.machine_ns, 5 * (1000000000 / sysconf(_SC_CLK_TCK)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_running),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_odd_proc_stat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
