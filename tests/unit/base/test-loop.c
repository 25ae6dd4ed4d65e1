/* The event loop: each kind of source, order, and removal within callbacks. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/spawn.h"

/* What the callbacks of one test share. */
struct fixture {
	struct loop *loop;
	struct loop_source *a, *b, *c;
	int pair[2], other[2];
	char trace[256];
	unsigned count;
	int code, status;
	pid_t pid;
	bool on_loop_thread;
};

static int set_up(void **state)
{
	struct fixture *f = xnew0(struct fixture);

	*state = f;
	if (loop_new(&f->loop, NULL) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->pair) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->other) < 0)
		return -1;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	f->loop = loop_free(f->loop);
	for (int i = 0; i < 2; i++) {
		fd_close(&f->pair[i]);
		fd_close(&f->other[i]);
	}
	free(f);
	return 0;
}

static void trace(struct fixture *f, char c)
{
	size_t n = strlen(f->trace);

	assert_true(n + 1 < sizeof(f->trace));
	f->trace[n] = c;
}

static void run(struct fixture *f)
{
	autoerror struct error err = {0};

	if (loop_run(f->loop, &err) < 0)
		fail_msg("%s", error_msg(&err));
}

static void stop(void *data)
{
	struct fixture *f = data;

	loop_stop(f->loop);
}

static void read_and_stop(struct loop_source *s, int fd, uint32_t events, void *data)
{
	struct fixture *f = data;
	char c = 0;

	assert_ptr_equal(s, f->a);
	assert_true(events & EPOLLIN);
	assert_int_equal(read(fd, &c, 1), 1);
	trace(f, c);
	if (c == '.')
		loop_stop(f->loop);
}

static void test_fd(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_add_fd(f->loop, f->pair[0], EPOLLIN, read_and_stop, f, &f->a, NULL),
			 0);
	assert_int_equal(write(f->pair[1], "abc.", 4), 4);
	run(f);
	assert_string_equal(f->trace, "abc."); /* level-triggered: one byte a turn */
	f->a = loop_remove(f->a);
	assert_null(f->a);
	assert_null(loop_remove(NULL));
}

static void test_fd_errors(void **state)
{
	struct fixture *f = *state;
	autoerror struct error err = {0};
	autoclose int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_int_equal(loop_add_fd(f->loop, -1, EPOLLIN, read_and_stop, f, &f->a, &err), -EBADF);
	assert_int_equal(loop_add_fd(f->loop, file, EPOLLIN, read_and_stop, f, &f->a, &err),
			 -EPERM);
	assert_null(f->a);
	assert_int_equal(loop_add_fd(f->loop, f->pair[0], EPOLLIN, read_and_stop, f, &f->a, &err),
			 0);
	assert_int_equal(loop_add_fd(f->loop, f->pair[0], EPOLLIN, read_and_stop, f, &f->b, &err),
			 -EEXIST);
}

static void count_event(struct loop_source *s, int fd, uint32_t events, void *data)
{
	struct fixture *f = data;

	(void)fd;
	(void)events;
	f->count++;
	loop_set_events(s, 0); /* paused: a hang-up is not reported either */
	loop_post(f->loop, stop, f);
}

static void test_pause(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_add_fd(f->loop, f->pair[0], EPOLLIN, count_event, f, &f->a, NULL), 0);
	fd_close(&f->pair[1]);
	run(f);
	assert_int_equal(f->count, 1);
	for (int i = 0; i < 5; i++) {
		loop_post(f->loop, stop, f);
		run(f);
	}
	assert_int_equal(f->count, 1);
	loop_set_events(f->a, EPOLLIN);
	run(f);
	assert_int_equal(f->count, 2);
	loop_set_events(f->a, EPOLLIN | EPOLLRDHUP);
	loop_set_events(f->a, EPOLLIN);
	run(f);
	assert_int_equal(f->count, 3);
}

