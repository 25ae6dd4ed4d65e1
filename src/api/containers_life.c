/* Containers: start, stop, restart, kill, pause, unpause, rename, resize, remove, wait. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "linux/signals.h"

int containers_start(struct api_call *c, struct error *err)
{
	size_t len;
	const char *body = http_request_body(c->req, &len);
	int r;

	/* Before 1.24 it carried a HostConfig; "{}" and "null" are what some clients still send. */
	if (len > 0 && strcmp(body, "{}") != 0 && strcmp(body, "null") != 0)
		return error_set(err, ERROR_INVALID, 0,
				 "starting container with non-empty request body was deprecated "
				 "since API v1.22 and removed in v1.24");
	r = engine_start(c->engine, c->params[0], err);
	return r < 0 ? r : api_answer_empty(c, 204);
}

static int parse_signal(struct api_call *c, int *ret, struct error *err)
{
	const char *text = api_query(c, "signal");

	*ret = 0;
	if (*text == '\0')
		return 0;
	*ret = signal_parse(text);
	if (*ret < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid signal: %s", text);
	return 0;
}

/* t in seconds; negative waits for ever. */
static int parse_timeout(struct api_call *c, int *ret, struct error *err)
{
	int64_t t = ENGINE_TIMEOUT_DEFAULT;
	int r = api_query_int(c, "t", &t, err);

	if (r < 0)
		return r;
	if (t > INT32_MAX)
		return error_set(err, ERROR_INVALID, 0, "invalid value \"%s\" for parameter 't'",
				 api_query(c, "t"));
	*ret = t < 0 && t != ENGINE_TIMEOUT_DEFAULT ? -1 : (int)t;
	return 0;
}

static int end_with(struct api_call *c,
		    int (*fn)(struct engine *e, const char *ref, int signal, int timeout_s,
			      struct error *err),
		    struct error *err)
{
	int signal = 0, timeout = 0;
	int r = parse_timeout(c, &timeout, err);

	if (r == 0)
		r = parse_signal(c, &signal, err);
	if (r == 0 && c->version < 142)
		signal = 0; /* the parameter came with 1.42 */
	if (r == 0)
		r = fn(c->engine, c->params[0], signal, timeout, err);
	return r < 0 ? r : api_answer_empty(c, 204);
}

int containers_stop(struct api_call *c, struct error *err)
{
	return end_with(c, engine_stop, err);
}

int containers_restart(struct api_call *c, struct error *err)
{
	return end_with(c, engine_restart, err);
}

int containers_kill(struct api_call *c, struct error *err)
{
	int signal, r = parse_signal(c, &signal, err);

	if (r == 0)
		r = engine_kill(c->engine, c->params[0], signal ? signal : SIGKILL, err);
	return r < 0 ? r : api_answer_empty(c, 204);
}

int containers_pause(struct api_call *c, struct error *err)
{
	int r = engine_pause(c->engine, c->params[0], err);

	return r < 0 ? r : api_answer_empty(c, 204);
}

int containers_unpause(struct api_call *c, struct error *err)
{
	int r = engine_unpause(c->engine, c->params[0], err);

	return r < 0 ? r : api_answer_empty(c, 204);
}

int containers_rename(struct api_call *c, struct error *err)
{
	const char *name = api_query(c, "name");
	int r;

	if (*name == '/')
		name++;
	if (*name == '\0')
		return error_set(err, ERROR_INVALID, 0, "Neither old nor new names may be empty");
	r = engine_rename(c->engine, c->params[0], name, err);
	return r < 0 ? r : api_answer_empty(c, 204);
}

int containers_update(struct api_call *c, struct error *err)
{
	autojson struct api_json j = {0};
	autostrv struct strv warnings = {0};
	const struct json *body;
	int r = api_body(c, &body, err);

	r = r < 0 ? r : engine_update(c->engine, c->params[0], body, &warnings, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	jw_object(&j.w);
	jw_karray(&j.w, "Warnings");
	for (size_t i = 0; i < warnings.n; i++)
		jw_string(&j.w, warnings.v[i]);
	jw_array_end(&j.w);
	jw_object_end(&j.w);
	return api_answer_json(c, 200, &j.out, err);
}

int containers_resize(struct api_call *c, struct error *err)
{
	unsigned rows, cols;
	int r = api_query_size(c, &rows, &cols, err);

	if (r == 0)
		r = engine_resize(c->engine, c->params[0], rows, cols, err);
	return r < 0 ? r : api_answer_empty(c, 200);
}

int containers_remove(struct api_call *c, struct error *err)
{
	unsigned flags = 0;
	int r;

	if (api_query_bool(c, "force"))
		flags |= ENGINE_REMOVE_FORCE;
	if (api_query_bool(c, "v"))
		flags |= ENGINE_REMOVE_VOLUMES;
	r = api_query_bool(c, "link") ? engine_unlink(c->engine, c->params[0], err)
				      : engine_remove(c->engine, c->params[0], flags, err);
	return r < 0 ? r : api_answer_empty(c, 204);
}

static int parse_condition(struct api_call *c, enum engine_wait_condition *ret, struct error *err)
{
	static const char *const names[] = {
		[ENGINE_WAIT_NOT_RUNNING] = "not-running",
		[ENGINE_WAIT_NEXT_EXIT] = "next-exit",
		[ENGINE_WAIT_REMOVED] = "removed",
	};
	const char *text = api_query(c, "condition");

	*ret = ENGINE_WAIT_NOT_RUNNING;
	if (*text == '\0')
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = (enum engine_wait_condition)i;
			return 0;
		}
	}
	return error_set(err, ERROR_INVALID, 0, "invalid condition: \"%s\"", text);
}

