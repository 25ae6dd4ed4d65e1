/* bin/vesseld-options.h - the command line and the file of vesseld, as documents for the settings. */
#pragma once

#include <stdbool.h>

#include "engine/settings.h"

#define VESSELD_CONFIG_FILE        "/etc/vessel/daemon.json" /* read if it is there */
#define VESSELD_DOCKER_CONFIG_FILE "/etc/docker/daemon.json" /* with --replace-docker */

struct vesseld_options {
	const char *config_file; /* NULL: the usual one, if it is there */
	bool replace_docker;     /* take dockerd's socket, group and file over */
	bool validate, version;
	bool list_settings;        /* write the table for the documentation */
	const struct json *flags;  /* settings of the command line; lives in `arena` */
	struct settings *settings; /* owned until taken */
	struct arena *arena;       /* owned */
};

/* Command line first, then the file for what it leaves open; the same directive in both is an error,
 * as dockerd has it.  1: help was asked for and written; 0: go on. */
int vesseld_options_parse(int argc, char **argv, struct vesseld_options *ret, struct error *err);
/* Read the file again, with the same command line. */
int vesseld_options_reload(const struct vesseld_options *o, const struct settings *now,
			   struct settings **ret, struct error *err);
/* The table of settings, as Markdown on standard output. */
void vesseld_options_list(void);
void vesseld_options_done(struct vesseld_options *o);
