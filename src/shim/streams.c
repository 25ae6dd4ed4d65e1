/* The pumps between a process's standard streams, the log and the attached clients.
 *
 * A terminal has one descriptor for both directions; the input side is a duplicate, because epoll
 * knows a descriptor once.  We keep the slave open ourselves: a program that closes its terminal and
 * opens it again would otherwise leave the master hung up, readable for ever, in between.
 */
#include "shim/streams.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "base/clock.h"
#include "base/error.h"
#include "shim/logfile.h"
#include "shim/logpipe.h"
#include "shim/scratch.h"
#include "shim/streams_priv.h"

#define TTY_DRAIN_MAX (1 << 20) /* bytes read from a terminal after its process's end */

static void output_close(struct output *o)
{
	o->src = loop_remove(o->src);
	if (o->fd >= 0 && o->streams->master_fd == o->fd)
		o->streams->master_fd = -EBADF;
	fd_close(&o->fd);
}

static void output_ended(struct output *o)
{
	logfile_end(o->streams->log, o->kind, clock_realtime_ns());
	output_close(o);
}

/* One read, to the log and the clients.  The bytes read; 0 at the end; -EAGAIN. */
static ssize_t output_pump(struct output *o, size_t max)
{
	struct streams *s = o->streams;
	char *buf = scratch_get(s->scratch);
	struct client *c, *next;
	ssize_t n;

	do
		n = read(o->fd, buf, max < SCRATCH_SIZE ? max : SCRATCH_SIZE);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : 0; /* EIO: all slaves are closed */
	if (n == 0)
		return 0;

	logfile_write(s->log, o->kind, buf, (size_t)n, clock_realtime_ns());
	for (c = s->clients; c; c = next) {
		next = c->next;
		client_output(c, o->kind, buf, (size_t)n);
	}
	return n;
}

static void output_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct output *o = data;

	(void)src;
	(void)fd;
	(void)events;
	if (output_pump(o, SCRATCH_SIZE) == 0)
		output_ended(o);
}

static int output_open(struct output *o, int fd_take, struct error *err)
{
	int r;

	o->fd = fd_take;
	if (fd_take < 0)
		return 0;
	r = fcntl(fd_take, F_GETFL);
	if (r < 0 || fcntl(fd_take, F_SETFL, r | O_NONBLOCK) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "prepare an output pipe");
	return loop_add_fd(o->streams->loop, fd_take, EPOLLIN, output_ready, o, &o->src, err);
}

static int set_stdin(struct streams *s, int fd_take, struct error *err)
{
	int r;

	s->in_fd = fd_take;
	if (fd_take < 0)
		return 0;
	r = fcntl(fd_take, F_GETFL);
	if (r < 0 || fcntl(fd_take, F_SETFL, r | O_NONBLOCK) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "prepare the input pipe");
	return 0;
}

int streams_new(const struct streams_args *args, struct streams **ret, struct error *err)
{
	autostreams struct streams *s = xnew0(struct streams);
	int r;

	s->loop = args->loop;
	s->scratch = args->scratch;
	s->log = args->log;
	s->tty = args->tty;
	s->close_stdin = args->close_stdin && !args->tty;
	s->on_idle = args->on_idle;
	s->data = args->data;
	s->slave_fd = s->master_fd = s->in_fd = -EBADF;
	for (size_t i = 0; i < STREAM_KIND_COUNT; i++)
		s->out[i] =
			(struct output){.streams = s, .kind = (enum stream_kind)i, .fd = -EBADF};

	r = set_stdin(s, args->in_take, err);
	if (r >= 0)
		r = output_open(&s->out[STREAM_STDOUT], args->out_take, err);
	else if (args->out_take >= 0)
		(void)close(args->out_take);
	if (r >= 0)
		r = output_open(&s->out[STREAM_STDERR], args->err_take, err);
	else if (args->err_take >= 0)
		(void)close(args->err_take);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(s);
	return 0;
}

int streams_set_console(struct streams *s, int master_take, struct error *err)
{
	autoclose int master = master_take;
	int in;

	assert(s->tty && s->master_fd < 0);
	s->slave_fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	in = fcntl(master, F_DUPFD_CLOEXEC, 3);
	if (s->slave_fd < 0 || in < 0) {
		int errnum = errno;

		if (in >= 0)
			(void)close(in);
		fd_close(&s->slave_fd);
		return error_set(err, ERROR_INTERNAL, errnum, "take over the terminal");
	}
	s->in_fd = in;
	s->master_fd = master;
	return output_open(&s->out[STREAM_STDOUT], TAKE_FD(master), err);
}

