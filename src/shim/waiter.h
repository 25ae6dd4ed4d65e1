/* shim/waiter.h - HTTP clients of /wait, whose response head the daemon has sent: they get the
 * exit code as the one chunk of the body. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct error;
struct loop;

enum waiter_condition {
	WAITER_NOT_RUNNING,
	WAITER_NEXT_EXIT,
	WAITER_REMOVED,
	WAITER_CONDITION_COUNT
};

const char *waiter_condition_name(enum waiter_condition c);
int waiter_condition_parse(const char *s, enum waiter_condition *ret); /* -EINVAL */

struct waiter;
struct waiters {
	struct waiter *first; /* owned list */
	size_t count;
};

/* fd_take is closed on failure too.  A client that goes away is forgotten. */
int waiters_add(struct waiters *w, struct loop *loop, int fd_take, enum waiter_condition condition,
		struct error *err);
/* Answer and forget those that wait for an exit, or with `removed` those for the removal too. */
void waiters_answer(struct waiters *w, int code, bool removed);
/* Take one out: its fd, which the caller owns, or -ENOENT. */
int waiters_take(struct waiters *w, enum waiter_condition *ret);
void waiters_done(struct waiters *w); /* closes what is left without a word */

/* Write the answer and close. */
void waiter_answer_fd(int fd_take, int code);
