/* shim/logpipe.h - what feeds a vessel-log: the log drivers that speak to somebody else.
 *
 * Theory: a SOCK_SEQPACKET pair whose messages are whole log entries (base/logentry.h).  We hold both
 * ends: vessel-log inherits a copy of the second, so that what it has not received yet outlives it, and
 * the one that is started in its place goes on there.  It sees the end of file when we are gone, and
 * sends what is left for as long as that may take it at most.
 *
 * What the socket does not take waits here.  A blocking pipe is full then: the container's output is not
 * read until it has gone, so that memory stays bounded.  A non-blocking one never is: what does not fit
 * into its buffer is dropped by whole lines, the newest, and counted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mem.h"

struct error;
struct loop;
struct logpipe;
struct shim_log;

/* Descriptors in a freshly spawned vessel-log; argv[1] is "run", argv[2] "again" for one that takes
 * another's place, and does not wait for its peer. */
#define LOGPIPE_CONFIG_FD 3 /* memfd: shim_log.driver */
#define LOGPIPE_INPUT_FD  4 /* SOCK_SEQPACKET */
#define LOGPIPE_STATUS_FD 5 /* pipe: "\n" when it is ready, or why it is not; not with "again" */

/* Start log->driver, and wait until it is ready.  The error is ERROR_INTERNAL, "failed to initialize
 * logging driver: ...". */
int logpipe_open(struct loop *loop, const struct shim_log *log, struct logpipe **ret,
		 struct error *err);
/* on_flow: logpipe_is_full has changed.  on_idle: nothing waits any more; may free the pipe. */
void logpipe_set_callbacks(struct logpipe *p, void (*on_flow)(void *data), void *flow_data,
			   void (*on_idle)(void *data), void *idle_data);
/* `data` is whole entries. */
void logpipe_write(struct logpipe *p, const char *data, size_t len);
bool logpipe_is_full(const struct logpipe *p); /* NULL never is */
bool logpipe_is_idle(const struct logpipe *p); /* nothing waits here; NULL always is */
uint64_t logpipe_dropped(const struct logpipe *p);
/* A child of this process has ended; true if it was ours. */
bool logpipe_reaped(struct logpipe *p, pid_t pid, int code);
pid_t logpipe_pid(const struct logpipe *p); /* of vessel-log; 0: none runs now */
/* Nothing more will be written; for a log that has to be complete at the exit, wait (for 2 s at most)
 * until vessel-log has written it and ended. */
void logpipe_finish(struct logpipe *p);
/* Nothing more will be written: what waits is given a moment to go, then on_idle. */
void logpipe_close(struct logpipe *p);
struct logpipe *logpipe_free(struct logpipe *p);
DEFINE_CLEANUP(struct logpipe, logpipe_free);
#define autologpipe __attribute__((cleanup(logpipe_freep_)))