int streams_resize(struct streams *s, uint32_t rows, uint32_t cols, struct error *err)
{
	struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols};

	if (s->master_fd < 0)
		return error_set(err, ERROR_CONFLICT, 0, "resize: there is no terminal");
	if (rows > UINT16_MAX || cols > UINT16_MAX)
		return error_set(err, ERROR_INVALID, 0, "resize: %ux%u is too large", rows, cols);
	if (ioctl(s->master_fd, TIOCSWINSZ, &size) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "resize the terminal");
	return 0;
}

int streams_attach(struct streams *s, struct streams_attach_args *args, struct error *err)
{
	return client_new(s, args, err);
}

static void close_stdin(struct streams *s)
{
	s->in_src = loop_remove(s->in_src);
	fd_close(&s->in_fd);
}

size_t streams_write_stdin(struct streams *s, const void *data, size_t len)
{
	ssize_t n;

	if (s->in_fd < 0 || s->in_broken)
		return len;
	do
		n = write(s->in_fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return (size_t)n;
	if (errno == EAGAIN)
		return 0;
	/* The process has closed its stdin: input goes nowhere.  Clients that wait for room are told
	 * by stdin_writable, for such a pipe polls as ready. */
	s->in_broken = true;
	return len;
}

static bool any_pending(const struct streams *s)
{
	for (const struct client *c = s->clients; c; c = c->next)
		if (c->pending.len > 0)
			return true;
	return false;
}

static void stdin_writable(struct loop_source *src, int fd, uint32_t events, void *data)
{
	struct streams *s = data;
	struct client *c, *next;

	(void)src;
	(void)fd;
	if (events & EPOLLERR)
		s->in_broken = true; /* no reader is left: pending input is dropped below */
	for (c = s->clients; c; c = next) {
		next = c->next;
		if (c->pending.len > 0)
			client_deliver_pending(c);
	}
	if (s->in_src && !any_pending(s))
		loop_set_events(s->in_src, 0);
}

void streams_wait_stdin(struct streams *s)
{
	if (s->in_fd < 0)
		return;
	if (s->in_src)
		loop_set_events(s->in_src, EPOLLOUT);
	else if (loop_add_fd(s->loop, s->in_fd, EPOLLOUT, stdin_writable, s, &s->in_src, NULL) < 0)
		close_stdin(s);
}

void streams_stdin_ended(struct streams *s)
{
	assert(s->stdin_clients > 0);
	if (--s->stdin_clients == 0 && s->close_stdin)
		close_stdin(s);
}

void streams_update_flow(struct streams *s)
{
	bool blocked[STREAM_KIND_COUNT] = {false};

	for (const struct client *c = s->clients; c; c = c->next)
		for (size_t k = 0; k < STREAM_KIND_COUNT; k++)
			blocked[k] |= c->blocking && c->wants[k];
	for (size_t k = 0; k < STREAM_KIND_COUNT; k++)
		blocked[k] |= logpipe_is_full(logfile_pipe(s->log));
	for (size_t k = 0; k < STREAM_KIND_COUNT; k++)
		if (s->out[k].src)
			loop_set_events(s->out[k].src, blocked[k] ? 0 : EPOLLIN);
}

static void tell_idle(struct streams *s)
{
	if (!s->closing || s->clients || s->idle_told)
		return;
	s->idle_told = true;
	if (s->on_idle)
		s->on_idle(s->data);
}

void streams_client_gone(struct streams *s)
{
	streams_update_flow(s);
	tell_idle(s);
}

/* All that is in the pipe now was written before we looked, by whoever was alive then. */
static void drain(struct output *o)
{
	int available = 0;
	size_t left = TTY_DRAIN_MAX;

	if (o->fd < 0)
		return;
	if (!o->streams->tty && ioctl(o->fd, FIONREAD, &available) == 0)
		left = (size_t)available;
	while (left > 0) {
		ssize_t n = output_pump(o, left);

		if (n <= 0)
			break;
		left -= (size_t)n;
	}
	output_ended(o);
}

void streams_finish(struct streams *s)
{
	/* With its last slave closed the terminal is read to its end, EIO. */
	fd_close(&s->slave_fd);
	for (size_t k = 0; k < STREAM_KIND_COUNT; k++)
		drain(&s->out[k]);
	close_stdin(s);
}

void streams_close(struct streams *s)
{
	struct client *c, *next;

	for (c = s->clients; c; c = next) {
		next = c->next;
		client_end(c);
	}
	s->closing = true; /* not before: on_idle may free us */
	tell_idle(s);
}

bool streams_is_idle(const struct streams *s)
{
	return !s->clients;
}

struct streams *streams_free(struct streams *s)
{
	if (!s)
		return NULL;
	s->on_idle = NULL;
	s->closing = false;
	while (s->clients)
		client_free(s->clients);
	for (size_t k = 0; k < STREAM_KIND_COUNT; k++)
		output_close(&s->out[k]);
	close_stdin(s);
	fd_close(&s->slave_fd);
	free(s);
	return NULL;
}