static void remove_both(struct loop_source *s, int fd, uint32_t events, void *data)
{
	struct fixture *f = data;

	(void)fd;
	(void)events;
	assert_true(s == f->a || s == f->b);
	f->count++;
	/* Both are ready in this turn; the other's event is already in hand. */
	f->a = loop_remove(f->a);
	f->b = loop_remove(f->b);
	loop_post(f->loop, stop, f);
}

static void test_remove_within_callback(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_add_fd(f->loop, f->pair[0], EPOLLIN, remove_both, f, &f->a, NULL), 0);
	assert_int_equal(loop_add_fd(f->loop, f->other[0], EPOLLIN, remove_both, f, &f->b, NULL),
			 0);
	assert_int_equal(write(f->pair[1], "x", 1), 1);
	assert_int_equal(write(f->other[1], "x", 1), 1);
	run(f);
	assert_int_equal(f->count, 1);
	/* The numbers may be watched again. */
	assert_int_equal(loop_add_fd(f->loop, f->pair[0], EPOLLIN, remove_both, f, &f->a, NULL), 0);
	run(f);
	assert_int_equal(f->count, 2);
}

static void replace_other(struct loop_source *s, int fd, uint32_t events, void *data)
{
	struct fixture *f = data;
	struct loop_source **other = s == f->a ? &f->b : &f->a;

	(void)fd;
	(void)events;
	trace(f, s == f->c ? 'c' : 'r');
	if (s == f->c) {
		loop_stop(f->loop);
		return;
	}
	/* Its event of this turn must not reach the source that takes its place. */
	*other = loop_remove(*other);
	assert_int_equal(loop_add_fd(f->loop, s == f->a ? f->other[0] : f->pair[0], EPOLLIN,
				     replace_other, f, &f->c, NULL),
			 0);
	loop_set_events(s, 0);
}

static void test_event_of_removed_source_is_dropped(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_add_fd(f->loop, f->pair[0], EPOLLIN, replace_other, f, &f->a, NULL),
			 0);
	assert_int_equal(loop_add_fd(f->loop, f->other[0], EPOLLIN, replace_other, f, &f->b, NULL),
			 0);
	assert_int_equal(write(f->pair[1], "x", 1), 1);
	assert_int_equal(write(f->other[1], "x", 1), 1);
	run(f);
	assert_string_equal(f->trace, "rc"); /* c by its own event, a turn later */
}

static void trace_timer(struct loop_source *s, void *data)
{
	struct fixture *f = data;

	trace(f, s == f->a ? 'a' : s == f->b ? 'b' : 'c');
	if (s == f->c)
		loop_stop(f->loop);
}

static void test_timers_in_order(void **state)
{
	struct fixture *f = *state;
	uint64_t begun;

	do { /* again, if what we add takes so long that another order is the right one */
		f->a = loop_remove(f->a);
		f->b = loop_remove(f->b);
		f->c = loop_remove(f->c);
		begun = loop_now_ms(f->loop);
		assert_int_equal(loop_add_timer(f->loop, 300, trace_timer, f, &f->c, NULL), 0);
		assert_int_equal(loop_add_timer(f->loop, 200, trace_timer, f, &f->b, NULL), 0);
		assert_int_equal(loop_add_timer(f->loop, 0, trace_timer, f, &f->a, NULL), 0);
	} while (loop_now_ms(f->loop) - begun >= 50);
	run(f);
	assert_string_equal(f->trace, "abc");
	loop_set_timer(f->c, 0); /* again */
	run(f);
	assert_string_equal(f->trace, "abcc");
	loop_set_timer(f->a, 0);
	loop_set_timer(f->b, 0);
	loop_cancel_timer(f->a);
	loop_cancel_timer(f->a); /* harmless */
	loop_set_timer(f->c, 1);
	run(f);
	assert_string_equal(f->trace, "abccbc");
	loop_set_timer(f->a, UINT64_MAX); /* never, without overflow */
	loop_set_timer(f->b, (uint64_t)INT32_MAX * 2);
	loop_set_timer(f->c, 0);
	run(f);
	assert_string_equal(f->trace, "abccbcc");
}

