/* Fetching layers.
 *
 * The helper writes each layer into a pipe.  The calling thread moves what comes into the blob's
 * partial file, and counts; a worker reads these files from the bottom layer up, never past what has been
 * counted, and unpacks.  So a layer is unpacked while it comes, those above it gather on disk meanwhile,
 * and every byte that is hashed is one that we have written ourselves.  A compressed layer's file becomes its
 * blob, by a link: nothing is written twice.
 *
 * Two pulls never bring the same blob: who finds its partial file held waits until the holder has it all,
 * and then reads it too, or has failed, and then goes on with it.
 */
#include "registry/fetch.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/file.h"
#include "registry/remote.h"
#include "store/ingest.h"
#include "store/partial.h"

#define COPY_SIZE    (256 * 1024)
#define PIPE_SIZE    (1 << 20)
#define WRITE_STEP   (8 << 20) /* bytes after which the disk is told to begin */
#define REPORT_MS    100
#define SHORT_ID_LEN 12

enum stage {
	STAGE_WAITING,
	STAGE_COMING,  /* the helper was asked */
	STAGE_ARRIVED, /* all bytes are in the partial file */
	STAGE_DONE,    /* unpacked */
};

struct layer {
	char id[SHORT_ID_LEN + 1];
	const char *digest; /* borrowed */
	int64_t size;
	enum store_ingest_state state; /* at the beginning */
	enum stage stage;
	int file;         /* owned: the partial file */
	int pipe;         /* owned: where its bytes come out */
	int64_t request;  /* of the helper */
	bool is_answered; /* the helper is through with it */
	bool was_resumed; /* some bytes are from an earlier pull */
	int64_t begin;    /* bytes that were here before */
	int64_t begun;    /* bytes that the disk has been told to write */
	int64_t reported_ms;
	/* With `lock`: */
	int64_t have;     /* bytes in the file */
	int64_t unpacked; /* bytes of it read by the worker */
	bool is_unpacking, is_unpacked;
};

struct fetch {
	const struct fetch_args *args;
	struct layer *layers; /* owned */
	size_t n, coming;
	char *buf; /* owned */
	int event; /* owned: the worker has something to tell */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* With `lock`: */
	bool is_cancelled, is_over; /* over: the worker has ended */
	int result;
	struct error why;   /* the worker's */
	struct fetch *next; /* in the list of all that run */
};

/* ---- progress ---- */

static void report(const struct fetch *f, const struct layer *l, const char *status,
		   int64_t current, int64_t total)
{
	const struct registry_progress *p = f->args->registry->progress;

	p->report(p->data, l->id, status, current, total);
}

static void say(const struct fetch *f, const struct layer *l, const char *status)
{
	report(f, l, status, -1, 0);
}

/* Not more often than people can read. */
static void measure(struct layer *l, const struct fetch *f, const char *status, int64_t current)
{
	int64_t now = clock_monotonic_ns() / 1000000;

	if (now - l->reported_ms < REPORT_MS)
		return;
	l->reported_ms = now;
	report(f, l, status, current, l->size);
}

/* ---- the worker ---- */

static void poke(const struct fetch *f)
{
	const uint64_t one = 1;

	(void)!write(f->event, &one, sizeof(one)); /* only a full counter fails: it is awake then */
}

/* ---- other pulls ---- */

/* All that are under way: one may wait for a blob that another brings. */
static struct {
	pthread_mutex_t lock;
	struct fetch *first; /* borrowed, linked by `next` */
} running = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void wake_others(void)
{
	(void)pthread_mutex_lock(&running.lock);
	for (const struct fetch *f = running.first; f; f = f->next)
		poke(f);
	(void)pthread_mutex_unlock(&running.lock);
}

static void enter(struct fetch *f)
{
	(void)pthread_mutex_lock(&running.lock);
	f->next = running.first;
	running.first = f;
	(void)pthread_mutex_unlock(&running.lock);
}

static void leave(struct fetch *f)
{
	struct fetch **p = &running.first;

	(void)pthread_mutex_lock(&running.lock);
	while (*p != f)
		p = &(*p)->next;
	*p = f->next;
	(void)pthread_mutex_unlock(&running.lock);
}

struct tail {
	struct fetch *f;
	struct layer *l;
	int64_t pos;
};

/* Waits until there is more than `pos`: the count, 0 at the end of the layer. */
static int64_t wait_for_bytes(struct tail *t, struct error *err)
{
	struct fetch *f = t->f;
	int64_t have;
	bool cancelled;

	(void)pthread_mutex_lock(&f->lock);
	while (!f->is_cancelled && t->l->have == t->pos && t->pos < t->l->size)
		(void)pthread_cond_wait(&f->changed, &f->lock);
	have = t->l->have;
	t->l->unpacked = t->pos;
	cancelled = f->is_cancelled;
	(void)pthread_mutex_unlock(&f->lock);
	if (cancelled)
		return remote_client_gone(err);
	return have - t->pos;
}

