/* Addresses; and how waits end when the shim has gone. */
#include "logger/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"

static const struct {
	const char *address;
	enum peer_kind kind;
	const char *host, *port, *path;
} rows[] = {
	{"tcp://h:1", PEER_TCP, "h", "1", NULL},
	{"tcp://h", PEER_TCP, "h", "9", NULL},
	{"tcp://", PEER_TCP, "127.0.0.1", "9", NULL},
	{"tcp://:5", PEER_TCP, "127.0.0.1", "5", NULL},
	{"udp://[::1]:5", PEER_UDP, "::1", "5", NULL},
	{"tcp+tls://[fe80::1]", PEER_TLS, "fe80::1", "9", NULL},
	{"tls://fe80::1", PEER_TLS, "fe80::1", "9", NULL},
	{"unix:///a/b", PEER_UNIX, NULL, NULL, "/a/b"},
	{"unixgram:///a/b", PEER_UNIXGRAM, NULL, NULL, "/a/b"},
};

static void addresses(void **state)
{
	struct logger l = {.input_fd = -EBADF};
	struct peer p;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(peer_init(&p, &l, rows[i].address, "9", NULL), 0);
		assert_int_equal(p.kind, rows[i].kind);
		assert_true(str_eq(p.host, rows[i].host));
		assert_true(str_eq(p.port, rows[i].port));
		assert_true(str_eq(p.path, rows[i].path));
		peer_done(&p);
	}
	assert_true(peer_init(&p, &l, "http://h", "9", NULL) < 0);
}

static void waits(void **state)
{
	int pair[2], fds[2];
	struct logger l = {0};

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	l.input_fd = pair[0];
	assert_int_equal(logger_wait(&l, fds[0], POLLIN, 1), 0);
	assert_true(l.deadline_ns == 0);
	/* More to read is no reason to hurry; the end of it is. */
	assert_int_equal(send(pair[1], "x", 1, 0), 1);
	assert_int_equal(logger_wait(&l, fds[0], POLLIN, 1), 0);
	(void)close(pair[1]);
	assert_int_equal(logger_wait(&l, fds[0], POLLIN, 1), 0);
	assert_true(l.deadline_ns > clock_monotonic_ns());
	l.deadline_ns = 1;
	assert_int_equal(logger_wait(&l, fds[0], POLLIN, -1), -ECANCELED);
	assert_int_equal(logger_wait(&l, -1, 0, 1000000), -ECANCELED);
	/* What is ready is still served. */
	assert_int_equal(write(fds[1], "x", 1), 1);
	assert_int_equal(logger_wait(&l, fds[0], POLLIN, -1), 1);
	(void)close(pair[0]);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(addresses), cmocka_unit_test(waits)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
