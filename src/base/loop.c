/* The event loop.
 *
 * A turn: wait for descriptors or the next timer; call back for each ready source (one of them is
 * the eventfd behind which posted functions queue); call the timers that were due when the turn
 * began; free what was removed meanwhile.  A removed source is unhooked at once and only its memory
 * stays until the turn's end, because this turn's events may still name it.
 *
 * Whoever holds `turn_lock` is the loop: its thread, all but while it waits, or a thread in loop_call,
 * which runs its function by itself instead of waking the loop's thread and waiting for it.  Two
 * switches between threads, some 10 us, become a lock that is nearly always free.
 *
 * Timers are a binary heap ordered by deadline and arming order, and epoll's timeout: no descriptor
 * each.  One armed during a turn never fires in the same turn.
 */
#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"

#define EVENTS_A_TURN 64
#define NS_PER_MS     INT64_C(1000000)
#define NOT_IN_HEAP   SIZE_MAX

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

struct loop_source {
	struct loop *loop;
	struct loop_source *prev, *next; /* in loop->sources or, by next only, loop->removed */
	void (*ready)(struct loop_source *s, uint32_t events); /* NULL for a timer */
	bool removed;
	int fd; /* borrowed for fd sources, else owned; -EBADF for a timer */
	bool owns_fd;
	bool polled; /* fd is in the epoll set */
	uint32_t events;
	pid_t pid;
	/* A timer's place in the heap. */
	uint64_t deadline_ms, armed_seq, armed_turn;
	size_t heap_index;
	union {
		loop_fd_fn fd_fn;
		loop_timer_fn timer_fn;
		loop_signal_fn signal_fn;
		loop_child_fn child_fn;
	};
	void *data;
};

struct posted {
	struct posted *next;
	loop_fn fn;
	void *data;
};

struct loop {
	int epoll_fd, wake_fd;
	struct loop_source *sources, *removed;
	pthread_mutex_t turn_lock; /* for all but the list of posted functions */
	bool in_turn;              /* a thread's turn, or call */
	uint64_t turn, now_ms, timer_seq;
	uint64_t wakes_ms;         /* when the wait for events ends by itself */
	struct loop_source **heap; /* owned array of borrowed sources */
	size_t heap_n, heap_cap;
	pthread_t maker;
	atomic_bool running, stop;
	pthread_mutex_t lock; /* for the list of posted functions */
	struct posted *posted_first, **posted_end;
};

static _Thread_local const struct loop *current_loop;

static uint64_t monotonic_ms(void)
{
	return (uint64_t)(clock_monotonic_ns() / NS_PER_MS);
}

/* The heap: earliest deadline first, then the one armed first. */

static bool earlier(const struct loop_source *a, const struct loop_source *b)
{
	return a->deadline_ms != b->deadline_ms ? a->deadline_ms < b->deadline_ms
						: a->armed_seq < b->armed_seq;
}

static void heap_place(struct loop *l, size_t i, struct loop_source *s)
{
	l->heap[i] = s;
	s->heap_index = i;
}

static void heap_sift_up(struct loop *l, size_t i, struct loop_source *s)
{
	while (i > 0 && earlier(s, l->heap[(i - 1) / 2])) {
		heap_place(l, i, l->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_place(l, i, s);
}

static void heap_sift_down(struct loop *l, size_t i, struct loop_source *s)
{
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= l->heap_n)
			break;
		if (child + 1 < l->heap_n && earlier(l->heap[child + 1], l->heap[child]))
			child++;
		if (!earlier(l->heap[child], s))
			break;
		heap_place(l, i, l->heap[child]);
		i = child;
	}
	heap_place(l, i, s);
}

static void heap_insert(struct loop *l, struct loop_source *s)
{
	xgrow(l->heap, l->heap_n, l->heap_cap);
	heap_sift_up(l, l->heap_n++, s);
}

static void heap_remove(struct loop *l, struct loop_source *s)
{
	size_t i = s->heap_index;
	struct loop_source *last;

	if (i == NOT_IN_HEAP)
		return;
	s->heap_index = NOT_IN_HEAP;
	last = l->heap[--l->heap_n];
	if (last == s)
		return;
	if (i > 0 && earlier(last, l->heap[(i - 1) / 2]))
		heap_sift_up(l, i, last);
	else
		heap_sift_down(l, i, last);
}

/* Sources */

static struct loop_source *source_new(struct loop *l, int fd, void *data)
{
	struct loop_source *s = xnew0(struct loop_source);

