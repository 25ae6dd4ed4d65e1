/* Containers made by an OCI runtime's program, as containerd's shim drives runc.
 *
 * The program is run for one command at a time and leaves its results in files: the pid, the log.  What it
 * starts outlives it and is reparented to us, the subreaper.  What we must know for certain we look up
 * ourselves: that process 1 is our child, its network namespace, its cgroup.
 *
 * Removing does not depend on the program: whatever it does, its cgroup is emptied and its directory,
 * which is the container's own, goes.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "linux/cgroup.h"
#include "linux/pidfd.h"
#include "linux/sys.h"
#include "oci/runtime_spec.h"
#include "runtime/runtime.h"
#include "shim/bundle.h"
#include "shim/driver.h"
#include "shim/program.h"
#include "shim/protocol.h"

#define PROCESS_MAX  ((size_t)1 << 20)
#define PID_TEXT_MAX ((size_t)32)
#define ARGS_MAX     16

struct program_driver {
	struct driver base;
	char *id, *dir; /* owned; the bundle */
	char *path, *root, *log, *place;
	struct strv args;
	struct program program;       /* of those */
	struct cgroup_layout *layout; /* owned; the cgroup borrows it */
	int dir_fd;                   /* owned */
	bool paused;
};

static struct program_driver *of(struct driver *d)
{
	return (struct program_driver *)d;
}

/* A command of one word and the id. */
static int command(struct program_driver *p, const char *name, struct error *err)
{
	const char *const argv[] = {name, p->id, NULL};
	const struct program_call call = {name, argv, {-EBADF, -EBADF, -EBADF}};

	return program_run(&p->program, &call, err);
}

/* -- terminals ----------------------------------------------------------------------------- */

/* A listening socket in the bundle, by a name that is short however long the bundle's path is: sun_path
 * has 108 bytes. */
static int listen_console(const struct program_driver *p, char path[static 64], struct error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)unlinkat(p->dir_fd, "console", 0);
	(void)snprintf(path, 64, "/proc/%d/fd/%d/console", (int)getpid(), p->dir_fd);
	(void)str_copy(addr.sun_path, sizeof(addr.sun_path), path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "listen for the terminal");
	return TAKE_FD(fd);
}

/* The program has ended, so what it had to send has been sent. */
static int receive_console(int listener, struct error *err)
{
	autoclose int conn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	char name[PATH_MAX];
	int fds[1] = {-EBADF};
	size_t n = 1;

	if (conn < 0 || fd_set_nonblock(conn, true) < 0 ||
	    fd_recv(conn, name, sizeof(name), fds, &n) <= 0 || n != 1)
		return error_set(err, ERROR_INTERNAL, 0,
				 "the OCI runtime did not hand over the terminal");
	return fds[0];
}

/* -- processes ----------------------------------------------------------------------------- */

static int read_pid(const struct program_driver *p, const char *name, pid_t *ret, struct error *err)
{
	autofree char *text = NULL;
	siginfo_t si;
	int r = file_read(p->dir_fd, name, PID_TEXT_MAX, &text, NULL, err);
	uint32_t pid;

	if (r < 0)
		return error_wrap(err, r, "the OCI runtime's pid file");
	text[strcspn(text, "\n")] = '\0';
	if (str_parse_u32(text, &pid) < 0 || pid <= 1 || pid > INT_MAX)
		return error_set(err, ERROR_INTERNAL, 0, "the OCI runtime's pid file: '%s'", text);
	/* Whoever ends must be reaped by us: else its exit code is lost, and its number another's. */
	if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) < 0)
		return error_set(err, ERROR_INTERNAL, errno,
				 "process %u of the OCI runtime is not a child of the shim", pid);
	*ret = (pid_t)pid;
	return 0;
}

/* What create and exec have in common.  `options` and `last` are the command's own. */
struct making {
	const char *what;
	const char *options[4]; /* before those that follow; NULL ends them */
	const char *pid_file;
	bool tty;
	const int *stdio;
	int give_up_fd;
};

static int make_process(struct program_driver *p, const struct making *m,
			struct driver_process *ret, struct error *err)
{
	autofree char *pid_file = xasprintf("%s/%s", p->dir, m->pid_file);
	autoclose int listener = -EBADF, console = -EBADF;
	const char *argv[ARGS_MAX] = {m->what};
	struct program_call call = {m->what, argv, {-EBADF, -EBADF, -EBADF}, m->give_up_fd};
	char socket_path[64];
	size_t n = 1;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(m->options) && m->options[i]; i++)
		argv[n++] = m->options[i];
	argv[n++] = "--pid-file";
	argv[n++] = pid_file;
	if (m->tty) {
		listener = listen_console(p, socket_path, err);
		if (listener < 0)
			return listener;
		argv[n++] = "--console-socket";
		argv[n++] = socket_path;
	} else {
		memcpy(call.stdio, m->stdio, sizeof(call.stdio));
	}
	argv[n++] = p->id;
	(void)unlinkat(p->dir_fd, m->pid_file, 0);
	r = program_run(&p->program, &call, err);
	if (r >= 0 && m->tty)
		r = console = receive_console(listener, err);
	if (r >= 0)
		r = read_pid(p, m->pid_file, &ret->pid, err);
	(void)unlinkat(p->dir_fd, "console", 0);
	if (r < 0)
		return r;
	ret->console_fd = TAKE_FD(console);
	return 0;
}

