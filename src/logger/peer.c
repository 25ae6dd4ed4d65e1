/* Connections to whoever collects logs. */
#include "logger/peer.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/tls.h"

#define CONNECT_TIMEOUT_MS 10000
#define NS_PER_MS          INT64_C(1000000)

static const struct {
	const char *scheme;
	enum peer_kind kind;
} schemes[] = {
	{"tcp+tls", PEER_TLS}, {"tcp", PEER_TCP},   {"tls", PEER_TLS},
	{"udp", PEER_UDP},     {"unix", PEER_UNIX}, {"unixgram", PEER_UNIXGRAM},
};

/* ---- waiting ---------------------------------------------------------------------------------- */

int logger_wait(struct logger *l, int fd, short events, int timeout_ms)
{
	int64_t end = timeout_ms < 0 ? INT64_MAX : clock_monotonic_ns() + timeout_ms * NS_PER_MS;

	for (;;) {
		struct pollfd p[2] = {{.fd = fd, .events = events},
				      {.fd = l->deadline_ns ? -1 : l->input_fd}};
		int64_t now = clock_monotonic_ns();
		int64_t until = l->deadline_ns && l->deadline_ns < end ? l->deadline_ns : end;
		int left = until == INT64_MAX ? -1
			   : until <= now     ? 0
					      : (int)((until - now) / NS_PER_MS + 1);
		int r = poll(p, 2, left);

		if (r < 0 && errno != EINTR)
			return -errno;
		if (r > 0 && p[0].revents)
			return 1;
		if (r > 0 && p[1].revents & (POLLHUP | POLLERR | POLLNVAL))
			l->deadline_ns = clock_monotonic_ns() + LOGGER_LINGER_MS * NS_PER_MS;
		now = clock_monotonic_ns();
		if (l->deadline_ns && now >= l->deadline_ns)
			return -ECANCELED;
		if (now >= end)
			return 0;
	}
}

/* ---- addresses -------------------------------------------------------------------------------- */

/* "host", "host:port", "[host]:port", ":port". */
static void split_host(struct peer *p, const char *rest, const char *default_port)
{
	const char *bracket = *rest == '[' ? strchr(rest, ']') : NULL;
	const char *colon = strrchr(bracket ? bracket : rest, ':');

	if (!bracket && colon && strchr(rest, ':') != colon)
		colon = NULL; /* a bare IPv6 address */
	if (bracket)
		p->host = xstrndup(rest + 1, (size_t)(bracket - rest - 1));
	else
		p->host = xstrndup(rest, colon ? (size_t)(colon - rest) : strlen(rest));
	if (!*p->host) {
		free(p->host);
		p->host = xstrdup("127.0.0.1");
	}
	p->port = xstrdup(colon ? colon + 1 : default_port);
}

int peer_init(struct peer *p, struct logger *l, const char *address, const char *default_port,
	      struct error *err)
{
	*p = (struct peer){.logger = l, .stream = {.fd = -EBADF}};
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t n = strlen(schemes[i].scheme);
		const char *rest = address + n + strlen("://");

		if (strncmp(address, schemes[i].scheme, n) != 0 ||
		    !str_has_prefix(address + n, "://"))
			continue;
		p->kind = schemes[i].kind;
		if (p->kind == PEER_UNIX || p->kind == PEER_UNIXGRAM) {
			p->path = xstrdup(rest);
			(void)str_copy(l->path, sizeof(l->path),
				       rest); /* or it cannot be connected */
		} else {
			split_host(p, rest, default_port);
		}
		return 0;
	}
	return error_set(err, ERROR_INVALID, 0, "'%s' is no address", address);
}

void peer_done(struct peer *p)
{
	peer_close(p);
	(void)tls_unref(p->tls);
	free(p->host);
	free(p->port);
	free(p->path);
}

bool peer_is_stream(const struct peer *p)
{
	return p->kind == PEER_TCP || p->kind == PEER_TLS || p->kind == PEER_UNIX;
}

bool peer_is_connected(const struct peer *p)
{
	return p->stream.fd >= 0;
}

void peer_close(struct peer *p)
{
	if (peer_is_connected(p))
		stream_done(&p->stream);
	p->stream = (struct stream){.fd = -EBADF};
}

/* ---- connecting ------------------------------------------------------------------------------- */

static int connect_one(struct peer *p, const struct sockaddr *sa, socklen_t len, int type)
{
	autoclose int fd = socket(sa->sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = sizeof(int);
	int errnum = 0, r;

	if (fd < 0)
		return -errno;
	if (connect(fd, sa, len) == 0)
		return TAKE_FD(fd);
	if (errno != EINPROGRESS && errno != EAGAIN)
		return -errno;
	r = logger_wait(p->logger, fd, POLLOUT, CONNECT_TIMEOUT_MS);
	if (r <= 0)
		return r < 0 ? r : -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0 || errnum)
		return errnum ? -errnum : -errno;
	return TAKE_FD(fd);
}

