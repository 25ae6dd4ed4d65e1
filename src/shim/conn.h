/* shim/conn.h - the daemons' connections to a shim: the one it was spawned with, and those made to
 * its socket later.
 *
 * Messages are sent without waiting; what a daemon does not take queues, and a daemon that lets
 * CONN_QUEUE_MAX messages pile up is cut off: it can connect again and ask for the state.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"
#include "base/str.h"
#include "shim/protocol.h"

struct conn;
struct conns;
struct error;
struct loop;

#define CONN_QUEUE_MAX 256 /* messages */

struct conns_args {
	struct loop *loop; /* borrowed */
	/* A message has come.  Its fds are closed afterwards unless taken (set to -EBADF). */
	void (*on_message)(void *data, struct conn *c, struct shim_message *m);
	/* A connection has ended; `first`: the one that the shim was spawned with. */
	void (*on_end)(void *data, bool first);
	void *data;
};

struct conns *conns_new(const struct conns_args *args);
/* Closes all.  Accepts NULL. */
struct conns *conns_free(struct conns *l);
DEFINE_CLEANUP(struct conns, conns_free);

/* Listen on <dir_fd>/shim.sock. */
int conns_listen(struct conns *l, int dir_fd, struct error *err);
void conns_unlisten(struct conns *l); /* the socket's file goes too */
int conns_add_first(struct conns *l, int fd_take, struct error *err);

bool conns_any(const struct conns *l);
/* To one or to all; fds are borrowed (duplicated if they have to wait). */
void conn_send(struct conn *c, const struct strbuf *message, const int *fds, size_t n_fds);
void conns_send(struct conns *l, const struct strbuf *message, const int *fds, size_t n_fds);
