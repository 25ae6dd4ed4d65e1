/* Listeners, and connections handed to and from workers.
 *
 * A connection belongs to the loop's thread, or to one worker while a handler runs there.  Workers
 * put it on the `finished` list and write to an eventfd; the loop takes it from there.  Only the
 * loop closes sockets of connections, so it may shut one down that a worker is using.
 */
#include "http/server.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "http/server_priv.h"
#include "http/tls.h"

#define ACCEPTS_PER_TURN 64
#define ACCEPT_PAUSE_MS  1000

struct listener {
	struct http_server *server; /* borrowed */
	struct listener *next;
	int fd;                     /* owned */
	struct tls *tls;            /* shared */
	struct loop_source *source; /* owned */
};

/* ---- listeners ------------------------------------------------------------------------------- */

static void listener_free(struct listener *l)
{
	(void)loop_remove(l->source);
	fd_close(&l->fd);
	(void)tls_unref(l->tls);
	free(l);
}

static void pause_listeners(struct http_server *s, bool pause)
{
	s->is_paused = pause;
	for (struct listener *l = s->listeners; l; l = l->next)
		loop_set_events(l->source, pause ? EPOLLET : EPOLLIN);
}

static void on_resume(struct loop_source *src, void *data)
{
	struct http_server *s = data;

	(void)src;
	if (s->n_conns < s->args.max_connections)
		pause_listeners(s, false);
}

/* A client that vanished without a word is noticed after a minute, parked requests included. */
static void set_tcp_options(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{IPPROTO_TCP, TCP_NODELAY, 1},   {SOL_SOCKET, SO_KEEPALIVE, 1},
		{IPPROTO_TCP, TCP_KEEPIDLE, 30}, {IPPROTO_TCP, TCP_KEEPINTVL, 10},
		{IPPROTO_TCP, TCP_KEEPCNT, 3},
	};

	/* Fails for unix sockets, where none of it is needed. */
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		(void)setsockopt(fd, options[i].level, options[i].name, &options[i].value,
				 sizeof(options[i].value));
}

static void accept_failed(struct http_server *s, int errnum)
{
	/* The rest concerns the one connection only (accept(2), "Error handling"). */
	if (errnum != EMFILE && errnum != ENFILE && errnum != ENOBUFS && errnum != ENOMEM)
		return;
	log_warn("http: accept: %s, pausing for a second", strerror(errnum));
	pause_listeners(s, true);
	loop_set_timer(s->resume, ACCEPT_PAUSE_MS);
}

static void on_listener(struct loop_source *src, int listen_fd, uint32_t events, void *data)
{
	struct listener *l = data;
	struct http_server *s = l->server;

	(void)src;
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN && !s->is_paused && !s->is_stopping; i++) {
		autoerror struct error err = {0};
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0) {
			accept_failed(s, errno);
			return;
		}
		set_tcp_options(fd);
		if (conn_new(s, fd, l->tls, &err) < 0)
			log_warn("http: %s", error_msg(&err));
	}
}

int http_server_listen(struct http_server *s, int fd_take, struct tls *tls, struct error *err)
{
	struct listener *l = xnew0(struct listener);
	int r;

	l->server = s;
	l->fd = fd_take;
	l->tls = tls ? tls_ref(tls) : NULL;
	r = fd_set_nonblock(fd_take, true);
	if (r < 0)
		r = error_set(err, ERROR_INTERNAL, -r, "make a listener non-blocking");
	else
		r = loop_add_fd(s->loop, fd_take, EPOLLIN, on_listener, l, &l->source, err);
	if (r < 0) {
		listener_free(l);
		return r;
	}
	l->next = s->listeners;
	s->listeners = l;
	return 0;
}

int http_server_accept(struct http_server *s, int fd_take, struct tls *tls, struct error *err)
{
	return conn_new(s, fd_take, tls, err);
}

/* ---- connections ----------------------------------------------------------------------------- */

void server_add_conn(struct http_server *s, struct conn *c)
{
	c->next = s->conns;
	if (c->next)
		c->next->prev = c;
	s->conns = c;
	if (++s->n_conns >= s->args.max_connections && !s->is_paused)
		pause_listeners(s, true);
}

void server_remove_conn(struct http_server *s, struct conn *c)
{
	if (c->prev)
		c->prev->next = c->next;
	else
		s->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	if (s->n_conns-- == s->args.max_connections)
		loop_set_timer(s->resume, 0);
}

