/* Sending layers.
 *
 *     digest known?  yes: exists? or to be mounted? ──yes─▶ done
 *        │ no                          │ no
 *        ▼                             ▼
 *     made by a worker ──────────▶ opened ──▶ the helper looks again, and uploads ──▶ done
 */
#include "registry/send.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "registry/remote.h"
#include "store/publish.h"

#define REPORT_MS    100
#define SHORT_ID_LEN 12
#define MOUNTS_MAX   4

enum stage {
	STAGE_WAITING,
	STAGE_ASKED,   /* whether it is there */
	STAGE_OPENING, /* on a worker */
	STAGE_SENT,    /* to the helper */
	STAGE_DONE,
	STAGE_SAME, /* as a lower layer */
};

struct send;

struct layer {
	struct send *send;
	size_t number;
	const struct store_blob *blob; /* borrowed; complete once opened */
	char id[SHORT_ID_LEN + 1];
	enum stage stage;
	int64_t request, reported_ms;
	/* With `lock`: */
	bool is_opened;
	int fd;           /* owned */
	int result;       /* of opening */
	struct error why; /* owned */
};

struct send {
	const struct send_args *args;
	struct layer *layers; /* owned */
	size_t n, active;
	int event; /* owned */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t opening; /* with `lock` */
};

static void report(const struct layer *l, const char *status, int64_t current, int64_t total)
{
	const struct registry_progress *p = l->send->args->registry->progress;

	p->report(p->data, l->id, status, current, total);
}

static void finish(struct layer *l, const char *status)
{
	struct send *s = l->send;

	report(l, status, -1, 0);
	l->stage = STAGE_DONE;
	s->active--;
	for (size_t i = 0; i < s->n; i++)
		if (s->layers[i].stage == STAGE_SAME && str_eq(s->layers[i].id, l->id))
			report(&s->layers[i], status, -1, 0);
}

/* ---- opening ---- */

static void open_blob(void *data)
{
	struct layer *l = data;
	struct send *s = l->send;
	const uint64_t one = 1;
	struct error why = {0};
	int fd = -EBADF;
	int r = store_publish_open(s->args->publish, l->number, &fd, &why);

	(void)pthread_mutex_lock(&s->lock);
	l->is_opened = true;
	l->fd = fd;
	l->result = r;
	l->why = why;
	s->opening--;
	(void)!write(s->event, &one, sizeof(one)); /* before the unlock: s is gone soon after */
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
}

static void start_opening(struct layer *l)
{
	struct send *s = l->send;

	l->stage = STAGE_OPENING;
	(void)pthread_mutex_lock(&s->lock);
	s->opening++;
	(void)pthread_mutex_unlock(&s->lock);
	/* We wait for it, so it may not wait for a free worker. */
	pool_submit_urgent(s->args->registry->pool, open_blob, l);
}

/* ---- the helper ---- */

/* Repositories of the same registry that may have it. */
static int write_mounts(const struct layer *l, struct json_writer *w, struct error *err)
{
	const struct image_ref *ref = l->send->args->ref;
	autostrv struct strv sources = {0};
	int r = store_blob_sources(l->send->args->registry->store, l->blob->digest, ref->domain,
				   MOUNTS_MAX, &sources, err);

	jw_karray(w, "mounts");
	for (size_t i = 0; i < sources.n && r >= 0; i++)
		jw_string(w, sources.v[i] + strlen(ref->domain) + 1);
	jw_array_end(w);
	return r;
}

static int ask(struct layer *l, const char *op, int fd, struct error *err)
{
	struct remote *remote = l->send->args->remote;
	struct remote_request req;
	int r;

	remote_request_init(remote, op, &req);
	jw_kstring(&req.w, "digest", l->blob->digest);
	jw_kint(&req.w, "size", l->blob->size);
	r = write_mounts(l, &req.w, err);
	if (r < 0) {
		strbuf_done(&req.text);
		return r;
	}
	l->request = req.id;
	return remote_send(remote, &req, fd, err);
}

static int start(struct layer *l, struct error *err)
{
	l->send->active++;
	if (!l->blob->digest[0]) {
		start_opening(l);
		return 0;
	}
	l->stage = STAGE_ASKED;
	return ask(l, "exists", -1, err);
}

static int take_opened(struct layer *l, struct error *err)
{
	struct send *s = l->send;
	bool opened;
	int r;

	(void)pthread_mutex_lock(&s->lock);
	opened = l->is_opened;
	(void)pthread_mutex_unlock(&s->lock);
	if (l->stage != STAGE_OPENING || !opened)
		return 0;
	if (l->result < 0)
		return error_move(err, &l->why, l->result);
	l->stage = STAGE_SENT;
	r = ask(l, "upload", l->fd, err);
	fd_close(&l->fd);
	return r;
}

