/* engine/shim_client.h - the daemon's end of a shim's socket.
 *
 * The loop's thread receives everything.  Workers send requests and wait for the reply; a wait ends
 * with the reply, the time limit, the end of the connection or shim_client_cancel().  A shim that does
 * not read its socket gets ERROR_UNAVAILABLE instead of a blocked sender.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/str.h"
#include "shim/protocol.h"

struct shim_client;

struct shim_client_events {
	/* [loop] Everything but replies and the events of creation; fds are the callee's. */
	void (*event)(struct shim_client *s, struct shim_message *m, void *data);
	/* [loop] End of the connection, after its last event; once. */
	void (*closed)(struct shim_client *s, void *data);
};

struct shim_reply {
	struct arena *arena; /* owned */
	struct shim_message msg;
};
void shim_reply_done(struct shim_reply *r); /* closes fds left; accepts a zeroed one */
#define autoshim_reply __attribute__((cleanup(shim_reply_done)))

#define SHIM_REQUEST_TIMEOUT_MS 10000

/* Around one end of a socketpair or a connected socket (taken, also on failure).  Nothing is received
 * before shim_client_run. */
struct shim_client *shim_client_new(int sock_take, const struct shim_client_events *events,
				    void *data);
/* [loop, or before it runs] Receive from now on. */
int shim_client_run(struct shim_client *s, struct loop *l, struct error *err);
void shim_client_ref(struct shim_client *s);
struct shim_client *shim_client_unref(struct shim_client *s); /* accepts NULL, returns NULL */
/* [loop] No events any more; those who wait get ERROR_UNAVAILABLE; the socket is closed. */
void shim_client_close(struct shim_client *s);
/* [loop] Handle what has arrived already, now. */
void shim_client_drain(struct shim_client *s);
/* Any thread.  Waits end with ERROR_CONFLICT, now and from now on. */
void shim_client_cancel(struct shim_client *s);

struct shim_request {
	struct shim_client *client; /* borrowed */
	uint64_t seq;
	struct strbuf buf;
	struct json_writer w; /* add members here */
	int sent_point;       /* enum crash_point met between sending and the reply, or -1 */
};
void shim_request_init(struct shim_request *q, struct shim_client *s, const char *op);
/* [worker] Send and wait for the reply; an error that the shim answers is the result.  ret may be
 * NULL; timeout_ms < 0: none.  The request is done afterwards. */
int shim_request_send(struct shim_request *q, const int *fds, size_t n_fds, int timeout_ms,
		      struct shim_reply *ret, struct error *err);
/* [worker] The same in two halves, for several requests at once: send, and later wait. */
struct shim_pending {
	struct wait *wait; /* owned; NULL: nothing is pending */
};
int shim_request_post(struct shim_request *q, const int *fds, size_t n_fds,
		      struct shim_pending *ret, struct error *err);
int shim_pending_wait(struct shim_client *s, struct shim_pending *p, int timeout_ms,
		      struct shim_reply *ret, struct error *err);
/* [worker] A request without members. */
int shim_client_simple(struct shim_client *s, const char *op, struct error *err);
/* The same before shim_client_run, by the only thread that has it: receives itself.  Events that come
 * in between are kept for shim_client_run. */
int shim_request_send_direct(struct shim_request *q, int timeout_ms, struct shim_reply *ret,
			     struct error *err);

/* [worker] Wait for "namespaces" or "created"; "failed" and the end are errors. */
int shim_client_await(struct shim_client *s, const char *ev, struct shim_reply *ret,
		      struct error *err);
