/* Streams: pipes and a terminal on one side, clients on socketpairs and a log on the other.  The
 * loop runs on a thread of its own; the test plays process and clients with blocking calls. */
#include "shim/streams.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/str.h"
#include "shim/logfile.h"
#include "shim/scratch.h"

struct bench {
	struct loop *loop;
	pthread_t thread;
	struct scratch *scratch;
	struct logfile *log;
	struct streams *streams;
	char dir[32], path[48];
	int in, out, err; /* the process's ends: reads in, writes out and err */
	int master;       /* with a terminal, before streams_set_console */
	bool tty, close_stdin;
	int idle_count;
	pthread_mutex_t lock;
	pthread_cond_t cond;
};

static void on_idle(void *data)
{
	struct bench *b = data;

	(void)pthread_mutex_lock(&b->lock);
	b->idle_count++;
	(void)pthread_cond_signal(&b->cond);
	(void)pthread_mutex_unlock(&b->lock);
}

static void wait_idle(struct bench *b)
{
	(void)pthread_mutex_lock(&b->lock);
	while (b->idle_count == 0)
		(void)pthread_cond_wait(&b->cond, &b->lock);
	(void)pthread_mutex_unlock(&b->lock);
}

static void *run_loop(void *data)
{
	struct bench *b = data;

	return loop_run(b->loop, NULL) == 0 ? b : NULL;
}

static void make_streams(void *data)
{
	struct bench *b = data;
	int in[2] = {-EBADF, -EBADF}, out[2] = {-EBADF, -EBADF}, err[2] = {-EBADF, -EBADF};
	struct streams_args args = {.loop = b->loop,
				    .scratch = b->scratch,
				    .log = b->log,
				    .tty = b->tty,
				    .close_stdin = b->close_stdin,
				    .on_idle = on_idle,
				    .data = b};

	b->in = b->out = b->err = b->master = -EBADF;
	if (!b->tty) {
		assert_int_equal(pipe2(in, O_CLOEXEC), 0);
		assert_int_equal(pipe2(out, O_CLOEXEC), 0);
		assert_int_equal(pipe2(err, O_CLOEXEC), 0);
		b->in = in[0];
		b->out = out[1];
		b->err = err[1];
	}
	args.in_take = in[1];
	args.out_take = out[0];
	args.err_take = err[0];
	assert_int_equal(streams_new(&args, &b->streams, NULL), 0);
	if (b->tty) {
		int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

		assert_true(master >= 0);
		assert_int_equal(unlockpt(master), 0);
		b->in = b->out = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
		assert_true(b->in >= 0);
		assert_int_equal(streams_set_console(b->streams, master, NULL), 0);
	}
}

static struct bench *bench_new(bool tty, bool close_stdin, uint64_t max_size)
{
	struct bench *b = xnew0(struct bench);
	struct shim_log cfg = {
		.type = "json-file", .path = b->path, .max_size = max_size, .max_file = 3};

