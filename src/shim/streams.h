/* shim/streams.h - the standard streams of a container or an exec: pipes or a terminal on one side;
 * the log and any number of attached clients on the other.
 *
 * Output goes to the log first, then to each client.  A client's socket is written without waiting;
 * what it does not take queues, and when STREAMS_QUEUE_MAX bytes wait for one client the pipe is not
 * read until half of them are gone: nothing is lost and memory is bounded.  A client that is gone
 * holds up nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct error;
struct logfile;
struct loop;
struct scratch;
struct streams;

#define STREAMS_QUEUE_MAX  (1 << 20) /* bytes waiting for one client */
#define STREAMS_FRAME_SIZE 8         /* header: stream, 0, 0, 0, length (big-endian) */

struct streams_args {
	struct loop *loop; /* borrowed, as all that follow but the fds */
	struct scratch *scratch;
	struct logfile *log; /* NULL: no log */
	bool tty;            /* no frames; detach keys; end of input does not close stdin */
	/* Close stdin when the last client that wrote it has ended its input; else, and at a terminal, the end of a
	 * client's input ends that client's session. */
	bool close_stdin;
	int in_take; /* pipe ends, -EBADF: none */
	int out_take, err_take;
	/* After streams_close, when the last client has gone.  May free the streams. */
	void (*on_idle)(void *data);
	void *data;
};

int streams_new(const struct streams_args *args, struct streams **ret, struct error *err);
/* With args.tty: the terminal's master. */
int streams_set_console(struct streams *s, int master_take, struct error *err);
/* ERROR_CONFLICT without a terminal. */
int streams_resize(struct streams *s, uint32_t rows, uint32_t cols, struct error *err);

struct streams_attach_args {
	int fd_take;             /* a stream socket; closed on failure too */
	bool in, out, err;       /* what the client wants of stdin, stdout, stderr */
	bool stream;             /* false: only the log's content */
	bool logs;               /* the log's content first, none of it lost or doubled */
	const char *detach_keys; /* NULL or "": none; used with a terminal only */
	const void *early;       /* input that was read with the request */
	size_t early_len;
};
int streams_attach(struct streams *s, struct streams_attach_args *args, struct error *err);

/* What a client or the log's pipe takes has changed: read output again, or no more of it. */
void streams_update_flow(struct streams *s);
/* The process has ended: read what is left in the pipes or the terminal, log it, queue it for the
 * clients.  Nothing that other processes write later is waited for. */
void streams_finish(struct streams *s);
/* Behind streams_finish: let each client see the end when it has read its output, then on_idle
 * (perhaps at once).  Clients that attach later see the end too. */
void streams_close(struct streams *s);
bool streams_is_idle(const struct streams *s); /* no clients */
/* Clients are dropped as they are. */
struct streams *streams_free(struct streams *s);
DEFINE_CLEANUP(struct streams, streams_free);
#define autostreams __attribute__((cleanup(streams_freep_)))
