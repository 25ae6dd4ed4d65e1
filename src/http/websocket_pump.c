/* A client that speaks WebSocket, as a plain socket for who does not.
 *
 * Each direction has one buffer, filled only when it is empty, so a slow side holds back the other.  Answers
 * to pings and to a close share the buffer to the client with its messages, and wait until it is empty: they
 * never break into a message's bytes.  While one waits, nothing more is read from the client.
 */
#include "http/websocket_pump.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/loop.h"
#include "base/mem.h"
#include "http/websocket.h"

#define PUMP_BYTES    ((size_t)16 * 1024)
#define STEPS_MAX     32   /* then the loop's other sources have their turn */
#define CLOSE_WAIT_MS 5000 /* for a close to be taken and answered */
#define MUX_HEAD      8    /* bytes: stream, three zeros, length in big endian */

struct websocket_pump {
	struct websocket_pump_args args;
	int client, pair;                                /* owned */
	struct loop_source *on_client, *on_pair, *timer; /* owned */
	uint32_t client_events, pair_events;             /* as registered */

	/* From the client: bytes not parsed yet, and what of the last piece the pair did not take. */
	struct websocket_parser parser;
	char *in; /* owned */
	size_t in_pos, in_len;
	const char *piece;
	size_t piece_len;

	/* To the client: a frame or several. */
	unsigned char out[WEBSOCKET_HEAD_MAX + PUMP_BYTES];
	size_t out_pos, out_len;
	unsigned char reply[WEBSOCKET_HEAD_MAX + WEBSOCKET_CONTROL_MAX];
	size_t reply_len;

	bool multiplexed;
	unsigned char mux_head[MUX_HEAD];
	size_t mux_have;
	uint32_t mux_left;

	bool pair_ended;   /* nothing more comes from it */
	bool client_ended; /* or from the client; what it sends is thrown away */
	bool close_sent;
};

static void set_reply(struct websocket_pump *p, enum websocket_opcode opcode, const char *data,
		      size_t len)
{
	size_t n = websocket_head(p->reply, opcode, len);

	if (len > 0)
		memcpy(p->reply + n, data, len);
	p->reply_len = n + len;
}

static void reply_close(struct websocket_pump *p, unsigned code)
{
	const char text[2] = {(char)(code >> 8), (char)code};

	set_reply(p, WEBSOCKET_CLOSE, text, sizeof(text));
	p->close_sent = true;
}

/* Nothing the client may still send is for the pair. */
static void end_client(struct websocket_pump *p, unsigned code)
{
	p->client_ended = true;
	p->in_len = p->piece_len = 0;
	(void)shutdown(p->pair, SHUT_WR); /* fails only if the other end is closed */
	if (!p->close_sent)
		reply_close(p, code);
	loop_set_timer(p->timer, CLOSE_WAIT_MS);
}

/* Each of the steps returns 1 when something moved, 0 when it must wait, negative when the
 * connection is of no use any more. */
static int read_client(struct websocket_pump *p)
{
	ssize_t n;

	if (p->in_len > 0 || p->piece_len > 0 || p->reply_len > 0)
		return 0;
	n = recv(p->client, p->in, PUMP_BYTES, 0);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET; /* without a close, or after both */
	if (p->client_ended)
		return 1;
	p->in_pos = 0;
	p->in_len = (size_t)n;
	return 1;
}

static int parse_client(struct websocket_pump *p)
{
	struct websocket_piece piece;
	ssize_t n;

	if (p->in_len == 0 || p->piece_len > 0 || p->reply_len > 0)
		return 0;
	n = websocket_parse(&p->parser, p->in + p->in_pos, p->in_len, &piece);
	if (n < 0) {
		end_client(p, WEBSOCKET_CODE_PROTOCOL);
		return 1;
	}
	p->in_pos += (size_t)n;
	p->in_len -= (size_t)n;
	switch (piece.kind) {
	case WEBSOCKET_PIECE_DATA:
		p->piece = piece.data;
		p->piece_len = piece.len;
		break;
	case WEBSOCKET_PIECE_PING:
		set_reply(p, WEBSOCKET_PONG, piece.data, piece.len);
		break;
	case WEBSOCKET_PIECE_CLOSE:
		end_client(p, WEBSOCKET_CODE_NORMAL);
		break;
	case WEBSOCKET_PIECE_PONG:
	case WEBSOCKET_PIECE_NONE:
		break;
	}
	return 1;
}

