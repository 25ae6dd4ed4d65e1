/* The flags of `create` and `run`. */
#include "cli/container_options.h"
#include "cli/gpus.h"
#include "cli/mounts.h"
#include "cli/networks.h"

#define F(name, type, member, help)     FLAG(struct container_options, name, 0, type, member, help)
#define FS(name, c, type, member, help) FLAG(struct container_options, name, c, type, member, help)
/* Lists whose items have a grammar. */
#define FC(name, c, member, check, help) \
	FLAG_CHECKED(struct container_options, name, c, FLAG_LIST, member, check, help)

/* Names that Docker once gave, and still takes. */
#define FOLD(name_, type_, member_, help_)                                              \
	{                                                                               \
		.name = (name_), .type = (type_),                                       \
		.offset = offsetof(struct container_options, member_), .help = (help_), \
		.hidden = true                                                          \
	}

/* One list for both tables: run's has a few more rows in front. */
#define COMMON_FLAGS                                                                               \
	FC("add-host", 0, add_host, container_check_host,                                          \
	   "Add a custom host-to-IP mapping (host:ip)"),                                           \
		F("annotation", FLAG_LIST, annotations, "Add an annotation to the container"),     \
		FS("attach", 'a', FLAG_LIST, attach, "Attach to STDIN, STDOUT or STDERR"),         \
		F("blkio-weight", FLAG_U16, blkio_weight,                                          \
		  "Block IO weight, 10 to 1000, or 0 to disable"),                                 \
		F("blkio-weight-device", FLAG_LIST, blkio_weight_device,                           \
		  "Block IO weight of a device"),                                                  \
		F("cap-add", FLAG_LIST, cap_add, "Add Linux capabilities"),                        \
		F("cap-drop", FLAG_LIST, cap_drop, "Drop Linux capabilities"),                     \
		F("cgroup-parent", FLAG_STRING, cgroup_parent, "Parent cgroup for the container"), \
		F("cgroupns", FLAG_STRING, cgroupns, "Cgroup namespace to use (host|private)"),    \
		F("cidfile", FLAG_STRING, cidfile, "Write the container ID to the file"),          \
		F("cpu-count", FLAG_I64, cpu_count, "CPU count (Windows only)"),                   \
		F("cpu-percent", FLAG_I64, cpu_percent, "CPU percent (Windows only)"),             \
		F("cpu-period", FLAG_I64, cpu_period, "Limit CPU CFS period (us)"),                \
		F("cpu-quota", FLAG_I64, cpu_quota, "Limit CPU CFS quota (us)"),                   \
		F("cpu-rt-period", FLAG_I64, cpu_rt_period, "Limit CPU real-time period (us)"),    \
		F("cpu-rt-runtime", FLAG_I64, cpu_rt_runtime, "Limit CPU real-time runtime (us)"), \
		FS("cpu-shares", 'c', FLAG_I64, cpu_shares, "CPU shares (relative weight)"),       \
		F("cpus", FLAG_CPUS, cpus, "Number of CPUs"),                                      \
		F("cpuset-cpus", FLAG_STRING, cpuset_cpus,                                         \
		  "CPUs in which to allow execution (0-3, 0,1)"),                                  \
		F("cpuset-mems", FLAG_STRING, cpuset_mems,                                         \
		  "MEMs in which to allow execution (0-3, 0,1)"),                                  \
		F("device", FLAG_LIST, device, "Add a host device to the container"),              \
		F("device-cgroup-rule", FLAG_LIST, device_cgroup_rule,                             \
		  "Add a device cgroup rule"),                                                     \
		F("device-read-bps", FLAG_LIST, device_read_bps, "Limit read rate from a device"), \
		F("device-read-iops", FLAG_LIST, device_read_iops,                                 \
		  "Limit read IO/s from a device"),                                                \
		F("device-write-bps", FLAG_LIST, device_write_bps,                                 \
		  "Limit write rate to a device"),                                                 \
		F("device-write-iops", FLAG_LIST, device_write_iops,                               \
		  "Limit write IO/s to a device"),                                                 \
		F("disable-content-trust", FLAG_BOOL, disable_content_trust,                       \
		  "Skip image verification (default true)"),                                       \
		F("dns", FLAG_LIST, dns, "Set custom DNS servers"),                                \
		FOLD("dns-opt", FLAG_LIST, dns_option, "Set DNS options"),                         \
		F("dns-option", FLAG_LIST, dns_option, "Set DNS options"),                         \
		F("dns-search", FLAG_LIST, dns_search, "Set custom DNS search domains"),           \
		F("domainname", FLAG_STRING, domainname, "Container NIS domain name"),             \
		F("entrypoint", FLAG_STRING, entrypoint,                                           \
		  "Overwrite the default ENTRYPOINT of the image"),                                \
		FC("env", 'e', env, container_check_env, "Set environment variables"),             \
		F("env-file", FLAG_LIST, env_file, "Read in a file of environment variables"),     \
		F("expose", FLAG_LIST, expose, "Expose a port or a range of ports"),               \
		{.name = "gpus",                                                                   \
		 .type = FLAG_LIST,                                                                \
		 .offset = offsetof(struct container_options, gpus),                               \
		 .help = "GPU devices to add to the container ('all' to pass all GPUs)",           \
		 .placeholder = "gpu-request",                                                     \
		 .check = gpus_check},                                                             \
		F("group-add", FLAG_LIST, group_add, "Add additional groups to join"),             \
		F("health-cmd", FLAG_STRING, health_cmd, "Command to run to check health"),        \
		F("health-interval", FLAG_DURATION, health_interval,                               \
		  "Time between running the check"),                                               \
		F("health-retries", FLAG_INT, health_retries,                                      \
		  "Consecutive failures to report unhealthy"),                                     \
		F("health-start-interval", FLAG_DURATION, health_start_interval,                   \
		  "Time between checks during the start period"),                                  \
		F("health-start-period", FLAG_DURATION, health_start_period,                       \
		  "Start period before failures count"),                                           \
		F("health-timeout", FLAG_DURATION, health_timeout, "Maximum time of one check"),   \
		FS("hostname", 'h', FLAG_STRING, hostname, "Container host name"),                 \
		F("init", FLAG_BOOL, init,                                                         \
		  "Run an init that forwards signals and reaps processes"),                        \
		FS("interactive", 'i', FLAG_BOOL, interactive,                                     \
		   "Keep STDIN open even if not attached"),                                        \
		F("io-maxbandwidth", FLAG_BYTES, io_max_bandwidth,                                 \
		  "Maximum IO bandwidth limit for the system drive (Windows only)"),               \
		F("io-maxiops", FLAG_I64, io_max_iops,                                             \
		  "Maximum IOps limit for the system drive (Windows only)"),                       \
		F("ip", FLAG_STRING, ip, "IPv4 address"),                                          \
		F("ip6", FLAG_STRING, ip6, "IPv6 address"),                                        \
		F("ipc", FLAG_STRING, ipc, "IPC mode to use"),                                     \
		F("isolation", FLAG_STRING, isolation, "Container isolation technology"),          \
		F("kernel-memory", FLAG_BYTES, kernel_memory, "Kernel memory limit"),              \
		FC("label", 'l', label, container_check_label, "Set meta data on a container"),    \
		F("label-file", FLAG_LIST, label_file, "Read in a line delimited file of labels"), \
		F("link", FLAG_LIST, link, "Add link to another container"),                       \
		F("link-local-ip", FLAG_LIST, link_local_ip,                                       \
		  "Container IPv4/IPv6 link-local addresses"),                                     \
		F("log-driver", FLAG_STRING, log_driver, "Logging driver for the container"),      \
		F("log-opt", FLAG_LIST, log_opt, "Log driver options"),                            \
		F("mac-address", FLAG_STRING, mac_address, "Container MAC address"),               \
		FS("memory", 'm', FLAG_BYTES, memory, "Memory limit"),                             \
		F("memory-reservation", FLAG_BYTES, memory_reservation, "Memory soft limit"),      \
		F("memory-swap", FLAG_BYTES, memory_swap, "Memory plus swap; -1: unlimited swap"), \
		F("memory-swappiness", FLAG_I64, memory_swappiness,                                \
		  "Tune memory swappiness (0 to 100)"),                                            \
		FC("mount", 0, mount, mounts_check, "Attach a filesystem mount to the container"), \
		F("name", FLAG_STRING, name, "Assign a name to the container"),                    \
		FC("network", 0, network, networks_check, "Connect a container to a network"),     \
		{.name = "net",                                                                    \
		 .type = FLAG_LIST,                                                                \
		 .offset = offsetof(struct container_options, network),                            \
		 .help = "Connect a container to a network",                                       \
		 .check = networks_check,                                                          \
		 .hidden = true},                                                                  \
		FOLD("net-alias", FLAG_LIST, network_alias, "Add network-scoped alias"),           \
		F("network-alias", FLAG_LIST, network_alias, "Add network-scoped alias"),          \
		F("no-healthcheck", FLAG_BOOL, no_healthcheck,                                     \
		  "Disable any HEALTHCHECK of the image"),                                         \
		F("oom-kill-disable", FLAG_BOOL, oom_kill_disable, "Disable OOM Killer"),          \
		F("oom-score-adj", FLAG_INT, oom_score_adj,                                        \
		  "Tune OOM preferences (-1000 to 1000)"),                                         \
		F("pid", FLAG_STRING, pid, "PID namespace to use"),                                \
		F("pids-limit", FLAG_I64, pids_limit, "Tune pids limit (-1 for unlimited)"),       \
		F("platform", FLAG_STRING, platform, "Set platform"),                              \
		F("privileged", FLAG_BOOL, privileged,                                             \
		  "Give extended privileges to this container"),                                   \
		FS("publish", 'p', FLAG_LIST, publish,                                             \
		   "Publish a container's port(s) to the host"),                                   \
		FS("publish-all", 'P', FLAG_BOOL, publish_all, "Publish all exposed ports"),       \
		F("pull", FLAG_STRING, pull, "Pull image before creating (always|missing|never)"), \
		FS("quiet", 'q', FLAG_BOOL, quiet, "Suppress the pull output"),                    \
		F("read-only", FLAG_BOOL, read_only,                                               \
		  "Mount the container's root filesystem read only"),                              \
		F("restart", FLAG_STRING, restart, "Restart policy when a container exits"),       \
		F("rm", FLAG_BOOL, rm, "Remove the container when it exits"),                      \
		F("runtime", FLAG_STRING, runtime, "Runtime to use for this container"),           \
		F("security-opt", FLAG_LIST, security_opt, "Security Options"),                    \
		F("shm-size", FLAG_BYTES, shm_size, "Size of /dev/shm"),                           \
		F("stop-signal", FLAG_STRING, stop_signal, "Signal to stop the container"),        \
		F("stop-timeout", FLAG_INT, stop_timeout,                                          \
		  "Timeout (in seconds) to stop a container"),                                     \
		F("storage-opt", FLAG_LIST, storage_opt, "Storage driver options"),                \
		F("sysctl", FLAG_LIST, sysctl, "Sysctl options"),                                  \
		F("time-offset", FLAG_LIST, time_offset,                                           \
		  "Shift the clocks: [monotonic=|boottime=]DURATION"),                             \
		F("tmpfs", FLAG_LIST, tmpfs, "Mount a tmpfs directory"),                           \
		FS("tty", 't', FLAG_BOOL, tty, "Allocate a pseudo-TTY"),                           \
		FC("ulimit", 0, ulimit, container_check_ulimit, "Ulimit options"),                 \
		FS("user", 'u', FLAG_STRING, user,                                                 \
		   "Username or UID (format: <name|uid>[:<group|gid>])"),                          \
		F("userns", FLAG_STRING, userns, "User namespace to use"),                         \
		F("uts", FLAG_STRING, uts, "UTS namespace to use"),                                \
		FS("volume", 'v', FLAG_LIST, volume, "Bind mount a volume"),                       \
		F("volume-driver", FLAG_STRING, volume_driver, "Volume driver for the container"), \
		F("volumes-from", FLAG_LIST, volumes_from, "Mount volumes from the container(s)"), \
		FS("workdir", 'w', FLAG_STRING, workdir,                                           \
		   "Working directory inside the container"),                                      \
	{                                                                                          \
		0                                                                                  \
	}

const struct flag container_flags[] = {COMMON_FLAGS};

const struct flag container_run_flags[] = {
	FS("detach", 'd', FLAG_BOOL, detach, "Run container in background and print container ID"),
	F("detach-keys", FLAG_STRING, detach_keys, "Override the key sequence for detaching"),
	F("sig-proxy", FLAG_BOOL, sig_proxy,
	  "Proxy received signals to the process (default true)"),
	COMMON_FLAGS,
};
