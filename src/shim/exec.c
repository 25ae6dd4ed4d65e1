/* Processes run into the container: each has streams of its own, and is remembered for op state. */
#include <signal.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "shim/shim_priv.h"

#define PROCESS_MAX    (1 << 20) /* bytes of a process object */
#define REMEMBERED_MAX 64        /* ended execs that op state still tells of */

struct shim_exec {
	struct shim_exec *next;
	struct shim *shim;
	char *id; /* owned */
	pid_t pid;
	bool running;
	int code;
	struct streams *streams; /* owned; NULL when all clients have gone after the end */
};

static void exec_free(struct shim_exec *e)
{
	for (struct shim_exec **p = &e->shim->execs; *p; p = &(*p)->next)
		if (*p == e) {
			*p = e->next;
			break;
		}
	e->streams = streams_free(e->streams);
	free(e->id);
	free(e);
}

/* The last client has seen the end. */
static void exec_idle(void *data)
{
	struct shim_exec *e = data;
	struct shim *s = e->shim;

	e->streams = streams_free(e->streams);
	if (s->state == LIFECYCLE_LEAVING)
		shim_leave_if_idle(s);
}

static void forget_old(struct shim *s)
{
	size_t ended = 0;
	struct shim_exec *e, *next;

	for (e = s->execs; e; e = next) {
		next = e->next;
		if (!e->running && !e->streams && ++ended > REMEMBERED_MAX)
			exec_free(e);
	}
}

static struct shim_exec *find(const struct shim *s, const char *id)
{
	for (struct shim_exec *e = s->execs; e; e = e->next)
		if (str_eq(e->id, id))
			return e;
	return NULL;
}

static int read_process(struct arena *a, int fd, const struct json **ret, struct error *err)
{
	autofree char *text = xcalloc(PROCESS_MAX, 1);
	int n, r;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "exec: read the process object");
	n = fd_read_full(fd, text, PROCESS_MAX);
	if (n < 0 || n == PROCESS_MAX)
		return error_set(err, ERROR_INVALID, n < 0 ? -n : E2BIG,
				 "exec: the process object");
	r = json_parse(a, text, (size_t)n, ret, err);
	return r < 0 ? error_wrap(err, r, "exec: process") : 0;
}

/* Start it with its ends of the pipes; ours become its streams. */
static int start_process(struct shim_exec *e, const struct shim_exec_args *args, struct error *err)
{
	bool piped = args->client && !args->tty;
	const bool wanted[3] = {piped && args->in, piped && args->out, piped && args->err};
	autoarena struct arena *a = arena_new();
	struct shim *s = e->shim;
	struct driver_process started = {.console_fd = -EBADF};
	struct driver_exec_args run = {.tty = args->tty, .rows = args->rows, .cols = args->cols};
	struct streams_args streams = {.loop = s->loop,
				       .scratch = s->scratch,
				       .tty = args->tty,
				       .close_stdin = true,
				       .on_idle = exec_idle,
				       .data = e};
	int ours[3];
	int r = read_process(a, args->process_fd, &run.process, err);

	r = r < 0 ? r : shim_pipes(wanted, ours, run.stdio, err);
	if (r < 0)
		return r;
	r = s->container->ops->exec(s->container, &run, &started, err);
	shim_close_all(run.stdio, 3);
	if (r < 0) {
		shim_close_all(ours, 3);
		return r;
	}

	e->pid = started.pid;
	e->running = true;
	streams.in_take = ours[0];
	streams.out_take = ours[1];
	streams.err_take = ours[2];
	r = streams_new(&streams, &e->streams, err);
	if (args->tty && r >= 0)
		r = streams_set_console(e->streams, started.console_fd, err);
	else
		fd_close(&started.console_fd);
	return r;
}

