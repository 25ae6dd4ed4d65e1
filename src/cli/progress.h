/* cli/progress.h - a stream of progress on the terminal: one line a layer, with bars, as Docker draws them. */
#pragma once

#include <stdio.h>

#include "cli/cli.h"

struct http_response;

struct progress_args {
	FILE *out;
	bool quiet; /* only errors matter */
	/* A line's "aux", or NULL. */
	void (*aux)(void *data, const struct json *aux);
	void *data;
};

/* Until the stream ends.  An error in band is this call's. */
int progress_show(struct cli *cli, struct http_response *response, const struct progress_args *args,
		  struct error *err);