static ssize_t tail_read(void *data, void *buf, size_t size, struct error *err)
{
	struct tail *t = data;
	int64_t there = wait_for_bytes(t, err);
	ssize_t n;

	if (there <= 0)
		return (ssize_t)there;
	n = pread(t->l->file, buf, there < (int64_t)size ? (size_t)there : size, t->pos);
	if (n <= 0)
		return error_set(err, ERROR_INTERNAL, n < 0 ? errno : EIO, "read layer '%s'",
				 t->l->digest);
	t->pos += n;
	poke(t->f);
	return n;
}

static void set_unpacking(struct fetch *f, struct layer *l, bool is_done)
{
	(void)pthread_mutex_lock(&f->lock);
	l->is_unpacking = !is_done;
	l->is_unpacked = is_done;
	(void)pthread_mutex_unlock(&f->lock);
	poke(f);
}

static int unpack_layer(struct fetch *f, size_t i, struct error *err)
{
	struct layer *l = &f->layers[i];
	struct tail tail = {.f = f, .l = l};
	const struct stream_reader in = {.read = tail_read, .data = &tail};
	bool is_known = l->state == STORE_INGEST_KNOWN;
	int r;

	if (!is_known) { /* its file is opened when its turn comes to be downloaded */
		(void)pthread_mutex_lock(&f->lock);
		while (!f->is_cancelled && l->file < 0)
			(void)pthread_cond_wait(&f->changed, &f->lock);
		r = f->is_cancelled ? -ECANCELED : 0;
		(void)pthread_mutex_unlock(&f->lock);
		if (r < 0)
			return remote_client_gone(err);
	}
	set_unpacking(f, l, false);
	r = store_ingest_layer(f->args->ingest, i, is_known ? NULL : &in,
			       is_known ? -EBADF : l->file, err);
	if (r >= 0)
		set_unpacking(f, l, true);
	return r;
}

static void unpack_all(void *data)
{
	struct fetch *f = data;
	struct error why = {0};
	int r = 0;

	for (size_t i = 0; i < f->n && r >= 0; i++)
		if (f->layers[i].state != STORE_INGEST_HERE)
			r = unpack_layer(f, i, &why);
	(void)pthread_mutex_lock(&f->lock);
	f->result = r;
	f->why = why;
	f->is_over = true;
	poke(f); /* before the unlock: f is gone soon after */
	(void)pthread_cond_broadcast(&f->changed);
	(void)pthread_mutex_unlock(&f->lock);
}

/* ---- downloads ---- */

static int ask_for(struct fetch *f, struct layer *l, int fd, struct error *err)
{
	struct remote_request req;

	remote_request_init(f->args->remote, "blob", &req);
	jw_kstring(&req.w, "digest", l->digest);
	jw_kint(&req.w, "size", l->size);
	jw_kint(&req.w, "offset", l->begin);
	l->request = req.id;
	return remote_send(f->args->remote, &req, fd, err);
}

static int start_download(struct fetch *f, struct layer *l, struct error *err)
{
	autoclose int write_end = -EBADF;
	int ends[2], file = -EBADF, r;

	r = store_partial_open(f->args->registry->store, l->digest, l->size, &file, &l->begin, err);
	if (r != 0)
		return r < 0 ? r : 0; /* another pull is at it: its end wakes us */
	(void)pthread_mutex_lock(&f->lock);
	l->file = file;
	l->have = l->begin;
	(void)pthread_cond_broadcast(&f->changed);
	(void)pthread_mutex_unlock(&f->lock);
	l->was_resumed = l->begin > 0;
	l->stage = STAGE_COMING;
	f->coming++;
	if (l->begin == l->size) { /* an earlier pull had it all */
		l->is_answered = true;
		return 0;
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make a pipe");
	l->pipe = ends[0];
	write_end = ends[1];
	(void)fcntl(l->pipe, F_SETPIPE_SZ, PIPE_SIZE);
	r = fd_set_nonblock(l->pipe, true);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "make a pipe");
	return ask_for(f, l, write_end, err);
}

