/* Questions over TCP: each message behind its length in two bytes (RFC 1035 section 4.2.2).  One
 * question of a connection at a time; what is not ours goes to a server over TCP as it came.
 */
#include <string.h>
#include <sys/socket.h>

#include "base/str.h"
#include "shim/resolver_priv.h"

#define STREAMS_MAX 32
#define IDLE_MS     10000
#define PREFIX      2 /* bytes */

struct resolver_stream {
	struct resolver_stream *next;
	struct resolver *resolver; /* borrowed */
	int fd, server_fd;         /* owned */
	struct loop_source *src, *server_src, *timer;
	struct strbuf in;       /* from the asker: a message, or the beginning of one */
	struct strbuf out;      /* to the server, then to the asker */
	size_t sent;            /* bytes of out */
	bool asking;            /* a server is being asked */
	bool asked;             /* and has the question: out is its answer */
	unsigned server;        /* which */
	struct dns_query query; /* valid while asking; points into in */
};

static void stream_free(struct resolver_stream *s)
{
	struct resolver *r = s->resolver;

	for (struct resolver_stream **p = &r->streams; *p; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			break;
		}
	s->src = loop_remove(s->src);
	s->server_src = loop_remove(s->server_src);
	s->timer = loop_remove(s->timer);
	fd_close(&s->fd);
	fd_close(&s->server_fd);
	strbuf_done(&s->in);
	strbuf_done(&s->out);
	free(s);
	r->stream_count--;
}

/* The length that a message's prefix tells, once it is there. */
static size_t message_len(const struct strbuf *b)
{
	return (size_t)((uint8_t)b->s[0] << 8 | (uint8_t)b->s[1]);
}

static bool is_whole(const struct strbuf *b)
{
	return b->len >= PREFIX && b->len - PREFIX >= message_len(b);
}

static void leave_server(struct resolver_stream *s)
{
	s->server_src = loop_remove(s->server_src);
	fd_close(&s->server_fd);
}

static void begin_out(struct resolver_stream *s, const void *msg, size_t len)
{
	const uint8_t prefix[PREFIX] = {(uint8_t)(len >> 8), (uint8_t)len};

	strbuf_reset(&s->out);
	strbuf_add(&s->out, prefix, sizeof(prefix));
	strbuf_add(&s->out, msg, len);
	s->sent = 0;
}

/* The answer to the first message of `in` is in `out`. */
static void answered(struct resolver_stream *s)
{
	leave_server(s);
	s->asking = false;
	strbuf_drop(&s->in, PREFIX + message_len(&s->in));
	loop_set_events(s->src, EPOLLOUT);
	loop_set_timer(s->timer, IDLE_MS);
}

static void fail(struct resolver_stream *s)
{
	uint8_t buf[DNS_UDP_MIN];
	struct dns_reply reply;

	dns_reply_begin(&reply, buf, sizeof(buf), &s->query);
	begin_out(s, buf, dns_reply_end(&reply, DNS_SERVFAIL));
	answered(s);
}

static void server_ready(struct loop_source *src, int fd, uint32_t events, void *data);

static void ask(struct resolver_stream *s)
{
	struct resolver *r = s->resolver;
	struct resolver_server server;

	for (; resolver_server(r, s->server, &server); s->server++) {
		leave_server(s);
		s->server_fd = resolver_connect(r, &server, SOCK_STREAM);
		if (s->server_fd < 0 || loop_add_fd(r->loop, s->server_fd, EPOLLOUT, server_ready,
						    s, &s->server_src, NULL) < 0)
			continue;
		begin_out(s, s->in.s + PREFIX, message_len(&s->in));
		s->asked = false;
		loop_set_timer(s->timer, RESOLVER_TRY_MS);
		return;
	}
	fail(s);
}

static void ask_next(struct resolver_stream *s)
{
	s->server++;
	ask(s);
}

