/* cli/container_options.h - the flags that `run` and `create` share, and the create body they make. */
#pragma once

#include "cli/cli.h"

struct container_options {
	struct strv add_host, annotations, attach, blkio_weight_device, cap_add, cap_drop, device,
		device_cgroup_rule, device_read_bps, device_read_iops, device_write_bps,
		device_write_iops, dns, dns_option, dns_search, env, env_file, expose, gpus,
		group_add, label, label_file, link, link_local_ip, log_opt, mount, network,
		network_alias, publish, security_opt, storage_opt, sysctl, time_offset, tmpfs,
		ulimit, volume, volumes_from;
	const char *cgroup_parent, *cgroupns, *cidfile, *cpuset_cpus, *cpuset_mems, *domainname,
		*entrypoint, *health_cmd, *hostname, *ip, *ip6, *ipc, *isolation, *log_driver,
		*mac_address, *name, *pid, *platform, *pull, *restart, *runtime, *stop_signal,
		*user, *userns, *uts, *volume_driver, *workdir, *detach_keys;
	bool detach, init, interactive, no_healthcheck, oom_kill_disable, privileged, publish_all,
		disable_content_trust, quiet, read_only, rm, sig_proxy, tty;
	int64_t cpu_period, cpu_quota, cpu_rt_period, cpu_rt_runtime, cpu_shares, cpus, memory,
		memory_reservation, memory_swap, memory_swappiness, pids_limit, shm_size,
		kernel_memory, cpu_count, cpu_percent, io_max_bandwidth, io_max_iops,
		health_interval, health_timeout, health_start_period, health_start_interval;
	int oom_score_adj, stop_timeout, health_retries;
	uint16_t blkio_weight;
};

extern const struct flag container_flags[];     /* create */
extern const struct flag container_run_flags[]; /* run: those and --detach, --sig-proxy, ... */

/* The body of POST /containers/create into *out: args[0] is the image, the rest the command.
 * ERROR_INVALID for grammar that the client checks (-v, -p, --mount, --ulimit, --device, files). */
int container_options_body(struct cli *cli, const struct container_options *o,
			   const struct flags_parsed *parsed, const struct flag *table,
			   struct strbuf *out, struct error *err);
/* The member Env of env files and -e items, the items last; without any, none. */
int container_write_env(const struct strv *files, const struct strv *items, struct json_writer *w,
			struct error *err);
/* Grammar of one value of --env, --label, --ulimit, --add-host. */
int container_check_env(const char *value, struct error *err);
int container_check_label(const char *value, struct error *err);
int container_check_ulimit(const char *value, struct error *err);
int container_check_host(const char *value, struct error *err);
/* Which streams are attached: --attach, or what -d and -i imply. */
struct container_streams {
	bool in, out, errs;
};
struct container_streams container_options_streams(const struct container_options *o);