/* The head is sent already: what went wrong is in the body, as one chunk and the last one. */
static void end_wait(struct http_hijacked *h, const struct error *why)
{
	autojson struct api_json j = {0};
	char size[24];

	api_json_init(&j);
	jw_object(&j.w);
	jw_kint(&j.w, "StatusCode", -1);
	jw_kobject(&j.w, "Error");
	jw_kstring(&j.w, "Message", error_msg(why));
	jw_object_end(&j.w);
	jw_object_end(&j.w);
	strbuf_addc(&j.out, '\n');
	(void)fd_set_nonblock(h->fd, false);
	(void)snprintf(size, sizeof(size), "%zx\r\n", j.out.len);
	/* Whether the client still listens is its own affair. */
	if (h->chunked)
		(void)fd_write_full(h->fd, size, strlen(size));
	(void)fd_write_full(h->fd, j.out.s, j.out.len);
	if (h->chunked)
		(void)fd_write_full(h->fd, "\r\n0\r\n\r\n", 7);
}

int containers_wait(struct api_call *c, struct error *err)
{
	const char *ref = c->params[0];
	struct engine_wait_args wait = {0};
	autojson struct api_json j = {0};
	autoerror struct error why = {0};
	struct http_hijacked h;
	struct engine_client client;
	int r = parse_condition(c, &wait.condition, err);

	if (r == 0)
		r = engine_wait_check(c->engine, ref, &wait, err);
	if (r < 0)
		return r;
	if (wait.done) {
		api_json_init(&j);
		jw_object(&j.w);
		jw_kint(&j.w, "StatusCode", wait.code);
		jw_object_end(&j.w);
		strbuf_addc(&j.out, '\n');
		return api_answer_json(c, 200, &j.out, err);
	}
	/* The client starts the container when it has this head. */
	r = http_detach(c->req, 200, API_TYPE_JSON, &h, err);
	if (r < 0) {
		engine_turn_end(wait.turn);
		return 0; /* the client is gone: nobody to answer */
	}
	client = (struct engine_client){.fd = h.fd};
	if (engine_wait_client(c->engine, ref, &wait, &client, &why) < 0)
		end_wait(&h, &why);
	else
		h.fd = -EBADF;
	http_hijacked_done(&h);
	return 0;
}
