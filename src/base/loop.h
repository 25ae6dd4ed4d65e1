/* base/loop.h - the event loop: epoll, with timers, signalfd and pidfd sources.
 *
 * One thread runs a loop and everything that it owns; between its turns loop_call lets another thread
 * stand in for it.  Only loop_post, loop_call and loop_stop may be called from other threads.  A
 * callback may remove any source, its own included.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include "base/mem.h"

struct loop;
struct loop_source;
struct error;

typedef void (*loop_fd_fn)(struct loop_source *s, int fd, uint32_t events, void *data);
typedef void (*loop_timer_fn)(struct loop_source *s, void *data);
typedef void (*loop_signal_fn)(struct loop_source *s, const struct signalfd_siginfo *si,
			       void *data);
/* As from waitid(2): si_code (CLD_*) and si_status; the child is reaped.  Both are 0 for a process
 * that is not a child of ours. */
typedef void (*loop_child_fn)(struct loop_source *s, pid_t pid, int code, int status, void *data);
typedef void (*loop_fn)(void *data);

int loop_new(struct loop **ret, struct error *err);
/* Runs what is still posted, removes all sources; accepts NULL. */
struct loop *loop_free(struct loop *l);
DEFINE_CLEANUP(struct loop, loop_free);
#define autoloop __attribute__((cleanup(loop_freep_)))

int loop_run(struct loop *l, struct error *err); /* until loop_stop */
void loop_stop(struct loop *l);                  /* any thread */
/* True on the thread inside loop_run, and within a loop_call. */
bool loop_is_current(const struct loop *l);

/* `fd` is borrowed and must outlive the source.  events: EPOLLIN, EPOLLOUT, ... (level). */
int loop_add_fd(struct loop *l, int fd, uint32_t events, loop_fd_fn fn, void *data,
		struct loop_source **ret, struct error *err);
void loop_set_events(struct loop_source *s, uint32_t events); /* 0 pauses the source */
/* One-shot, CLOCK_MONOTONIC; re-arm with loop_set_timer. ms = 0 fires on the next turn. */
int loop_add_timer(struct loop *l, uint64_t delay_ms, loop_timer_fn fn, void *data,
		   struct loop_source **ret, struct error *err);
void loop_set_timer(struct loop_source *s, uint64_t delay_ms);
void loop_cancel_timer(struct loop_source *s); /* keeps the source, disarmed */
/* Blocks the signal in the calling thread (do so before making threads). */
int loop_add_signal(struct loop *l, int signo, loop_signal_fn fn, void *data,
		    struct loop_source **ret, struct error *err);
/* pidfd is taken (closed with the source).  Fires once. */
int loop_add_child(struct loop *l, pid_t pid, int pidfd_take, loop_child_fn fn, void *data,
		   struct loop_source **ret, struct error *err);
/* Detach and free a source; accepts NULL; returns NULL so `s = loop_remove(s)`. */
struct loop_source *loop_remove(struct loop_source *s);

/* Run fn on the loop's thread, soon (any thread, never blocks). */
void loop_post(struct loop *l, loop_fn fn, void *data);
/* Run fn as the loop's thread would, after what was posted before, and return when it has run: here,
 * while that thread is kept out (fn must be short and never wait), or at once if this is that thread,
 * or the thread that made the loop while nobody runs it.  Else waits until somebody does. */
void loop_call(struct loop *l, loop_fn fn, void *data);

/* Monotonic milliseconds, cached per turn on the loop's thread. */
uint64_t loop_now_ms(const struct loop *l);
