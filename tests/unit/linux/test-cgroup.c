/* Knobs and statistics on directories that look like cgroup file systems. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "../base/tmpdir.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "linux/cgroup.h"

static void put(int dir, const char *path, const char *text)
{
	int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	(void)close(fd);
}

static void check(int dir, const char *path, const char *expected)
{
	char *text = NULL;

	assert_true(file_read(dir, path, 4096, &text, NULL, NULL) >= 0);
	assert_string_equal(text, expected);
	free(text);
}

static const char *const v1_dirs[] = {"cpu",     "cpuacct", "cpuset", "memory",  "devices",
				      "freezer", "blkio",   "pids",   "systemd", "unified"};

static void make_v1(const struct tmpdir *dir, struct cgroup_layout **layout, struct cgroup **cg)
{
	struct error err = {0};

	for (size_t i = 0; i < ARRAY_SIZE(v1_dirs); i++)
		assert_int_equal(mkdirat(dir->fd, v1_dirs[i], 0755), 0);
	assert_int_equal(cgroup_layout_open(dir->fd, layout, &err), 0);
	if (cgroup_create(*layout, "/docker/x", cg, &err) < 0)
		fail_msg("%s", error_msg(&err));
}

static void layouts(void **state)
{
	autotmpdir struct tmpdir v1 = tmpdir_new(), v2 = tmpdir_new(), none = tmpdir_new();
	autocgrouplayout struct cgroup_layout *a = NULL, *b = NULL;
	struct cgroup_layout *c = NULL;

	(void)state;
	assert_int_equal(mkdirat(v1.fd, "cpu,cpuacct", 0755), 0);
	assert_int_equal(mkdirat(v1.fd, "systemd", 0755), 0);
	assert_int_equal(cgroup_layout_open(v1.fd, &a, NULL), 0);
	assert_int_equal(cgroup_layout_mode(a), CGROUP_MODE_V1);
	put(v2.fd, "cgroup.controllers", "cpu memory\n");
	assert_int_equal(cgroup_layout_open(v2.fd, &b, NULL), 0);
	assert_int_equal(cgroup_layout_mode(b), CGROUP_MODE_V2);
	assert_true(cgroup_layout_open(none.fd, &c, NULL) < 0);
}

static void paths_are_checked(void **state)
{
	static const char *const bad[] = {"",        "x",   "/",    "/a/", "/a//b",
					  "/a/../b", "/..", "/a/.", "/./a"};
	autotmpdir struct tmpdir dir = tmpdir_new();
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;

	(void)state;
	make_v1(&dir, &layout, &cg);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct cgroup *other = NULL;
		struct error err = {0};

		assert_true(cgroup_create(layout, bad[i], &other, &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		error_done(&err);
	}
	assert_string_equal(cgroup_path(cg), "/docker/x");
}

static void create_open_conflict(void **state)
{
	autotmpdir struct tmpdir dir = tmpdir_new();
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL, *again = NULL;
	struct cgroup *none = NULL;
	struct error err = {0};
	struct cgroup_hierarchy h;
	bool seen_v2 = false;

	(void)state;
	make_v1(&dir, &layout, &cg);
	assert_int_equal(faccessat(dir.fd, "memory/docker/x", F_OK, 0), 0);
	assert_int_equal(faccessat(dir.fd, "unified/docker/x", F_OK, 0), 0);
	assert_int_equal(cgroup_layout_count(layout), ARRAY_SIZE(v1_dirs));
	for (size_t i = 0; i < cgroup_layout_count(layout); i++) {
		cgroup_layout_get(layout, i, &h);
		seen_v2 = seen_v2 || h.is_v2;
		if (strcmp(h.name, "systemd") == 0)
			assert_string_equal(h.controllers, "name=systemd");
	}
	assert_true(seen_v2);
	assert_int_equal(cgroup_open(layout, "/docker/x", &again, &err), 0);
	assert_int_equal(cgroup_open(layout, "/docker/y", &none, &err), -ENOENT);
	error_done(&err);
	put(dir.fd, "memory/docker/x/cgroup.procs", "1\n");
	assert_true(cgroup_create(layout, "/docker/x", &none, &err) < 0);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	error_done(&err);
}

static void v1_limits(void **state)
{
	static const char *const files[] = {
		"memory/docker/x/memory.limit_in_bytes",
		"memory/docker/x/memory.memsw.limit_in_bytes",
		"memory/docker/x/memory.soft_limit_in_bytes",
		"cpu/docker/x/cpu.shares",
		"cpu/docker/x/cpu.cfs_quota_us",
		"cpu/docker/x/cpu.cfs_period_us",
		"cpuset/docker/x/cpuset.cpus",
		"pids/docker/x/pids.max",
		"devices/docker/x/devices.allow",
		"devices/docker/x/devices.deny",
		"blkio/docker/x/blkio.throttle.read_bps_device",
		"blkio/docker/x/blkio.weight",
	};
	autotmpdir struct tmpdir dir = tmpdir_new();
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	const int64_t memory = 1 << 20, swap = 2 << 20, quota = 50000, pids = -1;
	const uint64_t shares = 512, period = 100000;
	const struct cgroup_device_rule rules[] = {{false, 'a', -1, -1, true, true, true},
						   {true, 'c', 136, -1, true, true, false}};
	const struct cgroup_device_rate rate = {'r', 8, 16, 1000};
	struct cgroup_resources res = {.memory_limit = &memory,
				       .memory_swap = &swap,
				       .memory_reservation = &memory,
				       .cpu_shares = &shares,
				       .cpu_period = &period,
				       .cpu_quota = &quota,
				       .cpuset_cpus = "0-1",
				       .pids_limit = &pids,
				       .io_weight = 300,
				       .io_rates = &rate,
				       .io_rate_count = 1,
				       .devices = rules,
				       .device_count = 2};
	const uint32_t class_id = 7;
	struct error err = {0};

	(void)state;
	make_v1(&dir, &layout, &cg);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		put(dir.fd, files[i], "");
	if (cgroup_apply(cg, &res, &err) < 0)
		fail_msg("%s", error_msg(&err));
	check(dir.fd, files[0], "1048576");
	check(dir.fd, files[1], "2097152");
	check(dir.fd, files[2], "1048576");
	check(dir.fd, files[3], "512");
	check(dir.fd, files[4], "50000");
	check(dir.fd, files[5], "100000");
	check(dir.fd, files[6], "0-1");
	check(dir.fd, files[7], "max");
	check(dir.fd, files[8], "c 136:* rw");
	check(dir.fd, files[9], "a");
	check(dir.fd, files[10], "8:16 1000");
	check(dir.fd, files[11], "300");
	/* there is no net_cls */
	res = (struct cgroup_resources){.net_class_id = &class_id};
	assert_true(cgroup_apply(cg, &res, &err) < 0);
	assert_int_equal(err.kind, ERROR_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "net_cls"));
	error_done(&err);
	/* nothing asked, nothing written */
	put(dir.fd, files[0], "");
	res = (struct cgroup_resources){0};
	assert_int_equal(cgroup_apply(cg, &res, &err), 0);
	check(dir.fd, files[0], "");
}

