/* base/pool.h - worker threads for linear, blocking code.
 *
 * Threads are made when all are busy, up to max_threads, and end after idling for 10 s but for the
 * last two, which are there early: a daemon must work when the process table is full, and one job
 * may wait for another.  Stacks are 512 KiB.  Jobs past
 * max_threads wait in order.  All signals are blocked in the workers.  If the system has never given
 * a thread, pool_submit runs the job itself.
 */
#pragma once

#include <stddef.h>

#include "base/mem.h"

struct pool;

struct pool *pool_new(unsigned max_threads);
void pool_submit(struct pool *p, void (*fn)(void *data), void *data);
/* Ahead of all that are queued, and in a thread beyond max_threads if all are busy: for jobs that
 * running ones may be waiting for. */
void pool_submit_urgent(struct pool *p, void (*fn)(void *data), void *data);
/* Waits for running and queued jobs; accepts NULL.  Not for the thread of a loop that these jobs
 * call into, nor for a job. */
struct pool *pool_free(struct pool *p);
