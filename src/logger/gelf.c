/* Log driver gelf: JSON to Graylog and its like, in compressed and chunked datagrams, or over TCP with a
 * NUL behind each message.
 */
#include "logger/gelf.h"

#include <string.h>
#include <sys/random.h>

#include <zlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "logger/peer.h"

#define LEVEL_ERR       3
#define LEVEL_INFO      6
#define MESSAGE_MAX     ((size_t)4 << 20)
#define CHUNK_DATA      (GELF_CHUNK_SIZE - GELF_CHUNK_HEADER)
#define NS_PER_MS       1000000
#define MS_PER_S        1000
#define RECONNECTS      3
#define RECONNECT_DELAY 1 /* s */
#define GZIP_WINDOW     (15 + 16)
#define ZLIB_WINDOW     15
#define DEFLATE_MEMORY  8

struct gelf {
	struct logger *logger; /* borrowed */
	struct peer peer;
	struct strbuf extra, out;
	bool compress, tcp;
	z_stream z;
	unsigned char *packed; /* owned */
	size_t packed_size;
	int64_t reconnects, delay_ms;
};

void gelf_extra(const struct logger_config *c, struct strbuf *out)
{
	autostrbuf struct strbuf doc = STRBUF_INIT(MESSAGE_MAX);
	struct json_writer w;

	json_writer_init(&w, &doc);
	jw_object(&w);
	jw_kstring(&w, "_command", c->command);
	jw_kstring(&w, "_container_id", c->container_id);
	jw_kstring(&w, "_container_name", c->container_name + (*c->container_name == '/'));
	jw_kstring(&w, "_created", c->created);
	jw_kstring(&w, "_image_id", c->image_id);
	jw_kstring(&w, "_image_name", c->image_name);
	jw_kstring(&w, "_tag", c->tag);
	for (size_t i = 0; i < c->attrs.n; i++) {
		autofree char *name =
			xasprintf("%s%s", *c->attrs.keys[i] == '_' ? "" : "_", c->attrs.keys[i]);

		jw_kstring(&w, name, c->attrs.values[i]);
	}
	jw_object_end(&w);
	strbuf_addc(out, ',');
	strbuf_add(out, doc.s + 1, doc.len - 1);
}

void gelf_message(const char *hostname, const struct strbuf *extra, const struct logentry *e,
		  struct strbuf *out)
{
	int64_t ms = e->time_ns / NS_PER_MS;
	struct json_writer w;

	json_writer_init(&w, out);
	jw_object(&w);
	jw_kstring(&w, "version", "1.1");
	jw_kstring(&w, "host", hostname);
	jw_key(&w, "short_message");
	jw_stringn(&w, e->line, e->len);
	strbuf_addf(out, ",\"timestamp\":%lld.%03d,\"level\":%d%s", (long long)(ms / MS_PER_S),
		    (int)(ms % MS_PER_S), e->stream == LOGENTRY_STDERR ? LEVEL_ERR : LEVEL_INFO,
		    extra->s);
	if (extra->len == 0)
		strbuf_addc(out, '}');
}

size_t gelf_chunk(const void *data, size_t len, uint64_t id, size_t i, unsigned char *dst)
{
	size_t count = (len + CHUNK_DATA - 1) / CHUNK_DATA, at = i * CHUNK_DATA;
	size_t n = len - at < CHUNK_DATA ? len - at : CHUNK_DATA;

	if (i >= count || count > GELF_CHUNKS_MAX)
		return 0;
	dst[0] = 0x1e;
	dst[1] = 0x0f;
	memcpy(dst + 2, &id, sizeof(id));
	dst[10] = (unsigned char)i;
	dst[11] = (unsigned char)count;
	memcpy(dst + GELF_CHUNK_HEADER, (const char *)data + at, n);
	return GELF_CHUNK_HEADER + n;
}

/* ---- the driver ------------------------------------------------------------------------------- */

static void gelf_free(void *data)
{
	struct gelf *g = data;

	peer_done(&g->peer);
	strbuf_done(&g->extra);
	strbuf_done(&g->out);
	if (g->compress)
		(void)deflateEnd(&g->z);
	free(g->packed);
	free(g);
}

