/* update: new limits and another restart policy for containers. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"

#define BODY_MAX 65536

struct update_options {
	uint16_t blkio_weight;
	int64_t cpu_period, cpu_quota, cpu_rt_period, cpu_rt_runtime, cpu_shares, cpus, memory,
		memory_reservation, memory_swap, pids_limit;
	const char *cpuset_cpus, *cpuset_mems, *restart;
};

#define F(name, c, type, member, help) FLAG(struct update_options, name, c, type, member, help)
static const struct flag update_flags[] = {
	F("blkio-weight", 0, FLAG_U16, blkio_weight,
	  "Block IO weight, 10 to 1000, or 0 to disable"),
	F("cpu-period", 0, FLAG_I64, cpu_period, "Limit CPU CFS period (us)"),
	F("cpu-quota", 0, FLAG_I64, cpu_quota, "Limit CPU CFS quota (us)"),
	F("cpu-rt-period", 0, FLAG_I64, cpu_rt_period, "Limit CPU real-time period (us)"),
	F("cpu-rt-runtime", 0, FLAG_I64, cpu_rt_runtime, "Limit CPU real-time runtime (us)"),
	F("cpu-shares", 'c', FLAG_I64, cpu_shares, "CPU shares (relative weight)"),
	F("cpus", 0, FLAG_CPUS, cpus, "Number of CPUs"),
	F("cpuset-cpus", 0, FLAG_STRING, cpuset_cpus,
	  "CPUs in which to allow execution (0-3, 0,1)"),
	F("cpuset-mems", 0, FLAG_STRING, cpuset_mems,
	  "MEMs in which to allow execution (0-3, 0,1)"),
	F("memory", 'm', FLAG_BYTES, memory, "Memory limit"),
	F("memory-reservation", 0, FLAG_BYTES, memory_reservation, "Memory soft limit"),
	F("memory-swap", 0, FLAG_BYTES, memory_swap, "Memory plus swap; -1: unlimited swap"),
	F("pids-limit", 0, FLAG_I64, pids_limit, "Tune pids limit (-1 for unlimited)"),
	F("restart", 0, FLAG_STRING, restart, "Restart policy when a container exits"),
	{0},
};
static int write_restart(const char *text, struct json_writer *w, struct error *err)
{
	const char *colon = strchr(text, ':');
	uint64_t n = 0;

	if (colon && (str_parse_u64(colon + 1, &n) < 0 || n > INT32_MAX))
		return error_set(err, ERROR_INVALID, 0,
				 "invalid value \"%s\" for --restart: maximum retry count must be "
				 "an integer",
				 text);
	jw_kobject(w, "RestartPolicy");
	jw_key(w, "Name");
	jw_stringf(w, "%.*s", (int)(colon ? (size_t)(colon - text) : strlen(text)), text);
	jw_kuint(w, "MaximumRetryCount", n);
	jw_object_end(w);
	return 0;
}

static int write_body(const struct invocation *in, struct json_writer *w, struct error *err)
{
	const struct update_options *o = in->options;
	const struct {
		const char *key;
		int64_t value;
	} numbers[] = {
		{"BlkioWeight", o->blkio_weight},
		{"CpuPeriod", o->cpu_period},
		{"CpuQuota", o->cpu_quota},
		{"CpuRealtimePeriod", o->cpu_rt_period},
		{"CpuRealtimeRuntime", o->cpu_rt_runtime},
		{"CpuShares", o->cpu_shares},
		{"NanoCpus", o->cpus},
		{"Memory", o->memory},
		{"MemoryReservation", o->memory_reservation},
		{"MemorySwap", o->memory_swap},
	};
	int r = 0;

	jw_object(w);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (numbers[i].value)
			jw_kint(w, numbers[i].key, numbers[i].value);
	if (!str_empty(o->cpuset_cpus))
		jw_kstring(w, "CpusetCpus", o->cpuset_cpus);
	if (!str_empty(o->cpuset_mems))
		jw_kstring(w, "CpusetMems", o->cpuset_mems);
	if (flags_changed(update_flags, &in->parsed, "pids-limit"))
		jw_kint(w, "PidsLimit", o->pids_limit);
	if (!str_empty(o->restart))
		r = write_restart(o->restart, w, err);
	jw_object_end(w);
	return r;
}

static int cmd_update(struct cli *cli, const struct invocation *in, struct error *err)
{
	autostrbuf struct strbuf body = STRBUF_INIT(BODY_MAX);
	struct json_writer w;
	int failed = 0, r;

	json_writer_init(&w, &body);
	r = write_body(in, &w, err);
	if (r < 0)
		return r;
	for (int i = 0; i < in->parsed.arg_count; i++) {
		const char *name = in->parsed.args[i];
		const struct json *answer, *v;

		r = cli_json(cli, "POST",
			     cli_path(cli, "/containers/%s/update", cli_escape(cli, name)), &body,
			     &answer, err);
		if (r < 0) {
			cli_complain(err);
			error_done(err);
			failed = 1;
			continue;
		}
		(void)puts(name);
		json_array_foreach(v, json_get(answer, "Warnings"))
			(void)fprintf(stderr, "%s\n", json_string(v));
	}
	return failed;
}

const struct command update_commands[] = {
	{.name = "update",
	 .group = "container",
	 .usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	 .help = "Update configuration of one or more containers",
	 .flags = update_flags,
	 .options_size = sizeof(struct update_options),
	 .min_args = 1,
	 .max_args = -1,
	 .run = cmd_update},
	{0},
};
