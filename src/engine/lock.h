/* engine/lock.h - flock(2) that does not wait for ever. */
#pragma once

struct pool;

/* Take the exclusive lock of an open file, borrowed: 0, or -ETIMEDOUT after so many seconds.  The wait
 * is a worker's, which goes on after a timeout until it gets the lock, and drops it then. */
int lock_within(struct pool *pool, int fd, unsigned seconds);
