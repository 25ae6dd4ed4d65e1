/* Attach: the connection leaves HTTP and goes to the container's shim. */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "api/log_format.h"
#include "api/log_reader.h"
#include "api/stream.h"
#include "base/detach.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/logging.h"
#include "http/websocket_pump.h"

#define LOG_SEND_MAX   ((size_t)16 << 20) /* bytes; more than the longest line */
#define LOG_PATIENCE_S 30                 /* with a client that does not read */

#define FRAME_HEAD 8 /* bytes: stream, three zeros, length in big endian */

const char *stream_content_type(const struct api_call *c, bool tty)
{
	if (!tty && c->version >= 142 && http_request_wants_upgrade(c->req))
		return API_TYPE_MULTIPLEXED;
	return API_TYPE_RAW;
}

void stream_fail(struct http_hijacked *h, bool tty, const struct error *why)
{
	autofree char *text = xasprintf("%s\r\n", error_msg(why));
	size_t len = strlen(text);
	const unsigned char head[FRAME_HEAD] = {
		2,
		0,
		0,
		0,
		(unsigned char)(len >> 24),
		(unsigned char)(len >> 16),
		(unsigned char)(len >> 8),
		(unsigned char)len,
	};

	(void)fd_set_nonblock(h->fd, false);
	/* Whether the client still listens is its own affair. */
	if (!tty)
		(void)fd_write_full(h->fd, head, sizeof(head));
	(void)fd_write_full(h->fd, text, len);
	http_hijacked_done(h);
}

static int parse(struct api_call *c, struct engine_attach_args *ret, struct error *err)
{
	const char *keys = api_query(c, "detachKeys");
	struct detach unused;

	*ret = (struct engine_attach_args){
		.in = api_query_bool(c, "stdin"),
		.out = api_query_bool(c, "stdout"),
		.errs = api_query_bool(c, "stderr"),
		.stream = api_query_bool(c, "stream"),
		.logs = api_query_bool(c, "logs"),
		.detach_keys = *keys ? keys : NULL,
	};
	return detach_init(&unused, keys, err);
}

struct find_log {
	struct api_call *c;
	char *path; /* owned; NULL: none that can be read */
	bool is_local;
};

static int find_log(void *data, struct error *err)
{
	struct find_log *f = data;
	struct container *c;
	int r = engine_container_get(f->c->engine, f->c->params[0], &c, err);

	if (r >= 0)
		f->path = logging_path(c, &f->is_local);
	return r;
}

/* Attached to a container that does not run, without `stream`: its log if that is asked for, and the end. */
static void send_log(struct api_call *c, const struct engine_attach_args *args, bool tty, int fd)
{
	autostrbuf struct strbuf out = STRBUF_INIT(LOG_SEND_MAX);
	const struct timeval patience = {.tv_sec = LOG_PATIENCE_S};
	struct log_format format = {.frames = !tty};
	struct find_log find = {.c = c};
	autolog_reader struct log_reader *reader = NULL;
	struct log_entry e;
	int r = 0;

	if (args->logs)
		(void)api_on_loop(c, find_log, &find, NULL);
	if (!find.path)
		return;
	reader = log_reader_new(find.path, find.is_local);
	free(find.path);
	(void)fd_set_nonblock(fd, false);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	while (r >= 0 && log_reader_next(reader, &e) > 0) {
		if (!(e.stream == LOG_STDOUT ? args->out : args->errs))
			continue;
		log_format_add(&format, &e, &out);
		r = fd_write_full(fd, out.s, out.len); /* a client that has gone has gone */
		strbuf_reset(&out);
	}
}

int containers_attach(struct api_call *c, struct error *err)
{
	struct engine_attach_args args;
	autoerror struct error why = {0};
	struct http_hijacked h;
	struct engine_client client;
	bool tty;
	int r = parse(c, &args, err);

	if (r == 0 && http_body_skip(c->req) < 0) /* what dockerode sends as well is no input */
		r = error_set(err, ERROR_INVALID, 0, "read the request's body");
	r = r < 0 ? r : engine_attach_check(c->engine, c->params[0], &args, &tty, err);
	if (r < 0)
		return r;
	if (http_hijack(c->req, stream_content_type(c, tty), &h, err) < 0) {
		engine_turn_end(args.turn);
		return 0; /* the client is gone: nobody to answer */
	}
	if (args.turn && !args.stream) {
		engine_turn_end(args.turn);
		send_log(c, &args, tty, h.fd);
		http_hijacked_done(&h);
		return 0;
	}
	client = (struct engine_client){.fd = h.fd, .early = h.data, .early_len = h.len};
	if (engine_attach(c->engine, c->params[0], &args, &client, &why) < 0) {
		log_error("attach to container '%s': %s", c->params[0], error_msg(&why));
		stream_fail(&h, tty, &why);
		return 0;
	}
	log_debug("attached a client to container '%s'", c->params[0]);
	h.fd = -EBADF;
	http_hijacked_done(&h);
	return 0;
}

