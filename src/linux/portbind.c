/* Hold published host ports with bound sockets.
 *
 * How a TCP port is held without serving it.  A socket that is bound but not listening answers
 * nothing, and bind(2) refuses the port to others.  But a plain bind also fails for a minute on
 * connections in TIME_WAIT that an earlier owner of the port left behind, and SO_REUSEADDR, the
 * usual answer, lets any number of non-listening sockets share a port.  So: bind with SO_REUSEADDR,
 * listen, which the kernel grants to one socket only (inet_csk_listen_start checks again), clear
 * SO_REUSEADDR while still listening, so that no later bind may share, and then stop listening with
 * shutdown(SHUT_RD), which keeps a port that was asked for by number (SOCK_BINDPORT_LOCK).
 *
 * SCTP is forwarded by kernels that have no sockets for it.  There a name among the abstract unix sockets,
 * which a network namespace has of its own too, keeps shims out of each other's way: nobody else could
 * have the port.  It stands for the port on all addresses of a family.
 */
#include "linux/portbind.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"

#define CHOICES_MAX 64 /* ports chosen by the kernel before giving up */

static const struct {
	uint8_t proto;
	const char *name;
} protos[] = {
	{PORTBIND_TCP, "tcp"},
	{PORTBIND_UDP, "udp"},
	{PORTBIND_SCTP, "sctp"},
};

const char *portbind_proto_name(uint8_t proto)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (protos[i].proto == proto)
			return protos[i].name;
	return "";
}

int portbind_proto_parse(const char *s, uint8_t *ret_proto)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		if (s && strcmp(protos[i].name, s) == 0) {
			*ret_proto = protos[i].proto;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_option(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Whether [::1] reaches this binding: the one address that nftables cannot redirect.  SCTP is not
 * relayed. */
static bool needs_relay(const struct port_binding *b)
{
	const struct netaddr *host = &b->host;

	return b->proto != PORTBIND_SCTP && host->family == AF_INET6 &&
	       (netaddr_is_any(host) || netaddr_is_loopback(host));
}

static int hold_tcp(int fd, bool relay)
{
	if (listen(fd, relay ? 128 : 1) < 0)
		return -errno;
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 0) < 0)
		return -EIO;
	if (!relay && shutdown(fd, SHUT_RD) < 0)
		return -errno;
	return 0;
}

/* A port that the kernel chooses has no earlier owner to fear, and is exclusive as it is.  (It
 * would not outlive the shutdown: only a bind to a number sets SOCK_BINDPORT_LOCK.) */
static int hold_chosen_tcp(int fd, bool relay)
{
	return relay && listen(fd, 128) < 0 ? -errno : 0;
}

static int bound_port(int fd, uint16_t *ret)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	*ret = ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
					      : ((struct sockaddr_in *)&sa)->sin_port);
	return 0;
}

/* A port for nobody to choose but us: the kernel's are for sockets. */
static int choose_port(uint16_t *ret)
{
	uint16_t n;

	if (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
		return -EIO;
	*ret = (uint16_t)(32768 + n % 28232); /* ip_local_port_range as it mostly is */
	return 0;
}

/* The same without SCTP sockets. */
static int try_name(const struct port_binding *b, uint16_t port, uint16_t *ret_port, int *ret_fd)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool chosen = port == 0;
	int r = -EADDRINUSE, n;

	if (fd < 0)
		return -errno;
	for (int i = 0; r == -EADDRINUSE && i < (chosen ? CHOICES_MAX : 1); i++) {
		r = chosen ? choose_port(&port) : 0;
		if (r < 0)
			return r;
		n = snprintf(sa.sun_path + 1, sizeof(sa.sun_path) - 1, "vessel-sctp-%d-%u",
			     b->host.family == AF_INET6 ? 6 : 4, (unsigned)port);
		r = bind(fd, (struct sockaddr *)&sa,
			 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n)) < 0
			    ? -errno
			    : 0;
	}
	if (r < 0)
		return r;
	*ret_port = port;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* One attempt at one port (0: any).  0 or -errno. */
