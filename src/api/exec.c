/* Execs: create, start, resize, inspect. */
#include <string.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "api/stream.h"
#include "base/detach.h"
#include "base/log.h"
#include "base/mem.h"

int exec_create_handler(struct api_call *c, struct error *err)
{
	autojson struct api_json j = {0};
	const struct json *body;
	struct detach unused;
	char id[65];
	int r = api_body(c, &body, err);

	if (r < 0)
		return r;
	if (json_type(body) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0, "No exec command specified");
	r = detach_init(&unused, json_get_string(body, "DetachKeys"), err);
	if (r < 0)
		return r;
	r = engine_exec_create(c->engine, c->params[0], body, id, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	jw_object(&j.w);
	jw_kstring(&j.w, "Id", id);
	jw_object_end(&j.w);
	return api_answer_json(c, 201, &j.out, err);
}

struct start {
	bool detach;
	unsigned rows, cols;
};

static int parse_start(struct api_call *c, struct start *s, struct error *err)
{
	const struct json *body, *size;
	int r = api_body(c, &body, err);

	if (r < 0)
		return r;
	s->detach = json_get_bool(body, "Detach");
	size = json_get(body, "ConsoleSize");
	if (json_is_null(size))
		return 0;
	if (json_count(size) != 2 || !json_uint_fits(json_at(size, 0)) ||
	    !json_uint_fits(json_at(size, 1)) || json_uint(json_at(size, 0)) > UINT16_MAX ||
	    json_uint(json_at(size, 1)) > UINT16_MAX)
		return error_set(err, ERROR_INVALID, 0, "ConsoleSize: expected [height, width]");
	s->rows = (unsigned)json_uint(json_at(size, 0));
	s->cols = (unsigned)json_uint(json_at(size, 1));
	if (!json_get_bool(body, "Tty") && (s->rows || s->cols) && c->version >= 142)
		s->rows = s->cols = 0; /* sizes are for terminals */
	return 0;
}

struct stream {
	struct api_call *c;
	bool tty;
	struct http_hijacked hijacked;
	bool asked, open;
};

static int hijack(void *data, struct engine_client *client, struct error *err)
{
	struct stream *s = data;

	s->asked = true;
	s->open =
		http_hijack(s->c->req, stream_content_type(s->c, s->tty), &s->hijacked, NULL) >= 0;
	if (!s->open)
		return error_set(err, ERROR_UNAVAILABLE, 0, "the client is gone");
	*client = (struct engine_client){
		.fd = s->hijacked.fd, .early = s->hijacked.data, .early_len = s->hijacked.len};
	return 0;
}

int exec_start_handler(struct api_call *c, struct error *err)
{
	const char *id = c->params[0];
	autoerror struct error why = {0};
	struct start start = {0};
	struct stream s = {.c = c};
	struct engine_client client = {.fd = -EBADF};
	struct engine_exec_start args = {0};
	int r = parse_start(c, &start, err);

	if (r == 0)
		r = engine_exec_check(c->engine, id, &s.tty, err);
	if (r < 0)
		return r;
	args = (struct engine_exec_start){.rows = start.rows, .cols = start.cols};
	if (start.detach) {
		r = engine_exec_start(c->engine, id, &args, err);
		return r < 0 ? r : api_answer_empty(c, 200);
	}
	args.client = &client;
	args.open = hijack;
	args.data = &s;
	r = engine_exec_start(c->engine, id, &args, &why);
	if (r < 0 && !s.asked)
		return error_move(err, &why, r);
	if (r < 0)
		log_debug("exec '%s': %s", id, error_msg(&why));
	if (!s.open)
		return 0; /* the client is gone: nobody to answer */
	if (r < 0) {
		stream_fail(&s.hijacked, s.tty, &why);
		return 0;
	}
	s.hijacked.fd = -EBADF;
	http_hijacked_done(&s.hijacked);
	return 0;
}

int exec_resize_handler(struct api_call *c, struct error *err)
{
	unsigned rows, cols;
	int r = api_query_size(c, &rows, &cols, err);

	if (r == 0)
		r = engine_exec_resize(c->engine, c->params[0], rows, cols, err);
	return r < 0 ? r : api_answer_empty(c, 200);
}

static void write_process(struct json_writer *w, const struct exec_config *x)
{
	jw_kobject(w, "ProcessConfig");
	jw_kbool(w, "tty", x->tty);
	jw_kstring(w, "entrypoint", x->cmd.n > 0 ? x->cmd.v[0] : "");
	jw_karray(w, "arguments");
	for (size_t i = 1; i < x->cmd.n; i++)
		jw_string(w, x->cmd.v[i]);
	jw_array_end(w);
	jw_kbool(w, "privileged", x->privileged);
	if (*x->user)
		jw_kstring(w, "user", x->user);
	jw_object_end(w);
}

int exec_inspect_handler(struct api_call *c, struct error *err)
{
	autojson struct api_json j = {0};
	struct json_writer *w = &j.w;
	struct exec *x;
	int r = engine_exec_get(c->engine, c->params[0], &x, err);

	if (r < 0)
		return r;
	api_json_init(&j);
	jw_object(w);
	jw_kstring(w, "ID", x->id);
	jw_kbool(w, "Running", x->running);
	if (x->started && !x->running)
		jw_kint(w, "ExitCode", x->exit_code);
	else
		jw_knull(w, "ExitCode");
	write_process(w, x->config);
	jw_kbool(w, "OpenStdin", x->config->attach_stdin);
	jw_kbool(w, "OpenStderr", x->config->attach_stderr);
	jw_kbool(w, "OpenStdout", x->config->attach_stdout);
	jw_kbool(w, "CanRemove", x->started && !x->running);
	jw_kstring(w, "ContainerID", x->container_id);
	jw_kstring(w, "DetachKeys", x->config->detach_keys);
	jw_kint(w, "Pid", x->pid);
	jw_object_end(w);
	return api_answer_json(c, 200, &j.out, err);
}