static void v1_statistics(void **state)
{
	autotmpdir struct tmpdir dir = tmpdir_new();
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	struct cgroup_stats s;
	uint64_t kills = 0;

	(void)state;
	make_v1(&dir, &layout, &cg);
	put(dir.fd, "memory/docker/x/memory.usage_in_bytes", "4096\n");
	put(dir.fd, "memory/docker/x/memory.max_usage_in_bytes", "8192\n");
	put(dir.fd, "memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n");
	put(dir.fd, "memory/docker/x/memory.stat",
	    "cache 1\nrss 2\ntotal_inactive_file 18446744073709551615\n");
	put(dir.fd, "memory/docker/x/memory.oom_control",
	    "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
	put(dir.fd, "cpuacct/docker/x/cpuacct.usage", "123456789\n");
	put(dir.fd, "cpuacct/docker/x/cpuacct.usage_percpu", "100 200 \n");
	put(dir.fd, "cpu/docker/x/cpu.stat", "nr_periods 5\nnr_throttled 2\nthrottled_time 77\n");
	put(dir.fd, "pids/docker/x/pids.current", "4\n");
	put(dir.fd, "pids/docker/x/pids.max", "max\n");
	put(dir.fd, "blkio/docker/x/blkio.throttle.io_service_bytes_recursive",
	    "8:0 Read 10\n8:0 Write 20\n8:0 Sync 5\n8:16 Read 1\nTotal 31\n");
	put(dir.fd, "blkio/docker/x/blkio.throttle.io_serviced_recursive",
	    "8:0 Read 3\n8:0 Write 4\nTotal 7\n");
	assert_int_equal(cgroup_stats_read(cg, &s, NULL), 0);
	assert_false(s.is_v2);
	assert_int_equal(s.memory_usage, 4096);
	assert_int_equal(s.memory_max_usage, 8192);
	assert_true(s.memory_limit == UINT64_MAX);
	assert_int_equal(s.memory_stat_count, 3);
	assert_string_equal(s.memory_stat[1].name, "rss");
	assert_true(s.memory_stat[2].value == UINT64_MAX);
	assert_int_equal(s.cpu_usage_ns, 123456789);
	assert_int_equal(s.percpu_count, 2);
	assert_int_equal(s.percpu_ns[1], 200);
	assert_int_equal(s.throttled_periods, 2);
	assert_int_equal(s.throttled_ns, 77);
	assert_int_equal(s.pids_current, 4);
	assert_true(s.pids_limit == UINT64_MAX);
	assert_int_equal(s.io_count, 2);
	assert_int_equal(s.io[0].read_bytes, 10);
	assert_int_equal(s.io[0].write_ops, 4);
	cgroup_stats_done(&s);
	assert_int_equal(cgroup_oom_count(cg, &kills, NULL), 0);
	assert_int_equal(kills, 3);
}

static void v2_limits_and_statistics(void **state)
{
	static const char *const files[] = {"x/memory.max", "x/memory.swap.max", "x/cpu.weight",
					    "x/cpu.max",    "x/pids.max",        "x/io.max",
					    "x/memory.low"};
	autotmpdir struct tmpdir dir = tmpdir_new();
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	const int64_t memory = 1 << 20, swap = 3 << 20, quota = 50000, pids = 9, unlimited = -1;
	const uint64_t shares = 1024, period = 100000;
	const struct cgroup_device_rate rate = {'W', 8, 0, 55};
	struct cgroup_resources res = {.memory_limit = &memory,
				       .memory_swap = &swap,
				       .memory_reservation = &memory,
				       .cpu_shares = &shares,
				       .cpu_period = &period,
				       .cpu_quota = &quota,
				       .pids_limit = &pids,
				       .io_rates = &rate,
				       .io_rate_count = 1};
	struct cgroup_stats s;
	struct error err = {0};
	bool frozen = false;
	uint64_t kills;

	(void)state;
	put(dir.fd, "cgroup.controllers", "cpu memory pids io\n");
	put(dir.fd, "cgroup.subtree_control", "");
	assert_int_equal(cgroup_layout_open(dir.fd, &layout, &err), 0);
	assert_int_equal(cgroup_create(layout, "/x", &cg, &err), 0);
	assert_true(cgroup_clone_fd(cg) >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		put(dir.fd, files[i], "");
	if (cgroup_apply(cg, &res, &err) < 0)
		fail_msg("%s", error_msg(&err));
	check(dir.fd, files[0], "1048576");
	check(dir.fd, files[1], "2097152"); /* swap alone */
	check(dir.fd, files[2], "100");     /* the default of both scales */
	check(dir.fd, files[3], "50000 100000");
	check(dir.fd, files[4], "9");
	check(dir.fd, files[5], "8:0 wiops=55");
	check(dir.fd, files[6], "1048576");
	put(dir.fd, files[3], "");
	res = (struct cgroup_resources){.cpu_quota = &unlimited};
	assert_int_equal(cgroup_apply(cg, &res, &err), 0);
	check(dir.fd, files[3], "max"); /* the period stays what it is */
	/* swap alone is counted from the limit that is there */
	put(dir.fd, files[0], "2097152\n");
	res = (struct cgroup_resources){.memory_swap = &swap};
	put(dir.fd, files[1], "");
	assert_int_equal(cgroup_apply(cg, &res, &err), 0);
	check(dir.fd, files[1], "1048576");
	put(dir.fd, files[0], "max\n");
	assert_true(cgroup_apply(cg, &res, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	error_done(&err);

	put(dir.fd, "x/memory.current", "42\n");
	put(dir.fd, "x/memory.max", "max\n");
	put(dir.fd, "x/memory.events", "low 0\nhigh 0\nmax 6\noom 1\noom_kill 2\n");
	put(dir.fd, "x/memory.stat", "anon 7\nfile 8\n");
	put(dir.fd, "x/cpu.stat", "usage_usec 10\nuser_usec 6\nsystem_usec 4\nnr_periods 1\n");
	put(dir.fd, "x/io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n");
	put(dir.fd, "x/cgroup.events", "populated 1\nfrozen 1\n");
	assert_int_equal(cgroup_stats_read(cg, &s, &err), 0);
	assert_true(s.is_v2);
	assert_int_equal(s.memory_usage, 42);
	assert_true(s.memory_limit == UINT64_MAX);
	assert_int_equal(s.memory_failcnt, 6);
	assert_int_equal(s.cpu_usage_ns, 10000);
	assert_int_equal(s.cpu_system_ns, 4000);
	assert_int_equal(s.io_count, 1);
	assert_int_equal(s.io[0].write_ops, 4);
	cgroup_stats_done(&s);
	assert_int_equal(cgroup_oom_count(cg, &kills, &err), 0);
	assert_int_equal(kills, 2);
	assert_int_equal(cgroup_is_frozen(cg, &frozen, &err), 0);
	assert_true(frozen);
}

/* Controllers split over both versions: each limit in the terms of the one that has it. */
static void split_controllers(void **state)
{
	autotmpdir struct tmpdir dir = tmpdir_new();
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	static const char *const dirs[] = {"cpu", "unified"};
	const int64_t memory = 1 << 20, pids = 7;
	const uint64_t shares = 512, swappiness = 10;
	struct cgroup_resources res = {.memory_limit = &memory, .cpu_shares = &shares};
	struct cgroup_stats s;
	struct error err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		assert_int_equal(mkdirat(dir.fd, dirs[i], 0755), 0);
	assert_int_equal(cgroup_layout_open(dir.fd, &layout, &err), 0);
	assert_int_equal(cgroup_layout_mode(layout), CGROUP_MODE_HYBRID);
	assert_int_equal(cgroup_create(layout, "/x", &cg, &err), 0);
	put(dir.fd, "unified/x/cgroup.controllers", "memory io\n");
	put(dir.fd, "unified/x/memory.max", "");
	put(dir.fd, "cpu/x/cpu.shares", "");
	if (cgroup_apply(cg, &res, &err) < 0)
		fail_msg("%s", error_msg(&err));
	check(dir.fd, "unified/x/memory.max", "1048576");
	check(dir.fd, "cpu/x/cpu.shares", "512");
	put(dir.fd, "unified/x/memory.current", "77\n");
	put(dir.fd, "cpu/x/cpu.stat", "nr_throttled 3\n");
	assert_int_equal(cgroup_stats_read(cg, &s, &err), 0);
	assert_int_equal(s.memory_usage, 77);
	assert_int_equal(s.throttled_periods, 3);
	cgroup_stats_done(&s);

	res = (struct cgroup_resources){.pids_limit = &pids};
	assert_true(cgroup_apply(cg, &res, &err) < 0);
	assert_int_equal(err.kind, ERROR_UNAVAILABLE);
	assert_string_equal(err.msg, "pids.limit: cgroup controller 'pids' is not available");
	error_done(&err);
	res = (struct cgroup_resources){.memory_swappiness = &swappiness};
	assert_true(cgroup_apply(cg, &res, &err) < 0);
	assert_non_null(strstr(err.msg, "memory.swappiness: "));
	error_done(&err);
}

static void v1_all_statistics(void **state)
{
	autotmpdir struct tmpdir dir = tmpdir_new();
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	struct cgroup_stats s;

	(void)state;
	make_v1(&dir, &layout, &cg);
	put(dir.fd, "memory/docker/x/memory.usage_in_bytes", "4096\n");
	put(dir.fd, "memory/docker/x/memory.stat", "cache 11\nrss 2\n");
	put(dir.fd, "memory/docker/x/memory.memsw.usage_in_bytes", "5000\n");
	put(dir.fd, "memory/docker/x/memory.memsw.limit_in_bytes", "9223372036854771712\n");
	put(dir.fd, "memory/docker/x/memory.oom_control", "oom_kill 4\n");
	put(dir.fd, "cpuacct/docker/x/cpuacct.usage_percpu", "100 200 \n");
	put(dir.fd, "cpuacct/docker/x/cpuacct.usage_all", "cpu user system\n0 60 40\n1 150 50\n");
	put(dir.fd, "cpu/docker/x/cpu.stat", "nr_periods 5\nnr_bursts 2\nburst_time 9\n");
	put(dir.fd, "cpuset/docker/x/cpuset.cpus", "0-2,5\n");
	put(dir.fd, "cpuset/docker/x/cpuset.mem_hardwall", "1\n");
	put(dir.fd, "cpuset/docker/x/cpuset.sched_relax_domain_level", "-1\n");
	put(dir.fd, "blkio/docker/x/blkio.throttle.io_service_bytes_recursive", "Total 0\n");
	put(dir.fd, "blkio/docker/x/blkio.bfq.io_service_bytes_recursive",
	    "8:0 Read 10\n8:0 Discard 3\nTotal 13\n");
	put(dir.fd, "blkio/docker/x/blkio.sectors_recursive", "8:16 99\n");
	put(dir.fd, "unified/docker/x/hugetlb.2MB.current", "1\n");
	put(dir.fd, "unified/docker/x/hugetlb.2MB.rsvd.current", "2097152\n");
	put(dir.fd, "unified/docker/x/hugetlb.2MB.events", "max 6\n");
	put(dir.fd, "unified/docker/x/rdma.current", "mlx hca_handle=2 hca_object=30\n");
	put(dir.fd, "unified/docker/x/rdma.max", "mlx hca_handle=5 hca_object=max\n");
	put(dir.fd, "unified/docker/x/cpu.pressure",
	    "some avg10=1.50 avg60=0.25 avg300=0.00 total=123\n"
	    "full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n");
	assert_int_equal(cgroup_stats_read_all(cg, &s, NULL), 0);
	assert_int_equal(s.memory_cache, 11);
	assert_true(s.swap.present && s.swap.limit == UINT64_MAX);
	assert_int_equal(s.swap.usage, 5000);
	assert_false(s.kernel.present);
	assert_int_equal(s.memory_events.oom_kill, 4);
	assert_int_equal(s.percpu_user_ns[1], 150);
	assert_int_equal(s.percpu_kernel_ns[0], 40);
	assert_int_equal(s.burst_ns, 9);
	assert_int_equal(s.cpuset.cpu_count, 4);
	assert_int_equal(s.cpuset.cpus[3], 5);
	assert_int_equal(s.cpuset.mem_hardwall, 1);
	assert_int_equal(s.cpuset.sched_relax_domain_level, -1);
	assert_int_equal(s.io_tables[CGROUP_IO_SERVICE_BYTES].n, 2);
	assert_string_equal(s.io_tables[CGROUP_IO_SERVICE_BYTES].v[1].op, "Discard");
	assert_int_equal(s.io[0].read_bytes, 10);
	assert_int_equal(s.io_tables[CGROUP_IO_SECTORS].v[0].value, 99);
	assert_string_equal(s.io_tables[CGROUP_IO_SECTORS].v[0].op, "");
	assert_int_equal(s.hugetlb_count, 1);
	assert_string_equal(s.hugetlb[0].page_size, "2MB");
	assert_int_equal(s.hugetlb[0].usage, 2097152);
	assert_int_equal(s.hugetlb[0].failcnt, 6);
	assert_int_equal(s.rdma_count, 1);
	assert_int_equal(s.rdma[0].handles_limit, 5);
	assert_true(s.rdma[0].objects_limit == UINT64_MAX);
	assert_true(s.cpu_psi.present && !s.io_psi.present);
	assert_true(s.cpu_psi.some.avg10 > 1.49 && s.cpu_psi.some.avg10 < 1.51);
	assert_int_equal(s.cpu_psi.full.total_us, 7);
	cgroup_stats_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts),
		cmocka_unit_test(paths_are_checked),
		cmocka_unit_test(create_open_conflict),
		cmocka_unit_test(v1_limits),
		cmocka_unit_test(v1_statistics),
		cmocka_unit_test(v2_limits_and_statistics),
		cmocka_unit_test(split_controllers),
		cmocka_unit_test(v1_all_statistics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
