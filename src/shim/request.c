/* What daemons ask: one row an operation, with the states in which it is allowed. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "base/loop.h"
#include "linux/mount.h"
#include "linux/sys.h"
#include "shim/shim_priv.h"

struct request {
	struct shim *s;
	struct conn *conn;
	struct shim_message *m;
	struct json_writer *w; /* members of the reply */
	int fd;                /* to send with the reply; owned; -EBADF: none */
	bool undo;             /* after the reply */
	bool leave;
};

#define IN(state)  (1u << LIFECYCLE_##state)
#define ALIVE      (IN(RUNNING) | IN(PAUSED))
#define ATTACHABLE (IN(CREATED) | ALIVE | IN(EXITED))
#define ANY        (~0u)

static int number(const struct request *rq, const char *key, int64_t min, int64_t max, int64_t *ret,
		  struct error *err)
{
	const struct json *v = json_get(rq->m->body, key);

	if (!json_int_fits(v) || json_int(v) < min || json_int(v) > max)
		return error_set(err, ERROR_INVALID, 0,
				 "%s: '%s' is not a number from %lld to %lld", rq->m->op, key,
				 (long long)min, (long long)max);
	*ret = json_int(v);
	return 0;
}

static bool flag(const struct request *rq, const char *key)
{
	return json_get_bool(rq->m->body, key);
}

/* Descriptor i of the message, the caller's from now on. */
static int take_fd(struct request *rq, size_t i, struct error *err)
{
	if (i >= rq->m->fd_count)
		return error_set(err, ERROR_INVALID, 0, "%s: a descriptor is missing", rq->m->op);
	return TAKE_FD(rq->m->fds[i]);
}

static int early_input(const struct request *rq, struct strbuf *out, struct error *err)
{
	const char *text = json_get_string(rq->m->body, "early");

	if (text && (base64_decode(text, strlen(text), out) < 0 || strbuf_error(out) < 0))
		return error_set(err, ERROR_INVALID, 0, "%s: 'early' is not base64", rq->m->op);
	return 0;
}

static int op_state(struct request *rq, struct error *err)
{
	struct shim *s = rq->s;

	(void)err;
	jw_kint(rq->w, "protocol", SHIM_PROTOCOL);
	jw_kstring(rq->w, "status", lifecycle_status(s->state));
	jw_kint(rq->w, "pid", s->pid);
	jw_kint(rq->w, "started_at", s->started_at);
	if (s->state == LIFECYCLE_EXITED) {
		jw_kobject(rq->w, "exit");
		shim_write_exit(s, rq->w);
		jw_object_end(rq->w);
	}
	shim_execs_write(s, rq->w);
	ports_write(s->ports, rq->w);
	return 0;
}

static int op_start(struct request *rq, struct error *err)
{
	struct shim *s = rq->s;
	int r = shim_event(s, LIFECYCLE_EV_START, err);

	if (r < 0)
		return r;
	r = s->container->ops->start(s->container, err);
	if (r >= 0)
		r = ports_serve(s->ports, s->loop, err);
	if (r < 0) {
		(void)shim_event(s, LIFECYCLE_EV_START_FAILED, NULL);
		rq->undo = true;
		return r;
	}
	shim_started(s);
	jw_kint(rq->w, "started_at", s->started_at);
	return shim_event(s, LIFECYCLE_EV_STARTED, err);
}

static int op_abort(struct request *rq, struct error *err)
{
	int r = shim_event(rq->s, LIFECYCLE_EV_ABORT, err);

	rq->undo = r >= 0;
	return r;
}

static int op_kill(struct request *rq, struct error *err)
{
	int64_t signo;
	int r = number(rq, "signal", 1, 64, &signo, err);

	if (r >= 0)
		r = rq->s->container->ops->kill(rq->s->container, (int)signo, err);
	/* A frozen process does not even die: the runtime has thawed it. */
	if (r >= 0 && signo == SIGKILL && rq->s->state == LIFECYCLE_PAUSED)
		r = shim_event(rq->s, LIFECYCLE_EV_RESUME, err);
	return r;
}

static int size_of(const struct request *rq, uint32_t *rows, uint32_t *cols, struct error *err)
{
	int64_t h, w;
	int r = number(rq, "h", 0, UINT16_MAX, &h, err);

	if (r >= 0)
		r = number(rq, "w", 0, UINT16_MAX, &w, err);
	if (r < 0)
		return r;
	*rows = (uint32_t)h;
	*cols = (uint32_t)w;
	return 0;
}

static int op_resize(struct request *rq, struct error *err)
{
	uint32_t rows, cols;
	int r = size_of(rq, &rows, &cols, err);

	return r < 0 ? r : streams_resize(rq->s->streams, rows, cols, err);
}

