/* Waiters: the one chunk of the answer, who is answered when, and clients that go away. */
#include "shim/waiter.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"

static int add(struct waiters *w, struct loop *loop, enum waiter_condition condition)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(waiters_add(w, loop, pair[1], condition, NULL), 0);
	return pair[0];
}

static void expect(int fd, const char *want)
{
	char got[256] = "";
	size_t n = 0;
	ssize_t r;

	while ((r = read(fd, got + n, sizeof(got) - 1 - n)) > 0)
		n += (size_t)r;
	assert_int_equal(r, 0);
	assert_string_equal(got, want);
	(void)close(fd);
}

static bool is_silent(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void answers(void **state)
{
	autoloop struct loop *loop = NULL;
	struct waiters w = {0};
	int now, next, removed, left;

	(void)state;
	assert_int_equal(loop_new(&loop, NULL), 0);
	now = add(&w, loop, WAITER_NOT_RUNNING);
	next = add(&w, loop, WAITER_NEXT_EXIT);
	removed = add(&w, loop, WAITER_REMOVED);
	left = add(&w, loop, WAITER_REMOVED);
	assert_int_equal(w.count, 4);

	waiters_answer(&w, 137, false);
	expect(now, "13\r\n{\"StatusCode\":137}\n\r\n0\r\n\r\n");
	expect(next, "13\r\n{\"StatusCode\":137}\n\r\n0\r\n\r\n");
	assert_true(is_silent(removed));
	assert_int_equal(w.count, 2);
	waiters_answer(&w, 0, true);
	expect(removed, "11\r\n{\"StatusCode\":0}\n\r\n0\r\n\r\n");
	expect(left, "11\r\n{\"StatusCode\":0}\n\r\n0\r\n\r\n");
	assert_int_equal(w.count, 0);
}

static void handed_back(void **state)
{
	autoloop struct loop *loop = NULL;
	struct waiters w = {0};
	enum waiter_condition condition;
	int one, two, fd;

	(void)state;
	assert_int_equal(loop_new(&loop, NULL), 0);
	one = add(&w, loop, WAITER_REMOVED);
	two = add(&w, loop, WAITER_NEXT_EXIT);
	fd = waiters_take(&w, &condition);
	assert_true(fd >= 0);
	assert_int_equal(condition, WAITER_REMOVED);
	assert_int_equal(write(fd, "x", 1), 1);
	(void)close(fd);
	expect(one, "x");
	waiters_done(&w); /* without a word */
	expect(two, "");
	assert_int_equal(waiters_take(&w, &condition), -ENOENT);
}

static void stop(struct loop_source *s, void *data)
{
	(void)s;
	loop_stop(data);
}

/* A client that closed is forgotten as soon as the loop runs. */
static void gone(void **state)
{
	autoloop struct loop *loop = NULL;
	struct waiters w = {0};
	struct loop_source *timer;
	int one, two, half;

	(void)state;
	assert_int_equal(loop_new(&loop, NULL), 0);
	one = add(&w, loop, WAITER_NEXT_EXIT);
	two = add(&w, loop, WAITER_NEXT_EXIT);
	half = add(&w, loop, WAITER_NEXT_EXIT);
	(void)close(one);
	assert_int_equal(shutdown(half, SHUT_WR), 0);
	assert_int_equal(loop_add_timer(loop, 0, stop, loop, &timer, NULL), 0);
	assert_int_equal(loop_run(loop, NULL), 0);
	assert_int_equal(w.count, 1);
	waiters_answer(&w, 0, false);
	expect(two, "11\r\n{\"StatusCode\":0}\n\r\n0\r\n\r\n");
	expect(half, "");
}

static void conditions(void **state)
{
	(void)state;
	for (int i = 0; i < WAITER_CONDITION_COUNT; i++) {
		enum waiter_condition back = WAITER_CONDITION_COUNT;

		assert_int_equal(waiter_condition_parse(
					 waiter_condition_name((enum waiter_condition)i), &back),
				 0);
		assert_int_equal(back, i);
	}
	assert_int_equal(waiter_condition_parse("running", NULL), -EINVAL);
	assert_int_equal(waiter_condition_parse(NULL, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(answers), cmocka_unit_test(handed_back),
					   cmocka_unit_test(gone), cmocka_unit_test(conditions)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
