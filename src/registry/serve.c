/* One thread reads requests; each runs on a worker, as linear blocking code, and answers. */
#include "registry/serve.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/sha256.h"
#include "registry/blobs.h"
#include "registry/cosign.h"
#include "registry/documents.h"
#include "registry/protocol.h"
#include "registry/upload.h"

#define WORKERS_MAX 64

struct server {
	int sock; /* borrowed */
	const char *system_ca;
	pthread_mutex_t lock; /* the writing side */
	struct session *session;
	struct pool *pool;
};

/* A request on its way. */
struct task {
	struct server *server;
	struct arena *arena; /* owned */
	const struct json *msg;
	int64_t id;
	int fd; /* owned; -EBADF: none */
	struct session_failure failure;
	const struct op *op;
};

/* Writes the members of "ok". */
typedef int (*op_fn)(struct task *t, struct json_writer *w, struct error *err);

struct op {
	const char *name;
	op_fn run;
};

static const char *text(const struct task *t, const char *member)
{
	const char *s = json_get_string(t->msg, member);

	return s ? s : "";
}

static void send_frame(struct server *server, const struct strbuf *b)
{
	(void)pthread_mutex_lock(&server->lock);
	if (protocol_send(server->sock, b, -1) < 0)
		_exit(1); /* nobody is there to be told */
	(void)pthread_mutex_unlock(&server->lock);
}

static void answer(struct task *t, int r, const struct strbuf *ok, const struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(PROTOCOL_FRAME_MAX);
	struct json_writer w;

	json_writer_init(&w, &b);
	jw_object(&w);
	jw_kint(&w, "id", t->id);
	if (r >= 0) {
		jw_key(&w, "ok");
		jw_raw(&w, ok->s, ok->len);
	} else {
		jw_kobject(&w, "error");
		jw_kstring(&w, "kind", error_kind_name(err->kind));
		jw_kstring(&w, "message", error_msg(err));
		jw_kstring(&w, "code", t->failure.code);
		jw_kint(&w, "status", t->failure.status);
		jw_object_end(&w);
	}
	jw_object_end(&w);
	send_frame(t->server, &b);
}

/* ---- operations ---- */

static int op_open(struct task *t, struct json_writer *w, struct error *err)
{
	(void)w;
	if (t->server->session)
		return error_set(err, ERROR_INTERNAL, 0, "there is a session already");
	return session_open(t->msg, t->server->system_ca, &t->server->session, err);
}

static void write_document(struct json_writer *w, const char *key, const struct document *d)
{
	if (!d->text)
		return;
	jw_kobject(w, key);
	jw_kstring(w, "digest", d->digest);
	jw_kstring(w, "type", d->type);
	jw_kstring(w, "text", d->text);
	jw_object_end(w);
}

static int op_resolve(struct task *t, struct json_writer *w, struct error *err)
{
	const struct json *platform = json_get(t->msg, "platform");
	const struct documents_args args = {
		.reference = text(t, "reference"),
		.os = json_get_string(platform, "os"),
		.architecture = json_get_string(platform, "architecture"),
		.variant = json_get_string(platform, "variant"),
		.no_choice = json_get_bool(t->msg, "no_choice"),
	};
	struct documents docs = {0};
	int r = documents_resolve(t->server->session, &args, t->arena, &docs, &t->failure, err);

	if (r < 0)
		return r;
	write_document(w, "top", &docs.top);
	jw_karray(w, "inner");
	for (size_t i = 0; i < docs.n_inner; i++) {
		jw_object(w);
		jw_kstring(w, "text", docs.inner[i].text);
		jw_object_end(w);
	}
	jw_array_end(w);
	write_document(w, "manifest", &docs.manifest);
	write_document(w, "config", &docs.config);
	return 0;
}

static void write_base64(struct json_writer *w, const char *key, const void *data, size_t len)
{
	autostrbuf struct strbuf text = STRBUF_INIT(PROTOCOL_FRAME_MAX);

	base64_encode(data, len, &text);
	jw_kstring(w, key, text.s);
}

static int op_signatures(struct task *t, struct json_writer *w, struct error *err)
{
	const char *digest = text(t, "digest");
	struct cosign_found found = {0};
	int r;

	if (!digest_is_valid(digest))
		return error_set(err, ERROR_INTERNAL, 0, "'%s' is no digest", digest);
	r = cosign_fetch(t->server->session, digest, t->arena, &found, &t->failure, err);
	if (r < 0)
		return r;
	jw_karray(w, "signatures");
	for (size_t i = 0; i < found.n; i++) {
		if (!found.v[i].payload)
			continue;
		jw_object(w);
		write_base64(w, "payload", found.v[i].payload, found.v[i].len);
		jw_kstring(w, "signature", found.v[i].signature);
		jw_object_end(w);
	}
	jw_array_end(w);
	if (found.malformed)
		jw_kstring(w, "malformed", found.malformed);
	return 0;
}

static int op_tags(struct task *t, struct json_writer *w, struct error *err)
{
	autostrv struct strv tags = {0};
	int r = documents_tags(t->server->session, &tags, &t->failure, err);

	if (r < 0)
		return r;
	jw_karray(w, "tags");
	for (size_t i = 0; i < tags.n; i++)
		jw_string(w, tags.v[i]);
	jw_array_end(w);
	return 0;
}

/* While the request goes on. */
static void say(const struct task *t, const char *key, int64_t value)
{
	autostrbuf struct strbuf b = STRBUF_INIT(256);
	struct json_writer w;

	json_writer_init(&w, &b);
	jw_object(&w);
	jw_kint(&w, "id", t->id);
	jw_kint(&w, key, value);
	jw_object_end(&w);
	send_frame(t->server, &b);
}

