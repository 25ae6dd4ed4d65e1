/* engine/standby.h - a shim that stands by for the next container.
 *
 * Spawning a shim, and what it can make before it knows its container (the network namespace above all),
 * is a sixth of a start's time.  So one is kept ready, made a moment after each start that took it or
 * found none.  It holds nothing but itself: a daemon that ends, however, ends it by closing its socket.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct engine;
struct standby;

/* What belongs to whoever takes a shim. */
struct standby_shim {
	pid_t pid;
	int pidfd;   /* owned */
	int control; /* owned: the first connection */
};

/* [loop] Have one ready soon. */
void standby_want(struct engine *e);
/* [worker] Take it, if it is there.  Send it op launch (shim/protocol.h); it may have died. */
bool standby_take(struct engine *e, struct standby_shim *ret);
/* After the loop's end: end it and wait for that. */
void standby_close(struct engine *e);