static int try_port(const struct port_binding *b, uint16_t port, uint16_t *ret_port, int *ret_fd)
{
	bool tcp = b->proto == PORTBIND_TCP, udp = b->proto == PORTBIND_UDP;
	bool relay = needs_relay(b);
	struct sockaddr_storage sa;
	socklen_t len = netaddr_sockaddr(&b->host, port, &sa);
	autoclose int fd = -EBADF;
	uint16_t got = port;
	int r;

	if (len == 0)
		return -EINVAL;
	fd = socket(sa.ss_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    b->proto);
	if (fd < 0 && b->proto == PORTBIND_SCTP &&
	    (errno == EPROTONOSUPPORT || errno == ESOCKTNOSUPPORT))
		return try_name(b, port, ret_port, ret_fd);
	if (fd < 0)
		return -errno;
	if (sa.ss_family == AF_INET6) {
		r = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
		if (r < 0)
			return r;
	}
	if (tcp && port != 0) {
		r = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		if (r < 0)
			return r;
	} else if (udp && !relay) {
		/* A datagram that slips in before the nftables element exists is never read. */
		(void)set_option(fd, SOL_SOCKET, SO_RCVBUF, 0); /* the kernel's minimum */
	}
	if (bind(fd, (struct sockaddr *)&sa, len) < 0)
		return -errno;
	if (tcp) {
		r = port != 0 ? hold_tcp(fd, relay) : hold_chosen_tcp(fd, relay);
		if (r < 0)
			return r;
	}
	if (port == 0) {
		r = bound_port(fd, &got);
		if (r < 0)
			return r;
	}
	*ret_port = got;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int bind_error(const struct port_binding *b, uint16_t port, int r, struct error *err)
{
	bool v6 = b->host.family == AF_INET6;
	char addr[NETADDR_SIZE];

	(void)netaddr_format(&b->host, addr);
	if (r == -EADDRINUSE) {
		(void)error_set(err, ERROR_INTERNAL, 0,
				"Bind for %s%s%s:%u failed: port is already allocated",
				v6 ? "[" : "", addr, v6 ? "]" : "", (unsigned)port);
		if (err)
			err->errnum = EADDRINUSE;
		return r;
	}
	return error_set(err, ERROR_INTERNAL, -r, "bind host port %s%s%s:%u/%s", v6 ? "[" : "",
			 addr, v6 ? "]" : "", (unsigned)port, portbind_proto_name(b->proto));
}

static int reserve_one(struct port_binding *b, struct portbind_socket *ret)
{
	uint16_t first = b->host_port;
	uint16_t last = b->host_port_end > first ? b->host_port_end : first;
	int r = -EADDRINUSE, fd;

	for (uint32_t port = first; port <= last; port++) {
		uint16_t got;

		r = try_port(b, (uint16_t)port, &got, &fd);
		if (r == -EADDRINUSE)
			continue;
		if (r < 0)
			return r;
		b->host_port = got;
		b->host_port_end = 0;
		*ret = (struct portbind_socket){.fd = fd, .relay = needs_relay(b)};
		return 0;
	}
	return r;
}

/* A group is an entry and the same_port ones behind it: all get one port.  When the kernel or a
 * range chose a port that is taken for one of the others, the next one is tried. */
static size_t group_size(const struct port_binding *bindings, size_t n)
{
	size_t size = 1;

	while (size < n && bindings[size].same_port)
		size++;
	return size;
}

/* *ret_failed: the entry that could not be had. */
static int try_group(struct port_binding *group, size_t size, struct portbind_socket *sockets,
		     size_t *ret_failed)
{
	for (size_t i = 0; i < size; i++) {
		int r;

		if (i > 0) {
			group[i].host_port = group[0].host_port;
			group[i].host_port_end = 0;
		}
		r = reserve_one(&group[i], &sockets[i]);
		if (r < 0) {
			portbind_release(sockets, i);
			*ret_failed = i;
			return r;
		}
	}
	return 0;
}

static int reserve_group(struct port_binding *group, size_t size, struct portbind_socket *sockets,
			 struct error *err)
{
	const struct port_binding want = group[0];
	bool chosen = want.host_port == 0, range = want.host_port_end > want.host_port;
	size_t failed = 0;

	for (unsigned attempt = 1;; attempt++) {
		uint16_t tried;
		int r = try_group(group, size, sockets, &failed);

		if (r == 0)
			return 0;
		tried = group[0].host_port;
		if (r == -EADDRINUSE && failed > 0 && chosen && attempt < CHOICES_MAX) {
			group[0].host_port = 0;
			continue;
		}
		if (r == -EADDRINUSE && failed > 0 && range && tried < want.host_port_end) {
			group[0].host_port = (uint16_t)(tried + 1);
			group[0].host_port_end = want.host_port_end;
			continue;
		}
		return bind_error(&group[failed], range ? want.host_port : tried, r, err);
	}
}

int portbind_reserve(struct port_binding *bindings, size_t n, struct portbind_socket *sockets,
		     struct error *err)
{
	for (size_t i = 0; i < n; i++)
		sockets[i] = (struct portbind_socket){.fd = -EBADF};

	for (size_t i = 0, size; i < n; i += size) {
		int r;

		size = group_size(&bindings[i], n - i);
		r = reserve_group(&bindings[i], size, &sockets[i], err);
		if (r < 0) {
			portbind_release(sockets, i);
			return r;
		}
	}
	return 0;
}

void portbind_release(struct portbind_socket *sockets, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fd_close(&sockets[i].fd);
}
