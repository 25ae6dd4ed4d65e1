/* http/pump.h - bytes carried both ways between a stream and one end of a socketpair.
 *
 * For TLS connections that were given away: whoever holds the pair's other end sees a plain socket,
 * with half-close in both directions.  The owner of the pump waits for events (epoll or poll) and
 * calls pump_step.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/stream.h"

struct error;

struct pump_way {
	char *buf; /* owned */
	size_t pos, len;
	bool at_end;  /* the source has ended */
	bool is_done; /* ... and so was the destination told */
};

struct pump {
	struct stream stream; /* owned */
	int pair;             /* owned */
	struct pump_way in;   /* stream to pair */
	struct pump_way out;  /* pair to stream */
	bool stream_hup;      /* the peer is gone */
	bool pair_hup;        /* nobody holds the other end any more */
	/* What to wait for before the next step, as poll or epoll bits; 0: only errors. */
	uint32_t stream_wants, pair_wants;
};

/* Takes the stream on success; `ahead` (len bytes, borrowed) were read from it already.  *ret_fd is
 * the other end, non-blocking. */
int pump_init(struct pump *p, struct stream *stream, const void *ahead, size_t len, int *ret_fd,
	      struct error *err);
/* Carry what can be carried.  The events are what the wait said of each side, 0 if nothing.  True
 * while there is more to do. */
bool pump_step(struct pump *p, uint32_t stream_events, uint32_t pair_events);
void pump_done(struct pump *p);