static void never_early(struct loop_source *s, void *data)
{
	struct fixture *f = data;

	(void)s;
	f->on_loop_thread = loop_is_current(f->loop);
	f->count = (unsigned)loop_now_ms(f->loop);
	loop_stop(f->loop);
}

static void test_timer_is_never_early(void **state)
{
	struct fixture *f = *state;
	unsigned before = (unsigned)loop_now_ms(f->loop);

	assert_int_equal(loop_add_timer(f->loop, 5, never_early, f, &f->a, NULL), 0);
	run(f);
	assert_true(f->on_loop_thread);
	assert_false(loop_is_current(f->loop));
	assert_true(f->count - before >= 5);
}

static void rearm(struct loop_source *s, void *data)
{
	struct fixture *f = data;

	trace(f, 't');
	if (strlen(f->trace) >= 6)
		loop_stop(f->loop);
	else
		loop_set_timer(s, 0);
}

static void trace_post(void *data)
{
	struct fixture *f = data;

	trace(f, 'p');
}

static void rearm_and_post(struct loop_source *s, void *data)
{
	loop_post(((struct fixture *)data)->loop, trace_post, data);
	rearm(s, data);
}

static void test_rearmed_timer_fires_next_turn(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_add_timer(f->loop, 0, rearm_and_post, f, &f->a, NULL), 0);
	run(f);
	assert_string_equal(f->trace, "tptptpt"); /* others have their turn in between */
}

static void remove_timers(struct loop_source *s, void *data)
{
	struct fixture *f = data;

	(void)s;
	f->count++;
	f->a = loop_remove(f->a);
	f->b = loop_remove(f->b);
	loop_post(f->loop, stop, f);
}

static void test_remove_timers_within_callback(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(loop_add_timer(f->loop, 0, remove_timers, f, &f->a, NULL), 0);
	assert_int_equal(loop_add_timer(f->loop, 0, remove_timers, f, &f->b, NULL), 0);
	run(f);
	assert_int_equal(f->count, 1);
	loop_post(f->loop, stop, f);
	run(f);
	assert_int_equal(f->count, 1);
}

struct many {
	struct fixture *f;
	struct loop_source *timer[200];
	unsigned fired;
	uint64_t last_ms;
};

static void fire_one(struct loop_source *s, void *data)
{
	struct many *m = data;
	size_t i = 0;

	while (m->timer[i] != s)
		i++;
	assert_true(i % 3 != 0); /* those were cancelled or removed */
	m->timer[i] = loop_remove(s);
	m->fired++;
	if (m->fired == 200 - 67)
		loop_stop(m->f->loop);
}

/* Insertions and removals at all places of the heap. */
static void test_many_timers(void **state)
{
	struct many m = {.f = *state};
	unsigned removed = 0;

	for (size_t i = 0; i < 200; i++)
		assert_int_equal(
			loop_add_timer(m.f->loop, i * 7919 % 31, fire_one, &m, &m.timer[i], NULL),
			0);
	for (size_t i = 0; i < 200; i += 3, removed++) {
		if (i % 2)
			m.timer[i] = loop_remove(m.timer[i]);
		else
			loop_cancel_timer(m.timer[i]);
	}
	assert_int_equal(removed, 67);
	run(m.f);
	assert_int_equal(m.fired, 200 - 67);
}

static void on_signal(struct loop_source *s, const struct signalfd_siginfo *si, void *data)
{
	struct fixture *f = data;

	assert_ptr_equal(s, f->a);
	assert_int_equal(si->ssi_signo, SIGUSR1);
	assert_int_equal(si->ssi_pid, getpid());
	f->count++;
	f->a = loop_remove(f->a);
	loop_stop(f->loop);
}