	s->loop = l;
	s->fd = fd;
	s->data = data;
	s->heap_index = NOT_IN_HEAP;
	s->next = l->sources;
	if (s->next)
		s->next->prev = s;
	l->sources = s;
	return s;
}

/* An empty set leaves epoll altogether: it would report EPOLLHUP and EPOLLERR even so. */
static int source_poll(struct loop_source *s, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = s};
	int op = !s->polled ? EPOLL_CTL_ADD : events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;

	if (!s->polled && !events)
		return 0;
	if (epoll_ctl(s->loop->epoll_fd, op, s->fd, &ev) < 0)
		return -errno;
	s->polled = events != 0;
	s->events = events;
	return 0;
}

static void source_free(struct loop_source *s)
{
	free(s);
}

struct loop_source *loop_remove(struct loop_source *s)
{
	struct loop *l;

	if (!s)
		return NULL;
	l = s->loop;
	assert(!s->removed);
	s->removed = true;
	if (s->polled)
		(void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	if (s->owns_fd)
		fd_close(&s->fd);
	heap_remove(l, s);
	if (s->prev)
		s->prev->next = s->next;
	else
		l->sources = s->next;
	if (s->next)
		s->next->prev = s->prev;
	/* Events that name it may have been fetched, by a thread that waits for the lock. */
	if (l->in_turn || atomic_load(&l->running)) {
		s->next = l->removed;
		l->removed = s;
	} else {
		source_free(s);
	}
	return NULL;
}

static void free_removed(struct loop *l)
{
	struct loop_source *s;

	while ((s = l->removed) != NULL) {
		l->removed = s->next;
		source_free(s);
	}
}

static void fd_ready(struct loop_source *s, uint32_t events)
{
	s->fd_fn(s, s->fd, events, s->data);
}

int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *data,
		struct loop_source **ret, struct error *err)
{
	struct loop_source *s = source_new(l, fd, data);
	int r;

	s->ready = fd_ready;
	s->fd_fn = fn;
	r = source_poll(s, events);
	if (r < 0) {
		loop_remove(s);
		return error_set(err, ERROR_INTERNAL, -r, "watch descriptor %d", fd);
	}
	*ret = s;
	return 0;
}

void loop_set_events(struct loop_source *s, uint32_t events)
{
	int r;

	if (s->polled && s->events == events)
		return;
	r = source_poll(s, events);
	assert(r == 0); /* the descriptor was closed under us, or never could be polled */
}

int loop_add_timer(struct loop *l, uint64_t delay_ms, loop_timer_fn fn, void *data,
		   struct loop_source **ret, struct error *err)
{
	struct loop_source *s = source_new(l, -EBADF, data);

	(void)err;
	s->timer_fn = fn;
	loop_set_timer(s, delay_ms);
	*ret = s;
	return 0;
}

void loop_set_timer(struct loop_source *s, uint64_t delay_ms)
{
	struct loop *l = s->loop;
	int64_t now_ns = clock_monotonic_ns();
	/* Rounded up, so that it never fires early. */
	uint64_t now = (uint64_t)((now_ns + (delay_ms ? NS_PER_MS - 1 : 0)) / NS_PER_MS);

	heap_remove(l, s);
	if (__builtin_add_overflow(now, delay_ms, &s->deadline_ms))
		s->deadline_ms = UINT64_MAX;
	s->armed_seq = ++l->timer_seq;
	s->armed_turn = l->turn;
	heap_insert(l, s);
}

void loop_cancel_timer(struct loop_source *s)
{
	heap_remove(s->loop, s);
}

static void signal_ready(struct loop_source *s, uint32_t events)
{
	struct signalfd_siginfo si;

	(void)events;
	while (!s->removed && read(s->fd, &si, sizeof(si)) == (ssize_t)sizeof(si))
		s->signal_fn(s, &si, s->data);
}

int loop_add_signal(struct loop *l, int signo, loop_signal_fn fn, void *data,
		    struct loop_source **ret, struct error *err)
{
	struct loop_source *s;
	sigset_t mask;
	int fd, r;

	sigemptyset(&mask);
	if (sigaddset(&mask, signo) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "watch signal %d", signo);
	r = pthread_sigmask(SIG_BLOCK, &mask, NULL);
	if (r != 0)
		return error_set(err, ERROR_INTERNAL, r, "block signal %d", signo);
	fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "watch signal %d", signo);
	s = source_new(l, fd, data);
	s->owns_fd = true;
	s->ready = signal_ready;
	s->signal_fn = fn;
	r = source_poll(s, EPOLLIN);
	if (r < 0) {
		loop_remove(s);
		return error_set(err, ERROR_INTERNAL, -r, "watch signal %d", signo);
	}
	*ret = s;
	return 0;
}