int shim_exec_start(struct shim *s, struct shim_exec_args *args, pid_t *ret_pid, struct error *err)
{
	autoclose int client = TAKE_FD(args->client_fd_take);
	struct shim_exec *e;
	int r;

	if (find(s, args->id))
		return error_set(err, ERROR_CONFLICT, 0, "exec '%s' exists", args->id);
	forget_old(s);
	e = xnew0(struct shim_exec);
	e->shim = s;
	e->id = xstrdup(args->id);
	e->next = s->execs;
	s->execs = e;
	r = start_process(e, args, err);
	if (r < 0 && !e->running) {
		exec_free(e);
		return r;
	}
	if (r >= 0 && args->client) {
		struct streams_attach_args attach = {
			.fd_take = TAKE_FD(client),
			.in = args->in,
			.out = args->out,
			.err = args->err,
			.stream = true,
			.early = args->early,
			.early_len = args->early_len,
			.detach_keys =
				str_empty(args->detach_keys) ? s->detach_keys : args->detach_keys,
		};

		r = streams_attach(e->streams, &attach, err);
	}
	if (r < 0) {
		/* It runs, but nobody could talk to it: its end is reported like any other. */
		(void)kill(e->pid, SIGKILL);
		return r;
	}
	*ret_pid = e->pid;
	return 0;
}

int shim_exec_resize(struct shim *s, const char *id, uint32_t rows, uint32_t cols,
		     struct error *err)
{
	struct shim_exec *e = find(s, id);

	if (!e)
		return error_set(err, ERROR_NOT_FOUND, 0, "no exec '%s'", id);
	if (!e->running || !e->streams)
		return error_set(err, ERROR_CONFLICT, 0, "exec '%s' is not running", id);
	return streams_resize(e->streams, rows, cols, err);
}

int shim_exec_kill(struct shim *s, const char *id, struct error *err)
{
	struct shim_exec *e = find(s, id);

	if (!e)
		return error_set(err, ERROR_NOT_FOUND, 0, "no exec '%s'", id);
	/* Until it is reaped here its number is its own. */
	if (!e->running || kill(e->pid, SIGKILL) < 0)
		return error_set(err, ERROR_CONFLICT, 0, "exec '%s' is not running", id);
	return 0;
}

/* Drain, tell the daemon, then the clients. */
static void exec_ended(struct shim_exec *e, int code)
{
	autostrbuf struct strbuf out = STRBUF_INIT(SHIM_MESSAGE_MAX);
	struct json_writer w;

	e->running = false;
	e->code = code;
	if (e->streams)
		streams_finish(e->streams);
	shim_event_begin(&w, &out, "exec_exit");
	jw_kstring(&w, "id", e->id);
	jw_kint(&w, "code", code);
	shim_event_send(e->shim, &w);
	if (e->streams)
		streams_close(e->streams);
}

bool shim_exec_died(struct shim *s, pid_t pid, int code)
{
	for (struct shim_exec *e = s->execs; e; e = e->next)
		if (e->running && e->pid == pid) {
			exec_ended(e, code);
			return true;
		}
	return false;
}

void shim_execs_write(const struct shim *s, struct json_writer *w)
{
	jw_karray(w, "execs");
	for (const struct shim_exec *e = s->execs; e; e = e->next) {
		jw_object(w);
		jw_kstring(w, "id", e->id);
		jw_kint(w, "pid", e->running ? e->pid : 0);
		jw_kbool(w, "running", e->running);
		if (!e->running)
			jw_kint(w, "code", e->code);
		jw_object_end(w);
	}
	jw_array_end(w);
}

bool shim_execs_idle(const struct shim *s)
{
	for (const struct shim_exec *e = s->execs; e; e = e->next)
		if (e->streams)
			return false;
	return true;
}

void shim_execs_end(struct shim *s)
{
	for (struct shim_exec *e = s->execs; e; e = e->next)
		if (e->running)
			exec_ended(e, 128 + SIGKILL);
}

void shim_execs_free(struct shim *s)
{
	while (s->execs)
		exec_free(s->execs);
}