	(void)snprintf(b->dir, sizeof(b->dir), "/tmp/vessel-streams-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	(void)snprintf(b->path, sizeof(b->path), "%s/log", b->dir);
	b->tty = tty;
	b->close_stdin = close_stdin;
	(void)pthread_mutex_init(&b->lock, NULL);
	(void)pthread_cond_init(&b->cond, NULL);
	assert_int_equal(loop_new(&b->loop, NULL), 0);
	assert_int_equal(scratch_new(b->loop, NULL, NULL, &b->scratch, NULL), 0);
	assert_int_equal(logfile_open(&cfg, &b->log, NULL), 0);
	make_streams(b);
	assert_int_equal(pthread_create(&b->thread, NULL, run_loop, b), 0);
	return b;
}

static void bench_free(struct bench *b)
{
	void *ok;

	loop_stop(b->loop);
	assert_int_equal(pthread_join(b->thread, &ok), 0);
	assert_ptr_equal(ok, b);
	streams_free(b->streams);
	logfile_free(b->log);
	scratch_free(b->scratch);
	loop_free(b->loop);
	if (b->err >= 0)
		(void)close(b->err);
	if (b->out >= 0)
		(void)close(b->out);
	if (b->in >= 0 && b->in != b->out)
		(void)close(b->in);
	assert_int_equal(file_remove_tree(AT_FDCWD, b->dir, NULL), 0);
	free(b);
}

struct attach_call {
	struct bench *b;
	struct streams_attach_args args;
	int r;
};

static void do_attach(void *data)
{
	struct attach_call *call = data;

	call->r = streams_attach(call->b->streams, &call->args, NULL);
}

/* The client's end. */
static int attach(struct bench *b, struct streams_attach_args args)
{
	struct attach_call call = {b, args, 0};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	call.args.fd_take = pair[1];
	loop_call(b->loop, do_attach, &call);
	assert_int_equal(call.r, 0);
	return pair[0];
}

static void do_finish(void *data)
{
	struct bench *b = data;

	streams_finish(b->streams);
	streams_close(b->streams);
}

#define ALL .in = true, .out = true, .err = true, .stream = true

static void put(int fd, const char *s)
{
	assert_int_equal(fd_write_full(fd, s, strlen(s)), 0);
}

static void expect(int fd, const void *want, size_t len)
{
	autofree char *got = xcalloc(len + 1, 1);

	assert_int_equal(fd_read_full(fd, got, len), (int)len);
	assert_memory_equal(got, want, len);
}
#define EXPECT(fd, literal) expect((fd), (literal), sizeof(literal) - 1)

static void expect_end(int fd)
{
	char c;

	assert_int_equal(read(fd, &c, 1), 0);
}

static void frames(void **state)
{
	struct bench *b = bench_new(false, true, 0);
	int one = attach(b, (struct streams_attach_args){ALL}),
	    two = attach(b, (struct streams_attach_args){.err = true, .stream = true});

	(void)state;
	put(b->out, "hello\n");
	EXPECT(one, "\1\0\0\0\0\0\0\6hello\n");
	put(b->err, "oops");
	EXPECT(one, "\2\0\0\0\0\0\0\4oops");
	EXPECT(two, "\2\0\0\0\0\0\0\4oops");

	/* What is in the pipe at the end still arrives, then the end. */
	put(b->out, "bye");
	loop_call(b->loop, do_finish, b);
	EXPECT(one, "\1\0\0\0\0\0\0\3bye");
	expect_end(one);
	expect_end(two);
	(void)close(one);
	(void)close(two);
	wait_idle(b);
	bench_free(b);
}

static void stdin_half_close(void **state)
{
	struct bench *b = bench_new(false, true, 0);
	int one = attach(b, (struct streams_attach_args){ALL, .early = "early ", .early_len = 6}),
	    two = attach(b, (struct streams_attach_args){ALL});

	(void)state;
	put(one, "input");
	EXPECT(b->in, "early input");
	assert_int_equal(shutdown(one, SHUT_WR), 0);
	put(two, "more"); /* the second one keeps stdin open */
	EXPECT(b->in, "more");
	assert_int_equal(shutdown(two, SHUT_WR), 0);
	expect_end(b->in);
	put(b->out, "x"); /* the output side lives on */
	EXPECT(one, "\1\0\0\0\0\0\0\1x");
	EXPECT(two, "\1\0\0\0\0\0\0\1x");
	(void)close(one);
	(void)close(two);
	bench_free(b);
}

/* A client that writes and leaves at once: all of it arrives, though the pipe is smaller. */
static void leaves_with_input(void **state)
{
	enum { SIZE = 150000 };
	struct bench *b = bench_new(false, true, 0);
	autofree char *data = xcalloc(SIZE, 1);
	int one = attach(b, (struct streams_attach_args){ALL});

	(void)state;
	for (int i = 0; i < SIZE; i++)
		data[i] = (char)(i * 7 % 251);
	assert_int_equal(fd_write_full(one, data, SIZE), 0);
	(void)close(one);
	expect(b->in, data, SIZE);
	expect_end(b->in);
	bench_free(b);
}

/* Without close_stdin the container's stdin survives its clients. */
static void stdin_stays(void **state)
{
	struct bench *b = bench_new(false, false, 0);
	int one = attach(b, (struct streams_attach_args){ALL});

	(void)state;
	put(one, "a");
	(void)close(one);
	one = attach(b, (struct streams_attach_args){ALL});
	put(one, "b");
	EXPECT(b->in, "ab");
	(void)close(one);
	bench_free(b);
}

/* There the end of a client's input is the end of its session: behind the input, and of no other client's. */
static void input_ends_session(void **state)
{
	enum { SIZE = 150000 };
	autofree char *data = xcalloc(SIZE, 1);

	(void)state;
	for (int tty = 0; tty <= 1; tty++) {
		struct bench *b = bench_new(tty, tty, 0);
		int one = attach(b, (struct streams_attach_args){ALL}),
		    two = attach(b, (struct streams_attach_args){ALL}),
		    reader = attach(b, (struct streams_attach_args){-1, .out = true, .err = true,
								    .stream = true});
		struct termios raw;

		if (tty) {
			assert_int_equal(tcgetattr(b->in, &raw), 0);
			cfmakeraw(&raw);
			assert_int_equal(tcsetattr(b->in, TCSANOW, &raw), 0);
		}
		assert_int_equal(fd_write_full(one, data, SIZE), 0);
		assert_int_equal(shutdown(one, SHUT_WR), 0);
		assert_int_equal(shutdown(reader, SHUT_WR), 0);
		expect(b->in, data, SIZE);
		expect_end(one);
		put(two, "more");
		EXPECT(b->in, "more");
		put(b->out, "x");
		expect(two, tty ? "x" : "\1\0\0\0\0\0\0\1x", tty ? 1 : 9);
		expect(reader, tty ? "x" : "\1\0\0\0\0\0\0\1x", tty ? 1 : 9);
		(void)close(one);
		(void)close(two);
		(void)close(reader);
		bench_free(b);
	}
}

/* The process closes its stdin: input is dropped, output goes on, nobody hangs. */
static void process_closes_stdin(void **state)
{
	enum { SIZE = 300000 };
	struct bench *b = bench_new(false, true, 0);
	autofree char *data = xcalloc(SIZE, 1);
	int one = attach(b, (struct streams_attach_args){ALL});

	(void)state;
	(void)close(b->in);
	b->in = -EBADF;
	assert_int_equal(fd_write_full(one, data, SIZE), 0);
	put(b->out, "x");
	EXPECT(one, "\1\0\0\0\0\0\0\1x");
	(void)close(one);
	bench_free(b);
}

struct writer {
	int fd;
	size_t size;
	int r;
};

static void *write_much(void *data)
{
	struct writer *w = data;
	autofree char *block = xcalloc(w->size, 1);

	for (size_t i = 0; i < w->size; i++)
		block[i] = i % 100 == 99 ? '\n' : (char)('a' + i % 26);
	w->r = fd_write_full(w->fd, block, w->size);
	return NULL;
}

static size_t read_frames(int fd, size_t size, struct strbuf *out)
{
	size_t count = 0;

	for (; out->len < size; count++) {
		unsigned char head[STREAMS_FRAME_SIZE];
		autofree char *data = NULL;
		size_t len;

		assert_int_equal(fd_read_full(fd, head, sizeof(head)), (int)sizeof(head));
		assert_int_equal(head[0], 1);
		len = (size_t)head[4] << 24 | (size_t)head[5] << 16 | (size_t)head[6] << 8 |
		      head[7];
		data = xcalloc(len + 1, 1);
		assert_int_equal(fd_read_full(fd, data, len), (int)len);
		strbuf_add(out, data, len);
	}
	return count;
}

/* One client reads nothing until the process is stopped by it: then both get every byte. */
static void slow_client(void **state)
{
	enum { SIZE = 4 << 20 };
	struct bench *b = bench_new(false, true, 0);
	int slow = attach(b, (struct streams_attach_args){ALL}),
	    fast = attach(b, (struct streams_attach_args){ALL});
	autostrbuf struct strbuf one = STRBUF_INIT(2 * SIZE), two = STRBUF_INIT(2 * SIZE);
	struct writer w = {b->out, SIZE, -1};
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, write_much, &w), 0);
	(void)read_frames(fast, STREAMS_QUEUE_MAX, &one); /* all that the slow one lets through */
	(void)read_frames(slow, SIZE / 2, &two);
	(void)read_frames(fast, SIZE / 2, &one);
	/* No further: more than half a queue may wait for the fast one by now, which then holds up too. */
	(void)read_frames(slow, SIZE / 2 + STREAMS_QUEUE_MAX / 2, &two);
	(void)close(slow); /* gone: holds up nothing any more */
	(void)read_frames(fast, SIZE, &one);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(w.r, 0);
	assert_int_equal(one.len, SIZE);
	assert_memory_equal(one.s, two.s, two.len);
	for (size_t i = 0; i < SIZE; i++)
		if (one.s[i] != (i % 100 == 99 ? '\n' : (char)('a' + i % 26)))
			fail_msg("byte %zu is wrong", i);
	(void)close(fast);
	bench_free(b);
}