static int write_pair(struct websocket_pump *p)
{
	ssize_t n;

	if (p->piece_len == 0)
		return 0;
	n = send(p->pair, p->piece, p->piece_len, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		n = (ssize_t)p->piece_len; /* nobody reads there: discard */
	p->piece += n;
	p->piece_len -= (size_t)n;
	return 1;
}

/* Move the payload of multiplexed frames together; returns its length. */
static size_t demultiplex(struct websocket_pump *p, unsigned char *s, size_t len)
{
	size_t from = 0, to = 0, n;

	while (from < len) {
		if (p->mux_left == 0) {
			p->mux_head[p->mux_have++] = s[from++];
			if (p->mux_have < MUX_HEAD)
				continue;
			p->mux_have = 0;
			p->mux_left = (uint32_t)p->mux_head[4] << 24 |
				      (uint32_t)p->mux_head[5] << 16 |
				      (uint32_t)p->mux_head[6] << 8 | p->mux_head[7];
			continue;
		}
		n = len - from < p->mux_left ? len - from : p->mux_left;
		memmove(s + to, s + from, n);
		from += n;
		to += n;
		p->mux_left -= (uint32_t)n;
	}
	return to;
}

static int read_pair(struct websocket_pump *p)
{
	unsigned char *payload = p->out + WEBSOCKET_HEAD_MAX, head[WEBSOCKET_HEAD_MAX];
	size_t len;
	ssize_t n;

	if (p->out_len > 0 || p->reply_len > 0 || p->pair_ended || p->close_sent)
		return 0;
	n = recv(p->pair, payload, PUMP_BYTES, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) { /* or ECONNRESET: closed with bytes unread */
		p->pair_ended = true;
		reply_close(p, WEBSOCKET_CODE_NORMAL);
		loop_set_timer(p->timer, CLOSE_WAIT_MS);
		return 1;
	}
	len = p->multiplexed ? demultiplex(p, payload, (size_t)n) : (size_t)n;
	if (len == 0)
		return 1;
	n = (ssize_t)websocket_head(head, p->args.text ? WEBSOCKET_TEXT : WEBSOCKET_BINARY, len);
	memcpy(payload - n, head, (size_t)n);
	p->out_pos = (size_t)(payload - n - p->out);
	p->out_len = (size_t)n + len;
	return 1;
}

static int write_client(struct websocket_pump *p)
{
	ssize_t n;

	if (p->out_len == 0 && p->reply_len > 0) {
		memcpy(p->out, p->reply, p->reply_len);
		p->out_pos = 0;
		p->out_len = p->reply_len;
		p->reply_len = 0;
	}
	if (p->out_len == 0)
		return 0;
	n = send(p->client, p->out + p->out_pos, p->out_len, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	p->out_pos += (size_t)n;
	p->out_len -= (size_t)n;
	return 1;
}

/* Both have said that they are done, and our word is out (RFC 6455 section 7.1.1). */
static bool is_over(const struct websocket_pump *p)
{
	return p->client_ended && p->close_sent && p->out_len == 0 && p->reply_len == 0;
}

/* Edge-triggered when there is nothing to wait for: errors are still told, but once. */
static void set_events(struct loop_source *s, uint32_t *events, uint32_t wants)
{
	if (wants == 0)
		wants = EPOLLET;
	if (*events != wants)
		loop_set_events(s, wants);
	*events = wants;
}

static void step(struct websocket_pump *p)
{
	static int (*const parts[])(struct websocket_pump * p) = {
		read_client, parse_client, write_pair, read_pair, write_client,
	};
	uint32_t client = 0, pair = 0;
	bool moved = true;

	for (size_t i = 0; moved && (i < STEPS_MAX || p->in_len > 0); i++) {
		moved = false;
		for (size_t k = 0; k < ARRAY_SIZE(parts); k++) {
			int r = parts[k](p);

			if (r < 0 || is_over(p)) {
				p->args.on_end(p, p->args.data);
				return;
			}
			moved |= r > 0;
		}
	}
	if (p->in_len == 0 && p->piece_len == 0 && p->reply_len == 0)
		client |= EPOLLIN;
	if (p->out_len > 0 || p->reply_len > 0)
		client |= EPOLLOUT;
	if (p->out_len == 0 && p->reply_len == 0 && !p->pair_ended && !p->close_sent)
		pair |= EPOLLIN;
	if (p->piece_len > 0)
		pair |= EPOLLOUT;
	set_events(p->on_client, &p->client_events, client);
	set_events(p->on_pair, &p->pair_events, pair);
}

static void on_fd(struct loop_source *s, int fd, uint32_t events, void *data)
{
	(void)s;
	(void)fd;
	(void)events;
	step(data);
}

/* To begin with, and when the client does not take or answer our close. */
static void on_timer(struct loop_source *s, void *data)
{
	struct websocket_pump *p = data;

	(void)s;
	if (p->close_sent)
		p->args.on_end(p, p->args.data);
	else
		step(p);
}

struct websocket_pump *websocket_pump_free(struct websocket_pump *p)
{
	if (p) {
		p->on_client = loop_remove(p->on_client);
		p->on_pair = loop_remove(p->on_pair);
		p->timer = loop_remove(p->timer);
		fd_close(&p->client);
		fd_close(&p->pair);
		free(p->in);
		free(p);
	}
	return NULL;
}

int websocket_pump_new(const struct websocket_pump_args *args, int client_take, bool multiplexed,
		       struct websocket_pump **ret, int *ret_fd, struct error *err)
{
	size_t size = args->len > PUMP_BYTES ? args->len : PUMP_BYTES;
	struct websocket_pump *p = xnew0(struct websocket_pump);
	autoclose int other = -EBADF;
	int fds[2], r;

	p->args = *args;
	p->args.ahead = NULL;
	p->client = client_take;
	p->pair = -EBADF;
	p->multiplexed = multiplexed;
	p->client_events = p->pair_events = EPOLLET;
	p->in = xcalloc(1, size);
	if (args->len > 0)
		memcpy(p->in, args->ahead, args->len);
	p->in_len = args->len;
	r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0
		    ? error_set(err, ERROR_INTERNAL, errno, "make a socket pair")
		    : 0;
	if (r == 0) {
		p->pair = fds[0];
		other = fds[1];
		r = loop_add_fd(args->loop, p->client, EPOLLET, on_fd, p, &p->on_client, err);
	}
	if (r >= 0)
		r = loop_add_fd(args->loop, p->pair, EPOLLET, on_fd, p, &p->on_pair, err);
	if (r >= 0)
		r = loop_add_timer(args->loop, 0, on_timer, p, &p->timer, err);
	if (r < 0) {
		(void)websocket_pump_free(p);
		return r;
	}
	*ret = p;
	*ret_fd = TAKE_FD(other);
	return 0;
}
