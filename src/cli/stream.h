/* cli/stream.h - an attached connection and this terminal: frames, raw mode, detach keys, signals. */
#pragma once

#include <stdbool.h>

#include "cli/cli.h"

struct http_client_raw;

struct stream {
	struct http_client_raw *raw; /* borrowed; closed by stream_run */
	bool tty;                    /* the container has a terminal: no frames, raw mode here */
	bool send_stdin;
	const char *detach_keys; /* NULL: ctrl-p,ctrl-q */
	const char *resize_path; /* "/containers/ID/resize", or NULL */
	const char *kill_path;   /* signals go here when set (--sig-proxy without a terminal) */
};

enum stream_end { STREAM_EOF, STREAM_DETACHED };

/* Open a hijacked connection: POST path (with a JSON body or NULL). */
int stream_open(struct cli *cli, const char *path, const struct strbuf *body,
		struct http_client_raw *ret, struct error *err);
/* Signals that stream_run forwards are held back from here on; call before the container starts. */
void stream_hold_signals(void);
/* Copy until the engine closes the stream or the detach keys are typed. */
int stream_run(struct cli *cli, const struct stream *s, enum stream_end *ret, struct error *err);
/* The terminal's size as a member "ConsoleSize", if standard output is one: what is started with it
 * has that size from the beginning. */
void stream_write_size(struct json_writer *w);
/* Tell the container's terminal this one's size. */
void stream_resize(struct cli *cli, const char *resize_path);
/* Write frames from a response or socket to stdout and stderr; `raw`: no frames. */
struct stream_demux {
	unsigned char header[8];
	size_t have;      /* bytes of the header */
	size_t remaining; /* bytes of the frame's payload */
};
int stream_demux(struct stream_demux *d, const char *data, size_t len, struct error *err);