static void say_retry(void *data, int64_t seconds)
{
	say(data, "retry", seconds > 0 ? seconds : 1);
}

static void say_progress(void *data, int64_t sent)
{
	say(data, "progress", sent);
}

static int op_blob(struct task *t, struct json_writer *w, struct error *err)
{
	const struct blob_args args = {
		.digest = text(t, "digest"),
		.size = json_get_int(t->msg, "size"),
		.offset = json_get_int(t->msg, "offset"),
		.fd = t->fd,
		.retry = say_retry,
		.data = t,
	};
	int r = blob_download(t->server->session, &args, &t->failure, err);

	(void)w;
	fd_close(&t->fd); /* the end of the pipe before the end of the request */
	return r;
}

/* With a file it is sent if it has to be; without one it is only looked for. */
static int op_upload(struct task *t, struct json_writer *w, struct error *err)
{
	const struct upload_args args = {
		.digest = text(t, "digest"),
		.size = json_get_int(t->msg, "size"),
		.fd = t->fd,
		.mounts = json_get(t->msg, "mounts"),
		.progress = say_progress,
		.retry = say_retry,
		.data = t,
	};
	enum upload_outcome outcome = UPLOAD_DONE;
	const char *from = NULL;
	int r = upload_blob(t->server->session, &args, &outcome, &from, &t->failure, err);

	if (r < 0)
		return r;
	jw_kbool(w, "exists", outcome == UPLOAD_EXISTS);
	jw_kbool(w, "missing", outcome == UPLOAD_MISSING);
	if (outcome == UPLOAD_MOUNTED)
		jw_kstring(w, "mounted", from);
	return 0;
}

static int op_put(struct task *t, struct json_writer *w, struct error *err)
{
	const struct json *document = json_get(t->msg, "document");
	const struct upload_manifest m = {
		.reference = text(t, "reference"),
		.type = text(t, "type"),
		.text = text(t, "document"),
		.len = json_string_len(document),
	};

	(void)w;
	return upload_manifest(t->server->session, &m, &t->failure, err);
}

static int op_connect(struct task *t, struct json_writer *w, struct error *err)
{
	(void)w;
	return documents_connect(t->server->session, err);
}

static int op_login(struct task *t, struct json_writer *w, struct error *err)
{
	autofree char *token = NULL;
	int r = documents_connect(t->server->session, err);

	if (r >= 0)
		r = session_login(t->server->session, &token, &t->failure, err);
	if (r >= 0)
		jw_kstring(w, "token", token);
	return r;
}

static int op_search(struct task *t, struct json_writer *w, struct error *err)
{
	const char *found;
	int r = documents_search(t->server->session, text(t, "query"), t->arena, &found, err);

	if (r >= 0)
		jw_kstring(w, "text", found);
	return r;
}

static const struct op ops[] = {
	{"open", op_open},
	{"resolve", op_resolve},
	{"tags", op_tags},
	{"blob", op_blob},
	{"connect", op_connect},
	{"upload", op_upload},
	{"exists", op_upload},
	{"put", op_put},
	{"login", op_login},
	{"search", op_search},
	{"signatures", op_signatures},
};

/* ---- requests ---- */

static void run_task(void *data)
{
	autostrbuf struct strbuf ok = STRBUF_INIT(PROTOCOL_FRAME_MAX);
	autoerror struct error err = {0};
	struct task *t = data;
	struct json_writer w;
	int r;

	json_writer_init(&w, &ok);
	jw_object(&w);
	t->failure.retry_after_s = -1;
	if (!t->op)
		r = error_set(&err, ERROR_INTERNAL, 0, "unknown operation");
	else if (!t->server->session && t->op->run != op_open)
		r = error_set(&err, ERROR_INTERNAL, 0, "there is no session");
	else
		r = t->op->run(t, &w, &err);
	if (r >= 0)
		jw_object_end(&w);
	if (r >= 0 && strbuf_error(&ok) < 0)
		r = error_set(&err, ERROR_INTERNAL, E2BIG, "answer");
	answer(t, r, &ok, &err);
	fd_close(&t->fd);
	(void)arena_free(t->arena);
	free(t);
}

static void dispatch(struct server *server, const char *frame, size_t len, int fd_take)
{
	struct task *t = xnew0(struct task);

	t->server = server;
	t->arena = arena_new();
	t->fd = fd_take;
	if (json_parse(t->arena, frame, len, &t->msg, NULL) >= 0) {
		t->id = json_get_int(t->msg, "id");
		for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
			if (str_eq(ops[i].name, json_get_string(t->msg, "op")))
				t->op = &ops[i];
	}
	if (t->op && t->op->run == op_open)
		run_task(t); /* before all others */
	else
		pool_submit(server->pool, run_task, t);
}

int registry_serve(int sock, const char *system_ca)
{
	struct server server = {.sock = sock, .system_ca = system_ca};
	struct protocol_input in;
	int r = 0;

	protocol_input_init(&in);
	(void)pthread_mutex_init(&server.lock, NULL);
	server.pool = pool_new(WORKERS_MAX);
	while (r >= 0) {
		char *frame = NULL;
		size_t len = 0;

		r = protocol_read(&in, sock);
		if (r == 0)
			_exit(0); /* what is under way is not wanted any more */
		if (r > 0)
			r = protocol_next(&in, &frame, &len);
		if (r > 0)
			dispatch(&server, frame, len, TAKE_FD(in.fd));
		free(frame);
	}
	return r;
}
