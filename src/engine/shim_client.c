/* engine/shim_client.c - the daemon's end of a shim's socket. */
#include "engine/shim_client.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

struct wait { /* on the stack of the thread that waits */
	struct wait *next;
	uint64_t seq;   /* of a reply, or 0 */
	const char *ev; /* of an event of creation, or NULL */
	struct shim_reply reply;
	bool done;
	pthread_cond_t cond;
};

struct inbox { /* messages that nobody has asked for yet */
	struct inbox *next;
	struct shim_reply reply;
};

struct shim_client {
	const struct shim_client_events *events;
	void *data;                 /* borrowed */
	struct loop_source *source; /* owned; loop's thread */
	pthread_mutex_t lock;       /* for all below */
	unsigned refs;
	int sock; /* owned */
	uint64_t seq;
	struct wait *waits;
	struct inbox *inbox; /* oldest first */
	bool ended, cancelled, told;
};

void shim_reply_done(struct shim_reply *r)
{
	shim_message_close_fds(&r->msg);
	r->arena = arena_free(r->arena);
}

struct shim_client *shim_client_new(int sock_take, const struct shim_client_events *events,
				    void *data)
{
	struct shim_client *s = xnew0(struct shim_client);

	s->events = events;
	s->data = data;
	s->sock = sock_take;
	s->refs = 1;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)fd_set_nonblock(sock_take, true);
	return s;
}

void shim_client_ref(struct shim_client *s)
{
	pthread_mutex_lock(&s->lock);
	s->refs++;
	pthread_mutex_unlock(&s->lock);
}

struct shim_client *shim_client_unref(struct shim_client *s)
{
	unsigned left;

	if (!s)
		return NULL;
	pthread_mutex_lock(&s->lock);
	left = --s->refs;
	pthread_mutex_unlock(&s->lock);
	if (left)
		return NULL;
	for (struct inbox *i = s->inbox, *next; i; i = next) {
		next = i->next;
		shim_reply_done(&i->reply);
		free(i);
	}
	fd_close(&s->sock);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
	return NULL;
}

static bool is_creation_event(const char *ev)
{
	return str_eq(ev, "namespaces") || str_eq(ev, "created") || str_eq(ev, "failed");
}

static void keep(struct shim_client *s, struct shim_reply *reply_take)
{
	struct inbox **p = &s->inbox, *i = xnew0(struct inbox);

	i->reply = *reply_take;
	*reply_take = (struct shim_reply){0};
	while (*p)
		p = &(*p)->next;
	*p = i;
}

/* With the lock: hand a reply or an event of creation to who waits for it. */
static void deliver(struct shim_client *s, struct shim_reply *reply_take)
{
	const struct shim_message *m = &reply_take->msg;

	for (struct wait **p = &s->waits; *p; p = &(*p)->next) {
		struct wait *w = *p;
		bool mine = m->is_reply
				    ? w->seq && w->seq == m->seq
				    : w->ev && (str_eq(w->ev, m->ev) || str_eq(m->ev, "failed"));

		if (!mine)
			continue;
		*p = w->next;
		w->reply = *reply_take;
		*reply_take = (struct shim_reply){0};
		w->done = true;
		(void)pthread_cond_signal(&w->cond);
		return;
	}
	if (!m->is_reply)
		keep(s, reply_take);
}

/* With the lock. */
static void wake_all(struct shim_client *s)
{
	for (struct wait *w = s->waits; w; w = w->next)
		(void)pthread_cond_signal(&w->cond);
}

static void tell_closed(struct shim_client *s)
{
	bool told;

	pthread_mutex_lock(&s->lock);
	s->ended = true;
	told = s->told;
	s->told = true;
	wake_all(s);
	pthread_mutex_unlock(&s->lock);
	s->source = loop_remove(s->source);
	if (!told)
		s->events->closed(s, s->data);
}

static void dispatch(struct shim_client *s, struct shim_reply *reply_take)
{
	if (reply_take->msg.is_reply || is_creation_event(reply_take->msg.ev)) {
		pthread_mutex_lock(&s->lock);
		deliver(s, reply_take);
		pthread_mutex_unlock(&s->lock);
	} else if (reply_take->msg.ev) {
		s->events->event(s, &reply_take->msg, s->data);
	}
	shim_reply_done(reply_take);
}

/* 1: handled one, 0: nothing there, < 0: the end. */
static int receive_one(struct shim_client *s)
{
	struct shim_reply reply = {.arena = arena_new()};
	autoerror struct error err = {0};
	int r = shim_message_recv(s->sock, reply.arena, &reply.msg, &err);

	if (r == 1) {
		dispatch(s, &reply);
		return 1;
	}
	reply.arena = arena_free(reply.arena);
	if (r == -EAGAIN)
		return 0;
	if (r < 0)
		log_warn("shim's connection: %s", error_msg(&err));
	return -EPIPE;
}

