/* Clients that wait for the exit code. */
#include "shim/waiter.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/loop.h"

struct waiter {
	struct waiter *next;
	struct waiters *list; /* borrowed */
	int fd;               /* owned */
	struct loop_source *src;
	enum waiter_condition condition;
};

static const char *const names[] = {
	[WAITER_NOT_RUNNING] = "not-running",
	[WAITER_NEXT_EXIT] = "next-exit",
	[WAITER_REMOVED] = "removed",
};
static_assert(ARRAY_SIZE(names) == WAITER_CONDITION_COUNT, "a name for each condition");

const char *waiter_condition_name(enum waiter_condition c)
{
	assert(c < WAITER_CONDITION_COUNT);
	return names[c];
}

int waiter_condition_parse(const char *s, enum waiter_condition *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (s && strcmp(s, names[i]) == 0) {
			*ret = (enum waiter_condition)i;
			return 0;
		}
	return -EINVAL;
}

/* Unlink and free; returns the fd. */
static int waiter_take(struct waiter *w)
{
	int fd = w->fd;

	for (struct waiter **p = &w->list->first; *p; p = &(*p)->next)
		if (*p == w) {
			*p = w->next;
			break;
		}
	w->list->count--;
	w->src = loop_remove(w->src);
	free(w);
	return fd;
}

/* A request whose client has closed its side is cancelled, as HTTP servers do. */
static void client_gone(struct loop_source *src, int fd, uint32_t events, void *data)
{
	(void)src;
	(void)events;
	(void)waiter_take(data);
	(void)close(fd);
}

int waiters_add(struct waiters *list, struct loop *loop, int fd_take,
		enum waiter_condition condition, struct error *err)
{
	struct waiter *w = xnew0(struct waiter), **end = &list->first;
	int r;

	w->list = list;
	w->fd = fd_take;
	w->condition = condition;
	while (*end)
		end = &(*end)->next;
	*end = w;
	list->count++;
	r = loop_add_fd(loop, fd_take, EPOLLRDHUP, client_gone, w, &w->src, err);
	if (r < 0)
		(void)close(waiter_take(w));
	return r;
}

void waiter_answer_fd(int fd_take, int code)
{
	char body[64], out[128];
	int len, n;

	len = snprintf(body, sizeof(body), "{\"StatusCode\":%d}\n", code);
	n = snprintf(out, sizeof(out), "%x\r\n%s\r\n0\r\n\r\n", (unsigned)len, body);
	/* So little always fits into an idle socket; a client that is gone needs no answer. */
	(void)send(fd_take, out, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(fd_take, SHUT_WR);
	(void)close(fd_take);
}

void waiters_answer(struct waiters *list, int code, bool removed)
{
	struct waiter *w, *next;

	for (w = list->first; w; w = next) {
		next = w->next;
		if (removed || w->condition != WAITER_REMOVED)
			waiter_answer_fd(waiter_take(w), code);
	}
}

int waiters_take(struct waiters *list, enum waiter_condition *ret)
{
	if (!list->first)
		return -ENOENT;
	*ret = list->first->condition;
	return waiter_take(list->first);
}

void waiters_done(struct waiters *list)
{
	while (list->first)
		(void)close(waiter_take(list->first));
}