static int write_process(const struct program_driver *p, const struct driver_exec_args *args,
			 struct error *err)
{
	const struct bundle_terminal terminal = {args->tty, args->rows, args->cols};
	autostrbuf struct strbuf text = STRBUF_INIT(PROCESS_MAX);
	struct json_writer w;

	json_writer_init(&w, &text);
	bundle_write_process(args->process, &terminal, &w);
	if (strbuf_error(&text) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "exec: the process object");
	return file_write_atomic(p->dir_fd, "process.json", text.s, text.len, 0600, 0, err);
}

static int program_exec(struct driver *d, const struct driver_exec_args *args,
			struct driver_process *ret, struct error *err)
{
	struct program_driver *p = of(d);
	autofree char *process = xasprintf("%s/process.json", p->dir);
	const struct making m = {.what = "exec",
				 .options = {"--detach", "--process", process},
				 .pid_file = "exec.pid",
				 .tty = args->tty,
				 .stdio = args->stdio};
	int r = write_process(p, args, err);

	r = r < 0 ? r : make_process(p, &m, ret, err);
	(void)unlinkat(p->dir_fd, "process.json", 0);
	return r;
}

/* -- the other commands -------------------------------------------------------------------- */

static int program_start(struct driver *d, struct error *err)
{
	return command(of(d), "start", err);
}

static bool program_release_spec(struct driver *d)
{
	(void)d;
	return true;
}

static int program_pause(struct driver *d, struct error *err)
{
	int r = command(of(d), "pause", err);

	of(d)->paused |= r >= 0;
	return r;
}

static int program_resume(struct driver *d, struct error *err)
{
	int r = command(of(d), "resume", err);

	of(d)->paused &= r < 0;
	return r;
}

/* What is frozen does not even die.  Most programs have thawed it by themselves. */
static void thaw(struct driver *d)
{
	if (program_resume(d, NULL) < 0 && d->cgroup)
		(void)cgroup_freeze(d->cgroup, false, NULL); /* it may be gone */
}

/* Without the program there must still be an end to a container. */
static int kill_without(struct driver *d, const struct error *why)
{
	log_warn("%s: process 1 is killed without it", error_msg(why));
	if (of(d)->paused)
		thaw(d);
	return kill(d->pid, SIGKILL) < 0 ? -errno : 0;
}

static int program_kill(struct driver *d, int signo, struct error *err)
{
	struct program_driver *p = of(d);
	char number[16];
	const char *const argv[] = {"kill", p->id, number, NULL};
	const struct program_call call = {"kill", argv, {-EBADF, -EBADF, -EBADF}};
	autoerror struct error why = {0};
	int r;

	(void)snprintf(number, sizeof(number), "%d", signo);
	r = program_run(&p->program, &call, &why);
	if (r < 0 && signo == SIGKILL && why.kind != ERROR_CONFLICT)
		r = kill_without(d, &why);
	else if (r >= 0 && signo == SIGKILL && p->paused)
		thaw(d);
	return r < 0 ? error_move(err, &why, r) : 0;
}

static int program_update(struct driver *d, const struct json *resources, struct error *err)
{
	struct program_driver *p = of(d);
	const char *const argv[] = {"update", "--resources", "/proc/self/fd/0", p->id, NULL};
	struct program_call call = {"update", argv, {-EBADF, -EBADF, -EBADF}};
	autostrbuf struct strbuf text = STRBUF_INIT(PROCESS_MAX);
	autoclose int fd = -EBADF;
	const struct json *v;
	struct json_writer w;
	const char *key;

	json_writer_init(&w, &text);
	jw_object(&w);
	json_object_foreach(key, v, resources) {
		if (!str_eq(key, "devices")) /* are not for an update */
			jw_kvalue(&w, key, v);
	}
	jw_object_end(&w);
	if (strbuf_error(&text) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "update: resources");
	fd = fd_memfd("resources", text.s, text.len, err);
	if (fd < 0)
		return fd;
	call.stdio[0] = fd;
	return program_run(&p->program, &call, err);
}

/* -- the end ------------------------------------------------------------------------------- */

/* What the program has left of it, or has left undone. */
static int remove_cgroup(const struct program_driver *p, struct error *err)
{
	autocgroup struct cgroup *cg = NULL;

	if (!p->layout || !p->place || cgroup_open(p->layout, p->place, &cg, NULL) < 0)
		return 0;
	return cgroup_destroy(cg, err);
}

