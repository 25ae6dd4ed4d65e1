/* Questions over UDP.  One that is passed on has a socket of its own, so that the kernel chooses its
 * port at random, and an id at random: an answer that is not meant has two things to guess (RFC 5452).
 */
#include <string.h>
#include <sys/random.h>

#include "shim/resolver_priv.h"

#define QUESTIONS_MAX 256 /* under way for one container */
#define BURST         16  /* questions in a turn of the loop */
#define HALF          (SCRATCH_SIZE / 2)

struct resolver_question {
	struct resolver_question *next;
	struct resolver *resolver; /* borrowed */
	struct sockaddr_storage asker;
	socklen_t asker_len;
	struct dns_query query; /* its question points into msg */
	uint16_t id;            /* towards the server */
	unsigned server;        /* which one is being asked */
	int fd;                 /* owned; -EBADF: none yet */
	struct loop_source *src, *timer;
	size_t len;
	uint8_t msg[]; /* as it was asked, but for the id */
};

static void question_free(struct resolver_question *q)
{
	struct resolver *r = q->resolver;

	for (struct resolver_question **p = &r->questions; *p; p = &(*p)->next)
		if (*p == q) {
			*p = q->next;
			break;
		}
	q->src = loop_remove(q->src);
	q->timer = loop_remove(q->timer);
	fd_close(&q->fd);
	free(q);
	r->question_count--;
}

static void tell(const struct resolver *r, const struct resolver_question *q, const void *msg,
		 size_t len)
{
	(void)sendto(r->udp_fd, msg, len, MSG_DONTWAIT | MSG_NOSIGNAL,
		     (const struct sockaddr *)&q->asker, q->asker_len); /* may be lost */
}

static void tell_failure(struct resolver_question *q)
{
	uint8_t buf[DNS_UDP_MIN];
	struct dns_reply reply;

	dns_reply_begin(&reply, buf, sizeof(buf), &q->query);
	tell(q->resolver, q, buf, dns_reply_end(&reply, DNS_SERVFAIL));
	question_free(q);
}

static void answer_ready(struct loop_source *src, int fd, uint32_t events, void *data);

/* Ask the server whose turn it is, or one behind it. */
static void ask(struct resolver_question *q)
{
	struct resolver *r = q->resolver;
	struct resolver_server server;

	for (; resolver_server(r, q->server, &server); q->server++) {
		q->src = loop_remove(q->src);
		fd_close(&q->fd);
		q->fd = resolver_connect(r, &server, SOCK_DGRAM);
		if (q->fd < 0 || send(q->fd, q->msg, q->len, MSG_NOSIGNAL) < 0)
			continue;
		if (loop_add_fd(r->loop, q->fd, EPOLLIN, answer_ready, q, &q->src, NULL) < 0)
			continue;
		loop_set_timer(q->timer, RESOLVER_TRY_MS);
		return;
	}
	tell_failure(q);
}

static void too_late(struct loop_source *timer, void *data)
{
	struct resolver_question *q = data;

	(void)timer;
	q->server++;
	ask(q);
}

static void answer_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct resolver_question *q = data;
	uint8_t *buf = (uint8_t *)scratch_get(q->resolver->scratch);
	struct resolver_server next;
	unsigned rcode;
	ssize_t n = recv(fd, buf, SCRATCH_SIZE, MSG_DONTWAIT);

	(void)src;
	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) { /* nobody listens there */
		too_late(q->timer, q);
		return;
	}
	if (!dns_is_answer(buf, (size_t)n, &q->query, q->id, &rcode))
		return; /* not from whom we asked, or not to this */
	/* One that cannot or will not tell: perhaps the next can. */
	if ((rcode == DNS_SERVFAIL || rcode == DNS_REFUSED || rcode == DNS_NOTIMP) &&
	    resolver_server(q->resolver, q->server + 1, &next)) {
		too_late(q->timer, q);
		return;
	}
	dns_set_id(buf, q->query.id);
	tell(q->resolver, q, buf, (size_t)n);
	question_free(q);
}

static struct resolver_question *oldest(struct resolver *r)
{
	struct resolver_question *q = r->questions;

	while (q && q->next)
		q = q->next;
	return q;
}

static void pass_on(struct resolver *r, const struct resolver_question *from, const uint8_t *msg)
{
	struct resolver_question *q;

	if (r->question_count >= QUESTIONS_MAX)
		tell_failure(oldest(r));
	q = xcalloc(1, sizeof(*q) + from->len);
	*q = *from;
	memcpy(q->msg, msg, q->len);
	q->query.question = q->msg + (from->query.question - msg);
	q->fd = -EBADF;
	q->next = r->questions;
	r->questions = q;
	r->question_count++;
	if (getrandom(&q->id, sizeof(q->id), 0) != (ssize_t)sizeof(q->id))
		q->id = q->query.id; /* the port is still to be guessed */
	dns_set_id(q->msg, q->id);
	if (loop_add_timer(r->loop, RESOLVER_TRY_MS, too_late, q, &q->timer, NULL) < 0)
		tell_failure(q);
	else
		ask(q);
}

/* One question; false when there is none. */
static bool take(struct resolver *r)
{
	uint8_t *buf = (uint8_t *)scratch_get(r->scratch), *out = buf + HALF;
	struct resolver_question q = {.resolver = r, .asker_len = sizeof(q.asker)};
	struct dns_reply reply;
	size_t len;
	ssize_t n;
	int r2;

	n = recvfrom(r->udp_fd, buf, HALF, MSG_DONTWAIT, (struct sockaddr *)&q.asker, &q.asker_len);
	if (n < 0)
		return errno == EINTR;
	q.len = (size_t)n;
	r2 = dns_query_parse(buf, q.len, &q.query);
	if (r2 < 0)
		return true;
	if (r2 > 0) {
		dns_reply_begin(&reply, out, HALF, &q.query);
		len = dns_reply_end(&reply, (enum dns_rcode)r2);
	} else {
		len = resolver_answer(r, &q.query, out, q.query.udp_size);
	}
	if (len > 0)
		tell(r, &q, out, len);
	else
		pass_on(r, &q, buf);
	return true;
}

void resolver_udp_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	(void)src;
	(void)fd;
	(void)events;
	for (int i = 0; i < BURST && take(data); i++)
		;
}

void resolver_udp_done(struct resolver *r)
{
	while (r->questions)
		question_free(r->questions);
}
