/* engine/settings.h - what the daemon was told: dockerd's flags and the keys of daemon.json, typed.
 *
 * One table says of every key of Docker 28 its flag, its type, its default, whether a reload changes
 * it, and whether this engine has it.  A key that is not there yet is accepted with its default only;
 * one that chooses between what comes to the same here is accepted, and says why (`inert`).
 *
 * A struct settings never changes once it is made, and lives as long as the process: a reload makes
 * another one (engine_settings() gives the newest, in any thread).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/json_decode.h"

struct trust_policy;

struct settings {
	/* the process */
	const char *data_root, *exec_root, *pidfile, *group, *log_level, *log_format, *metrics_addr;
	const char *tls_ca, *tls_cert, *tls_key;
	struct json_strings hosts, labels;
	bool debug, experimental, tls, tls_verify;
	const struct json *features; /* object of true and false, or NULL */
	/* images: for pulls and pushes */
	struct json_strings registry_mirrors, insecure_registries;
	int max_concurrent_downloads, max_concurrent_uploads, max_download_attempts;
	const char *http_proxy, *https_proxy, *no_proxy;
	const struct json *signature_policy; /* registry/trust.h; or NULL */
	struct trust_policy *trust;          /* owned: the same with its keys, as they were then */
	const char *storage_driver;
	struct json_strings storage_opts; /* "overlay2.size=SIZE" */
	const char *layer_format;         /* "": auto */
	/* containers' defaults */
	const char *log_driver;
	const struct json *log_opts; /* object of strings or NULL */
	const char *default_runtime;
	const struct json *runtimes; /* name: {path, runtimeArgs, runtimeType, options}; or NULL */
	const struct json *default_ulimits; /* name: {Name, Soft, Hard}; or NULL */
	const char *cgroup_parent, *seccomp_profile, *userns_remap;
	const char *ipc_mode, *cgroupns_mode; /* "": this engine's default */
	struct json_strings exec_opts, cdi_spec_dirs;
	int64_t shm_size; /* bytes */
	bool init, no_new_privileges, selinux;
	const char *init_path;
	/* networks */
	const char *bridge, *bip, *bip6, *fixed_cidr, *fixed_cidr6, *host_ip;
	const struct json *address_pools;        /* array of {base, size}; or NULL */
	const struct json *default_network_opts; /* driver: {option: value}; or NULL */
	struct json_strings host_gateway_ips;
	struct json_strings dns, dns_opts, dns_search;
	int mtu;
	bool icc, ipv6, ip_forward, ip_masq;
	struct arena *arena;              /* owned: all of the above */
	const struct json *const *values; /* by row of the table: what was given, or NULL */
};

enum setting_type {
	SETTING_STRING,
	SETTING_BOOL,
	SETTING_INT,      /* int */
	SETTING_BYTES,    /* int64_t: a number, or a string as "64m" */
	SETTING_LIST,     /* struct json_strings */
	SETTING_MAP,      /* of strings */
	SETTING_BOOLS,    /* map of true and false; --feature NAME[=BOOL] */
	SETTING_MAPS,     /* map of maps of strings; --default-network-opt DRIVER=KEY=VALUE */
	SETTING_RUNTIMES, /* --add-runtime NAME=PATH */
	SETTING_ULIMITS,  /* --default-ulimit NAME=SOFT[:HARD] */
	SETTING_POOLS,    /* --default-address-pool base=CIDR,size=BITS */
	SETTING_OBJECT,   /* in the file only */
	SETTING_TYPE_COUNT,
};

enum setting_flags {
	SETTING_RELOADABLE = 1,
	SETTING_MERGED = 2, /* flag and file add up */
	SETTING_HIDDEN = 4, /* not in --help, as in dockerd's */
};

struct setting {
	const char *key;  /* in daemon.json; NULL ends the table */
	const char *flag; /* long name; NULL: the file's only */
	char shorthand;
	enum setting_type type;
	unsigned flags;
	int offset;           /* in struct settings; < 0: nothing of it is there */
	const char *fallback; /* JSON; NULL: false, 0, empty */
	int (*check)(const struct json *v, struct error *err); /* or NULL */
	const char *help;                                      /* NULL unless it has a flag */
	const char *inert; /* of an absent one: any value is accepted, because ...; or NULL */
};
extern const struct setting settings_table[];

#define SETTINGS_MAX 128 /* rows */

/* Of storage-opts, bytes; 0: unlimited. */
uint64_t settings_storage_size(const struct settings *s);

/* Where a value comes from: documents with the file's keys, those of "proxies" one level up. */
struct settings_source {
	const struct json *flags; /* or NULL */
	const struct json *file;  /* or NULL */
};

/* ERROR_INVALID in Docker's words: "the following directives don't match any configuration option:
 * ...", "the following directives are specified both as a flag and in the configuration file: ...";
 * ERROR_NOT_IMPLEMENTED naming the key.  The documents are copied. */
int settings_new(const struct settings_source *source, struct settings **ret, struct error *err);
/* A reload: `fresh` with all that cannot be changed as it is in `now`.  Names what differs in
 * *ret_kept (may be NULL). */
int settings_reload(const struct settings *now, const struct settings *fresh, struct settings **ret,
		    struct strbuf *ret_kept, struct error *err);
struct settings *settings_free(struct settings *s); /* accepts NULL */
DEFINE_CLEANUP(struct settings, settings_free);
#define autosettings __attribute__((cleanup(settings_freep_)))

/* The value of row i as JSON: what was given, else the default. */
void settings_write(const struct settings *s, size_t i, struct json_writer *w);

bool settings_feature(const struct settings *s, const char *name);
/* exec-opts' "native.cgroupdriver", "cgroupfs" without it. */
const char *settings_cgroup_driver(const struct settings *s);
