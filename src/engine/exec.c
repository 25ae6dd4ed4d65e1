/* engine/exec.c - further processes in a running container. */
#include "engine/exec.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/control.h"
#include "engine/engine_priv.h"
#include "engine/link.h"
#include "engine/oci_spec.h"
#include "engine/operation.h"
#include "engine/rows.h"
#include "engine/security.h"
#include "engine/shim_client.h"

#define EXEC_BODY_MAX       ((size_t)1 << 20) /* bytes of a process object or configuration */
#define EXECS_KEPT          256               /* of a container, that have ended */
#define EXEC_NOT_FOUND      127
#define EXEC_NOT_EXECUTABLE 126
#define EXEC_KILLED         137

static void emit(struct container *c, const struct exec *x, const char *action, bool with_command)
{
	autostrbuf struct strbuf text = STRBUF_INIT(EXEC_BODY_MAX);
	char code[16];
	const struct event_attr attrs[] = {{"execID", x->id}, {"exitCode", code}};

	strbuf_adds(&text, action);
	for (size_t i = 0; with_command && i < x->config->cmd.n; i++)
		strbuf_addf(&text, "%s%s", i == 0 ? ": " : " ", x->config->cmd.v[i]);
	(void)snprintf(code, sizeof(code), "%d", x->exit_code);
	engine_emit(c->rt->engine, c, text.s, attrs, with_command ? 1 : 2);
}

void exec_exited(struct container *c, const char *id, int code)
{
	struct exec *x = id ? container_exec(c, id) : NULL;

	crash_point(CRASH_EXEC_EXITED);
	if (!x || (x->started && !x->running))
		return;
	x->started = true;
	x->running = false;
	x->pid = 0;
	x->exit_code = code;
	rows_post_exec(c->rt->engine->db, x);
	emit(c, x, "exec_die", false);
}

void execs_end(struct container *c)
{
	for (size_t i = 0; i < c->exec_count; i++)
		if (c->execs[i]->running)
			exec_exited(c, c->execs[i]->id, EXEC_KILLED);
}

void execs_adopt(struct container *c, const struct json *list)
{
	const struct json *v;

	json_array_foreach(v, list) {
		struct exec *x = container_exec(c, json_get_string(v, "id") ?: "");

		if (!x)
			continue;
		x->started = true;
		x->running = json_get_bool(v, "running");
		x->pid = x->running ? (pid_t)json_get_int(v, "pid") : 0;
		x->exit_code = (int)json_get_int(v, "code");
		rows_post_exec(c->rt->engine->db, x);
	}
}

/* ---- lookup ---------------------------------------------------------------------------------- */

static struct exec *find(struct engine *e, const char *id, struct container **ret_c)
{
	for (size_t i = 0; i < e->container_count; i++) {
		struct exec *x = container_exec(e->containers[i], id);

		if (x) {
			*ret_c = e->containers[i];
			return x;
		}
	}
	return NULL;
}

int engine_exec_get(struct engine *e, const char *id, struct exec **ret, struct error *err)
{
	struct container *c;
	struct exec *x = find(e, id, &c);

	if (!x)
		return error_set(err, ERROR_NOT_FOUND, 0, "No such exec instance: %s", id);
	/* Who asks may have seen the end of the exec's stream: hear of its exit first. */
	if (c->rt->shim)
		shim_client_drain(c->rt->shim);
	*ret = x;
	return 0;
}

/* ---- create ---------------------------------------------------------------------------------- */

struct create_call {
	struct engine *e;
	struct container *c;
	struct exec *x;
	struct error *err;
	int r;
};

static void create_check_on_loop(void *data)
{
	struct create_call *call = data;
	const struct container *c = call->c;

	if (c->rt->shim)
		shim_client_drain(c->rt->shim);
	if (c->state.status == CONTAINER_PAUSED)
		call->r = error_set(call->err, ERROR_CONFLICT, 0,
				    "Container %s is paused, unpause the container before exec",
				    c->id);
	else if (c->state.status == CONTAINER_RESTARTING)
		call->r = error_set(call->err, ERROR_CONFLICT, 0,
				    "Container %s is restarting, wait until the container is "
				    "running",
				    c->id);
	else if (c->state.status != CONTAINER_RUNNING || c->rt->exit_pending)
		call->r = error_set(call->err, ERROR_CONFLICT, 0, "container %s is not running",
				    c->id);
}

