/* Requests in, answers out: the frame around the handlers. */
#include "api/api.h"

#include <string.h>

#include "api/api_priv.h"
#include "api/router.h"
#include "api/stream.h"
#include "api/system_metrics.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/settings.h"

#define METRICS_MAX ((size_t)1 << 20) /* bytes of the page */

/* What a call runs next. */
struct step {
	struct api_call *call;
	api_fn fn;
};

static void run_step(struct http_request *req, void *data)
{
	autoerror struct error err = {0};
	struct step *s = data;
	const struct api_route *route = s->call->route;
	struct metrics_call m;
	int r;

	metrics_begin(&m, route, req);
	r = s->fn(s->call, &err);
	metrics_end(&m, r < 0);
	if (r >= 0)
		return; /* in loop mode the call is gone */
	if (http_is_started(req)) {
		log_error("%s %s: %s", http_request_method(req), http_request_raw_path(req),
			  error_msg(&err));
		http_abort(req);
	} else {
		api_answer_error(req, &err);
	}
}

static struct step *step_new(struct api_call *c, api_fn fn)
{
	struct step *s = arena_new0(http_request_arena(c->req), struct step);

	*s = (struct step){.call = c, .fn = fn};
	return s;
}

void api_to_worker(struct api_call *c, api_fn fn)
{
	http_request_work(c->req, run_step, step_new(c, fn));
}

static void answer_not_there_yet(struct http_request *req, const struct api_route *route)
{
	autofree char *msg = xasprintf("%s %s is not implemented", route->method, route->pattern);

	api_answer_message(req, 501, msg);
}

static void dispatch(struct api_call *c)
{
	const struct api_route *route = c->route;
	struct step *s = step_new(c, route->fn);

	/* What removes shall not fail for want of the space that it is to free. */
	if (str_eq(route->method, "DELETE") || str_has_suffix(route->pattern, "/prune"))
		engine_make_room(c->engine);
	switch (route->mode) {
	case API_LOOP:
		run_step(c->req, s);
		break;
	case API_LOOP_BUFFERED:
		http_request_buffer(c->req, API_BODY_MAX, run_step, s);
		break;
	case API_WORKER:
		http_request_work(c->req, run_step, s);
		break;
	case API_WORKER_BUFFERED:
		http_request_work_buffered(c->req, API_BODY_MAX, run_step, s);
		break;
	}
}

static void on_request(struct http_request *req, void *data)
{
	struct api *api = data;
	struct arena *a = http_request_arena(req);
	struct api_call *c = arena_new0(a, struct api_call);
	autoerror struct error err = {0};
	const char *path;

	c->api = api;
	c->engine = api->engine;
	c->req = req;
	if (router_version(http_request_path(req), &c->version, &path, &err) < 0) {
		api_answer_error(req, &err);
		return;
	}
	c->route = router_find(a, http_request_method(req), path, c->params);
	if (!c->route)
		api_answer_message(req, 404, "page not found");
	else if (!c->route->fn)
		answer_not_there_yet(req, c->route);
	else
		dispatch(c);
}

static void on_headers(struct http_request *req, void *data)
{
	const struct api *a = data;
	bool experimental = engine_settings(a->engine)->experimental;

	http_set_header(req, "Api-Version", "1.51");
	http_set_header(req, "Docker-Experimental", experimental ? "true" : "false");
	http_set_header(req, "Ostype", "linux");
	http_set_header(req, "Server", "Docker/" API_ENGINE_VERSION " (linux)");
}

static void on_error(struct http_request *req, int status, const char *msg, void *data)
{
	(void)data;
	api_answer_message(req, status, msg);
}

int api_new(struct engine *e, struct api **ret, struct error *err)
{
	struct api *a = xnew0(struct api);

	(void)err;
	a->engine = e;
	*ret = a;
	return 0;
}

static void on_metrics_request(struct http_request *req, void *data)
{
	autostrbuf struct strbuf page = STRBUF_INIT(METRICS_MAX);
	const struct api *a = data;

	if (!str_eq(http_request_path(req), "/metrics")) {
		http_respond(req, 404, "text/plain; charset=utf-8", "404 page not found\n", 19);
		return;
	}
	metrics_write(a->engine, &page);
	http_respond(req, 200, "text/plain; version=0.0.4; charset=utf-8", page.s, page.len);
}

void api_bind_metrics(struct api *a, struct http_server_args *args)
{
	args->on_request = on_metrics_request;
	args->data = a;
}

void api_dump(struct api *a, struct strbuf *out)
{
	strbuf_adds(out, "\n== requests in progress\n");
	metrics_dump(out);
	engine_dump(a->engine, out);
}

void api_bind(struct api *a, struct http_server_args *args)
{
	args->on_request = on_request;
	args->on_headers = on_headers;
	args->on_error = on_error;
	args->data = a;
}

struct api *api_free(struct api *a)
{
	if (a)
		attach_end_websockets(a);
	free(a);
	return NULL;
}
