/* api/router.h - the table of routes, and what of a path leads where. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct api_call;
struct error;

enum api_mode {
	API_LOOP,            /* at once, on the loop: must be quick, never on the disk */
	API_LOOP_BUFFERED,   /* the body is read first */
	API_WORKER,          /* on a worker, which reads the body itself */
	API_WORKER_BUFFERED, /* the body is read first */
};

struct api_route {
	const char *method;
	const char *pattern; /* "/containers/{}/json"; {*}: may contain slashes */
	int (*fn)(struct api_call *c, struct error *err); /* NULL: known, not there yet */
	enum api_mode mode;
};

extern const struct api_route api_routes[];
extern const size_t api_route_count;

/* The route of a method and a path without version; NULL if there is none.  params[]: what the
 * braces stand for, allocated by `alloc` (an arena). */
struct arena;
const struct api_route *router_find(struct arena *a, const char *method, const char *path,
				    const char *params[2]);

/* "/v1.44/info" -> 144 and "/info"; without a version: the newest, and path itself.
 * ERROR_INVALID with Docker's texts for one that is too old or too new. */
int router_version(const char *path, unsigned *ret_version, const char **ret_rest,
		   struct error *err);