/* A script that runs one every few seconds, for years: the oldest that have ended go. */
static void forget_old(struct engine *e, struct container *c)
{
	size_t ended = 0, kept = 0;

	for (size_t i = 0; i < c->exec_count; i++)
		ended += !c->execs[i]->is_probe && c->execs[i]->started && !c->execs[i]->running;
	for (size_t i = 0; i < c->exec_count; i++) {
		struct exec *x = c->execs[i];

		if (ended > EXECS_KEPT && x->started && !x->running && !x->busy && !x->is_probe) {
			ended--;
			rows_post_exec_delete(e->db, x);
			(void)exec_free(x);
		} else {
			c->execs[kept++] = x;
		}
	}
	c->exec_count = kept;
}

static void add_on_loop(void *data)
{
	struct create_call *call = data;

	forget_old(call->e, call->c);
	container_add_exec(call->c, call->x);
	emit(call->c, call->x, "exec_create", true);
}

static int insert_row(struct engine *e, const struct exec *x, struct error *err)
{
	autostrbuf struct strbuf body = STRBUF_INIT(EXEC_BODY_MAX);
	struct json_writer w;
	struct row_exec row = {.id = (char *)(uintptr_t)x->id,
			       .container_id = (char *)(uintptr_t)x->container_id};

	json_writer_init(&w, &body);
	exec_config_write(x->config, &w);
	if (strbuf_error(&body) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "exec's configuration");
	row.body = body.s;
	return rows_insert_exec(e->db, &row, err);
}

int engine_exec_create(struct engine *e, const char *ref, const struct json *body, char ret_id[65],
		       struct error *err)
{
	struct create_call call = {.e = e, .err = err};
	struct operation op;
	int r = operation_begin(e, ref, "exec create", 0, &op, err);

	if (r < 0)
		return r;
	call.c = op.container;
	call.x = xnew0(struct exec);
	engine_new_id(call.x->id);
	(void)str_copy(call.x->container_id, sizeof(call.x->container_id), op.container->id);
	engine_call(e, create_check_on_loop, &call);
	r = call.r < 0 ? call.r : exec_config_new(body, &call.x->config, err);
	r = r < 0 ? r : insert_row(e, call.x, err);
	if (r < 0) {
		(void)exec_free(call.x);
	} else {
		memcpy(ret_id, call.x->id, sizeof(call.x->id));
		engine_call(e, add_on_loop, &call);
		crash_point(CRASH_EXEC_CREATED);
	}
	operation_end(&op);
	return r < 0 ? r : 0;
}

/* ---- start ----------------------------------------------------------------------------------- */

struct start_call {
	struct engine *e;
	const char *id;
	struct container *c;      /* referenced */
	struct exec *x;           /* lives as long as the container */
	struct shim_client *shim; /* referenced */
	bool tty;
	bool claim;
	pid_t pid;
	int code;
	struct error *err;
	int r;
};

static void start_check_on_loop(void *data)
{
	struct start_call *call = data;
	struct container *c = NULL;
	struct exec *x = find(call->e, call->id, &c);

	if (!x) {
		call->r = error_set(call->err, ERROR_NOT_FOUND, 0, "No such exec instance: %s",
				    call->id);
		return;
	}
	if (c->rt->shim)
		shim_client_drain(c->rt->shim);
	if (x->started && x->running)
		call->r = error_set(call->err, ERROR_CONFLICT, 0,
				    "exec command %s is already running", x->id);
	else if (x->started)
		call->r = error_set(call->err, ERROR_CONFLICT, 0, "exec command %s has already run",
				    x->id);
	else if (c->state.status == CONTAINER_PAUSED)
		call->r = error_set(call->err, ERROR_CONFLICT, 0,
				    "Container %s is paused, unpause the container before exec",
				    c->id);
	else if (c->state.status != CONTAINER_RUNNING || c->rt->exit_pending || !c->rt->shim)
		call->r = error_set(call->err, ERROR_CONFLICT, 0, "container %s is not running",
				    c->id);
	if (call->r < 0)
		return;
	call->tty = x->config->tty;
	if (!call->claim)
		return;
	x->started = x->running = x->busy = true;
	container_ref(c);
	shim_client_ref(c->rt->shim);
	call->c = c;
	call->x = x;
	call->shim = c->rt->shim;
	emit(c, x, "exec_start", true);
}

