/* bin/vesseld-options.h - what vesseld is told: dockerd's flags, and daemon.json with dockerd's keys. */
#pragma once

#include <stdbool.h>

#include "base/json.h"
#include "base/str.h"

#define VESSELD_CONFIG_FILE "/etc/vessel/daemon.json" /* read if it is there */
#define VESSELD_DATA_ROOT   "/var/lib/vessel"
#define VESSELD_EXEC_ROOT   "/run/vessel"
#define VESSELD_PIDFILE     "/run/vessel.pid"

struct vesseld_options {
	struct strv hosts; /* owned; empty: the default socket */
	const char *data_root, *exec_root, *pidfile, *config_file, *log_level, *group;
	const char *bridge, *bip, *cgroup_parent, *userns_remap;
	const char *tls_ca, *tls_cert, *tls_key;
	struct strv log_opt_flags;   /* owned: --log-opt k=v */
	const struct json *log_opts; /* object or NULL; lives in `arena` */
	bool debug, tls, tls_verify, ipv6, selinux, version, validate;
	struct arena *arena; /* owned: the strings of the configuration file */
};

/* Command line first, then the file for what it leaves open; the same directive in both is an error,
 * as dockerd has it.  1: help was asked for and written; 0: go on. */
int vesseld_options_parse(int argc, char **argv, struct vesseld_options *ret, struct error *err);
void vesseld_options_done(struct vesseld_options *o);
