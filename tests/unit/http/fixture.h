/* A server on a unix socket, with its loop in a thread of its own, and raw connections to it. */
#pragma once

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/str.h"
#include "http/listen.h"
#include "http/server.h"
#include "http/tls.h"

struct fixture {
	struct loop *loop;
	struct pool *pool;
	struct http_server *server;
	struct tls *tls; /* of the listener; NULL: plain */
	pthread_t thread;
	char dir[32], path[64];
};

static inline void *fixture_run(void *data)
{
	struct fixture *f = data;

	(void)loop_run(f->loop, NULL);
	return NULL;
}

static inline void fixture_start(struct fixture *f, const struct http_server_args *args)
{
	autolisten_fds struct listen_fds fds = {0};
	struct listen_args la = {.gid = (gid_t)-1};
	struct http_address a = {.kind = HTTP_ADDRESS_UNIX, .path = f->path};

	(void)str_copy(f->dir, sizeof(f->dir), "/tmp/test-http-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	(void)snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
	f->pool = pool_new(8);
	assert_int_equal(loop_new(&f->loop, NULL), 0);
	assert_int_equal(http_server_new(f->loop, f->pool, args, &f->server, NULL), 0);
	assert_int_equal(listen_open(&a, &la, &fds, NULL), 0);
	assert_int_equal(http_server_listen(f->server, listen_fds_take(&fds, 0), f->tls, NULL), 0);
	assert_int_equal(pthread_create(&f->thread, NULL, fixture_run, f), 0);
}

static inline void fixture_stopped(void *data)
{
	loop_stop(((struct fixture *)data)->loop);
}

static inline void fixture_do_stop(void *data)
{
	struct fixture *f = data;

	http_server_stop(f->server, fixture_stopped, f);
}

static inline void fixture_stop(struct fixture *f)
{
	loop_post(f->loop, fixture_do_stop, f);
	(void)pthread_join(f->thread, NULL);
	f->server = http_server_free(f->server);
	(void)pool_free(f->pool);
	(void)loop_free(f->loop);
	f->tls = tls_unref(f->tls);
	(void)unlink(f->path);
	(void)rmdir(f->dir);
}

/* A raw connection; reads give up after 120 s so that a hang is a failure. */
static inline int fixture_connect(const struct fixture *f)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct timeval tv = {.tv_sec = 120};

	assert_true(fd >= 0);
	assert_true(str_copy(sun.sun_path, sizeof(sun.sun_path), f->path));
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	return fd;
}

static inline void raw_send(int fd, const char *s)
{
	assert_int_equal(send(fd, s, strlen(s), MSG_NOSIGNAL), (ssize_t)strlen(s));
}

/* Read on until `end` appears in *b; fails at EOF. */
static inline void raw_read_until(int fd, struct strbuf *b, const char *end)
{
	while (!strstr(b->s, end)) {
		char buf[4096];
		ssize_t n = recv(fd, buf, sizeof(buf), 0);

		if (n <= 0)
			fail_msg("waiting for '%s', got '%s', then %s", end, b->s,
				 n == 0 ? "the end" : strerror(errno));
		strbuf_add(b, buf, (size_t)n);
	}
}

static inline void raw_read_all(int fd, struct strbuf *b)
{
	char buf[65536];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		strbuf_add(b, buf, (size_t)n);
	assert_int_equal(n, 0);
}

/* Send, then everything until the server closes. */
static inline void raw_exchange(const struct fixture *f, const char *request, struct strbuf *b)
{
	autoclose int fd = fixture_connect(f);

	raw_send(fd, request);
	raw_read_all(fd, b);
}

/* A value passed between threads, once. */
struct mailbox {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	void *value;
	bool is_full;
};
#define MAILBOX_INIT                                                                \
	{                                                                           \
		.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER \
	}

static inline void mailbox_put(struct mailbox *m, void *value)
{
	(void)pthread_mutex_lock(&m->lock);
	assert(!m->is_full);
	m->value = value;
	m->is_full = true;
	(void)pthread_cond_signal(&m->cond);
	(void)pthread_mutex_unlock(&m->lock);
}

static inline void *mailbox_get(struct mailbox *m)
{
	void *value;

	(void)pthread_mutex_lock(&m->lock);
	while (!m->is_full)
		(void)pthread_cond_wait(&m->cond, &m->lock);
	m->is_full = false;
	value = m->value;
	(void)pthread_mutex_unlock(&m->lock);
	return value;
}