/* From the bottom up, as many as may be. */
static int start_downloads(struct fetch *f, struct error *err)
{
	const struct registry_config *c = f->args->registry->config;
	size_t max = (size_t)(c->max_downloads ? c->max_downloads : REGISTRY_DOWNLOADS_DEFAULT);
	int r = 0;

	for (size_t i = 0; i < f->n && f->coming < max && r >= 0; i++)
		if (f->layers[i].state == STORE_INGEST_NEEDED &&
		    f->layers[i].stage == STAGE_WAITING)
			r = start_download(f, &f->layers[i], err);
	return r;
}

static int take_bytes(struct fetch *f, struct layer *l, struct error *err)
{
	ssize_t n = read(l->pipe, f->buf, COPY_SIZE);
	int r;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0
							 : error_set(err, ERROR_INTERNAL, errno,
								     "read layer '%s'", l->digest);
	if (n == 0) {
		fd_close(&l->pipe);
		return 0;
	}
	if (n > l->size - l->have)
		return error_set(err, ERROR_INVALID, 0, "layer '%s' is too long", l->digest);
	r = fd_write_full(l->file, f->buf, (size_t)n);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "write layer '%s'", l->digest);
	crash_point(CRASH_PULL_PARTIAL);
	if (l->have + n - l->begun >= WRITE_STEP) { /* a hint: the commit's syncfs() waits */
		(void)sync_file_range(l->file, l->begun, l->have + n - l->begun,
				      SYNC_FILE_RANGE_WRITE);
		l->begun = l->have + n;
	}
	(void)pthread_mutex_lock(&f->lock);
	l->have += n;
	(void)pthread_cond_broadcast(&f->changed);
	(void)pthread_mutex_unlock(&f->lock);
	measure(l, f, "Downloading", l->have);
	return 0;
}

static void finish_download(struct fetch *f, struct layer *l)
{
	if (l->stage != STAGE_COMING || l->pipe >= 0 || !l->is_answered || l->have < l->size)
		return;
	l->stage = STAGE_ARRIVED;
	l->reported_ms = 0;
	f->coming--;
	store_partial_finish(f->args->registry->store, l->digest, l->file);
	crash_point(CRASH_PULL_ARRIVED);
	wake_others();
	say(f, l, "Verifying Checksum");
	say(f, l, "Download complete");
}

static struct layer *find_request(struct fetch *f, int64_t id)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->layers[i].request == id)
			return &f->layers[i];
	return NULL;
}

static int take_reply(struct fetch *f, struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct remote_reply reply;
	struct layer *l;
	int r = remote_receive(f->args->remote, a, &reply, err);

	if (r <= 0)
		return r;
	l = find_request(f, reply.id);
	if (!l)
		return 0;
	if (reply.error)
		return remote_error(reply.error, err);
	if (reply.ok)
		l->is_answered = true;
	else if (reply.retry_s > 0) {
		autofree char *text =
			xasprintf("Retrying in %lld second%s", (long long)reply.retry_s,
				  reply.retry_s == 1 ? "" : "s");

		say(f, l, text);
	}
	return 0;
}

/* What the worker has got done. */
static void look_at_worker(struct fetch *f, bool *ret_over)
{
	uint64_t count;

	(void)!read(f->event, &count, sizeof(count));
	for (size_t i = 0; i < f->n; i++) {
		struct layer *l = &f->layers[i];
		bool unpacking, unpacked;
		int64_t pos;

		(void)pthread_mutex_lock(&f->lock);
		unpacking = l->is_unpacking;
		unpacked = l->is_unpacked;
		pos = l->unpacked;
		(void)pthread_mutex_unlock(&f->lock);
		if (unpacked && (l->stage == STAGE_ARRIVED || l->state == STORE_INGEST_KNOWN) &&
		    l->stage != STAGE_DONE) {
			if (l->state == STORE_INGEST_NEEDED)
				report(f, l, "Extracting", l->size, l->size);
			say(f, l, "Pull complete");
			l->stage = STAGE_DONE;
		} else if (unpacking && l->stage == STAGE_ARRIVED) {
			measure(l, f, "Extracting", pos);
		}
	}
	(void)pthread_mutex_lock(&f->lock);
	*ret_over = f->is_over;
	(void)pthread_mutex_unlock(&f->lock);
}

static bool is_complete(const struct fetch *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->layers[i].state != STORE_INGEST_HERE && f->layers[i].stage != STAGE_DONE)
			return false;
	return true;
}