struct reader {
	int fd;
	size_t size;
	struct strbuf out;
	pthread_t thread;
};

static void *read_all(void *data)
{
	struct reader *r = data;

	(void)read_frames(r->fd, r->size, &r->out);
	return NULL;
}

/* Attach with logs while output flows: every byte once, in order, whatever the moment. */
static void logs_then_live(void **state)
{
	enum { SIZE = 3 << 20, CLIENTS = 6 };
	struct bench *b = bench_new(false, true, 0);
	int first = attach(b, (struct streams_attach_args){ALL});
	autostrbuf struct strbuf one = STRBUF_INIT(2 * SIZE);
	struct writer w = {b->out, SIZE, -1};
	struct reader later[CLIENTS];
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, write_much, &w), 0);
	for (int i = 0; i < CLIENTS; i++) {
		int gone = attach(b, (struct streams_attach_args){ALL, .logs = true});

		(void)read_frames(first, (size_t)(i + 1) * SIZE / 10, &one);
		later[i] = (struct reader){.size = SIZE, .out = STRBUF_INIT(2 * SIZE)};
		later[i].fd = attach(b, (struct streams_attach_args){ALL, .logs = true});
		assert_int_equal(pthread_create(&later[i].thread, NULL, read_all, &later[i]), 0);
		(void)close(gone); /* in the middle of its replay */
	}
	(void)read_frames(first, SIZE, &one);
	for (int i = 0; i < CLIENTS; i++) {
		assert_int_equal(pthread_join(later[i].thread, NULL), 0);
		assert_int_equal(later[i].out.len, SIZE);
		assert_memory_equal(later[i].out.s, one.s, SIZE);
		strbuf_done(&later[i].out);
		(void)close(later[i].fd);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(w.r, 0);
	(void)close(first);
	bench_free(b);
}

