/* Relays, and the TCP kind: splice(2) through a pipe each way, half-closes passed on. */
#include "shim/relay.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/error.h"
#include "shim/relay_priv.h"

#define CONNECTIONS_MAX 512
#define PIPE_SIZE       65536
#define RETRY_MS        1000 /* after accept(2) ran out of something */

/* One direction. */
struct flow {
	int from, to; /* borrowed from the connection */
	int pipe[2];  /* owned */
	size_t in_pipe;
	bool ended;  /* end of file read */
	bool passed; /* and passed on */
};

struct tcp_connection {
	struct tcp_connection *next;
	struct relay *relay;
	int client, server; /* owned */
	struct loop_source *client_src, *server_src;
	bool connected;
	struct flow up, down; /* to the container, from it */
};

static void connection_free(struct tcp_connection *c)
{
	struct relay *r = c->relay;

	for (struct tcp_connection **p = &r->connections; *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	c->client_src = loop_remove(c->client_src);
	c->server_src = loop_remove(c->server_src);
	for (int i = 0; i < 2; i++) {
		fd_close(&c->up.pipe[i]);
		fd_close(&c->down.pipe[i]);
	}
	fd_close(&c->client);
	fd_close(&c->server);
	free(c);
	if (r->count-- == CONNECTIONS_MAX)
		loop_set_events(r->src, EPOLLIN);
}

/* Move what can be moved; false when the connection is broken. */
static bool flow_pump(struct flow *f)
{
	bool moved = true;

	while (moved) {
		ssize_t n;

		moved = false;
		if (!f->ended && f->in_pipe < PIPE_SIZE) {
			n = splice(f->from, NULL, f->pipe[1], NULL, PIPE_SIZE - f->in_pipe,
				   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
			if (n < 0 && errno != EAGAIN && errno != EINTR)
				return false;
			if (n > 0)
				f->in_pipe += (size_t)n;
			f->ended = n == 0;
			moved = n > 0;
		}
		if (f->in_pipe > 0) {
			n = splice(f->pipe[0], NULL, f->to, NULL, f->in_pipe,
				   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
			if (n < 0 && errno != EAGAIN && errno != EINTR)
				return false;
			if (n > 0)
				f->in_pipe -= (size_t)n;
			moved |= n > 0;
		}
	}
	if (f->ended && f->in_pipe == 0 && !f->passed) {
		f->passed = true;
		(void)shutdown(f->to, SHUT_WR); /* a reset peer is noticed otherwise */
	}
	return true;
}

/* A pipe's bytes may sit in fewer than 64 KiB of its pages: "has room" is only a hint, and a full
 * one is tried again when the other side has taken something. */
static uint32_t wanted(const struct flow *out, const struct flow *in)
{
	return (!out->ended && out->in_pipe == 0 ? EPOLLIN : 0u) |
	       (in->in_pipe > 0 ? EPOLLOUT : 0u);
}

static void connection_pump(struct tcp_connection *c)
{
	if (!flow_pump(&c->up) || !flow_pump(&c->down) || (c->up.passed && c->down.passed)) {
		connection_free(c);
		return;
	}
	loop_set_events(c->client_src, wanted(&c->up, &c->down));
	loop_set_events(c->server_src, wanted(&c->down, &c->up));
}

static void client_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct tcp_connection *c = data;

	(void)src;
	(void)fd;
	(void)events;
	if (c->connected)
		connection_pump(c);
	else
		connection_free(c); /* only EPOLLERR and EPOLLHUP are watched before */
}

static void server_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct tcp_connection *c = data;
	socklen_t len = sizeof(int);
	int error = 0;

	(void)src;
	(void)events;
	if (!c->connected) {
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0) {
			connection_free(c);
			return;
		}
		c->connected = true;
	}
	connection_pump(c);
}

static bool connection_open(struct tcp_connection *c)
{
	struct relay *r = c->relay;
	int on = 1;

	(void)setsockopt(c->client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->server = socket(r->to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->server < 0 || pipe2(c->up.pipe, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    pipe2(c->down.pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	(void)setsockopt(c->server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(c->server, (const struct sockaddr *)&r->to, r->to_len) < 0 &&
	    errno != EINPROGRESS)
		return false;
	c->up.from = c->down.to = c->client;
	c->up.to = c->down.from = c->server;
	return loop_add_fd(r->loop, c->client, EPOLLERR, client_ready, c, &c->client_src, NULL) >=
		       0 &&
	       loop_add_fd(r->loop, c->server, EPOLLOUT, server_ready, c, &c->server_src, NULL) >=
		       0;
}

static void relay_tcp_ready(struct relay *r)
{
	struct tcp_connection *c;
	int fd = accept4(r->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			loop_set_events(r->src, 0);
			loop_set_timer(r->timer, RETRY_MS);
		}
		return;
	}
	/* What it leaves in TIME_WAIT must not keep the next owner from the port: both say so. */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	c = xnew0(struct tcp_connection);
	*c = (struct tcp_connection){.next = r->connections,
				     .relay = r,
				     .client = fd,
				     .server = -EBADF,
				     .up.pipe = {-EBADF, -EBADF},
				     .down.pipe = {-EBADF, -EBADF}};
	r->connections = c;
	if (++r->count == CONNECTIONS_MAX)
		loop_set_events(r->src, 0);
	if (!connection_open(c))
		connection_free(c);
}

static void relay_tcp_done(struct relay *r)
{
	while (r->connections)
		connection_free(r->connections);
}

static void tcp_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	(void)src;
	(void)fd;
	(void)events;
	relay_tcp_ready(data);
}

static void udp_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	(void)src;
	(void)fd;
	(void)events;
	relay_udp_ready(data);
}

static void tcp_retry(struct loop_source *timer, void *data)
{
	struct relay *r = data;

	(void)timer;
	if (r->count < CONNECTIONS_MAX)
		loop_set_events(r->src, EPOLLIN);
}

static void udp_tick(struct loop_source *timer, void *data)
{
	(void)timer;
	relay_udp_tick(data);
}

int relay_new(struct loop *loop, int fd, bool udp, const struct netaddr *to, uint16_t port,
	      struct relay **ret, struct error *err)
{
	struct relay *r = xnew0(struct relay);
	int result;

	r->loop = loop;
	r->fd = fd;
	r->to_len = netaddr_sockaddr(to, port, &r->to);
	result = udp ? relay_udp_init(r, err) : 0;
	if (result >= 0)
		result = loop_add_timer(loop, RETRY_MS, udp ? udp_tick : tcp_retry, r, &r->timer,
					err);
	if (result >= 0) {
		loop_cancel_timer(r->timer);
		result = loop_add_fd(loop, fd, EPOLLIN, udp ? udp_ready : tcp_ready, r, &r->src,
				     err);
	}
	if (result < 0) {
		relay_free(r);
		return result;
	}
	*ret = r;
	return 0;
}

void relay_retarget(struct relay *r, const struct netaddr *to, uint16_t port)
{
	r->to_len = netaddr_sockaddr(to, port, &r->to);
}

struct relay *relay_free(struct relay *r)
{
	if (!r)
		return NULL;
	relay_tcp_done(r);
	relay_udp_done(r);
	r->src = loop_remove(r->src);
	r->timer = loop_remove(r->timer);
	free(r);
	return NULL;
}
