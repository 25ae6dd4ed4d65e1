/* http/websocket_pump.h - a client that speaks WebSocket, as a plain socket for who does not.
 *
 * A loop carries bytes between the client's connection and one end of a socketpair: messages become
 * bytes, bytes become messages, of one read each.  Pings are answered.  When the pair's other end is
 * closed, the client is told and has a while to answer; when the client leaves, the pair is closed.
 * One thread, the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct error;
struct loop;
struct websocket_pump;

struct websocket_pump_args {
	struct loop *loop; /* borrowed */
	const void *ahead; /* read behind the client's request; borrowed */
	size_t len;
	bool text; /* messages are sent as text; else as binary */
	void (*on_end)(struct websocket_pump *p, void *data); /* [loop] it is over: free it */
	void *data;
};

/* [loop] client_take: a connected, non-blocking stream socket behind the answer to the handshake; taken
 * in any case.  multiplexed: what the other end writes are frames of Docker's streams, of which the client
 * gets the payload.  *ret_fd: the pair's other end, the caller's. */
int websocket_pump_new(const struct websocket_pump_args *args, int client_take, bool multiplexed,
		       struct websocket_pump **ret, int *ret_fd, struct error *err);
struct websocket_pump *websocket_pump_free(struct websocket_pump *p); /* accepts NULL */