static void take_ok(struct layer *l, const struct json *ok)
{
	const char *from = json_get_string(ok, "mounted");
	autofree char *text = from ? xasprintf("Mounted from %s", from) : NULL;

	if (json_get_bool(ok, "missing"))
		start_opening(l);
	else if (json_get_bool(ok, "exists"))
		finish(l, "Layer already exists");
	else
		finish(l, text ? text : "Pushed");
}

static void take_progress(struct layer *l, const struct remote_reply *reply)
{
	int64_t now = clock_monotonic_ns() / 1000000;

	if (reply->retry_s > 0) {
		autofree char *text =
			xasprintf("Retrying in %lld second%s", (long long)reply->retry_s,
				  reply->retry_s == 1 ? "" : "s");

		report(l, text, -1, 0);
	} else if (now - l->reported_ms >= REPORT_MS && reply->progress >= 0) {
		l->reported_ms = now;
		report(l, "Pushing", reply->progress, l->blob->size);
	}
}

static int take_reply(struct send *s, struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct remote_reply reply;
	int r = remote_receive(s->args->remote, a, &reply, err);

	if (r <= 0)
		return r;
	for (size_t i = 0; i < s->n; i++) {
		struct layer *l = &s->layers[i];

		if (l->request != reply.id || (l->stage != STAGE_ASKED && l->stage != STAGE_SENT))
			continue;
		if (reply.error)
			return remote_error(reply.error, err);
		if (reply.ok)
			take_ok(l, reply.ok);
		else
			take_progress(l, &reply);
		break;
	}
	return 0;
}

/* ---- the whole ---- */

/* From the top down, as Docker lists them. */
static int start_some(struct send *s, struct error *err)
{
	const struct registry_config *c = s->args->registry->config;
	size_t max = (size_t)(c->max_uploads ? c->max_uploads : REGISTRY_UPLOADS_DEFAULT);
	int r = 0;

	for (size_t i = s->n; i-- > 0 && s->active < max && r >= 0;)
		if (s->layers[i].stage == STAGE_WAITING)
			r = start(&s->layers[i], err);
	return r;
}

static bool is_complete(const struct send *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->layers[i].stage < STAGE_DONE)
			return false;
	return true;
}

static int turn(struct send *s, struct error *err)
{
	struct pollfd fds[] = {
		{.fd = remote_fd(s->args->remote), .events = POLLIN},
		{.fd = remote_client_fd(s->args->remote)},
		{.fd = s->event, .events = POLLIN},
	};
	uint64_t count;
	int r = 0;

	if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
		return errno == EINTR ? 0
				      : error_set(err, ERROR_INTERNAL, errno, "wait for uploads");
	if (fds[1].revents & (POLLHUP | POLLERR))
		return remote_client_gone(err);
	if (fds[2].revents)
		(void)!read(s->event, &count, sizeof(count));
	if (fds[0].revents)
		r = take_reply(s, err);
	for (size_t i = 0; i < s->n && r >= 0; i++)
		r = take_opened(&s->layers[i], err);
	return r;
}

static void prepare(struct send *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct layer *l = &s->layers[i];

		l->send = s;
		l->number = i;
		l->fd = -EBADF;
		l->blob = store_publish_blob(s->args->publish, i);
		(void)snprintf(l->id, sizeof(l->id), "%.12s", digest_hex(l->blob->diff_id));
		for (size_t k = 0; k < i && l->stage == STAGE_WAITING; k++)
			if (str_eq(s->layers[k].blob->diff_id, l->blob->diff_id))
				l->stage = STAGE_SAME;
	}
	for (size_t i = s->n; i-- > 0;)
		report(&s->layers[i], "Preparing", -1, 0);
}

/* Workers hold pointers to what is ours. */
static void end_workers(struct send *s)
{
	(void)pthread_mutex_lock(&s->lock);
	while (s->opening > 0)
		(void)pthread_cond_wait(&s->changed, &s->lock);
	(void)pthread_mutex_unlock(&s->lock);
}

int send_layers(const struct send_args *args, struct error *err)
{
	struct send s = {.args = args, .n = store_publish_count(args->publish)};
	int r = 0;

	s.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s.event < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make an eventfd");
	s.layers = xnew0n(struct layer, s.n + 1);
	(void)pthread_mutex_init(&s.lock, NULL);
	(void)pthread_cond_init(&s.changed, NULL);
	prepare(&s);
	while (r >= 0 && !is_complete(&s)) {
		r = start_some(&s, err);
		if (r >= 0)
			r = turn(&s, err);
	}
	if (r < 0)
		store_publish_cancel(args->publish);
	end_workers(&s);
	for (size_t i = 0; i < s.n; i++) {
		fd_close(&s.layers[i].fd);
		error_done(&s.layers[i].why);
	}
	fd_close(&s.event);
	(void)pthread_cond_destroy(&s.changed);
	(void)pthread_mutex_destroy(&s.lock);
	free(s.layers);
	return r;
}
