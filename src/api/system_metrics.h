/* api/system_metrics.h - what the engine counts, for Prometheus, and the requests in progress.
 *
 * The counters are the process's.  Names beginning with engine_daemon_ are dockerd's; vessel_ are ours.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/str.h"

struct api_route;
struct engine;
struct http_request;

/* A handler that runs: on its caller's stack, listed meanwhile.  Any thread. */
struct metrics_call {
	struct metrics_call *next, *prev;
	const struct api_route *route;
	int64_t start_ns; /* monotonic */
	pid_t thread;
	char what[160]; /* method and path, cut */
};
void metrics_begin(struct metrics_call *m, const struct api_route *route,
		   const struct http_request *req);
void metrics_end(struct metrics_call *m, bool failed);

/* [loop] The whole page, in Prometheus' text format 0.0.4. */
void metrics_write(struct engine *e, struct strbuf *out);
/* The requests in progress, a line each. */
void metrics_dump(struct strbuf *out);
