/* A writer's output as a reader: a socket pair between two threads. */
#include "store/produce.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"

struct produce {
	produce_fn fn;
	void *data;       /* borrowed */
	int in, out;      /* owned: the reader's end, the writer's */
	pthread_t thread; /* runs until joined */
	bool joined;
	int result;         /* fn's, once joined */
	struct error error; /* owned: fn's */
};

static int put(void *data, const void *buf, size_t len, struct error *err)
{
	const struct produce *p = data;

	while (len > 0) {
		ssize_t n = send(p->out, buf, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, ERROR_INTERNAL, errno, "write to who reads it");
		buf = (const char *)buf + n;
		len -= (size_t)n;
	}
	return 0;
}

static void *run(void *data)
{
	struct produce *p = data;
	const struct stream_writer out = {.write = put, .data = p};

	p->result = p->fn(p->data, &out, &p->error);
	(void)shutdown(p->out, SHUT_WR); /* the reader's end of file */
	return NULL;
}

static void join(struct produce *p)
{
	if (!p->joined)
		(void)pthread_join(p->thread, NULL);
	p->joined = true;
}

static ssize_t get(void *data, void *buf, size_t size, struct error *err)
{
	struct produce *p = data;
	ssize_t n;

	do
		n = p->joined ? 0 : read(p->in, buf, size);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_set(err, ERROR_INTERNAL, errno, "read what is written");
	if (n > 0)
		return n;
	join(p);
	return p->result < 0 ? error_move(err, &p->error, p->result) : 0;
}

int produce_new(produce_fn fn, void *data, struct produce **ret, struct error *err)
{
	struct produce *p = xnew0(struct produce);
	int fds[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
		r = error_set(err, ERROR_INTERNAL, errno, "make a socket pair");
		free(p);
		return r;
	}
	*p = (struct produce){.fn = fn, .data = data, .in = fds[0], .out = fds[1]};
	r = pthread_create(&p->thread, NULL, run, p);
	if (r != 0) {
		p->joined = true;
		(void)produce_free(p);
		return error_set(err, ERROR_INTERNAL, r, "start a thread");
	}
	*ret = p;
	return 0;
}

struct stream_reader produce_reader(struct produce *p)
{
	return (struct stream_reader){.read = get, .data = p};
}

struct produce *produce_free(struct produce *p)
{
	if (!p)
		return NULL;
	fd_close(&p->in);
	join(p);
	fd_close(&p->out);
	error_done(&p->error);
	free(p);
	return NULL;
}
