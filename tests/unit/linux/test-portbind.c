/* Real sockets on 127.0.0.1: the kernel is the arbiter that is tested. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "linux/portbind.h"

static struct port_binding binding(uint8_t proto, const char *host, uint16_t port)
{
	struct port_binding b = {.proto = proto, .container_port = 80, .host_port = port};

	assert_int_equal(netaddr_parse(host, &b.host), 0);
	return b;
}

/* A held port, chosen by the kernel or (given) by number: two ways to the same thing. */
static struct portbind_socket hold(struct port_binding *b, bool given)
{
	struct portbind_socket s;

	assert_int_equal(portbind_reserve(b, 1, &s, NULL), 0);
	assert_true(b->host_port > 0);
	if (given) {
		portbind_release(&s, 1);
		assert_int_equal(portbind_reserve(b, 1, &s, NULL), 0);
	}
	return s;
}

static int try_connect(uint16_t port)
{
	struct netaddr a = netaddr_v4(INADDR_LOOPBACK);
	struct sockaddr_storage sa;
	socklen_t len = netaddr_sockaddr(&a, port, &sa);
	autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	return connect(fd, (struct sockaddr *)&sa, len) < 0 ? -errno : 0;
}

static void a_held_port_is_refused_to_others(void **state)
{
	static const uint8_t protos[] = {PORTBIND_TCP, PORTBIND_UDP, PORTBIND_SCTP};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(protos); i++) {
		struct port_binding a = binding(protos[i / 2], "127.0.0.1", 0), b;
		struct portbind_socket sa = hold(&a, i % 2), sb;
		struct error err = {0};
		char expected[96];

		assert_false(sa.relay);
		b = a;
		assert_int_equal(portbind_reserve(&b, 1, &sb, &err), -EADDRINUSE);
		(void)snprintf(expected, sizeof(expected),
			       "Bind for 127.0.0.1:%u failed: port is already allocated",
			       (unsigned)a.host_port);
		assert_string_equal(err.msg, expected);
		error_done(&err);
		/* 0.0.0.0 includes it. */
		b = binding(protos[i / 2], "0.0.0.0", a.host_port);
		assert_int_equal(portbind_reserve(&b, 1, &sb, &err), -EADDRINUSE);
		error_done(&err);
		portbind_release(&sa, 1);
		assert_int_equal(portbind_reserve(&b, 1, &sb, &err), 0);
		portbind_release(&sb, 1);
	}
}

static void a_held_tcp_port_answers_nobody(void **state)
{
	(void)state;
	for (int given = 0; given < 2; given++) {
		struct port_binding b = binding(PORTBIND_TCP, "127.0.0.1", 0);
		struct portbind_socket s = hold(&b, given);

		assert_int_equal(try_connect(b.host_port), -ECONNREFUSED);
		portbind_release(&s, 1);
	}
}

/* Even a socket that wants to share does not get in. */
static void reuse_does_not_share_a_held_port(void **state)
{
	(void)state;
	for (int given = 0; given < 2; given++) {
		struct port_binding b = binding(PORTBIND_TCP, "127.0.0.1", 0);
		struct portbind_socket s = hold(&b, given);
		autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		struct sockaddr_storage sa;
		socklen_t len = netaddr_sockaddr(&b.host, b.host_port, &sa);
		int on = 1;

		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
		assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), -1);
		assert_int_equal(errno, EADDRINUSE);
		portbind_release(&s, 1);
	}
}

/* A server that closed its connections first leaves them in TIME_WAIT on its port. */
static void connections_of_an_earlier_owner_do_not_hold_a_port(void **state)
{
	autoclose int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client = -EBADF,
		      peer = -EBADF, plain = -EBADF;
	struct netaddr a = netaddr_v4(INADDR_LOOPBACK);
	struct sockaddr_storage sa;
	struct portbind_socket s;
	struct port_binding b;
	socklen_t len = netaddr_sockaddr(&a, 0, &sa);
	int on = 1;
	char c;

	(void)state;
	assert_int_equal(setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(server, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(server, 1), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&sa, &len), 0);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&sa, len), 0);
	peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	fd_close(&peer);
	assert_int_equal(read(client, &c, 1), 0);
	fd_close(&client);
	fd_close(&server);

	plain = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(plain, (struct sockaddr *)&sa, len), -1); /* the test's premise */
	b = binding(PORTBIND_TCP, "127.0.0.1", ntohs(((struct sockaddr_in *)&sa)->sin_port));
	assert_int_equal(portbind_reserve(&b, 1, &s, NULL), 0);
	assert_int_equal(try_connect(b.host_port), -ECONNREFUSED);
	portbind_release(&s, 1);
}

