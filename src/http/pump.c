/* Bytes carried both ways between a stream and one end of a socketpair.
 *
 * Each direction has one buffer, which is filled only when it is empty, so a slow side holds back
 * the other.  The end of a source is passed on once the buffer is empty.  When the pair's other end
 * is closed altogether (POLLHUP), what it wrote is still delivered, then the stream is closed.
 */
#include "http/pump.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/mem.h"

#define PUMP_BYTES ((size_t)16 * 1024)
#define STEPS_MAX  32 /* then the loop's other sources have their turn */

int pump_init(struct pump *p, struct stream *stream, const void *ahead, size_t len, int *ret_fd,
	      struct error *err)
{
	size_t size = len > PUMP_BYTES ? len : PUMP_BYTES;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make a socket pair");
	*p = (struct pump){.stream = stream_take(stream), .pair = fds[0]};
	p->in.buf = xcalloc(1, size);
	p->out.buf = xcalloc(1, PUMP_BYTES);
	if (len > 0)
		memcpy(p->in.buf, ahead, len);
	p->in.len = len;
	*ret_fd = fds[1];
	return 0;
}

static ssize_t pair_read(struct pump *p, void *buf, size_t size)
{
	ssize_t n = recv(p->pair, buf, size, 0);

	if (n >= 0)
		return n;
	/* The other end was closed with bytes unread. */
	return errno == ECONNRESET ? 0 : -errno;
}

static ssize_t pair_write(struct pump *p, const void *buf, size_t len)
{
	ssize_t n = send(p->pair, buf, len, MSG_NOSIGNAL);

	return n < 0 ? -errno : n;
}

/* Each of the four returns 1 when something moved, 0 when it must wait, negative when the
 * connection is of no use any more. */
static int fill_in(struct pump *p)
{
	ssize_t n;

	if (p->in.len > 0 || p->in.at_end)
		return 0;
	n = stream_read(&p->stream, p->in.buf, PUMP_BYTES);
	if (n == -EAGAIN)
		return 0;
	if (n < 0)
		return (int)n;
	p->in.pos = 0;
	p->in.len = (size_t)n;
	p->in.at_end = n == 0;
	return 1;
}

static int drain_in(struct pump *p)
{
	ssize_t n;

	if (p->in.is_done)
		return 0;
	if (p->in.len > 0) {
		n = pair_write(p, p->in.buf + p->in.pos, p->in.len);
		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			n = (ssize_t)p->in.len; /* nobody reads there: discard */
		p->in.pos += (size_t)n;
		p->in.len -= (size_t)n;
		return 1;
	}
	if (!p->in.at_end)
		return 0;
	(void)shutdown(p->pair, SHUT_WR); /* fails only if the other end is closed */
	p->in.is_done = true;
	return 1;
}

static int fill_out(struct pump *p)
{
	ssize_t n;

	if (p->out.len > 0 || p->out.at_end)
		return 0;
	n = pair_read(p, p->out.buf, PUMP_BYTES);
	if (n == -EAGAIN)
		return 0;
	if (n < 0)
		return (int)n;
	p->out.pos = 0;
	p->out.len = (size_t)n;
	p->out.at_end = n == 0;
	return 1;
}

static int drain_out(struct pump *p)
{
	ssize_t n;

	if (p->out.is_done)
		return 0;
	if (p->out.len > 0) {
		n = stream_write(&p->stream, p->out.buf + p->out.pos, p->out.len);
		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return (int)n;
		p->out.pos += (size_t)n;
		p->out.len -= (size_t)n;
		return 1;
	}
	if (!p->out.at_end)
		return 0;
	n = stream_shutdown_write(&p->stream);
	if (n == -EAGAIN)
		return 0;
	if (n < 0)
		return (int)n;
	p->out.is_done = true;
	return 1;
}

bool pump_step(struct pump *p, uint32_t stream_events, uint32_t pair_events)
{
	static int (*const parts[])(struct pump * p) = {fill_in, drain_in, fill_out, drain_out};
	bool moved = true;

	if (stream_events & (POLLHUP | POLLERR))
		p->stream_hup = true;
	if (pair_events & (POLLHUP | POLLERR))
		p->pair_hup = true;

	/* Bytes that TLS has decrypted already raise no event, so they are not left behind. */
	for (size_t i = 0; moved && (i < STEPS_MAX || stream_has_pending(&p->stream)); i++) {
		moved = false;
		for (size_t k = 0; k < ARRAY_SIZE(parts); k++) {
			int r = parts[k](p);

			if (r < 0)
				return false;
			moved |= r > 0;
		}
	}
	if (p->out.is_done && (p->in.is_done || p->pair_hup))
		return false;
	if (p->in.is_done && p->stream_hup)
		return false;

	p->stream_wants = 0;
	if (p->in.len == 0 && !p->in.at_end)
		p->stream_wants |= p->stream.read_wants;
	if (p->out.len > 0 || (p->out.at_end && !p->out.is_done))
		p->stream_wants |= p->stream.write_wants;
	p->pair_wants = 0;
	if (p->out.len == 0 && !p->out.at_end)
		p->pair_wants |= POLLIN;
	if (p->in.len > 0 && !p->pair_hup)
		p->pair_wants |= POLLOUT;
	return true;
}

void pump_done(struct pump *p)
{
	stream_done(&p->stream);
	fd_close(&p->pair);
	free(p->in.buf);
	free(p->out.buf);
	p->in.buf = p->out.buf = NULL;
}