static void test_signal(void **state)
{
	struct fixture *f = *state;
	autoerror struct error err = {0};
	sigset_t pending;

	assert_int_equal(loop_add_signal(f->loop, SIGUSR1, on_signal, f, &f->a, &err), 0);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	run(f);
	assert_int_equal(f->count, 1);
	assert_int_equal(sigpending(&pending), 0);
	assert_false(sigismember(&pending, SIGUSR1));
	assert_int_equal(loop_add_signal(f->loop, 12345, on_signal, f, &f->a, &err), -EINVAL);
}

static void on_child(struct loop_source *s, pid_t pid, int code, int status, void *data)
{
	struct fixture *f = data;

	assert_ptr_equal(s, f->a);
	f->pid = pid;
	f->code = code;
	f->status = status;
	f->count++;
	loop_stop(f->loop);
}

static pid_t watch_child(struct fixture *f, const char *script)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	struct spawn_args args = {.path = "/bin/sh", .argv = argv};
	autoerror struct error err = {0};
	int pidfd = -1;
	pid_t pid = 0;

	assert_int_equal(spawn(&args, &pid, &pidfd, &err), 0);
	assert_int_equal(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(loop_add_child(f->loop, pid, pidfd, on_child, f, &f->a, &err), 0);
	return pid;
}

static void test_child(void **state)
{
	struct fixture *f = *state;
	pid_t pid = watch_child(f, "exit 7");

	run(f);
	assert_int_equal(f->pid, pid);
	assert_int_equal(f->code, CLD_EXITED);
	assert_int_equal(f->status, 7);
	assert_int_equal(waitpid(pid, NULL, 0), -1); /* reaped */
	for (int i = 0; i < 3; i++) {
		loop_post(f->loop, stop, f);
		run(f);
	}
	assert_int_equal(f->count, 1); /* once, although the pidfd stays readable */
	f->a = loop_remove(f->a);

	pid = watch_child(f, "kill -TERM $$");
	run(f);
	assert_int_equal(f->code, CLD_KILLED);
	assert_int_equal(f->status, SIGTERM);
}

static void test_not_our_child(void **state)
{
	struct fixture *f = *state;
	const char *const argv[] = {"sh", "-c", "read x; exit 3", NULL};
	struct spawn_fd fds[] = {{.fd = f->pair[0], .child_fd = 0}};
	struct spawn_args args = {.path = "/bin/sh", .argv = argv, .fds = fds, .fd_count = 1};
	int pidfd = -1, again;
	pid_t pid;

	assert_int_equal(spawn(&args, &pid, &pidfd, NULL), 0);
	again = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(again >= 0);
	assert_int_equal(loop_add_child(f->loop, pid, again, on_child, f, &f->a, NULL), 0);
	fd_close(&f->pair[1]);
	assert_int_equal(waitpid(pid, NULL, 0),
			 pid); /* taken by somebody else: as good as foreign */
	run(f);
	assert_int_equal(f->code, 0);
	assert_int_equal(f->status, 0);
	fd_close(&pidfd);
}

static void post_more(void *data)
{
	struct fixture *f = data;

	trace(f, '1');
	loop_post(f->loop, trace_post, f);
	loop_post(f->loop, stop, f);
}

static void test_post_in_order(void **state)
{
	struct fixture *f = *state;

	loop_post(f->loop, post_more, f);
	loop_post(f->loop, trace_post, f);
	run(f);
	assert_string_equal(f->trace, "1pp");
}

static void test_free_runs_what_is_posted(void **state)
{
	struct fixture *f = *state;

	loop_post(f->loop, post_more, f); /* posts on, while the loop goes away */
	f->loop = loop_free(f->loop);
	assert_string_equal(f->trace, "1p");
	assert_int_equal(loop_new(&f->loop, NULL), 0);
}