/* ---- over a WebSocket ------------------------------------------------------------------------ */

/* A client's pump belongs to the loop and ends with the client or the container, or with the api. */
struct api_websocket {
	struct api *api; /* borrowed */
	struct api_websocket *prev, *next;
	struct websocket_pump *pump; /* owned */
};

static void websocket_free(struct api_websocket *ws)
{
	struct api *api = ws->api;

	*(ws->prev ? &ws->prev->next : &api->websockets) = ws->next;
	if (ws->next)
		ws->next->prev = ws->prev;
	(void)websocket_pump_free(ws->pump);
	free(ws);
}

void attach_end_websockets(struct api *api)
{
	while (api->websockets)
		websocket_free(api->websockets);
}

static void on_pump_end(struct websocket_pump *p, void *data)
{
	(void)p;
	websocket_free(data);
}

struct make_pump {
	struct api_call *c;
	struct http_hijacked *h;
	bool tty;
	int fd; /* owned: what the container is attached to */
};

static int make_pump(void *data, struct error *err)
{
	struct make_pump *m = data;
	struct api_websocket *ws = xnew0(struct api_websocket);
	const struct websocket_pump_args args = {
		.loop = engine_loop(m->c->engine),
		.ahead = m->h->data,
		.len = m->h->len,
		.text = m->c->version < 128, /* binary since */
		.on_end = on_pump_end,
		.data = ws,
	};
	int r = websocket_pump_new(&args, TAKE_FD(m->h->fd), !m->tty, &ws->pump, &m->fd, err);

	if (r < 0) {
		free(ws);
		return r;
	}
	ws->api = m->c->api;
	ws->next = ws->api->websockets;
	if (ws->next)
		ws->next->prev = ws;
	ws->api->websockets = ws;
	return 0;
}

/* A page of another site that a browser shows must not reach an engine on TCP (RFC 6455 section 10.2). */
static bool is_foreign(const struct api_call *c)
{
	const char *origin = http_request_header(c->req, "Origin");
	const char *host = http_request_header(c->req, "Host"), *at;

	if (!origin || strcmp(http_request_peer(c->req), "unix") == 0)
		return false;
	at = strstr(origin, "://");
	return !at || !host || strcasecmp(at + 3, host) != 0;
}

int containers_attach_ws(struct api_call *c, struct error *err)
{
	struct engine_attach_args args;
	autoerror struct error why = {0};
	struct http_hijacked h;
	struct make_pump m = {.c = c, .h = &h, .fd = -EBADF};
	struct engine_client client;
	const char *version;
	int r = parse(c, &args, err);

	if (r < 0)
		return r;
	if (c->version < 142) /* they are looked at since */
		args.in = args.out = args.errs = true;
	if (!http_request_wants_websocket(c->req, &version))
		return error_set(err, ERROR_INVALID, 0, "not websocket protocol");
	if (!version || strcmp(version, "13") != 0) {
		http_set_header(c->req, "Sec-WebSocket-Version", "13");
		api_answer_message(c->req, 426, "missing or bad WebSocket Version");
		return 0;
	}
	if (is_foreign(c))
		return error_set(err, ERROR_FORBIDDEN, 0, "websocket of another origin");
	r = engine_attach_check(c->engine, c->params[0], &args, &m.tty, err);
	if (r < 0)
		return r;
	if (http_hijack_websocket(c->req, &h, err) < 0) {
		engine_turn_end(args.turn);
		return 0; /* the client is gone: nobody to answer */
	}
	r = api_on_loop(c, make_pump, &m, &why);
	http_hijacked_done(&h);
	if (r < 0 || (args.turn && !args.stream)) {
		engine_turn_end(args.turn);
		if (r >= 0)
			send_log(c, &args, m.tty, m.fd);
		fd_close(&m.fd);
	} else {
		client = (struct engine_client){.fd = m.fd};
		r = engine_attach(c->engine, c->params[0], &args, &client, &why);
		if (r < 0)
			fd_close(&m.fd); /* which the client is told by the pump */
	}
	if (r < 0)
		log_error("attach to container '%s': %s", c->params[0], error_msg(&why));
	return 0;
}