static int op_attach(struct request *rq, struct error *err)
{
	autostrbuf struct strbuf early = STRBUF_INIT(SCRATCH_SIZE);
	const char *keys = json_get_string(rq->m->body, "detach_keys");
	struct streams_attach_args args = {
		.in = flag(rq, "stdin") && rq->s->open_stdin,
		.out = flag(rq, "stdout"),
		.err = flag(rq, "stderr"),
		.stream = flag(rq, "stream"),
		.logs = flag(rq, "logs"),
		.detach_keys = str_empty(keys) ? rq->s->detach_keys : keys,
	};
	int r = early_input(rq, &early, err);

	if (r < 0)
		return r;
	args.early = early.s;
	args.early_len = early.len;
	args.fd_take = take_fd(rq, 0, err);
	return args.fd_take < 0 ? args.fd_take : streams_attach(rq->s->streams, &args, err);
}

static int op_wait(struct request *rq, struct error *err)
{
	struct shim *s = rq->s;
	const char *name = json_get_string(rq->m->body, "condition");
	enum waiter_condition condition;
	int fd, r;

	if (waiter_condition_parse(name, &condition) < 0)
		return error_set(err, ERROR_INVALID, 0, "wait: unknown condition '%s'",
				 name ? name : "");
	if (s->state == LIFECYCLE_EXITED && condition == WAITER_NEXT_EXIT)
		return error_set(err, ERROR_CONFLICT, 0, "wait: the container has exited");
	fd = take_fd(rq, 0, err);
	if (fd < 0)
		return fd;
	r = waiters_add(&s->waiters, s->loop, fd, condition, err);
	/* The daemon that asks has not recorded the exit yet: its release answers. */
	if (r >= 0 && s->state == LIFECYCLE_EXITED)
		shim_answer_waiters_in_time(s);
	return r;
}

static int op_exec(struct request *rq, struct error *err)
{
	autostrbuf struct strbuf early = STRBUF_INIT(SCRATCH_SIZE);
	autoclose int process = -EBADF;
	struct shim_exec_args args = {
		.id = json_get_string(rq->m->body, "id"),
		.tty = flag(rq, "tty"),
		.in = flag(rq, "stdin"),
		.out = flag(rq, "stdout"),
		.err = flag(rq, "stderr"),
		.client = flag(rq, "client"),
		.rows = (uint32_t)json_get_int(rq->m->body, "h"),
		.cols = (uint32_t)json_get_int(rq->m->body, "w"),
		.detach_keys = json_get_string(rq->m->body, "detach_keys"),
		.client_fd_take = -EBADF,
	};
	pid_t pid = 0;
	int r;

	if (str_empty(args.id))
		return error_set(err, ERROR_INVALID, 0, "exec: 'id' is missing");
	r = early_input(rq, &early, err);
	if (r < 0)
		return r;
	process = take_fd(rq, 0, err);
	if (process < 0)
		return process;
	if (args.client) {
		args.client_fd_take = take_fd(rq, 1, err);
		if (args.client_fd_take < 0)
			return args.client_fd_take;
	}
	args.process_fd = process;
	args.early = early.s;
	args.early_len = early.len;
	r = shim_exec_start(rq->s, &args, &pid, err);
	if (r >= 0)
		jw_kint(rq->w, "pid", pid);
	return r;
}

static int op_exec_resize(struct request *rq, struct error *err)
{
	const char *id = json_get_string(rq->m->body, "id");
	uint32_t rows, cols;
	int r = size_of(rq, &rows, &cols, err);

	return r < 0 ? r : shim_exec_resize(rq->s, id ? id : "", rows, cols, err);
}

static int op_exec_kill(struct request *rq, struct error *err)
{
	const char *id = json_get_string(rq->m->body, "id");

	return shim_exec_kill(rq->s, id ? id : "", err);
}

static int op_pause(struct request *rq, struct error *err)
{
	int r = rq->s->container->ops->pause(rq->s->container, err);

	return r < 0 ? r : shim_event(rq->s, LIFECYCLE_EV_PAUSE, err);
}

static int op_resume(struct request *rq, struct error *err)
{
	int r = rq->s->container->ops->resume(rq->s->container, err);

	return r < 0 ? r : shim_event(rq->s, LIFECYCLE_EV_RESUME, err);
}

static int op_update(struct request *rq, struct error *err)
{
	struct driver *d = rq->s->container;

	return d->ops->update(d, json_get(rq->m->body, "resources"), err);
}

static int op_netns(struct request *rq, struct error *err)
{
	int fd = rq->s->container->netns_fd;

	if (fd < 0)
		return error_set(err, ERROR_NOT_FOUND, 0,
				 "netns: the container has no network namespace of its own");
	rq->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return rq->fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "netns") : 0;
}

static int op_resolver(struct request *rq, struct error *err)
{
	int fd = rq->s->container->netns_fd;
	int r;

	if (fd < 0)
		return error_set(err, ERROR_NOT_FOUND, 0,
				 "resolver: the container has no network namespace of its own");
	r = shim_start_resolver(rq->s, fd, err);
	if (r >= 0)
		shim_resolver_write(rq->s, rq->w);
	return r;
}

static int op_retarget(struct request *rq, struct error *err)
{
	return ports_retarget(rq->s->ports, json_get_string(rq->m->body, "ipv4"),
			      json_get_string(rq->m->body, "ipv6"), err);
}

