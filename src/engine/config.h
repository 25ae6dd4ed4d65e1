/* engine/config.h - Docker's container configuration: decoded, validated, written back.
 *
 * The JSON is Docker's (Engine API, ContainerConfig, HostConfig, NetworkingConfig); everything decoded
 * lives in one arena.  Fields that are not there yet are refused with ERROR_NOT_IMPLEMENTED naming
 * the field, unless they hold zero, null or their default.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/json_decode.h"
#include "base/str.h"

struct config_port { /* "80/tcp" */
	uint16_t port;
	const char *proto; /* "tcp", "udp", "sctp" */
};

struct config_binding { /* one PortBindings entry, ranges resolved */
	struct config_port container;
	const char *host_ip;               /* "" for both families' any */
	uint16_t host_port, host_port_end; /* 0: pick one; end = start unless a range */
};

struct config_healthcheck {
	struct json_strings test;
	int64_t interval, timeout, start_period, start_interval; /* ns */
	int retries;
};

struct container_config {
	const char *hostname, *domainname, *user, *image, *working_dir, *stop_signal, *mac_address;
	bool attach_stdin, attach_stdout, attach_stderr, tty, open_stdin, stdin_once, args_escaped;
	bool network_disabled;
	struct json_strings env, cmd, entrypoint, on_build, shell;
	const struct json *exposed_ports, *volumes, *labels; /* objects or NULL */
	const struct config_healthcheck *healthcheck;
	const int *stop_timeout; /* seconds */
};

struct config_ulimit {
	const char *name;
	int64_t soft, hard; /* -1: unlimited */
};
struct config_device {
	const char *path_on_host, *path_in_container, *permissions;
};
struct config_device_request { /* --gpus, and --device of the Container Device Interface */
	const char *driver;
	int64_t count; /* -1: all */
	struct json_strings device_ids;
	const struct json *capabilities; /* array of arrays of strings, or NULL */
	struct json_string_map options;
};
struct config_mount { /* a Mounts entry */
	const char *type, *source, *target, *consistency;
	bool read_only;
	const struct json *bind_options, *volume_options, *tmpfs_options, *image_options;
};
struct config_restart {
	const char *name; /* "", "no", "always", "unless-stopped", "on-failure" */
	int max_retries;
};
struct config_log {
	const char *type;
	struct json_string_map config;
};
struct config_throttle {
	const char *path;
	uint64_t rate;
};
struct config_weight_device {
	const char *path;
	uint16_t weight;
};

struct host_config {
	struct json_strings binds, cap_add, cap_drop, dns, dns_options, dns_search, extra_hosts,
		group_add, security_opt, masked_paths, readonly_paths, links, volumes_from,
		device_cgroup_rules;
	const char *container_id_file, *network_mode, *ipc_mode, *pid_mode, *uts_mode, *userns_mode,
		*cgroupns_mode, *cgroup_parent, *runtime, *isolation, *volume_driver;
	struct json_objects mounts; /* struct config_mount */
	struct json_string_map tmpfs, sysctls, storage_opt, annotations;
	const struct json *port_bindings; /* PortBindings as they came, or NULL */
	struct config_binding *bindings;  /* the same, parsed */
	size_t binding_count;
	bool publish_all_ports, privileged, readonly_rootfs, auto_remove;
	const bool *init, *oom_kill_disable;
	struct config_restart restart;
	struct config_log log;
	struct json_objects ulimits;         /* struct config_ulimit */
	struct json_objects devices;         /* struct config_device */
	struct json_objects device_requests; /* struct config_device_request */
	int oom_score_adj;
	int64_t shm_size;
	unsigned console_rows, console_cols; /* ConsoleSize [h, w] */
	/* Resources */
	int64_t memory, memory_reservation, memory_swap, kernel_memory, nano_cpus, cpu_period,
		cpu_quota, cpu_rt_period, cpu_rt_runtime, cpu_shares;
	const int64_t *memory_swappiness, *pids_limit;
	const char *cpuset_cpus, *cpuset_mems;
	uint16_t blkio_weight;
	struct json_objects blkio_weight_device; /* struct config_weight_device */
	struct json_objects read_bps, write_bps, read_iops, write_iops; /* struct config_throttle */
};

struct config_endpoint { /* NetworkingConfig.EndpointsConfig[name] */
	const char *network;
	const char *ipv4, *ipv6; /* IPAMConfig, or NULL */
	const char *mac_address;
	struct json_strings aliases, links;
	const struct json *driver_opts;
	int gw_priority;
};

/* A volume that a container mounts, or a bind that it has from another one (--volumes-from): resolved at
 * create from Binds, Mounts, VolumesFrom and Volumes. */
struct config_point {
	const char *volume; /* name; "": a bind */
	const char *source; /* of a bind */
	const char *target, *mode, *subpath;
	bool read_only, nocopy;
	bool anonymous; /* goes with the container when asked to */
	bool inherited; /* another container's */
};

