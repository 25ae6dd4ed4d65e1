/* The daemons' connections. */
#include "shim/conn.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"

struct outgoing {
	struct outgoing *next;
	struct strbuf text;
	int fds[SHIM_MAX_FDS]; /* owned */
	size_t n_fds;
};

struct conn {
	struct conn *next;
	struct conns *list; /* borrowed */
	int fd;             /* owned */
	bool first;
	struct loop_source *src;
	struct outgoing *queue, **queue_end;
	size_t queued;
};

struct conns {
	struct conns_args args;
	struct conn *first;
	int dir_fd;    /* owned; of the socket's file */
	int listen_fd; /* owned */
	struct loop_source *listen_src;
};

static void outgoing_free(struct outgoing *o)
{
	for (size_t i = 0; i < o->n_fds; i++)
		fd_close(&o->fds[i]);
	strbuf_done(&o->text);
	free(o);
}

static void conn_free(struct conn *c)
{
	for (struct conn **p = &c->list->first; *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	c->src = loop_remove(c->src);
	fd_close(&c->fd);
	while (c->queue) {
		struct outgoing *o = c->queue;

		c->queue = o->next;
		outgoing_free(o);
	}
	free(c);
}

static void conn_ended(struct conn *c)
{
	struct conns *l = c->list;
	bool first = c->first;

	conn_free(c);
	l->args.on_end(l->args.data, first);
}

/* False when the connection is broken. */
static bool flush(struct conn *c)
{
	while (c->queue) {
		struct outgoing *o = c->queue;
		int r = fd_send(c->fd, o->text.s, o->text.len, o->fds, o->n_fds);

		if (r == -EAGAIN)
			break;
		if (r < 0)
			return false;
		c->queue = o->next;
		if (!c->queue)
			c->queue_end = &c->queue;
		c->queued--;
		outgoing_free(o);
	}
	loop_set_events(c->src, EPOLLIN | (c->queue ? EPOLLOUT : 0u));
	return true;
}

static bool receive(struct conn *c)
{
	autoarena struct arena *a = arena_new();
	autoerror struct error err = {0};
	struct shim_message m;
	int r = shim_message_recv(c->fd, a, &m, &err);

	if (r == -EAGAIN)
		return true;
	if (r < 0)
		log_warn("daemon's connection: %s", error_msg(&err));
	if (r <= 0)
		return false;
	c->list->args.on_message(c->list->args.data, c, &m);
	shim_message_close_fds(&m);
	return true;
}

static void conn_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct conn *c = data;

	(void)src;
	(void)fd;
	if ((events & EPOLLOUT) && !flush(c)) {
		conn_ended(c);
		return;
	}
	/* A message may free everything: nothing is touched behind it but through the return value. */
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !receive(c))
		conn_ended(c);
}

static int add(struct conns *l, int fd_take, bool first, struct error *err)
{
	struct conn *c = xnew0(struct conn), **end = &l->first;
	const int size = 2 * SHIM_MESSAGE_MAX;
	int r;

	c->list = l;
	c->fd = fd_take;
	c->first = first;
	c->queue_end = &c->queue;
	while (*end)
		end = &(*end)->next;
	*end = c;
	/* A packet has to fit: unix(7).  Without privilege the largest ones do not. */
	if (setsockopt(fd_take, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd_take, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	r = fd_set_nonblock(fd_take, true);
	if (r < 0)
		r = error_set(err, ERROR_INTERNAL, -r, "daemon's connection");
	else
		r = loop_add_fd(l->args.loop, fd_take, EPOLLIN, conn_ready, c, &c->src, err);
	if (r < 0)
		conn_free(c);
	return r;
}

static void listener_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct conns *l = data;
	int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)src;
	(void)events;
	if (conn >= 0)
		(void)add(l, conn, false, NULL); /* the daemon sees it closed */
}

struct conns *conns_new(const struct conns_args *args)
{
	struct conns *l = xnew0(struct conns);

	l->args = *args;
	l->dir_fd = l->listen_fd = -EBADF;
	return l;
}

void conns_unlisten(struct conns *l)
{
	l->listen_src = loop_remove(l->listen_src);
	if (l->listen_fd >= 0)
		(void)unlinkat(l->dir_fd, SHIM_SOCKET_NAME, 0); /* the directory may be gone */
	fd_close(&l->listen_fd);
	fd_close(&l->dir_fd);
}

struct conns *conns_free(struct conns *l)
{
	if (!l)
		return NULL;
	conns_unlisten(l);
	while (l->first)
		conn_free(l->first);
	free(l);
	return NULL;
}

int conns_listen(struct conns *l, int dir_fd, struct error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	mode_t mask;
	int r;

	l->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	l->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->dir_fd < 0 || l->listen_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make the shim's socket");
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", l->dir_fd,
		       SHIM_SOCKET_NAME);
	(void)unlinkat(l->dir_fd, SHIM_SOCKET_NAME, 0);
	mask = umask(0177);
	r = bind(l->listen_fd, (const struct sockaddr *)&addr, sizeof(addr));
	(void)umask(mask);
	if (r < 0 || listen(l->listen_fd, 16) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "listen on '%s'", SHIM_SOCKET_NAME);
	return loop_add_fd(l->args.loop, l->listen_fd, EPOLLIN, listener_ready, l, &l->listen_src,
			   err);
}

int conns_add_first(struct conns *l, int fd_take, struct error *err)
{
	return add(l, fd_take, true, err);
}

bool conns_any(const struct conns *l)
{
	return l->first;
}

/* A connection that cannot take a message is left to its own end: shutdown makes the loop see it. */
void conn_send(struct conn *c, const struct strbuf *message, const int *fds, size_t n_fds)
{
	struct outgoing *o;

	if (c->queued >= CONN_QUEUE_MAX) {
		(void)shutdown(c->fd, SHUT_RDWR);
		return;
	}
	if (strbuf_error(message) < 0 || message->len > SHIM_MESSAGE_MAX) {
		log_warn("message of %zu bytes is not sent", message->len);
		(void)shutdown(c->fd, SHUT_RDWR);
		return;
	}
	o = xnew0(struct outgoing);
	strbuf_init(&o->text, SHIM_MESSAGE_MAX);
	strbuf_add(&o->text, message->s, message->len);
	for (size_t i = 0; i < n_fds && i < SHIM_MAX_FDS; i++)
		o->fds[o->n_fds++] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
	*c->queue_end = o;
	c->queue_end = &o->next;
	c->queued++;
	if (!flush(c))
		(void)shutdown(c->fd, SHUT_RDWR);
}

void conns_send(struct conns *l, const struct strbuf *message, const int *fds, size_t n_fds)
{
	for (struct conn *c = l->first; c; c = c->next)
		conn_send(c, message, fds, n_fds);
}
