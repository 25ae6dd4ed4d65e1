/* api/api.h - the Docker Engine API on an engine: routes, decoding, encoding, errors to status.
 *
 *     api_new(engine, &api, &err);
 *     struct http_server_args args = {0};
 *     api_bind(api, &args);
 *     http_server_new(loop, pool, &args, &server, &err);
 *
 * Lifetime: the engine outlives the api, the api outlives every server it is bound to.
 */
#pragma once

#include "base/mem.h"

struct api;
struct engine;
struct error;
struct http_server_args;
struct strbuf;

#define API_VERSION_MAX 151 /* 1.51 */
#define API_VERSION_MIN 124 /* 1.24 */
/* The engine version that clients see: the Docker release whose API this is; docs/api.md. */
#define API_ENGINE_VERSION "28.3.0+vessel" VESSEL_VERSION

/* [before or on the loop] `e` is borrowed. */
int api_new(struct engine *e, struct api **ret, struct error *err);
/* Fill on_request, on_headers, on_error and data. */
void api_bind(struct api *a, struct http_server_args *args);
/* The same for a server of GET /metrics alone. */
void api_bind_metrics(struct api *a, struct http_server_args *args);
/* [loop] For whoever looks for what hangs: requests, containers, operations. */
void api_dump(struct api *a, struct strbuf *out);
struct api *api_free(struct api *a); /* accepts NULL */
DEFINE_CLEANUP(struct api, api_free);
#define autoapi __attribute__((cleanup(api_freep_)))