/* open_tree(2) clones only what is in the caller's mount namespace, so we visit the container's.
 * Nothing of it is used but its root; our own root and directory come back by fd. */
static int op_rootfs(struct request *rq, struct error *err)
{
	unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
			 (flag(rq, "recursive") ? (unsigned)AT_RECURSIVE : 0u);
	autoclose int own_ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC),
		      own_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int errnum = 0;

	if (own_ns < 0 || own_root < 0)
		return error_set(err, ERROR_INTERNAL, errno, "rootfs: keep our own mounts");
	if (setns(rq->s->container->pidfd, CLONE_NEWNS) < 0)
		return error_set(err, ERROR_INTERNAL, errno,
				 "rootfs: visit the container's mounts");
	rq->fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/", flags);
	if (rq->fd < 0)
		errnum = errno;
	/* A shim that cannot get back must not go on among the container's files. */
	if (setns(own_ns, CLONE_NEWNS) < 0 || fchdir(own_root) < 0 || chroot(".") < 0) {
		log_error("cannot return from the container's mount namespace");
		abort();
	}
	return rq->fd < 0 ? error_set(err, ERROR_INTERNAL, errnum, "rootfs: clone the root mount")
			  : 0;
}

static void hand_back_waiters(struct request *rq)
{
	enum waiter_condition condition;
	int fd;

	while ((fd = waiters_take(&rq->s->waiters, &condition)) >= 0) {
		autostrbuf struct strbuf out = STRBUF_INIT(SHIM_MESSAGE_MAX);
		struct json_writer w;

		shim_event_begin(&w, &out, "waiter");
		jw_kstring(&w, "condition", waiter_condition_name(condition));
		jw_object_end(&w);
		conn_send(rq->conn, &out, &fd, 1);
		(void)close(fd);
	}
}

static int op_release(struct request *rq, struct error *err)
{
	struct shim *s = rq->s;
	int r = shim_event(s, LIFECYCLE_EV_RELEASE, err);

	if (r < 0)
		return r;
	s->ports = ports_free(s->ports); /* whoever is answered may want them */
	waiters_answer(&s->waiters, s->exit_code, flag(rq, "removed"));
	hand_back_waiters(rq);
	shim_discard(s);
	rq->leave = true;
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct request *rq, struct error *err);
	unsigned states;
} ops[] = {
	{"state", op_state, ANY},
	{"start", op_start, IN(CREATED)},
	{"abort", op_abort, IN(SETTING_UP) | IN(CREATED)},
	{"kill", op_kill, ALIVE},
	{"resize", op_resize, IN(CREATED) | ALIVE},
	{"attach", op_attach, ATTACHABLE},
	{"wait", op_wait, ATTACHABLE},
	{"exec", op_exec, IN(RUNNING)},
	{"exec_resize", op_exec_resize, ALIVE},
	{"exec_kill", op_exec_kill, ALIVE},
	{"pause", op_pause, IN(RUNNING)},
	{"resume", op_resume, IN(PAUSED)},
	{"update", op_update, ALIVE},
	{"netns", op_netns, IN(CREATED) | ALIVE},
	{"resolver", op_resolver, IN(CREATED) | ALIVE},
	{"retarget", op_retarget, IN(CREATED) | ALIVE},
	{"rootfs", op_rootfs, IN(CREATED) | ALIVE},
	{"release", op_release, IN(EXITED)},
};

static int dispatch(struct request *rq, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		if (!str_eq(ops[i].name, rq->m->op))
			continue;
		if (!(ops[i].states & 1u << rq->s->state))
			return error_set(err, ERROR_CONFLICT, 0, "%s: the container is %s",
					 ops[i].name, lifecycle_state_name(rq->s->state));
		return ops[i].run(rq, err);
	}
	return error_set(err, ERROR_NOT_IMPLEMENTED, 0, "no operation '%s'", rq->m->op);
}

void shim_request(void *data, struct conn *c, struct shim_message *m)
{
	autostrbuf struct strbuf out = STRBUF_INIT(SHIM_MESSAGE_MAX);
	autoerror struct error err = {0};
	struct json_writer w;
	struct request rq = {.s = data, .conn = c, .m = m, .w = &w, .fd = -EBADF};

	if (!m->op)
		return; /* daemons only ask */
	json_writer_init(&w, &out);
	jw_object(&w);
	jw_kuint(&w, "re", m->seq);
	if (dispatch(&rq, &err) < 0) {
		strbuf_reset(&out);
		json_writer_init(&w, &out);
		jw_object(&w);
		jw_kuint(&w, "re", m->seq);
		shim_error_write(&w, &err);
	}
	jw_object_end(&w);
	conn_send(c, &out, &rq.fd, rq.fd >= 0 ? 1 : 0);
	fd_close(&rq.fd);
	if (rq.undo)
		shim_undo(rq.s);
	else if (rq.leave)
		shim_leave(rq.s);
}