static int turn(struct fetch *f, struct pollfd *fds, bool *ret_over, struct error *err)
{
	size_t n = 3;
	int r = 0;

	fds[0] = (struct pollfd){.fd = remote_fd(f->args->remote), .events = POLLIN};
	fds[1] = (struct pollfd){.fd = remote_client_fd(f->args->remote)};
	fds[2] = (struct pollfd){.fd = f->event, .events = POLLIN};
	for (size_t i = 0; i < f->n; i++, n++)
		fds[n] = (struct pollfd){.fd = f->layers[i].pipe, .events = POLLIN};
	if (poll(fds, n, -1) < 0)
		return errno == EINTR ? 0
				      : error_set(err, ERROR_INTERNAL, errno, "wait for layers");
	if (fds[1].revents & (POLLHUP | POLLERR))
		return remote_client_gone(err);
	/* Bytes first: they may be what an error message came behind. */
	for (size_t i = 0; i < f->n && r >= 0; i++)
		if (fds[3 + i].revents)
			r = take_bytes(f, &f->layers[i], err);
	if (r >= 0 && fds[0].revents)
		r = take_reply(f, err);
	for (size_t i = 0; i < f->n && r >= 0; i++)
		finish_download(f, &f->layers[i]);
	if (r >= 0)
		look_at_worker(f, ret_over);
	return r;
}

static int run(struct fetch *f, struct error *err)
{
	autofree struct pollfd *fds = xnew0n(struct pollfd, f->n + 3);
	bool over = false;
	int r = 0;

	while (r >= 0 && !is_complete(f)) {
		r = start_downloads(f, err);
		for (size_t i = 0; i < f->n && r >= 0; i++)
			finish_download(f, &f->layers[i]);
		if (r >= 0)
			r = turn(f, fds, &over, err);
		if (r >= 0 && over && f->result < 0)
			return f->result; /* its reason is taken below */
	}
	return r;
}

/* ---- the whole ---- */

static void prepare(struct fetch *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct layer *l = &f->layers[i];

		l->digest = f->args->layers[i].digest;
		l->size = f->args->layers[i].size;
		l->state = store_ingest_state(f->args->ingest, i);
		l->file = l->pipe = -EBADF;
		(void)snprintf(l->id, sizeof(l->id), "%.12s", digest_hex(l->digest));
	}
	for (size_t i = 0; i < f->n; i++)
		say(f, &f->layers[i],
		    f->layers[i].state == STORE_INGEST_HERE ? "Already exists"
							    : "Pulling fs layer");
	for (size_t i = 0, n = 0; i < f->n; i++)
		if (f->layers[i].state == STORE_INGEST_NEEDED && n++ >= REGISTRY_DOWNLOADS_DEFAULT)
			say(f, &f->layers[i], "Waiting");
}

/* The worker ends by itself, or because nothing more will come. */
static void end_worker(struct fetch *f, bool cancel)
{
	(void)pthread_mutex_lock(&f->lock);
	f->is_cancelled |= cancel;
	(void)pthread_cond_broadcast(&f->changed);
	while (!f->is_over)
		(void)pthread_cond_wait(&f->changed, &f->lock);
	(void)pthread_mutex_unlock(&f->lock);
}

/* Bytes that turned out to be wrong are not worth keeping.  True if some were here before. */
static bool drop_bad(const struct fetch *f)
{
	bool stale = false;

	for (size_t i = 0; i < f->n; i++) {
		const struct layer *l = &f->layers[i];

		if (l->is_unpacking) {
			store_partial_drop(f->args->registry->store, l->digest);
			stale |= l->was_resumed;
		}
	}
	return stale;
}

int fetch_layers(const struct fetch_args *args, bool *ret_stale, struct error *err)
{
	struct fetch f = {.args = args, .n = args->n_layers};
	int r;

	f.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f.event < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make an eventfd");
	f.layers = xnew0n(struct layer, f.n + 1);
	f.buf = xcalloc(1, COPY_SIZE);
	(void)pthread_mutex_init(&f.lock, NULL);
	(void)pthread_cond_init(&f.changed, NULL);
	prepare(&f);
	enter(&f);
	/* We wait for it, so it may not wait for a free worker. */
	pool_submit_urgent(args->registry->pool, unpack_all, &f);
	r = run(&f, err);
	end_worker(&f, r < 0);
	if (f.result < 0 && (r >= 0 || f.why.kind != ERROR_INTERNAL || !err || !err->msg)) {
		if (f.why.kind == ERROR_INVALID)
			*ret_stale = drop_bad(&f);
		error_done(err);
		*err = (struct error){0};
		r = error_move(err, &f.why, f.result);
	}
	error_done(&f.why);
	for (size_t i = 0; i < f.n; i++) {
		fd_close(&f.layers[i].file);
		fd_close(&f.layers[i].pipe);
	}
	leave(&f);
	wake_others();
	fd_close(&f.event);
	(void)pthread_cond_destroy(&f.changed);
	(void)pthread_mutex_destroy(&f.lock);
	free(f.layers);
	free(f.buf);
	return r;
}
