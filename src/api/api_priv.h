/* api/api_priv.h - what every resource's file works with: the call, its answers, its parameters. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "engine/engine.h"
#include "http/server.h"
#include "store/stream.h"

#define API_BODY_MAX   ((size_t)4 << 20)  /* bytes of a JSON body */
#define API_ANSWER_MAX ((size_t)64 << 20) /* bytes of a JSON answer */

#define API_TYPE_JSON        "application/json"
#define API_TYPE_RAW         "application/vnd.docker.raw-stream"
#define API_TYPE_MULTIPLEXED "application/vnd.docker.multiplexed-stream"

struct api {
	struct engine *engine;            /* borrowed */
	struct api_websocket *websockets; /* [loop] attach.c */
};

/* One request, in its arena: gone when it is answered in loop mode. */
struct api_call {
	struct api *api;
	struct engine *engine;
	struct http_request *req;
	unsigned version;      /* 151 for 1.51 */
	const char *params[2]; /* what {} in the route's pattern stood for */
	const struct api_route *route;
};

/* Answers and returns 0, or returns negative with *err filled and nothing sent.  After an answer
 * in loop mode the call is gone. */
typedef int (*api_fn)(struct api_call *c, struct error *err);

/* Run fn for this call: on a worker, or (from a worker, after it returned) on the loop. */
void api_to_worker(struct api_call *c, api_fn fn);

/* Run fn on the loop's thread and wait: how a worker looks at the engine's state. */
int api_on_loop(struct api_call *c, int (*fn)(void *data, struct error *err), void *data,
		struct error *err);

/* Answers. */
int api_status(enum error_kind kind); /* HTTP */
void api_answer_error(struct http_request *req, const struct error *err);
void api_answer_message(struct http_request *req, int status, const char *msg);
int api_answer_json(struct api_call *c, int status, const struct strbuf *json, struct error *err);
int api_answer_empty(struct api_call *c, int status); /* returns 0 */

/* Archives, as streams; valid during the call.  The answer's head goes out with its first byte, so that
 * what fails before has a status of its own; the handler ends it. */
struct stream_reader api_body_reader(struct api_call *c);
struct stream_writer api_tar_writer(struct api_call *c);

/* Parameters. */
bool api_query_bool(const struct api_call *c, const char *name); /* as Docker reads them */
bool api_query_bool_default(const struct api_call *c, const char *name, bool missing);
/* Absent or "": *ret stays.  ERROR_INVALID otherwise. */
int api_query_int(const struct api_call *c, const char *name, int64_t *ret, struct error *err);
const char *api_query(const struct api_call *c, const char *name); /* "" if absent */
/* All values of a parameter that may be given several times; NULL-terminated, in the arena. */
const char *const *api_query_all(const struct api_call *c, const char *name);
/* h and w of resize: "invalid resize height \"x\"". */
int api_query_size(const struct api_call *c, unsigned *ret_rows, unsigned *ret_cols,
		   struct error *err);

/* The JSON body: NULL without one.  ERROR_INVALID with Docker's texts for another Content-Type and
 * for what is no JSON. */
int api_body(struct api_call *c, const struct json **ret, struct error *err);
int api_body_parse(struct arena *a, const char *text, size_t len, const struct json **ret,
		   struct error *err);

/* "1700000000", "1700000000.5" in ns since 1970.  ERROR_INVALID. */
int api_parse_timestamp(const char *s, int64_t *ret, struct error *err);

/* "key": the names, or null when there are none. */
void api_json_names(struct json_writer *w, const char *key, const struct strv *names);

/* A writer on a fresh buffer. */
struct api_json {
	struct strbuf out;
	struct json_writer w;
};
void api_json_init(struct api_json *j);
void api_json_done(struct api_json *j);
#define autojson __attribute__((cleanup(api_json_done)))