static void add_one(void *data)
{
	struct fixture *f = data;

	assert_true(loop_is_current(f->loop));
	f->count++; /* unlocked: only who is the loop comes here */
}

static void *call_many(void *data)
{
	struct fixture *f = data;

	assert_false(loop_is_current(f->loop));
	for (int i = 0; i < 2000; i++)
		loop_call(f->loop, add_one, f);
	loop_post(f->loop, add_one, f);
	return NULL;
}

static void *join_and_stop(void *data)
{
	struct fixture *f = data;
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, call_many, f), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	loop_stop(f->loop);
	return NULL;
}

static void test_call_from_threads(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, join_and_stop, f), 0);
	run(f);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(f->count, 4 * 2001);
}

static void call_without_stop(void *data)
{
	trace(data, 'c');
}

static void call_within(void *data)
{
	struct fixture *f = data;

	loop_call(f->loop, trace_post, f); /* at once, not queued behind */
	trace(f, 'w');
	loop_stop(f->loop);
}

static void test_call_on_own_thread(void **state)
{
	struct fixture *f = *state;

	loop_call(f->loop, trace_post, f); /* not running yet, but ours */
	assert_string_equal(f->trace, "p");
	loop_post(f->loop, call_within, f);
	run(f);
	assert_string_equal(f->trace, "ppw");
}

static void fire_and_stop(struct loop_source *s, void *data)
{
	struct fixture *f = data;

	(void)s;
	trace(f, 't');
	loop_stop(f->loop);
}

static void arm(void *data)
{
	struct fixture *f = data;

	assert_int_equal(loop_add_timer(f->loop, 1, fire_and_stop, f, &f->a, NULL), 0);
}

static void *post_call_and_arm(void *data)
{
	struct fixture *f = data;

	loop_post(f->loop, trace_post, f);
	loop_call(f->loop, call_without_stop, f);
	loop_call(f->loop, arm, f); /* the loop sleeps, with no timer of its own */
	return NULL;
}

static void test_call_after_post_and_with_timer(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, post_call_and_arm, f), 0);
	run(f);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_string_equal(f->trace, "pct");
}

static void remove_a_and_stop(void *data)
{
	struct fixture *f = data;

	f->a = loop_remove(f->a);
	assert_int_equal(write(f->pair[1], "x", 1), 1);
	loop_stop(f->loop);
}

static void *call_remove(void *data)
{
	loop_call(((struct fixture *)data)->loop, remove_a_and_stop, data);
	return NULL;
}

static void test_remove_and_stop_from_thread(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	assert_int_equal(loop_add_fd(f->loop, f->pair[0], EPOLLIN, read_and_stop, f, &f->a, NULL),
			 0);
	assert_int_equal(pthread_create(&thread, NULL, call_remove, f), 0);
	run(f);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_string_equal(f->trace, "");
}

static void test_stop_before_run(void **state)
{
	struct fixture *f = *state;

	loop_stop(f->loop);
	run(f);
	loop_post(f->loop, stop, f);
	loop_post(f->loop, trace_post, f);
	run(f);
	assert_string_equal(f->trace, "p"); /* the turn is finished first */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fd),
		TEST(test_fd_errors),
		TEST(test_pause),
		TEST(test_remove_within_callback),
		TEST(test_event_of_removed_source_is_dropped),
		TEST(test_timers_in_order),
		TEST(test_timer_is_never_early),
		TEST(test_rearmed_timer_fires_next_turn),
		TEST(test_remove_timers_within_callback),
		TEST(test_many_timers),
		TEST(test_signal),
		TEST(test_child),
		TEST(test_not_our_child),
		TEST(test_post_in_order),
		TEST(test_free_runs_what_is_posted),
		TEST(test_call_from_threads),
		TEST(test_call_on_own_thread),
		TEST(test_call_after_post_and_with_timer),
		TEST(test_remove_and_stop_from_thread),
		TEST(test_stop_before_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