int engine_exec_check(struct engine *e, const char *id, bool *ret_tty, struct error *err)
{
	struct start_call call = {.e = e, .id = id, .err = err};

	engine_call(e, start_check_on_loop, &call);
	if (call.r >= 0)
		*ret_tty = call.tty;
	return call.r;
}

struct links_call {
	const struct start_call *start;
	struct links links;
};

/* Of a link to what does not run any more there are no variables. */
static void links_on_loop(void *data)
{
	struct links_call *call = data;

	(void)links_collect(call->start->e, call->start->c, &call->links, NULL);
}

static int make_process(const struct start_call *call, struct error *err)
{
	struct links_call links = {.start = call};
	autostore_snapshot struct store_snapshot snap = {0};
	autostrbuf struct strbuf text = STRBUF_INIT(EXEC_BODY_MAX);
	autostrv struct strv dirs = {0};
	struct oci_spec_args args = {.container = call->c,
				     .apparmor = security_apparmor_of(call->e, call->c),
				     .labels = security_labels_of(call->e, call->c)};
	int r = store_snapshot_open(call->e->store, call->c->id, &snap, err);

	if (r < 0)
		return r;
	args.rootfs = rootfs_dirs_of(&snap, &dirs);
	if (call->c->spec->host.links.n > 0)
		engine_call(call->e, links_on_loop, &links);
	args.link_env = &links.links.env;
	r = oci_spec_exec(&args, call->x->config, &text, err);
	links_done(&links.links);
	return r < 0 ? r : fd_memfd("vessel-exec", text.s, text.len, err);
}

static int send_exec(struct start_call *call, const struct engine_exec_start *args)
{
	struct engine_client *client = args->client;
	const struct exec_config *config = call->x->config;
	autostrbuf struct strbuf early = STRBUF_INIT(SHIM_MESSAGE_MAX);
	autoshim_reply struct shim_reply reply = {0};
	autoclose int process = make_process(call, call->err);
	int fds[] = {process, -EBADF};
	struct shim_request q;
	int r;

	if (process < 0)
		return process;
	r = args->open ? args->open(args->data, client, call->err) : 0;
	if (r < 0)
		return r;
	fds[1] = client ? client->fd : -EBADF;
	shim_request_init(&q, call->shim, "exec");
	jw_kstring(&q.w, "id", call->x->id);
	jw_kbool(&q.w, "tty", config->tty);
	jw_kbool(&q.w, "stdin", client && config->attach_stdin);
	jw_kbool(&q.w, "stdout", client && config->attach_stdout);
	jw_kbool(&q.w, "stderr", client && config->attach_stderr);
	if (!str_empty(config->detach_keys))
		jw_kstring(&q.w, "detach_keys", config->detach_keys);
	jw_kuint(&q.w, "h", args->rows ? args->rows : config->rows);
	jw_kuint(&q.w, "w", args->cols ? args->cols : config->cols);
	jw_kbool(&q.w, "client", client != NULL);
	if (client && client->early_len > 0) {
		base64_encode(client->early, client->early_len, &early);
		jw_kstring(&q.w, "early", early.s);
	}
	q.sent_point = CRASH_EXEC_SENT;
	r = shim_request_send(&q, fds, client ? 2 : 1, -1, &reply, call->err);
	if (r >= 0)
		call->pid = (pid_t)json_get_int(reply.msg.body, "pid");
	return r;
}

static void started_on_loop(void *data)
{
	const struct start_call *call = data;

	if (call->x->running)
		call->x->pid = call->pid;
	rows_post_exec(call->e->db, call->x);
}

static void failed_on_loop(void *data)
{
	const struct start_call *call = data;

	call->x->running = false;
	call->x->exit_code = call->code;
	rows_post_exec(call->e->db, call->x);
	emit(call->c, call->x, "exec_die", false);
}

static void end_on_loop(void *data)
{
	struct start_call *call = data;

	call->x->busy = false;
	call->shim = shim_client_unref(call->shim);
	container_unref(call->c);
}