static int program_remove(struct driver *d, struct error *err)
{
	struct program_driver *p = of(d);
	const char *const argv[] = {"delete", "--force", p->id, NULL};
	const struct program_call call = {"delete", argv, {-EBADF, -EBADF, -EBADF}};
	autoerror struct error why = {0};
	int r;

	if (p->dir_fd < 0)
		return 0;
	if (program_run(&p->program, &call, &why) < 0)
		log_warn("%s", error_msg(&why));
	d->cgroup = cgroup_free(d->cgroup);
	r = remove_cgroup(p, err);
	fd_close(&p->dir_fd);
	return bundle_remove(p->dir, r < 0 ? NULL : err) < 0 || r < 0 ? -EIO : 0;
}

static struct driver *program_free(struct driver *d)
{
	struct program_driver *p = of(d);

	fd_close(&d->console_fd);
	fd_close(&d->netns_fd);
	fd_close(&d->pidfd);
	fd_close(&p->dir_fd);
	(void)cgroup_free(d->cgroup);
	(void)cgroup_layout_free(p->layout);
	strv_done(&p->args);
	free(p->id);
	free(p->dir);
	free(p->path);
	free(p->root);
	free(p->log);
	free(p->place);
	free(p);
	return NULL;
}

static const struct driver_ops program_ops = {
	.start = program_start,
	.release_spec = program_release_spec,
	.exec = program_exec,
	.kill = program_kill,
	.pause = program_pause,
	.resume = program_resume,
	.update = program_update,
	.remove = program_remove,
	.free = program_free,
};

/* -- creation ------------------------------------------------------------------------------ */

static struct program_driver *new_driver(const struct shim_config *c)
{
	struct program_driver *p = xnew0(struct program_driver);

	p->base = (struct driver){
		.ops = &program_ops, .pidfd = -EBADF, .netns_fd = -EBADF, .console_fd = -EBADF};
	p->dir_fd = -EBADF;
	p->id = xstrdup(c->id);
	p->dir = xasprintf("%s/" BUNDLE_NAME, c->runtime_dir);
	p->root = xasprintf("%s/state", p->dir);
	p->log = xasprintf("%s/log.json", p->dir);
	p->path = xstrdup(c->program.path);
	for (size_t i = 0; i < c->program.args.n; i++)
		strv_add(&p->args, c->program.args.v[i]);
	p->program = (struct program){.path = p->path,
				      .args = (const char *const *)p->args.v,
				      .arg_count = p->args.n,
				      .root = p->root,
				      .log = p->log};
	return p;
}

/* What we hold of it ourselves. */
static int look_at_process(struct program_driver *p, const struct oci_spec *spec, struct error *err)
{
	struct driver *d = &p->base;
	char path[64];

	d->pidfd = pidfd_of(d->pid);
	if (d->pidfd < 0)
		return error_set(err, ERROR_INTERNAL, -d->pidfd, "open process %d", (int)d->pid);
	if (spec->linux_.namespaces[OCI_NAMESPACE_NETWORK].present) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)d->pid);
		d->netns_fd = open(path, O_RDONLY | O_CLOEXEC);
		if (d->netns_fd < 0)
			return error_set(err, ERROR_INTERNAL, errno, "open '%s'", path);
	}
	/* A runtime that makes none, as of a virtual machine, is not our business. */
	if (p->layout)
		(void)cgroup_open(p->layout, p->place, &d->cgroup, NULL);
	return 0;
}

static int create(struct program_driver *p, const struct driver_create_args *args,
		  struct error *err)
{
	const struct making m = {.what = "create",
				 .options = {"--bundle", p->dir},
				 .pid_file = "init.pid",
				 .tty = args->config->tty,
				 .stdio = args->stdio,
				 .give_up_fd = args->give_up_fd};
	struct driver_process process = {.console_fd = -EBADF};
	int r = runtime_cgroup_place(args->spec, p->id, false, &p->place, err);

	if (r >= 0)
		r = cgroup_layout_detect(&p->layout, NULL) < 0 ? 0 : r; /* none at all */
	r = r < 0 ? r : bundle_make(p->dir, args, err);
	if (r < 0)
		return r;
	p->dir_fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", p->dir);
	r = make_process(p, &m, &process, err);
	if (r < 0)
		return r;
	p->base.pid = process.pid;
	p->base.console_fd = process.console_fd;
	r = look_at_process(p, args->spec, err);
	if (r >= 0)
		args->on_namespaces(args->data, p->base.pid, p->base.netns_fd);
	return r;
}

int driver_program_create(const struct driver_create_args *args, struct driver **ret,
			  struct error *err)
{
	struct program_driver *p = new_driver(args->config);
	autoerror struct error why = {0};
	int r = create(p, args, err);

	if (r < 0) {
		if (p->dir_fd < 0)
			(void)bundle_remove(p->dir, NULL);
		else if (program_remove(&p->base, &why) < 0)
			log_warn("undo: %s", error_msg(&why));
		(void)program_free(&p->base);
		return r;
	}
	*ret = &p->base;
	return 0;
}
