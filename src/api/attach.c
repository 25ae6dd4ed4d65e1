/* Attach: the connection leaves HTTP and goes to the container's shim. */
#include <string.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "api/stream.h"
#include "base/detach.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

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

int containers_attach(struct api_call *c, struct error *err)
{
	const char *keys = api_query(c, "detachKeys");
	struct engine_attach_args args = {
		.in = api_query_bool(c, "stdin"),
		.out = api_query_bool(c, "stdout"),
		.errs = api_query_bool(c, "stderr"),
		.stream = api_query_bool(c, "stream"),
		.logs = api_query_bool(c, "logs"),
		.detach_keys = *keys ? keys : NULL,
	};
	autoerror struct error why = {0};
	struct http_hijacked h;
	struct engine_client client;
	bool tty;
	struct detach unused;
	int r = detach_init(&unused, keys, err);

	if (r == 0 && http_body_skip(c->req) < 0) /* what dockerode sends as well is no input */
		r = error_set(err, ERROR_INVALID, 0, "read the request's body");
	r = r < 0 ? r : engine_attach_check(c->engine, c->params[0], &args, &tty, err);
	if (r < 0)
		return r;
	if (http_hijack(c->req, stream_content_type(c, tty), &h, err) < 0) {
		engine_turn_end(args.turn);
		return 0; /* the client is gone: nobody to answer */
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
