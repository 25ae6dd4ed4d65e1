/* Log driver fluentd: the forward protocol
 * (https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1).
 *
 * Each entry is a message [tag, time, record]; with fluentd-request-ack those of one batch are one
 * [tag, [[time, record], ...], {"chunk": id}], which is sent again until the server has answered with
 * the id.  fluentd-async is the shim's affair: its pipe then does not block (engine/logging_write.c).
 */
#include "logger/fluentd.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/tls.h"
#include "logger/msgpack.h"
#include "logger/peer.h"

#define BATCH_MAX      ((size_t)16 << 20)
#define DEFAULT_PORT   "24224"
#define RETRY_WAIT_MS  1000
#define RETRY_MAX_MS   60000
#define ACK_TIMEOUT_MS 60000
#define NS_PER_S       1000000000
#define NS_PER_MS      1000000
#define CHUNK_BYTES    16
#define ANSWER_MAX     4096

struct fluentd {
	struct logger *logger; /* borrowed */
	struct peer peer;
	struct strbuf out;     /* messages, or with `ack` [time, record] pairs */
	struct strbuf request; /* with `ack`: the whole */
	uint32_t count;        /* in out */
	bool async, ack, sub_second;
	int64_t max_retries;
	int retry_wait_ms, write_timeout_ms;
	int64_t reconnect_ns; /* 0: never because of time */
};

void fluentd_record(const struct logger_config *c, const struct logentry *e, struct strbuf *out)
{
	static const char *const sources[] = {
		[LOGENTRY_STDOUT] = "stdout", [LOGENTRY_STDERR] = "stderr"};
	char ordinal[16];
	int n;

	msgpack_map(out, (uint32_t)(4 + c->attrs.n + (e->partial ? 4 : 0)));
	msgpack_str(out, "container_id", 12);
	msgpack_str(out, c->container_id, strlen(c->container_id));
	msgpack_str(out, "container_name", 14);
	msgpack_str(out, c->container_name, strlen(c->container_name));
	msgpack_str(out, "source", 6);
	msgpack_str(out, sources[e->stream], 6);
	msgpack_str(out, "log", 3);
	msgpack_str(out, e->line, e->len);
	for (size_t i = 0; i < c->attrs.n; i++) {
		msgpack_str(out, c->attrs.keys[i], strlen(c->attrs.keys[i]));
		msgpack_str(out, c->attrs.values[i], strlen(c->attrs.values[i]));
	}
	if (!e->partial)
		return;
	n = snprintf(ordinal, sizeof(ordinal), "%u", e->ordinal);
	msgpack_str(out, "partial_message", 15);
	msgpack_str(out, "true", 4);
	msgpack_str(out, "partial_id", 10);
	msgpack_str(out, e->id, e->id_len);
	msgpack_str(out, "partial_ordinal", 15);
	msgpack_str(out, ordinal, (size_t)n);
	msgpack_str(out, "partial_last", 12);
	msgpack_str(out, e->last ? "true" : "false", e->last ? 4 : 5);
}

/* ---- the driver ------------------------------------------------------------------------------- */

static void fluentd_free(void *data)
{
	struct fluentd *f = data;

	peer_done(&f->peer);
	strbuf_done(&f->out);
	strbuf_done(&f->request);
	free(f);
}

static int open_peer(struct fluentd *f, const struct logger_config *c, struct error *err)
{
	const char *given = logger_option_or(c, "fluentd-address", "");
	autofree char *address = xasprintf("%s%s", strstr(given, "://") ? "" : "tcp://", given);
	const struct tls_args tls = {.verify = true};
	int r = peer_init(&f->peer, f->logger, address, DEFAULT_PORT, err);

	return r < 0 || f->peer.kind != PEER_TLS ? r : tls_new_client(&tls, &f->peer.tls, err);
}