static int set_compression(struct gelf *g, const struct logger_config *c, struct error *err)
{
	const char *type = logger_option_or(c, "gelf-compression-type", "gzip");
	int64_t level = Z_BEST_SPEED;

	if (g->tcp || str_eq(type, "none"))
		return 0;
	(void)str_parse_i64(logger_option_or(c, "gelf-compression-level", "1"), &level);
	if (deflateInit2(&g->z, (int)level, Z_DEFLATED,
			 str_eq(type, "zlib") ? ZLIB_WINDOW : GZIP_WINDOW, DEFLATE_MEMORY,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return error_set(err, ERROR_INTERNAL, 0, "gelf: start compressing");
	g->compress = true;
	return 0;
}

static int gelf_open(struct logger *l, void **ret, struct error *err)
{
	const struct logger_config *c = l->config;
	struct gelf *g = xnew0(struct gelf);
	int64_t delay = RECONNECT_DELAY;
	int r;

	g->logger = l;
	strbuf_init(&g->extra, MESSAGE_MAX);
	strbuf_init(&g->out, MESSAGE_MAX);
	gelf_extra(c, &g->extra);
	r = peer_init(&g->peer, l, logger_option_or(c, "gelf-address", ""), "12201", err);
	g->tcp = g->peer.kind == PEER_TCP;
	g->reconnects = RECONNECTS;
	(void)str_parse_i64(logger_option_or(c, "gelf-tcp-max-reconnect", ""), &g->reconnects);
	(void)str_parse_i64(logger_option_or(c, "gelf-tcp-reconnect-delay", ""), &delay);
	g->delay_ms = delay * MS_PER_S;
	r = r < 0 ? r : set_compression(g, c, err);
	if (r < 0) {
		gelf_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

static int gelf_connect(void *data, struct error *err)
{
	struct gelf *g = data;
	int r = peer_connect(&g->peer, err);

	return r < 0 ? error_wrap(err, r, "gelf: cannot connect to GELF endpoint") : 0;
}

/* Try to connect again as often as the options say. */
static int send_tcp(struct gelf *g, struct error *err)
{
	int r = -1;

	if (peer_is_connected(&g->peer) && peer_is_stale(&g->peer))
		peer_close(&g->peer);
	if (peer_is_connected(&g->peer) &&
	    peer_write(&g->peer, g->out.s, g->out.len, -1, NULL) >= 0)
		return 0;
	for (int64_t i = 0; i <= g->reconnects; i++) {
		struct error *last = i == g->reconnects ? err : NULL;

		if (i > 0 && logger_wait(g->logger, -1, 0, (int)g->delay_ms) < 0)
			return error_set(err, ERROR_INTERNAL, ECANCELED, "gelf: send a message");
		r = peer_connect(&g->peer, last);
		if (r >= 0)
			r = peer_write(&g->peer, g->out.s, g->out.len, -1, last);
		if (r >= 0)
			return 0;
	}
	return r;
}

static int compress_message(struct gelf *g, const void **ret, size_t *ret_len, struct error *err)
{
	size_t bound = deflateBound(&g->z, g->out.len);

	if (bound > g->packed_size) {
		g->packed = xrealloc(g->packed, bound, 1);
		g->packed_size = bound;
	}
	(void)deflateReset(&g->z);
	g->z.next_in = (unsigned char *)g->out.s;
	g->z.avail_in = (unsigned)g->out.len;
	g->z.next_out = g->packed;
	g->z.avail_out = (unsigned)g->packed_size;
	if (deflate(&g->z, Z_FINISH) != Z_STREAM_END)
		return error_set(err, ERROR_INTERNAL, 0, "gelf: compress a message");
	*ret = g->packed;
	*ret_len = g->z.total_out;
	return 0;
}

static int send_udp(struct gelf *g, struct error *err)
{
	const void *data = g->out.s;
	size_t len = g->out.len, n;
	unsigned char chunk[GELF_CHUNK_SIZE];
	uint64_t id = 0;
	int r = g->compress ? compress_message(g, &data, &len, err) : 0;

	if (r >= 0 && !peer_is_connected(&g->peer))
		r = gelf_connect(g, err);
	if (r < 0)
		return r;
	if (len <= GELF_CHUNK_SIZE)
		return peer_write(&g->peer, data, len, -1, err);
	if (len > (size_t)GELF_CHUNKS_MAX * CHUNK_DATA)
		return error_set(err, ERROR_INVALID, EMSGSIZE, "gelf: send a message");
	if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != sizeof(id))
		id = (uint64_t)(uintptr_t)g ^ g->z.total_in;
	for (size_t i = 0; r >= 0 && (n = gelf_chunk(data, len, id, i, chunk)) > 0; i++)
		r = peer_write(&g->peer, chunk, n, -1, err);
	return r;
}

static int gelf_flush(void *data, struct error *err)
{
	struct gelf *g = data;
	int r = g->out.len > 0 && g->tcp ? send_tcp(g, err) : 0;

	strbuf_reset(&g->out);
	return r;
}

static int gelf_write(void *data, const struct logentry *e, struct error *err)
{
	struct gelf *g = data;

	if (e->len == 0 && !e->partial)
		return 0; /* short_message must not be empty */
	if (!g->tcp)
		strbuf_reset(&g->out);
	gelf_message(g->logger->hostname, &g->extra, e, &g->out);
	if (!g->tcp)
		return send_udp(g, err);
	strbuf_addc(&g->out, '\0');
	return g->out.len > MESSAGE_MAX / 2 ? gelf_flush(g, err) : 0;
}

const struct log_driver gelf_driver = {
	.name = "gelf",
	.open = gelf_open,
	.connect = gelf_connect,
	.write = gelf_write,
	.flush = gelf_flush,
	.free = gelf_free,
};