static void child_ready(struct loop_source *s, uint32_t events)
{
	siginfo_t si = {0};

	(void)events;
	if (waitid((idtype_t)P_PIDFD, (id_t)s->fd, &si, WEXITED | WNOHANG) < 0) {
		if (errno == EINTR)
			return; /* still readable: next turn */
		si = (siginfo_t){0};
	} else if (si.si_pid == 0) {
		return;
	}
	(void)source_poll(s, 0);
	s->child_fn(s, s->pid, si.si_code, si.si_status, s->data);
}

int loop_add_child(struct loop *l, pid_t pid, int pidfd_take, loop_child_fn fn, void *data,
		   struct loop_source **ret, struct error *err)
{
	struct loop_source *s = source_new(l, pidfd_take, data);
	int r;

	s->owns_fd = true;
	s->pid = pid;
	s->ready = child_ready;
	s->child_fn = fn;
	r = source_poll(s, EPOLLIN);
	if (r < 0) {
		loop_remove(s);
		return error_set(err, ERROR_INTERNAL, -r, "watch process %d", (int)pid);
	}
	*ret = s;
	return 0;
}

/* Functions from other threads */

static void wake(struct loop *l)
{
	static const uint64_t one = 1;

	if (write(l->wake_fd, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN); /* the counter is full, hence readable */
}

void loop_post(struct loop *l, loop_fn fn, void *data)
{
	struct posted *p = xnew0(struct posted);
	bool was_empty;

	p->fn = fn;
	p->data = data;
	(void)pthread_mutex_lock(&l->lock);
	was_empty = l->posted_first == NULL;
	*l->posted_end = p;
	l->posted_end = &p->next;
	/* Under the lock: once this function runs, the loop may be freed. */
	if (was_empty)
		wake(l);
	(void)pthread_mutex_unlock(&l->lock);
}

static void run_posted(struct loop *l)
{
	struct posted *p;

	(void)pthread_mutex_lock(&l->lock);
	p = TAKE_PTR(l->posted_first);
	l->posted_end = &l->posted_first;
	(void)pthread_mutex_unlock(&l->lock);
	while (p) {
		autofree struct posted *now = p;

		p = p->next;
		now->fn(now->data);
	}
}

static void wake_ready(struct loop_source *s, uint32_t events)
{
	uint64_t count;

	(void)events;
	/* First: a function posted from here on writes again. */
	if (read(s->fd, &count, sizeof(count)) < 0)
		assert(errno == EAGAIN || errno == EINTR);
	run_posted(s->loop);
}

struct call {
	loop_fn fn;
	void *data;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void run_call(void *data)
{
	struct call *c = data;

	c->fn(c->data);
	(void)pthread_mutex_lock(&c->lock);
	c->done = true;
	(void)pthread_cond_signal(&c->cond);
	(void)pthread_mutex_unlock(&c->lock);
}

/* Be the loop for a moment, between two of its turns or, as its maker, before the first one: another thread
 * may be about to begin that.  False: nobody runs it. */
static bool call_here(struct loop *l, loop_fn fn, void *data)
{
	const struct loop *outer = current_loop;
	bool running, may;

	(void)pthread_mutex_lock(&l->turn_lock);
	running = atomic_load(&l->running);
	may = running || pthread_equal(l->maker, pthread_self());
	if (may) {
		current_loop = l;
		l->in_turn = true;
		l->now_ms = monotonic_ms();
		if (running)
			run_posted(l); /* what was posted before comes before */
		fn(data);
		l->in_turn = false;
		current_loop = outer;
		if (running && (atomic_load(&l->stop) ||
				(l->heap_n > 0 && l->heap[0]->deadline_ms < l->wakes_ms)))
			wake(l);
	}
	(void)pthread_mutex_unlock(&l->turn_lock);
	return may;
}

void loop_call(struct loop *l, loop_fn fn, void *data)
{
	struct call c = {.fn = fn, .data = data};

	if (loop_is_current(l)) {
		fn(data);
		return;
	}
	if (call_here(l, fn, data))
		return;
	(void)pthread_mutex_init(&c.lock, NULL);
	(void)pthread_cond_init(&c.cond, NULL);
	loop_post(l, run_call, &c);
	(void)pthread_mutex_lock(&c.lock);
	while (!c.done)
		(void)pthread_cond_wait(&c.cond, &c.lock);
	(void)pthread_mutex_unlock(&c.lock);
	(void)pthread_cond_destroy(&c.cond);
	(void)pthread_mutex_destroy(&c.lock);
}

/* The loop itself */

int loop_new(struct loop **ret, struct error *err)
{
	struct loop *l = xnew0(struct loop);
	struct loop_source *wake;
	int r;

	l->wake_fd = -EBADF;
	l->maker = pthread_self();
	l->posted_end = &l->posted_first;
	l->now_ms = monotonic_ms();
	(void)pthread_mutex_init(&l->lock, NULL);
	(void)pthread_mutex_init(&l->turn_lock, NULL);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll_fd >= 0)
		l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0) {
		r = error_set(err, ERROR_INTERNAL, errno, "create event loop");
		loop_free(l);
		return r;
	}
	wake = source_new(l, l->wake_fd, NULL);
	wake->ready = wake_ready;
	r = source_poll(wake, EPOLLIN);
	if (r < 0) {
		r = error_set(err, ERROR_INTERNAL, -r, "create event loop");
		loop_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

struct loop *loop_free(struct loop *l)
{
	const struct loop *outer = current_loop;

	if (!l)
		return NULL;
	assert(!l->in_turn);
	current_loop = l; /* so that a posted function may loop_call */
	while (l->posted_first)
		run_posted(l);
	current_loop = outer;
	while (l->sources)
		loop_remove(l->sources);
	free_removed(l);
	fd_close(&l->wake_fd);
	fd_close(&l->epoll_fd);
	(void)pthread_mutex_lock(&l->lock); /* a poster may be on its way out of it */
	(void)pthread_mutex_unlock(&l->lock);
	(void)pthread_mutex_destroy(&l->lock);
	(void)pthread_mutex_lock(&l->turn_lock); /* or of a call */
	(void)pthread_mutex_unlock(&l->turn_lock);
	(void)pthread_mutex_destroy(&l->turn_lock);
	free(l->heap);
	free(l);
	return NULL;
}

static void run_timers(struct loop *l)
{
	while (l->heap_n > 0) {
		struct loop_source *s = l->heap[0];

		if (s->deadline_ms > l->now_ms || s->armed_turn == l->turn)
			break;
		heap_remove(l, s);
		s->timer_fn(s, s->data);
	}
}

static int next_timeout(struct loop *l)
{
	uint64_t now, deadline;

	l->wakes_ms = l->heap_n > 0 ? l->heap[0]->deadline_ms : UINT64_MAX;
	if (l->heap_n == 0)
		return -1;
	now = monotonic_ms();
	deadline = l->wakes_ms;
	if (deadline <= now)
		return 0;
	return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}

/* With the lock held, but for the wait. */
static int run_turn(struct loop *l)
{
	struct epoll_event events[EVENTS_A_TURN];
	int timeout = next_timeout(l), n, errnum;

	(void)pthread_mutex_unlock(&l->turn_lock);
	n = epoll_wait(l->epoll_fd, events, EVENTS_A_TURN, timeout);
	errnum = errno;
	(void)pthread_mutex_lock(&l->turn_lock);
	if (n < 0 && errnum != EINTR)
		return -errnum;
	l->turn++;
	l->now_ms = monotonic_ms();
	l->in_turn = true;
	for (int i = 0; i < n; i++) {
		struct loop_source *s = events[i].data.ptr;

		/* Removed or paused by a callback before this one. */
		if (!s->removed && s->polled)
			s->ready(s, events[i].events);
	}
	run_timers(l);
	l->in_turn = false;
	free_removed(l);
	return 0;
}

int loop_run(struct loop *l, struct error *err)
{
	const struct loop *outer = current_loop;
	int r = 0;

	(void)pthread_mutex_lock(&l->turn_lock);
	assert(!l->in_turn);
	current_loop = l;
	atomic_store(&l->running, true);
	while (r == 0 && !atomic_exchange(&l->stop, false))
		r = run_turn(l);
	atomic_store(&l->running, false);
	current_loop = outer;
	(void)pthread_mutex_unlock(&l->turn_lock);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "wait for events") : 0;
}

static void do_nothing(void *data)
{
	(void)data;
}

void loop_stop(struct loop *l)
{
	atomic_store(&l->stop, true);
	if (!loop_is_current(l))
		loop_post(l, do_nothing, NULL);
}

bool loop_is_current(const struct loop *l)
{
	return current_loop == l;
}

uint64_t loop_now_ms(const struct loop *l)
{
	return loop_is_current(l) ? l->now_ms : monotonic_ms();
}