void shim_client_drain(struct shim_client *s)
{
	int r;

	if (!s->source)
		return;
	shim_client_ref(s);
	while ((r = receive_one(s)) == 1 && s->source)
		;
	if (r < 0)
		tell_closed(s);
	(void)shim_client_unref(s);
}

static void on_readable(struct loop_source *src, int fd, uint32_t events, void *data)
{
	(void)src;
	(void)fd;
	(void)events;
	shim_client_drain(data);
}

int shim_client_run(struct shim_client *s, struct loop *l, struct error *err)
{
	struct inbox *kept = NULL;
	int r = loop_add_fd(l, s->sock, EPOLLIN, on_readable, s, &s->source, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&s->lock);
	kept = TAKE_PTR(s->inbox);
	pthread_mutex_unlock(&s->lock);
	for (struct inbox *next; kept; kept = next) {
		next = kept->next;
		dispatch(s, &kept->reply);
		free(kept);
	}
	return 0;
}

void shim_client_close(struct shim_client *s)
{
	s->source = loop_remove(s->source);
	pthread_mutex_lock(&s->lock);
	s->ended = true;
	s->told = true;
	wake_all(s);
	(void)shutdown(s->sock,
		       SHUT_RDWR); /* a sender may still hold the number: closed at the end */
	pthread_mutex_unlock(&s->lock);
}

void shim_client_cancel(struct shim_client *s)
{
	pthread_mutex_lock(&s->lock);
	s->cancelled = true;
	wake_all(s);
	pthread_mutex_unlock(&s->lock);
}

void shim_request_init(struct shim_request *q, struct shim_client *s, const char *op)
{
	q->client = s;
	q->sent_point = -1;
	pthread_mutex_lock(&s->lock);
	q->seq = ++s->seq;
	pthread_mutex_unlock(&s->lock);
	strbuf_init(&q->buf, SHIM_MESSAGE_MAX);
	json_writer_init(&q->w, &q->buf);
	jw_object(&q->w);
	jw_kstring(&q->w, "op", op);
	jw_kuint(&q->w, "seq", q->seq);
}

static void wait_init(struct wait *w)
{
	pthread_condattr_t attr;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&w->cond, &attr);
	(void)pthread_condattr_destroy(&attr);
}

/* With the lock: until done, ended, cancelled or late. */
static int wait_for(struct shim_client *s, struct wait *w, int timeout_ms, struct error *err)
{
	int64_t end = clock_monotonic_ns() + (int64_t)timeout_ms * 1000000;
	struct timespec ts = {.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
	bool late = false;

	while (!w->done && !s->ended && !s->cancelled && !late) {
		if (timeout_ms < 0)
			(void)pthread_cond_wait(&w->cond, &s->lock);
		else
			late = pthread_cond_timedwait(&w->cond, &s->lock, &ts) == ETIMEDOUT;
	}
	if (w->done)
		return 0;
	for (struct wait **p = &s->waits; *p; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			break;
		}
	}
	if (s->cancelled)
		return error_set(err, ERROR_CONFLICT, ECANCELED, "operation was cancelled");
	if (s->ended)
		return error_set(err, ERROR_UNAVAILABLE, EPIPE, "container's shim is gone");
	return error_set(err, ERROR_UNAVAILABLE, ETIMEDOUT, "container's shim does not answer");
}

/* Take the outcome out of a reply or event. */
static int finish(struct shim_reply *reply, struct shim_reply *ret, struct error *err)
{
	int r = shim_message_error(&reply->msg, err);

	if (r < 0 || !ret)
		shim_reply_done(reply);
	else
		*ret = *reply;
	return r < 0 ? r : 0;
}

static struct wait *wait_free(struct wait *w)
{
	(void)pthread_cond_destroy(&w->cond);
	shim_reply_done(&w->reply);
	free(w);
	return NULL;
}

int shim_request_post(struct shim_request *q, const int *fds, size_t n_fds,
		      struct shim_pending *ret, struct error *err)
{
	struct shim_client *s = q->client;
	struct wait *w;
	int r;