/* Send what is left of out.  1 when all is gone, 0 for later, < 0 when the other end is. */
static int send_out(struct resolver_stream *s, int fd)
{
	ssize_t n = send(fd, s->out.s + s->sent, s->out.len - s->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	s->sent += (size_t)n;
	return s->sent == s->out.len;
}

/* Read until a message is whole; the rest stays for later.  As send_out. */
static int receive(struct strbuf *b, int fd)
{
	size_t want = b->len < PREFIX ? PREFIX - b->len : PREFIX + message_len(b) - b->len;
	char *p;
	ssize_t n;

	if (is_whole(b))
		return 1;
	p = strbuf_reserve(b, want);
	if (!p)
		return -E2BIG;
	n = recv(fd, p, want, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	strbuf_advance(b, (size_t)n);
	return is_whole(b);
}

static void server_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct resolver_stream *s = data;
	unsigned rcode;
	int r;

	if (!s->asked) {
		r = send_out(s, fd);
		if (r > 0) {
			strbuf_reset(&s->out); /* the answer comes in here */
			s->sent = 0;
			s->asked = true;
			loop_set_events(src, EPOLLIN);
		}
	} else {
		r = receive(&s->out, fd);
		if (r > 0) {
			if (dns_is_answer(s->out.s + PREFIX, message_len(&s->out), &s->query,
					  s->query.id, &rcode)) {
				answered(s);
				return;
			}
			r = -EBADMSG;
		}
	}
	(void)events;
	if (r < 0)
		ask_next(s);
}

/* What is in `in`, if it is whole. */
static void handle(struct resolver_stream *s)
{
	uint8_t *buf = (uint8_t *)scratch_get(s->resolver->scratch);
	struct dns_reply reply;
	size_t len;
	int r;

	if (!is_whole(&s->in))
		return;
	r = dns_query_parse(s->in.s + PREFIX, message_len(&s->in), &s->query);
	if (r < 0) {
		stream_free(s);
		return;
	}
	if (r > 0) {
		dns_reply_begin(&reply, buf, SCRATCH_SIZE, &s->query);
		len = dns_reply_end(&reply, (enum dns_rcode)r);
	} else {
		len = resolver_answer(s->resolver, &s->query, buf, SCRATCH_SIZE - 1);
	}
	if (len > 0) {
		begin_out(s, buf, len);
		answered(s);
		return;
	}
	s->asking = true;
	s->server = 0;
	loop_set_events(s->src, 0);
	ask(s);
}

static void asker_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct resolver_stream *s = data;
	int r;

	(void)events;
	if (s->asking) { /* nothing is waited for but its end */
		stream_free(s);
		return;
	}
	if (s->sent < s->out.len) {
		r = send_out(s, fd);
		if (r > 0) {
			strbuf_done(&s->out);
			strbuf_init(&s->out, PREFIX + DNS_MESSAGE_MAX);
			s->sent = 0;
			loop_set_events(src, EPOLLIN);
		}
	} else {
		r = receive(&s->in, fd);
		if (r > 0) {
			handle(s);
			return;
		}
	}
	if (r < 0)
		stream_free(s);
}

static void stream_late(struct loop_source *timer, void *data)
{
	struct resolver_stream *s = data;

	(void)timer;
	if (s->asking)
		ask_next(s);
	else
		stream_free(s);
}

void resolver_tcp_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct resolver *r = data;
	struct resolver_stream *s;
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)src;
	(void)events;
	if (conn < 0)
		return;
	if (r->stream_count >= STREAMS_MAX) {
		(void)close(conn);
		return;
	}
	s = xnew0(struct resolver_stream);
	*s = (struct resolver_stream){
		.next = r->streams, .resolver = r, .fd = conn, .server_fd = -EBADF};
	strbuf_init(&s->in, PREFIX + DNS_MESSAGE_MAX);
	strbuf_init(&s->out, PREFIX + DNS_MESSAGE_MAX);
	r->streams = s;
	r->stream_count++;
	if (loop_add_fd(r->loop, conn, EPOLLIN, asker_ready, s, &s->src, NULL) < 0 ||
	    loop_add_timer(r->loop, IDLE_MS, stream_late, s, &s->timer, NULL) < 0)
		stream_free(s);
}

void resolver_tcp_done(struct resolver *r)
{
	while (r->streams)
		stream_free(r->streams);
}