static int fluentd_open(struct logger *l, void **ret, struct error *err)
{
	const struct logger_config *c = l->config;
	struct fluentd *f = xnew0(struct fluentd);
	int64_t timeout_ms = logger_option_ms(c, "fluentd-write-timeout", 0);
	int r;

	f->logger = l;
	strbuf_init(&f->out, BATCH_MAX);
	strbuf_init(&f->request, BATCH_MAX);
	f->async = logger_option_bool(c, "fluentd-async") ||
		   logger_option_bool(c, "fluentd-async-connect");
	f->ack = logger_option_bool(c, "fluentd-request-ack");
	f->sub_second = logger_option_bool(c, "fluentd-sub-second-precision");
	f->max_retries = INT32_MAX;
	(void)str_parse_i64(logger_option_or(c, "fluentd-max-retries", ""), &f->max_retries);
	f->retry_wait_ms = (int)logger_option_ms(c, "fluentd-retry-wait", RETRY_WAIT_MS);
	f->write_timeout_ms = timeout_ms > 0 ? (int)timeout_ms : -1;
	if (f->async)
		f->reconnect_ns =
			logger_option_ms(c, "fluentd-async-reconnect-interval", 0) * NS_PER_MS;
	r = open_peer(f, c, err);
	if (r < 0) {
		fluentd_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

static int fluentd_connect(void *data, struct error *err)
{
	struct fluentd *f = data;

	return f->async ? 0 : peer_connect(&f->peer, err);
}

static void add_time(const struct fluentd *f, int64_t ns, struct strbuf *out)
{
	if (f->sub_second)
		msgpack_event_time(out, ns);
	else
		msgpack_uint(out, (uint64_t)(ns / NS_PER_S));
}

/* The server's {"ack": id}. */
static int read_ack(struct fluentd *f, const char *id, struct error *err)
{
	char answer[ANSWER_MAX];
	size_t len = 0, doc_len, value_len;
	const char *value;

	for (;;) {
		int r = msgpack_skip(answer, len, &doc_len);
		ssize_t n;

		if (r > 0 && msgpack_find(answer, doc_len, "ack", &value, &value_len) &&
		    value_len == strlen(id) && memcmp(value, id, value_len) == 0)
			return 0;
		if (r != 0 || len == sizeof(answer)) {
			peer_close(&f->peer);
			return error_set(err, ERROR_INTERNAL, 0,
					 "fluentd: a wrong acknowledgement");
		}
		n = peer_read(&f->peer, answer + len, sizeof(answer) - len, ACK_TIMEOUT_MS, err);
		if (n < 0)
			return (int)n;
		len += (size_t)n;
	}
}

static int send_once(struct fluentd *f, const struct strbuf *what, const char *id,
		     struct error *err)
{
	int r = 0;

	if (peer_is_connected(&f->peer) &&
	    (peer_is_stale(&f->peer) ||
	     (f->reconnect_ns > 0 &&
	      clock_monotonic_ns() - f->peer.connected_ns > f->reconnect_ns)))
		peer_close(&f->peer);
	if (!peer_is_connected(&f->peer))
		r = peer_connect(&f->peer, err);
	if (r >= 0)
		r = peer_write(&f->peer, what->s, what->len, f->write_timeout_ms, err);
	return r < 0 || !id ? r : read_ack(f, id, err);
}

/* Waits of growing length between attempts, as fluentd's own clients have it. */
static int send_retrying(struct fluentd *f, const struct strbuf *what, const char *id,
			 struct error *err)
{
	double wait_ms = f->retry_wait_ms;

	for (int64_t i = 0;; i++) {
		autoerror struct error why = {0};
		int r = send_once(f, what, id, &why);

		if (r >= 0)
			return 0;
		if (i == 0)
			log_warn("fluentd: %s; trying again", error_msg(&why));
		if (i >= f->max_retries)
			return error_move(err, &why, r);
		r = logger_wait(f->logger, -1, 0, (int)wait_ms);
		if (r < 0)
			return error_set(err, ERROR_INTERNAL, -r, "fluentd: send");
		wait_ms = wait_ms * 1.5 < RETRY_MAX_MS ? wait_ms * 1.5 : RETRY_MAX_MS;
	}
}

static int send_acknowledged(struct fluentd *f, struct error *err)
{
	const struct logger_config *c = f->logger->config;
	unsigned char random[CHUNK_BYTES];
	autostrbuf struct strbuf id = STRBUF_INIT(64);

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return error_set(err, ERROR_INTERNAL, errno, "fluentd: make a chunk's id");
	base64_encode(random, sizeof(random), &id);
	strbuf_reset(&f->request);
	msgpack_array(&f->request, 3);
	msgpack_str(&f->request, c->tag, strlen(c->tag));
	msgpack_array(&f->request, f->count);
	strbuf_add(&f->request, f->out.s, f->out.len);
	msgpack_map(&f->request, 1);
	msgpack_str(&f->request, "chunk", 5);
	msgpack_str(&f->request, id.s, id.len);
	return send_retrying(f, &f->request, id.s, err);
}

static int fluentd_flush(void *data, struct error *err)
{
	struct fluentd *f = data;
	int r = 0;

	if (f->count > 0)
		r = f->ack ? send_acknowledged(f, err) : send_retrying(f, &f->out, NULL, err);
	strbuf_reset(&f->out);
	f->count = 0;
	return r;
}

static int fluentd_write(void *data, const struct logentry *e, struct error *err)
{
	struct fluentd *f = data;
	const struct logger_config *c = f->logger->config;

	if (f->ack) {
		msgpack_array(&f->out, 2);
	} else {
		msgpack_array(&f->out, 3);
		msgpack_str(&f->out, c->tag, strlen(c->tag));
	}
	add_time(f, e->time_ns, &f->out);
	fluentd_record(c, e, &f->out);
	f->count++;
	return f->out.len > BATCH_MAX / 4 ? fluentd_flush(f, err) : 0;
}

const struct log_driver fluentd_driver = {
	.name = "fluentd",
	.open = fluentd_open,
	.connect = fluentd_connect,
	.write = fluentd_write,
	.flush = fluentd_flush,
	.free = fluentd_free,
};