static void ranges_give_the_first_free_port(void **state)
{
	struct port_binding a = binding(PORTBIND_TCP, "127.0.0.1", 0), b, c;
	struct portbind_socket sa, sb, sc;

	(void)state;
	assert_int_equal(portbind_reserve(&a, 1, &sa, NULL), 0);
	b = binding(PORTBIND_TCP, "127.0.0.1", a.host_port);
	b.host_port_end = (uint16_t)(a.host_port + 20);
	c = b;
	assert_int_equal(portbind_reserve(&b, 1, &sb, NULL), 0);
	assert_true(b.host_port > a.host_port && b.host_port <= a.host_port + 20);
	assert_int_equal(b.host_port_end, 0);
	assert_int_equal(portbind_reserve(&c, 1, &sc, NULL), 0);
	assert_true(c.host_port > b.host_port);
	portbind_release(&sa, 1);
	portbind_release(&sb, 1);
	portbind_release(&sc, 1);
}

static void all_or_none(void **state)
{
	struct port_binding taken = binding(PORTBIND_UDP, "127.0.0.1", 0);
	struct port_binding pair[2];
	struct portbind_socket st, sp[2];

	(void)state;
	assert_int_equal(portbind_reserve(&taken, 1, &st, NULL), 0);
	pair[0] = binding(PORTBIND_TCP, "127.0.0.1", 0);
	pair[1] = taken;
	assert_int_equal(portbind_reserve(pair, 2, sp, NULL), -EADDRINUSE);
	/* The first one was given back. */
	assert_int_equal(portbind_reserve(pair, 1, sp, NULL), 0);
	portbind_release(sp, 1);
	portbind_release(&st, 1);
}

static void twins_share_a_port_and_loopback6_is_relayed(void **state)
{
	struct port_binding b[2] = {binding(PORTBIND_TCP, "0.0.0.0", 0),
				    binding(PORTBIND_TCP, "::", 0)};
	struct portbind_socket s[2];
	autoclose int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int listening = 0;
	socklen_t len = sizeof(listening);

	(void)state;
	if (probe < 0)
		skip(); /* a kernel without IPv6 */
	b[1].same_port = true;
	assert_int_equal(portbind_reserve(b, 2, s, NULL), 0);
	assert_int_equal(b[0].host_port, b[1].host_port);
	assert_true(b[0].host_port > 0);
	assert_false(s[0].relay);
	assert_true(s[1].relay);
	assert_int_equal(getsockopt(s[1].fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len), 0);
	assert_int_equal(listening, 1);
	assert_int_equal(getsockopt(s[0].fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len), 0);
	assert_int_equal(listening, 0);
	portbind_release(s, 2);
}

static void a_foreign_address_is_told(void **state)
{
	struct port_binding b = binding(PORTBIND_TCP, "192.0.2.77", 8080);
	struct portbind_socket s;
	struct error err = {0};

	(void)state;
	assert_int_equal(portbind_reserve(&b, 1, &s, &err), -EADDRNOTAVAIL);
	assert_string_equal(err.msg, "bind host port 192.0.2.77:8080/tcp: "
				     "Cannot assign requested address");
	error_done(&err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_held_port_is_refused_to_others),
		cmocka_unit_test(a_held_tcp_port_answers_nobody),
		cmocka_unit_test(reuse_does_not_share_a_held_port),
		cmocka_unit_test(connections_of_an_earlier_owner_do_not_hold_a_port),
		cmocka_unit_test(ranges_give_the_first_free_port),
		cmocka_unit_test(all_or_none),
		cmocka_unit_test(twins_share_a_port_and_loopback6_is_relayed),
		cmocka_unit_test(a_foreign_address_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