void server_wake(struct http_server *s)
{
	/* Cannot fail but when the counter is full, and then the loop is woken anyway. */
	(void)eventfd_write(s->wake_fd, 1);
}

void server_hand_back(struct conn *c)
{
	struct http_server *s = c->server;

	(void)pthread_mutex_lock(&s->lock);
	c->next_finished = s->finished;
	s->finished = c;
	s->n_workers--;
	/* Under the lock, as http_server_free closes it once n_workers is 0. */
	server_wake(s);
	(void)pthread_cond_signal(&s->idle);
	(void)pthread_mutex_unlock(&s->lock);
}

static struct conn *take_finished(struct http_server *s, bool *ret_is_idle)
{
	struct conn *c;

	(void)pthread_mutex_lock(&s->lock);
	c = TAKE_PTR(s->finished);
	*ret_is_idle = s->n_workers == 0;
	(void)pthread_mutex_unlock(&s->lock);
	return c;
}

static void on_wake(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct http_server *s = data;
	void (*on_stopped)(void *data);
	struct conn *c, *next;
	bool is_idle;
	eventfd_t n;

	(void)src;
	(void)events;
	(void)eventfd_read(fd, &n); /* only clears it */
	carriers_start(s);
	c = take_finished(s, &is_idle);
	for (; c; c = next) {
		next = c->next_finished;
		conn_return(c);
	}
	on_stopped = s->on_stopped;
	if (is_idle && s->is_stopping && on_stopped) {
		s->on_stopped = NULL;
		on_stopped(s->stopped_data);
	}
}

/* ---- begin and end --------------------------------------------------------------------------- */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

int http_server_new(struct loop *loop, struct pool *pool, const struct http_server_args *args,
		    struct http_server **ret, struct error *err)
{
	autohttp_server struct http_server *s = xnew0(struct http_server);
	int r;

	s->loop = loop;
	s->pool = pool;
	s->args = *args;
	s->args.head_timeout_ms = or_default(args->head_timeout_ms, 30000);
	s->args.idle_timeout_ms = or_default(args->idle_timeout_ms, 300000);
	s->args.body_timeout_ms = or_default(args->body_timeout_ms, 60000);
	s->args.max_connections = or_default(args->max_connections, 4096);
	if (s->args.write_buffer_max == 0)
		s->args.write_buffer_max = HTTP_WRITE_BUFFER_MAX;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->idle, NULL);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make an eventfd");
	r = loop_add_fd(loop, s->wake_fd, EPOLLIN, on_wake, s, &s->wake, err);
	if (r < 0)
		return r;
	r = loop_add_timer(loop, 0, on_resume, s, &s->resume, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

static struct conn *next_unseen(struct http_server *s)
{
	struct conn *c;

	for (c = s->conns; c && c->is_seen; c = c->next)
		;
	return c;
}

/* A callback may free any connection, so each round starts anew. */
static void disconnect_all(struct http_server *s)
{
	struct conn *c;

	while ((c = next_unseen(s))) {
		c->is_seen = true;
		if (c->state == CONN_WORKER) {
			(void)pthread_mutex_lock(&s->lock);
			if (c->stream.fd >= 0)
				(void)shutdown(c->stream.fd, SHUT_RDWR);
			(void)pthread_mutex_unlock(&s->lock);
			continue;
		}
		if (c->state == CONN_HANDLER)
			c->is_hup = true;
		else
			c->state = CONN_CLOSED;
		conn_drive(c);
	}
}

void http_server_stop(struct http_server *s, void (*fn)(void *data), void *data)
{
	s->is_stopping = true;
	s->on_stopped = fn;
	s->stopped_data = data;
	while (s->listeners) {
		struct listener *l = s->listeners;

		s->listeners = l->next;
		listener_free(l);
	}
	disconnect_all(s);
	server_wake(s);
}

struct http_server *http_server_free(struct http_server *s)
{
	if (!s)
		return NULL;
	http_server_stop(s, NULL, NULL);
	(void)pthread_mutex_lock(&s->lock);
	while (s->n_workers > 0)
		(void)pthread_cond_wait(&s->idle, &s->lock);
	(void)pthread_mutex_unlock(&s->lock);
	while (s->conns)
		conn_free(s->conns);
	carriers_free(s);
	(void)loop_remove(s->wake);
	(void)loop_remove(s->resume);
	fd_close(&s->wake_fd);
	(void)pthread_cond_destroy(&s->idle);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}
