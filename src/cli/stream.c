/* An attached connection on one side, the user's terminal on the other.
 *
 * One poll loop: standard input to the connection (half-closed at its end), the connection's frames to
 * stdout and stderr, signals by signalfd: SIGWINCH becomes a resize request, the others go to the container
 * as its user would expect.  The main connection was taken by the hijack, so requests made meanwhile open
 * their own.
 */
#include "cli/stream.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>

#include "base/detach.h"
#include "base/file.h"
#include "base/mem.h"
#include "http/client.h"

static const int forwarded[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT};

int stream_open(struct cli *cli, const char *path, const struct strbuf *body,
		struct http_client_raw *ret, struct error *err)
{
	struct http_client_request req = {.method = "POST", .upgrade = true};
	struct http_response *response = NULL;
	int r;

	if (body) {
		req.body = body->s;
		req.body_len = body->len;
		req.content_type = "application/json";
	}
	r = cli_send(cli, &req, path, &response, err);
	if (r < 0)
		return r;
	r = http_response_hijack(response, ret, err);
	(void)http_response_free(response);
	return r;
}

void stream_hold_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		(void)sigaddset(&set, forwarded[i]);
	(void)sigaddset(&set, SIGWINCH);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

void stream_write_size(struct json_writer *w)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row)
		return;
	jw_karray(w, "ConsoleSize");
	jw_int(w, size.ws_row);
	jw_int(w, size.ws_col);
	jw_array_end(w);
}

void stream_resize(struct cli *cli, const char *resize_path)
{
	struct winsize size;

	/* Best effort, as in Docker: the container may be gone already. */
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row)
		(void)cli_json(cli, "POST",
			       cli_path(cli, "%s?h=%u&w=%u", resize_path, size.ws_row, size.ws_col),
			       NULL, NULL, NULL);
}

/* Output ------------------------------------------------------------------------------------ */

int stream_demux(struct stream_demux *d, const char *data, size_t len, struct error *err)
{
	while (len) {
		size_t n;

		if (d->have < sizeof(d->header)) {
			n = sizeof(d->header) - d->have;
			n = n < len ? n : len;
			memcpy(d->header + d->have, data, n);
			d->have += n;
			if (d->have == sizeof(d->header))
				d->remaining = (size_t)d->header[4] << 24 |
					       (size_t)d->header[5] << 16 |
					       (size_t)d->header[6] << 8 | d->header[7];
		} else {
			int fd = d->header[0] == 2 ? STDERR_FILENO : STDOUT_FILENO;

			if (d->header[0] > 3)
				return error_set(err, ERROR_INTERNAL, 0, "unrecognized stream: %u",
						 d->header[0]);
			n = d->remaining < len ? d->remaining : len;
			if (fd_write_full(fd, data, n) < 0)
				return error_set(err, ERROR_INTERNAL, errno, "write output");
			d->remaining -= n;
		}
		if (d->have == sizeof(d->header) && d->remaining == 0)
			d->have = 0;
		data += n;
		len -= n;
	}
	return 0;
}

/* The loop ---------------------------------------------------------------------------------- */

struct session {
	struct cli *cli, *requests; /* requests: a second connection */
	const struct stream *stream;
	struct detach detach;
	struct stream_demux demux;
	bool stdin_open;
	enum stream_end end;
	struct error *err;
};

static int show(struct session *s, const char *data, size_t len)
{
	if (!s->stream->tty)
		return stream_demux(&s->demux, data, len, s->err);
	return fd_write_full(STDOUT_FILENO, data, len) < 0
		       ? error_set(s->err, ERROR_INTERNAL, errno, "write output")
		       : 0;
}

/* 1: go on, 0: the stream ended */
static int from_engine(struct session *s)
{
	static char buf[65536];
	ssize_t n = read(s->stream->raw->fd, buf, sizeof(buf));
	int r;

	if (n < 0 && errno != ECONNRESET)
		return errno == EINTR ? 1 : error_set(s->err, ERROR_INTERNAL, errno, "read output");
	if (n <= 0)
		return 0;
	r = show(s, buf, (size_t)n);
	return r < 0 ? r : 1;
}