/* Docker's words around the cause, in which its clients look for the exit code. */
static int wrap(struct start_call *call, int r)
{
	struct error *err = call->err;
	bool program = str_has_prefix(error_msg(err), "OCI runtime "); /* shim/program.h */
	enum error_kind kind = err->kind;
	autofree char *inner = NULL;

	call->code = EXEC_NOT_EXECUTABLE;
	if (!program && (kind != ERROR_INVALID || err->errnum == 0))
		return r;
	if (err->errnum == ENOENT || strcasestr(error_msg(err), "executable file not found"))
		call->code = EXEC_NOT_FOUND;
	inner = xstrdup(error_msg(err));
	error_done(err);
	if (program)
		return error_set(err, kind, 0, "%s: unknown", inner);
	return error_set(err, ERROR_INVALID, 0,
			 "OCI runtime exec failed: exec failed: unable to start container "
			 "process: %s: unknown",
			 inner);
}

int engine_exec_start(struct engine *e, const char *id, const struct engine_exec_start *args,
		      struct error *err)
{
	autoerror struct error why = {0};
	struct start_call call = {.e = e, .id = id, .claim = true, .err = &why};
	int r;

	engine_call(e, start_check_on_loop, &call);
	if (call.r < 0)
		return error_move(err, &why, call.r);
	r = send_exec(&call, args);
	if (r < 0) {
		r = wrap(&call, r);
		engine_call(e, failed_on_loop, &call);
	} else {
		engine_call(e, started_on_loop, &call);
		if (args->client)
			fd_close(&args->client->fd);
		crash_point(CRASH_EXEC_STARTED);
	}
	engine_call(e, end_on_loop, &call);
	return r < 0 ? error_move(err, &why, r) : 0;
}

/* ---- probes ---------------------------------------------------------------------------------- */

static void add_probe_on_loop(void *data)
{
	struct create_call *call = data;

	create_check_on_loop(call);
	if (call->r < 0)
		return;
	container_add_exec(call->c, call->x);
	emit(call->c, call->x, "exec_create", true);
}

int exec_probe(struct container *c, const struct strbuf *config, struct engine_client *client_take,
	       char ret_id[65], struct error *err)
{
	struct engine *e = c->rt->engine;
	struct create_call call = {.e = e, .c = c, .err = err};
	autoarena struct arena *a = arena_new();
	const struct json *doc;
	int r = json_parse(a, config->s, config->len, &doc, err);

	ret_id[0] = '\0';
	if (r < 0)
		return r;
	call.x = xnew0(struct exec);
	call.x->is_probe = true;
	engine_new_id(call.x->id);
	(void)str_copy(call.x->container_id, sizeof(call.x->container_id), c->id);
	r = exec_config_new(doc, &call.x->config, err);
	if (r >= 0) {
		engine_call(e, add_probe_on_loop, &call);
		r = call.r;
	}
	if (r < 0) {
		(void)exec_free(call.x);
		return r;
	}
	memcpy(ret_id, call.x->id, sizeof(call.x->id));
	return engine_exec_start(e, ret_id, &(struct engine_exec_start){.client = client_take},
				 err);
}

void exec_forget(struct container *c, const char *id)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->exec_count; i++) {
		struct exec *x = c->execs[i];

		if (str_eq(x->id, id))
			(void)exec_free(x);
		else
			c->execs[kept++] = x;
	}
	c->exec_count = kept;
}

/* ---- resize ---------------------------------------------------------------------------------- */

static void resize_check_on_loop(void *data)
{
	struct start_call *call = data;
	struct container *c = NULL;
	const struct exec *x = find(call->e, call->id, &c);

	if (!x)
		call->r = error_set(call->err, ERROR_NOT_FOUND, 0, "No such exec instance: %s",
				    call->id);
	else if (!x->running || !c->rt->shim)
		call->r = error_set(call->err, ERROR_CONFLICT, 0, "exec command %s is not running",
				    call->id);
	if (call->r < 0)
		return;
	shim_client_ref(c->rt->shim);
	call->shim = c->rt->shim;
}

int engine_exec_resize(struct engine *e, const char *id, unsigned rows, unsigned cols,
		       struct error *err)
{
	struct start_call call = {.e = e, .id = id, .err = err};
	struct shim_request q;
	int r;

	engine_call(e, resize_check_on_loop, &call);
	if (call.r < 0)
		return call.r;
	shim_request_init(&q, call.shim, "exec_resize");
	jw_kstring(&q.w, "id", id);
	jw_kuint(&q.w, "h", rows);
	jw_kuint(&q.w, "w", cols);
	r = shim_request_send(&q, NULL, 0, SHIM_REQUEST_TIMEOUT_MS, NULL, err);
	(void)shim_client_unref(call.shim);
	return r;
}