static int connect_unix(struct peer *p)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	if (!str_copy(sa.sun_path, sizeof(sa.sun_path), p->path))
		return -ENAMETOOLONG;
	(void)str_copy(p->logger->path, sizeof(p->logger->path), p->path);
	return connect_one(p, (const struct sockaddr *)&sa, sizeof(sa),
			   p->kind == PEER_UNIX ? SOCK_STREAM : SOCK_DGRAM);
}

static int connect_host(struct peer *p, struct error *err)
{
	const int type = p->kind == PEER_UDP ? SOCK_DGRAM : SOCK_STREAM;
	const struct addrinfo hints = {.ai_socktype = type};
	struct addrinfo *list;
	int r = getaddrinfo(p->host, p->port, &hints, &list);

	if (r != 0)
		return error_set(err, ERROR_INTERNAL, 0, "lookup %s: %s", p->host, gai_strerror(r));
	r = -EADDRNOTAVAIL;
	for (const struct addrinfo *a = list; a && r < 0 && r != -ECANCELED; a = a->ai_next)
		r = connect_one(p, a->ai_addr, a->ai_addrlen, type);
	freeaddrinfo(list);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "dial %s %s:%s",
				 p->kind == PEER_UDP ? "udp" : "tcp", p->host, p->port)
		     : r;
}

int peer_connect(struct peer *p, struct error *err)
{
	int fd;

	peer_close(p);
	if (p->path) {
		fd = connect_unix(p);
		if (fd < 0)
			return error_set(err, ERROR_INTERNAL, -fd, "dial %s %s",
					 p->kind == PEER_UNIX ? "unix" : "unixgram", p->path);
	} else {
		fd = connect_host(p, err);
		if (fd < 0)
			return fd;
	}
	p->connected_ns = clock_monotonic_ns();
	if (!peer_is_stream(p)) {
		p->stream.fd = fd;
		return 0;
	}
	return stream_init_client(&p->stream, fd, p->tls, p->host, CONNECT_TIMEOUT_MS, err);
}

bool peer_is_stale(struct peer *p)
{
	struct pollfd pfd = {.fd = p->stream.fd, .events = POLLIN | POLLRDHUP};

	if (!peer_is_stream(p) || poll(&pfd, 1, 0) <= 0)
		return false;
	/* TLS has records of its own (session tickets): only the end of the connection counts. */
	return pfd.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

/* ---- data ------------------------------------------------------------------------------------- */

static int failed(struct peer *p, int r, const char *what, struct error *err)
{
	peer_close(p);
	return p->path ? error_set(err, ERROR_INTERNAL, -r, "%s %s", what, p->path)
		       : error_set(err, ERROR_INTERNAL, -r, "%s %s:%s", what, p->host, p->port);
}

static int write_datagram(struct peer *p, const void *data, size_t len, int timeout_ms)
{
	bool refused = false;

	for (;;) {
		ssize_t n = send(p->stream.fd, data, len, MSG_NOSIGNAL);
		int r;

		if (n >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		/* The answer to an earlier datagram: this one has not been sent. */
		if (errno == ECONNREFUSED && p->kind == PEER_UDP && !refused) {
			refused = true;
			continue;
		}
		if (errno != EAGAIN)
			return -errno;
		r = logger_wait(p->logger, p->stream.fd, POLLOUT, timeout_ms);
		if (r <= 0)
			return r < 0 ? r : -ETIMEDOUT;
	}
}

int peer_write(struct peer *p, const void *data, size_t len, int timeout_ms, struct error *err)
{
	const char *s = data;
	size_t done = 0;
	int r = 0;

	if (!peer_is_stream(p)) {
		r = write_datagram(p, data, len, timeout_ms);
		return r < 0 ? failed(p, r, "write to", err) : 0;
	}
	while (done < len) {
		ssize_t n = stream_write(&p->stream, s + done, len - done);

		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n != -EAGAIN)
			return failed(p, n < 0 ? (int)n : -EPIPE, "write to", err);
		r = logger_wait(p->logger, p->stream.fd, (short)p->stream.write_wants, timeout_ms);
		if (r <= 0)
			return failed(p, r < 0 ? r : -ETIMEDOUT, "write to", err);
	}
	return 0;
}

ssize_t peer_read(struct peer *p, void *buf, size_t size, int timeout_ms, struct error *err)
{
	for (;;) {
		ssize_t n = stream_read(&p->stream, buf, size);
		int r;

		if (n > 0)
			return n;
		if (n != -EAGAIN)
			return failed(p, n < 0 ? (int)n : -EPIPE, "read from", err);
		r = logger_wait(p->logger, p->stream.fd, (short)p->stream.read_wants, timeout_ms);
		if (r <= 0)
			return failed(p, r < 0 ? r : -ETIMEDOUT, "read from", err);
	}
}
