/* The shim that stands by. */
#include "engine/standby.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "engine/engine_priv.h"
#include "shim/protocol.h"

#define STANDBY_DELAY_MS 25   /* a short container has come and gone by then, undisturbed */
#define STANDBY_END_MS   1000 /* it has nothing to do but to end */

struct standby {
	struct engine *engine;
	struct standby_shim shim;
	struct loop_source *child; /* owned */
	struct error *err;
	int r;
};

static struct standby *standby_free(struct standby *sb)
{
	fd_close(&sb->shim.pidfd);
	fd_close(&sb->shim.control);
	free(sb);
	return NULL;
}

static void on_died(struct loop_source *s, pid_t pid, int code, int status, void *data)
{
	struct engine *e = data;

	log_debug("shim %d ended while it stood by (%d, %d)", (int)pid, code, status);
	(void)loop_remove(s);
	e->standby = standby_free(e->standby);
}

/* ---- making it ------------------------------------------------------------------------------- */

static int send_prepare(const struct standby *sb, struct error *err)
{
	autostrbuf struct strbuf message = STRBUF_INIT(4096);
	struct json_writer w;

	json_writer_init(&w, &message);
	jw_object(&w);
	jw_kstring(&w, "op", "prepare");
	jw_kbool(&w, "Network", !engine_is_remapped(sb->engine));
	jw_object_end(&w);
	return shim_message_send(sb->shim.control, &message, NULL, 0, err);
}

static int spawn_one(struct standby *sb, struct error *err)
{
	/* As long as the id that comes in its place. */
	const char *const argv[] = {
		"vessel-shim", "standby.........................................................",
		NULL};
	struct spawn_fd fds[] = {{STDERR_FILENO, STDERR_FILENO}, {-EBADF, SHIM_CONTROL_FD}};
	struct spawn_args args = {
		.exec_fd = sb->engine->helpers.shim_fd,
		.argv = argv,
		.fds = fds,
		.fd_count = ARRAY_SIZE(fds),
		.new_session = true,
	};
	autoclose int theirs = -EBADF;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make a socket pair");
	sb->shim.control = pair[0];
	theirs = pair[1];
	fds[1].fd = theirs;
	r = spawn(&args, &sb->shim.pid, &sb->shim.pidfd, err);
	return r < 0 ? r : send_prepare(sb, err);
}

static void put_on_loop(void *data)
{
	struct standby *sb = data;
	struct engine *e = sb->engine;
	int pidfd = fcntl(sb->shim.pidfd, F_DUPFD_CLOEXEC, 3);

	sb->r = loop_add_child(e->args.loop, sb->shim.pid, pidfd, on_died, e, &sb->child, sb->err);
	if (sb->r < 0)
		(void)close(pidfd);
	else
		e->standby = sb;
}

static void making_done_on_loop(void *data)
{
	struct engine *e = data;

	e->standby_wanted = false;
}

static void make(void *data)
{
	struct engine *e = data;
	struct standby *sb = xnew0(struct standby);
	autoerror struct error err = {0};
	int r;

	sb->engine = e;
	sb->shim.pidfd = sb->shim.control = -EBADF;
	sb->err = &err;
	r = spawn_one(sb, &err);
	if (r >= 0) {
		engine_call(e, put_on_loop, sb);
		r = sb->r;
	}
	if (r < 0) {
		/* Starts do without, and say what is wrong. */
		log_debug("no shim to stand by: %s", error_msg(&err));
		(void)standby_free(sb);
	}
	engine_call(e, making_done_on_loop, e);
}

static void due(struct loop_source *timer, void *data)
{
	struct engine *e = data;

	e->standby_timer = loop_remove(timer);
	engine_work(e, make, e);
}

void standby_want(struct engine *e)
{
	if (e->standby || e->standby_wanted)
		return;
	e->standby_wanted = loop_add_timer(e->args.loop, STANDBY_DELAY_MS, due, e,
					   &e->standby_timer, NULL) >= 0;
}

/* ---- taking it ------------------------------------------------------------------------------- */

struct take_call {
	struct engine *engine;
	struct standby *taken;
};

static void take_on_loop(void *data)
{
	struct take_call *call = data;

	call->taken = TAKE_PTR(call->engine->standby);
	if (call->taken)
		call->taken->child = loop_remove(call->taken->child);
}

bool standby_take(struct engine *e, struct standby_shim *ret)
{
	struct take_call call = {.engine = e};

	engine_call(e, take_on_loop, &call);
	if (!call.taken)
		return false;
	*ret = call.taken->shim;
	free(call.taken);
	return true;
}

void standby_close(struct engine *e)
{
	struct standby *sb = TAKE_PTR(e->standby);
	struct pollfd p;

	if (!sb)
		return;
	fd_close(&sb->shim.control);
	p = (struct pollfd){.fd = sb->shim.pidfd, .events = POLLIN};
	if (poll(&p, 1, STANDBY_END_MS) == 0)
		(void)syscall(SYS_pidfd_send_signal, sb->shim.pidfd, SIGKILL, NULL, 0);
	(void)standby_free(sb);
}
