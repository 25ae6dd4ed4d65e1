/* Daemons' connections: order, descriptors, a daemon that does not read, and the socket's path. */
#include "shim/conn.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/loop.h"

struct bench {
	struct loop *loop;
	struct conns *conns;
	pthread_t thread;
	int ended, first_ended;
	int stop_after_ended;
};

/* Answers every request with its number, and a descriptor if it came with one. */
static void on_message(void *data, struct conn *c, struct shim_message *m)
{
	autostrbuf struct strbuf out = STRBUF_INIT(128);
	struct bench *b = data;

	if (str_eq(m->op, "stop")) {
		loop_stop(b->loop);
		return;
	}
	strbuf_addf(&out, "{\"re\":%llu}", (unsigned long long)m->seq);
	conn_send(c, &out, m->fds, m->fd_count);
}

static void on_end(void *data, bool first)
{
	struct bench *b = data;

	b->ended++;
	b->first_ended += first;
	if (b->ended == b->stop_after_ended)
		loop_stop(b->loop);
}

static void *run(void *data)
{
	struct bench *b = data;

	return loop_run(b->loop, NULL) == 0 ? b : NULL;
}

static int bench_start(struct bench *b)
{
	struct conns_args args = {.on_message = on_message, .on_end = on_end, .data = b};
	int pair[2];

	assert_int_equal(loop_new(&b->loop, NULL), 0);
	args.loop = b->loop;
	b->conns = conns_new(&args);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(conns_add_first(b->conns, pair[1], NULL), 0);
	return pair[0];
}

static void bench_go(struct bench *b)
{
	assert_int_equal(pthread_create(&b->thread, NULL, run, b), 0);
}

static void bench_end(struct bench *b)
{
	void *ok;

	assert_int_equal(pthread_join(b->thread, &ok), 0);
	assert_ptr_equal(ok, b);
	b->conns = conns_free(b->conns);
	b->loop = loop_free(b->loop);
}

static void ask(int sock, const char *op, unsigned seq, const int *fds, size_t n)
{
	autostrbuf struct strbuf out = STRBUF_INIT(128);

	strbuf_addf(&out, "{\"op\":\"%s\",\"seq\":%u}", op, seq);
	assert_int_equal(shim_message_send(sock, &out, fds, n, NULL), 0);
}

static void expect_reply(int sock, unsigned seq, size_t fds)
{
	autoarena struct arena *a = arena_new();
	struct shim_message m;

	assert_int_equal(shim_message_recv(sock, a, &m, NULL), 1);
	assert_true(m.is_reply);
	assert_int_equal(m.seq, seq);
	assert_int_equal(m.fd_count, fds);
	shim_message_close_fds(&m);
}

static void requests(void **state)
{
	struct bench b = {0};
	int sock = bench_start(&b), null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	bench_go(&b);
	for (unsigned i = 1; i < 100; i++)
		ask(sock, "x", i, &null, i % 2);
	for (unsigned i = 1; i < 100; i++)
		expect_reply(sock, i, i % 2);
	ask(sock, "stop", 0, NULL, 0);
	bench_end(&b);
	(void)close(sock);
	(void)close(null);
}

/* More than the socket holds waits in order; more than CONN_QUEUE_MAX messages ends it. */
static void slow_daemon(void **state)
{
	struct bench b = {.stop_after_ended = 1};
	autostrbuf struct strbuf text = STRBUF_INIT(SHIM_MESSAGE_MAX);
	int sock = bench_start(&b), other[2], count = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, other), 0);
	assert_int_equal(conns_add_first(b.conns, other[1], NULL), 0);
	while (text.len < 8000)
		strbuf_adds(&text, "{\"ev\":\"x\"}     ");
	for (int i = 0; i < CONN_QUEUE_MAX; i++)
		conns_send(b.conns, &text, NULL, 0);
	bench_go(&b);
	while (count < CONN_QUEUE_MAX) {
		char buf[16384];

		assert_int_equal(recv(sock, buf, sizeof(buf), 0), text.len);
		count++;
	}
	(void)close(other[0]); /* the one that read nothing leaves; nobody else minds */
	bench_end(&b);
	assert_int_equal(b.ended, 1);
	(void)close(sock);
}

static void cut_off(void **state)
{
	struct bench b = {.stop_after_ended = 1};
	autostrbuf struct strbuf text = STRBUF_INIT(SHIM_MESSAGE_MAX);
	int sock = bench_start(&b);

	(void)state;
	while (text.len < 8000)
		strbuf_adds(&text, "{\"ev\":\"x\"}     ");
	for (int i = 0; i < 3 * CONN_QUEUE_MAX; i++)
		conns_send(b.conns, &text, NULL, 0);
	bench_go(&b);
	bench_end(&b);
	assert_int_equal(b.first_ended, 1);
	(void)close(sock);
}

/* The socket is private, reachable below a path longer than sun_path, and gone afterwards. */
static void listening(void **state)
{
	struct bench b = {.stop_after_ended = 2};
	char top[] = "/tmp/vessel-conn-XXXXXX", long_name[201];
	autofree char *dir = NULL;
	autoclose int dir_fd = -EBADF;
	int first = bench_start(&b), later = -EBADF;
	struct stat st;

	(void)state;
	memset(long_name, 'x', 200);
	long_name[200] = '\0';
	assert_non_null(mkdtemp(top));
	dir = xasprintf("%s/%s", top, long_name);
	assert_int_equal(mkdir(dir, 0700), 0);
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(shim_connect(dir, &later, NULL) == -ENOENT);
	assert_int_equal(conns_listen(b.conns, dir_fd, NULL), 0);
	assert_int_equal(fstatat(dir_fd, SHIM_SOCKET_NAME, &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	bench_go(&b);
	assert_int_equal(shim_connect(dir, &later, NULL), 0);
	ask(later, "x", 5, NULL, 0);
	expect_reply(later, 5, 0);
	ask(first, "x", 6, NULL, 0);
	expect_reply(first, 6, 0);
	(void)close(later);
	(void)close(first);
	bench_end(&b);
	assert_int_equal(b.first_ended, 1);
	assert_int_equal(fstatat(dir_fd, SHIM_SOCKET_NAME, &st, 0), -1);
	assert_int_equal(file_remove_tree(AT_FDCWD, top, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(requests),
					   cmocka_unit_test(slow_daemon), cmocka_unit_test(cut_off),
					   cmocka_unit_test(listening)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