struct container_spec {
	struct arena *arena; /* owned: all of the below */
	struct container_config config;
	struct host_config host;
	struct config_endpoint *endpoints; /* changed by connect and disconnect, on the loop */
	size_t endpoint_count;
	struct config_point *points;
	size_t point_count;
	bool points_settled;     /* they are resolved */
	bool endpoints_settled;  /* NetworkMode's is among them, or was disconnected */
	const struct json *body; /* the document that it was decoded from */
};

/* Decode and validate a create body; `body` may live in another arena (it is copied).
 * ERROR_INVALID names the field; ERROR_NOT_IMPLEMENTED what is not there yet; ERROR_NOT_FOUND a
 * network.  Warnings that Docker gives are appended to *warnings (may be NULL).  Looks at the disk
 * (sources of bind mounts), so it belongs on a worker. */
int container_spec_new(const struct json *body, unsigned api_version, struct container_spec **ret,
		       struct strv *warnings, struct error *err);
/* From a stored document: no validation of what is implemented. */
int container_spec_load(const char *text, size_t len, struct container_spec **ret,
			struct error *err);
/* The daemon's defaults for what a create left open. */
struct settings;
void container_spec_apply(struct container_spec *s, const struct settings *d);
/* Merge the image's Config object (Env, Cmd, Entrypoint, User, WorkingDir, Labels, ExposedPorts,
 * Volumes, StopSignal, Healthcheck) as Docker does, then fill the defaults of create.  The hostname
 * stays "" unless given: its default needs the container's id.  `image_config` (may be NULL or
 * null) is copied. */
int container_spec_merge_image(struct container_spec *s, const struct json *image_config,
			       struct error *err);
/* One EndpointSettings object into s->arena.  [loop, for a container's spec] */
int container_spec_endpoint(struct container_spec *s, const char *network, const struct json *v,
			    struct config_endpoint *ret, struct error *err);
/* The stored document, of everything that the structs hold now. */
void container_spec_write(const struct container_spec *s, struct json_writer *w);
struct container_spec *container_spec_free(struct container_spec *s);
DEFINE_CLEANUP(struct container_spec, container_spec_free);
#define autospec __attribute__((cleanup(container_spec_freep_)))

/* Members only ("Hostname":...,), as inspect and ps show them; versions shape the answer. */
void container_config_write(const struct container_config *c, unsigned api_version,
			    struct json_writer *w);
void host_config_write(const struct host_config *h, unsigned api_version, struct json_writer *w);

/* A Binds entry, "source:target[:mode]". */
struct config_bind {
	const char *source, *target; /* source: absolute path, or the name of a volume */
	bool is_volume, read_only, nocopy;
	const char *propagation; /* "rprivate", "shared", ... or "" */
	const char *relabel;     /* "z", "Z" or "" */
	const char *mode;        /* as written, "" if none */
};
/* Strings of *ret live in `a`.  ERROR_INVALID with Docker's texts. */
int config_bind_parse(struct arena *a, const char *text, struct config_bind *ret,
		      struct error *err);

enum config_label {
	CONFIG_LABEL_USER,
	CONFIG_LABEL_ROLE,
	CONFIG_LABEL_TYPE,
	CONFIG_LABEL_LEVEL,
	CONFIG_LABEL_FILETYPE,
	CONFIG_LABEL_COUNT,
};

/* The SecurityOpt list taken apart. */
struct config_security {
	bool no_new_privileges;
	const char *
		seccomp; /* NULL: default profile; "unconfined", "builtin"; else a profile's JSON */
	const char *apparmor;  /* NULL: default profile; "unconfined"; a profile's name */
	bool unconfined_paths; /* systempaths=unconfined */
	bool has_label;        /* any label= */
	bool label_disable;
	const char *label[CONFIG_LABEL_COUNT]; /* NULL: the policy's */
};
/* Strings are borrowed from `opts`. */
int config_security_parse(const struct json_strings *opts, struct config_security *ret,
			  struct error *err);

/* "container:REF" -> REF; else NULL.  For NetworkMode, IpcMode, PidMode. */
const char *config_mode_container(const char *mode);
/* StorageOpt's size in bytes; 0: none.  ERROR_INVALID for other options. */
int config_storage_size(const struct host_config *h, uint64_t *ret, struct error *err);

struct exec_config {
	struct arena *arena; /* owned */
	bool attach_stdin, attach_stdout, attach_stderr, tty, privileged, detach;
	const char *user, *working_dir, *detach_keys;
	struct json_strings env, cmd;
	unsigned rows, cols;
};
/* Docker's ExecConfig, decoded and validated: "No exec command specified". */
int exec_config_new(const struct json *body, struct exec_config **ret, struct error *err);
/* The same as a document, for the row and for GET /exec/ID/json. */
void exec_config_write(const struct exec_config *c, struct json_writer *w);
struct exec_config *exec_config_free(struct exec_config *c);
DEFINE_CLEANUP(struct exec_config, exec_config_free);
#define autoexecconfig __attribute__((cleanup(exec_config_freep_)))