static int from_stdin(struct session *s)
{
	autostrbuf struct strbuf out = STRBUF_INIT(65536);
	char buf[16384];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));
	int fd = s->stream->raw->fd;

	if (n <= 0) {
		s->stdin_open = false;
		(void)shutdown(fd, SHUT_WR);
		return 1;
	}
	if (!s->stream->tty) {
		strbuf_add(&out, buf, (size_t)n);
	} else if (detach_filter(&s->detach, buf, (size_t)n, &out)) {
		s->end = STREAM_DETACHED;
		return 0;
	}
	/* The container may have closed its input: output goes on. */
	if (fd_write_full(fd, out.s, out.len) < 0)
		s->stdin_open = false;
	return 1;
}

static void on_signal(struct session *s, int sfd)
{
	struct signalfd_siginfo si;

	if (read(sfd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	if (si.ssi_signo == SIGWINCH) {
		if (s->stream->tty && s->stream->resize_path)
			stream_resize(s->requests, s->stream->resize_path);
	} else if (s->stream->kill_path) {
		(void)cli_json(s->requests, "POST",
			       cli_path(s->cli, "%s?signal=%u", s->stream->kill_path, si.ssi_signo),
			       NULL, NULL, NULL);
	} else {
		/* not for the container: do what the signal does */
		sigset_t set;

		(void)sigemptyset(&set);
		(void)sigaddset(&set, (int)si.ssi_signo);
		(void)raise((int)si.ssi_signo);
		(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	}
}

static int copy(struct session *s, int sfd)
{
	struct http_client_raw *raw = s->stream->raw;
	int r = raw->len ? show(s, raw->data, raw->len) : 0;

	if (r < 0)
		return r;
	for (r = 1; r > 0;) {
		struct pollfd fds[] = {
			{.fd = raw->fd, .events = POLLIN},
			{.fd = sfd, .events = POLLIN},
			{.fd = s->stdin_open ? STDIN_FILENO : -1, .events = POLLIN},
		};

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0) {
			if (errno != EINTR)
				return error_set(s->err, ERROR_INTERNAL, errno, "poll");
			continue;
		}
		if (fds[1].revents)
			on_signal(s, sfd);
		if (fds[0].revents)
			r = from_engine(s);
		if (r > 0 && fds[2].revents)
			r = from_stdin(s);
	}
	return r;
}

int stream_run(struct cli *cli, const struct stream *stream, enum stream_end *ret,
	       struct error *err)
{
	struct cli requests = *cli;
	struct session s = {.cli = cli,
			    .requests = &requests,
			    .stream = stream,
			    .stdin_open = stream->send_stdin,
			    .err = err};
	bool raw_mode = stream->tty && stream->send_stdin && isatty(STDIN_FILENO);
	struct termios saved, raw;
	autoclose int sfd = -EBADF;
	sigset_t set;
	int r = detach_init(
		&s.detach,
		str_empty(stream->detach_keys) ? DETACH_KEYS_DEFAULT : stream->detach_keys, err);

	if (r < 0)
		return r;
	stream_hold_signals();
	(void)sigprocmask(SIG_BLOCK, NULL, &set);
	sfd = signalfd(-1, &set, SFD_CLOEXEC);
	requests.http = NULL;
	if (raw_mode && tcgetattr(STDIN_FILENO, &saved) == 0) {
		raw = saved;
		cfmakeraw(&raw);
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	} else {
		raw_mode = false;
	}
	r = copy(&s, sfd);
	if (raw_mode)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	(void)http_client_free(requests.http);
	fd_close(&stream->raw->fd);
	free(stream->raw->data);
	stream->raw->data = NULL;
	if (r == 0)
		*ret = s.end;
	return r;
}
