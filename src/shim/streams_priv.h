/* shim/streams_priv.h - what streams.c (pipes, terminal) and client.c (attached clients) share. */
#pragma once

#include "base/detach.h"
#include "base/loop.h"
#include "base/str.h"
#include "shim/logline.h"
#include "shim/streams.h"

struct client;

struct output {
	struct streams *streams;
	enum stream_kind kind;
	int fd;                  /* owned; -EBADF: none, or ended */
	struct loop_source *src; /* while fd is open */
};

struct streams {
	struct loop *loop;       /* borrowed */
	struct scratch *scratch; /* borrowed */
	struct logfile *log;     /* borrowed; NULL: none */
	bool tty, close_stdin;
	bool closing;               /* streams_close was called */
	bool in_broken;             /* the process does not read any more */
	int in_fd;                  /* owned; -EBADF: none, or closed */
	struct loop_source *in_src; /* made when input first has to wait */
	int slave_fd;               /* owned; keeps a terminal from hanging up */
	int master_fd;              /* borrowed from out[STREAM_STDOUT] */
	struct output out[STREAM_KIND_COUNT];
	struct client *clients;
	size_t stdin_clients; /* whose input has not ended */
	bool idle_told;
	void (*on_idle)(void *data);
	void *data;
};

enum client_state {
	CLIENT_REPLAY, /* reads the log's content */
	CLIENT_LIVE,
	CLIENT_FLUSH,  /* gets what is queued, then the end */
	CLIENT_LINGER, /* has been sent the end; closes when the peer has, or soon */
	CLIENT_GONE,   /* the peer is gone; its input is still being delivered */
};

/* One piece of output that waits. */
struct chunk {
	struct chunk *next;
	size_t len;
	char data[];
};

struct client {
	struct client *next; /* in streams->clients */
	struct streams *streams;
	enum client_state state;
	int fd; /* owned */
	struct loop_source *src, *timer;
	bool wants[STREAM_KIND_COUNT];
	bool stream;     /* goes live after the replay */
	bool input_open; /* more may be read from the peer */
	bool stdin_held; /* counted in streams->stdin_clients */
	bool ends_with_input;
	bool blocking; /* its queue holds up the pipes */
	struct detach detach;
	struct strbuf pending; /* input that stdin did not take yet */
	struct chunk *queue, **queue_end;
	size_t queued, queue_done; /* bytes waiting; bytes of the first chunk that are out */
	struct logfile_reader *reader;
};

/* client.c.  Each of the functions below may free the client. */
int client_new(struct streams *s, struct streams_attach_args *args, struct error *err);
void client_output(struct client *c, enum stream_kind kind, const void *data, size_t len);
void client_end(struct client *c);
void client_deliver_pending(struct client *c); /* stdin is writable again, or closed */
struct client *client_free(struct client *c);

/* streams.c */
/* Write input; returns how much was taken (all of it when there is no stdin any more). */
size_t streams_write_stdin(struct streams *s, const void *data, size_t len);
void streams_wait_stdin(struct streams *s);  /* input is pending: watch for room */
void streams_stdin_ended(struct streams *s); /* one client's input is delivered to its end */
void streams_client_gone(struct streams *s); /* one client was freed */