/* A log without stream: its content, the unfinished line too, then the end. */
static void logs_only(void **state)
{
	struct bench *b = bench_new(false, true, 0);
	int one = attach(b, (struct streams_attach_args){ALL}), two;

	(void)state;
	put(b->out, "line\nhalf");
	EXPECT(one, "\1\0\0\0\0\0\0\11line\nhalf");
	two = attach(b, (struct streams_attach_args){.out = true, .logs = true});
	EXPECT(two, "\1\0\0\0\0\0\0\5line\n\1\0\0\0\0\0\0\4half");
	expect_end(two);
	(void)close(two);
	two = attach(b, (struct streams_attach_args){.err = true, .logs = true});
	expect_end(two);
	(void)close(two);

	/* After the end too. */
	loop_call(b->loop, do_finish, b);
	expect_end(one);
	(void)close(one);
	wait_idle(b);
	two = attach(b, (struct streams_attach_args){ALL, .logs = true});
	EXPECT(two, "\1\0\0\0\0\0\0\5line\n\1\0\0\0\0\0\0\4half");
	expect_end(two);
	(void)close(two);
	bench_free(b);
}

struct resize_call {
	struct bench *b;
	int r;
};

static void do_resize(void *data)
{
	struct resize_call *call = data;

	call->r = streams_resize(call->b->streams, 33, 99, NULL);
}

static void terminal(void **state)
{
	struct bench *b = bench_new(true, true, 0);
	int one = attach(b, (struct streams_attach_args){ALL, .detach_keys = "ctrl-p,ctrl-q"}), two;
	struct resize_call call = {b, -1};
	struct winsize size = {0};
	struct termios raw;

	(void)state;
	assert_int_equal(tcgetattr(b->in, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(b->in, TCSANOW, &raw), 0);
	loop_call(b->loop, do_resize, &call);
	assert_int_equal(call.r, 0);
	assert_int_equal(ioctl(b->in, TIOCGWINSZ, &size), 0);
	assert_int_equal(size.ws_row, 33);
	assert_int_equal(size.ws_col, 99);

	put(b->out, "no frames");
	EXPECT(one, "no frames");
	put(one, "in\x10");
	put(one, "x");
	EXPECT(b->in, "in\x10x");
	put(one, "z\x10");
	put(one, "\x11never");
	EXPECT(b->in, "z");
	expect_end(one); /* detached */
	(void)close(one);

	/* The program closes its terminal and opens it again; then it ends. */
	two = attach(b, (struct streams_attach_args){ALL});
	put(b->out, "last");
	(void)close(b->out);
	b->in = b->out = -EBADF;
	EXPECT(two, "last");
	loop_call(b->loop, do_finish, b);
	expect_end(two);
	(void)close(two);
	wait_idle(b);
	bench_free(b);
}

/* Unread input at the end destroys no output. */
static void end_with_unread_input(void **state)
{
	enum { SIZE = 200000 };
	struct bench *b = bench_new(false, true, 0);
	autofree char *data = xcalloc(SIZE, 1);
	autostrbuf struct strbuf all = STRBUF_INIT(1 << 20);
	int one = attach(b, (struct streams_attach_args){ALL});

	(void)state;
	assert_int_equal(fd_write_full(one, data, SIZE), 0);
	put(b->out, "the output");
	loop_call(b->loop, do_finish, b);
	EXPECT(one, "\1\0\0\0\0\0\0\12the output");
	expect_end(one);
	(void)close(one);
	wait_idle(b);
	bench_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames),
		cmocka_unit_test(stdin_half_close),
		cmocka_unit_test(leaves_with_input),
		cmocka_unit_test(stdin_stays),
		cmocka_unit_test(input_ends_session),
		cmocka_unit_test(process_closes_stdin),
		cmocka_unit_test(slow_client),
		cmocka_unit_test(logs_then_live),
		cmocka_unit_test(logs_only),
		cmocka_unit_test(terminal),
		cmocka_unit_test(end_with_unread_input),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
