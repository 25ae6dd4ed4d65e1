/* cli/pull.h - an image is fetched: by `pull`, and by `run` and `create` where it is missing. */
#pragma once

#include <stdio.h>

#include "cli/cli.h"

struct pull_args {
	const char *image, *platform; /* platform may be NULL */
	bool all_tags;
	bool quiet;
	bool says_tag; /* "Using default tag: latest" */
	FILE *out;
};
int pull_image(struct cli *cli, const struct pull_args *args, struct error *err);