	jw_object_end(&q->w);
	if (strbuf_error(&q->buf) < 0) {
		strbuf_done(&q->buf);
		return error_set(err, ERROR_INVALID, E2BIG, "request to the container's shim");
	}
	w = xnew0(struct wait);
	w->seq = q->seq;
	wait_init(w);
	pthread_mutex_lock(&s->lock);
	w->next = s->waits;
	s->waits = w;
	r = s->ended ? error_set(err, ERROR_UNAVAILABLE, EPIPE, "container's shim is gone")
		     : shim_message_send(s->sock, &q->buf, fds, n_fds, err);
	if (r < 0)
		s->waits = w->next; /* still the first: the lock was not given up */
	pthread_mutex_unlock(&s->lock);
	strbuf_done(&q->buf);
	if (r < 0) {
		(void)wait_free(w);
		return r;
	}
	if (q->sent_point >= 0)
		crash_point((enum crash_point)q->sent_point);
	ret->wait = w;
	return 0;
}

int shim_pending_wait(struct shim_client *s, struct shim_pending *p, int timeout_ms,
		      struct shim_reply *ret, struct error *err)
{
	struct wait *w = TAKE_PTR(p->wait);
	int r;

	pthread_mutex_lock(&s->lock);
	r = wait_for(s, w, timeout_ms, err);
	pthread_mutex_unlock(&s->lock);
	if (r >= 0)
		r = finish(&w->reply, ret, err);
	w->reply = (struct shim_reply){0}; /* taken or done */
	(void)wait_free(w);
	return r;
}

int shim_request_send(struct shim_request *q, const int *fds, size_t n_fds, int timeout_ms,
		      struct shim_reply *ret, struct error *err)
{
	struct shim_pending p;
	int r = shim_request_post(q, fds, n_fds, &p, err);

	return r < 0 ? r : shim_pending_wait(q->client, &p, timeout_ms, ret, err);
}

int shim_client_simple(struct shim_client *s, const char *op, struct error *err)
{
	struct shim_request q;

	shim_request_init(&q, s, op);
	return shim_request_send(&q, NULL, 0, SHIM_REQUEST_TIMEOUT_MS, NULL, err);
}

static int receive_direct(struct shim_client *s, int timeout_ms, struct shim_reply *ret,
			  struct error *err)
{
	struct pollfd p = {.fd = s->sock, .events = POLLIN};
	struct shim_reply reply = {0};
	int r = poll(&p, 1, timeout_ms);

	if (r < 0 && errno != EINTR)
		return error_set(err, ERROR_INTERNAL, errno, "wait for the container's shim");
	if (r == 0)
		return error_set(err, ERROR_UNAVAILABLE, ETIMEDOUT,
				 "container's shim does not answer");
	reply.arena = arena_new();
	r = shim_message_recv(s->sock, reply.arena, &reply.msg, r == -EAGAIN ? NULL : err);
	if (r == 1) {
		*ret = reply;
		return 1;
	}
	reply.arena = arena_free(reply.arena);
	if (r == 0)
		return error_set(err, ERROR_UNAVAILABLE, EPIPE, "container's shim is gone");
	return r;
}

int shim_request_send_direct(struct shim_request *q, int timeout_ms, struct shim_reply *ret,
			     struct error *err)
{
	struct shim_client *s = q->client;
	int r;

	jw_object_end(&q->w);
	r = shim_message_send(s->sock, &q->buf, NULL, 0, err);
	strbuf_done(&q->buf);
	while (r >= 0) {
		struct shim_reply reply = {0};

		r = receive_direct(s, timeout_ms, &reply, err);
		if (r < 0)
			break;
		if (reply.msg.is_reply && reply.msg.seq == q->seq)
			return finish(&reply, ret, err);
		if (reply.msg.is_reply)
			shim_reply_done(&reply);
		else
			keep(s, &reply);
	}
	return r;
}

/* With the lock: an event of creation that came before anybody asked. */
static bool take_kept(struct shim_client *s, const char *ev, struct shim_reply *ret)
{
	for (struct inbox **p = &s->inbox; *p; p = &(*p)->next) {
		struct inbox *i = *p;

		if (!str_eq(i->reply.msg.ev, ev) && !str_eq(i->reply.msg.ev, "failed"))
			continue;
		*ret = i->reply;
		*p = i->next;
		free(i);
		return true;
	}
	return false;
}

int shim_client_await(struct shim_client *s, const char *ev, struct shim_reply *ret,
		      struct error *err)
{
	struct wait w = {.ev = ev};
	int r = 0;

	wait_init(&w);
	pthread_mutex_lock(&s->lock);
	if (!take_kept(s, ev, &w.reply)) {
		w.next = s->waits;
		s->waits = &w;
		r = wait_for(s, &w, -1, err);
	}
	pthread_mutex_unlock(&s->lock);
	(void)pthread_cond_destroy(&w.cond);
	return r < 0 ? r : finish(&w.reply, ret, err);
}
