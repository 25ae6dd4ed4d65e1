/* The shim's life: set-up, the events of its children, the exit, the end.
 *
 * Everything happens on one thread.  runtime_create and runtime_start block it, which holds up
 * nobody: a daemon that will not wait kills the shim, and process 1 dies with it.
 *
 * Order at process 1's exit: nothing may write any more, so every process that is left is killed,
 * by the kernel with a pid namespace of the container's own, else with the cgroup; read what is left in
 * the pipes; log it; exit.json; ev exit; and only then let clients and waiters see the end: what they
 * ask the daemon next, the daemon must know.  What else is left of the container goes at the release.
 */
#include "shim/shim.h"

#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "linux/cgroup.h"
#include "shim/logpipe.h"
#include "shim/shim_priv.h"

#define SHIM_OOM_SCORE    "-999"
#define CONFIG_MAX        ((size_t)16 << 20)
#define CONFIG_ARENA      ((size_t)128 << 10) /* most documents fit: one mmap(2) instead of ten */
#define JOIN_DELAY_MS     50
#define DISCARD_DELAY_MS  20    /* of the container, if no release comes */
#define ANSWER_TIMEOUT_MS 10000 /* waiters get their answer without a daemon */

void shim_close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fd_close(&fds[i]);
}

int shim_pipes(const bool wanted[static 3], int ours[static 3], int theirs[static 3],
	       struct error *err)
{
	for (int i = 0; i < 3; i++)
		ours[i] = theirs[i] = -EBADF;
	for (int i = 0; i < 3; i++) {
		int fds[2];

		if (!wanted[i])
			continue;
		if (pipe2(fds, O_CLOEXEC) < 0) {
			int errnum = errno;

			shim_close_all(ours, 3);
			shim_close_all(theirs, 3);
			return error_set(err, ERROR_INTERNAL, errnum, "make a pipe");
		}
		ours[i] = fds[i == 0 ? 1 : 0];
		theirs[i] = fds[i == 0 ? 0 : 1];
	}
	return 0;
}

int shim_event(struct shim *s, enum lifecycle_event e, struct error *err)
{
	if (!lifecycle_next(s->state, e, &s->state))
		return error_set(err, ERROR_CONFLICT, 0, "%s: the container is %s",
				 lifecycle_event_name(e), lifecycle_state_name(s->state));
	return 0;
}

void shim_event_begin(struct json_writer *w, struct strbuf *out, const char *name)
{
	json_writer_init(w, out);
	jw_object(w);
	jw_kstring(w, "ev", name);
}

void shim_event_send(struct shim *s, struct json_writer *w)
{
	jw_object_end(w);
	conns_send(s->conns, w->out, NULL, 0);
}

static void send_failed(struct shim *s, const struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(SHIM_MESSAGE_MAX);
	struct json_writer w;

	shim_event_begin(&w, &out, "failed");
	shim_error_write(&w, err);
	shim_event_send(s, &w);
}

/* The end */

static void stop_watching_oom(struct shim *s)
{
	s->oom_src = loop_remove(s->oom_src);
	fd_close(&s->oom_fd);
}

void shim_leave_if_idle(void *data)
{
	struct shim *s = data;

	if (s->state == LIFECYCLE_LEAVING && (!s->streams || streams_is_idle(s->streams)) &&
	    shim_execs_idle(s) && logpipe_is_idle(logfile_pipe(s->log)))
		loop_stop(s->loop);
}

void shim_leave(struct shim *s)
{
	stop_watching_oom(s);
	s->ports = ports_free(s->ports);
	s->discard_timer = loop_remove(s->discard_timer);
	s->container = driver_free(s->container);
	conns_unlisten(s->conns);
	shim_execs_end(s);
	fd_close(&s->lock_fd);
	logfile_close(s->log);
	shim_leave_if_idle(s);
}

void shim_undo(struct shim *s)
{
	autoerror struct error err = {0};

	s->resolver = resolver_free(s->resolver);
	s->state = LIFECYCLE_LEAVING;
	s->exit_status = 1;
	if (s->pid > 0 && s->container) {
		(void)kill(s->pid, SIGKILL); /* until it is reaped the number is its own */
		while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
			;
		s->pid = 0;
	}
	if (s->container && s->container->ops->remove(s->container, &err) < 0)
		log_error("undo: %s", error_msg(&err));
	waiters_done(&s->waiters);
	/* Clients are left without a word, as waiters are: the daemon has kept duplicates and
	 * answers.  Waiting for them to close would be waiting for the daemon, which waits for us. */
	if (s->streams)
		streams_finish(s->streams);
	s->streams = streams_free(s->streams);
	shim_leave(s);
}

/* The exit */

void shim_write_exit(const struct shim *s, struct json_writer *w)
{
	jw_kint(w, "code", s->exit_code);
	jw_kbool(w, "oom", s->oom);
	jw_kint(w, "started_at", s->started_at);
	jw_kint(w, "finished_at", s->finished_at);
}

static void record_exit(struct shim *s)
{
	autostrbuf struct strbuf out = STRBUF_INIT(4096);
	autoerror struct error err = {0};
	struct json_writer w;

	json_writer_init(&w, &out);
	jw_object(&w);
	jw_kint(&w, "ExitCode", s->exit_code);
	jw_kbool(&w, "OOMKilled", s->oom);
	jw_kint(&w, "StartedAt", s->started_at);
	jw_kint(&w, "FinishedAt", s->finished_at);
	jw_object_end(&w);
	if (file_write_atomic(s->state_dir_fd, SHIM_EXIT_NAME, out.s, out.len, 0600,
			      s->auto_remove ? 0 : FILE_SYNC, &err) < 0)
		log_error("record the exit: %s", error_msg(&err));
}

static void check_oom(struct shim *s)
{
	uint64_t count = 0;

	if (s->oom || !s->container->cgroup ||
	    cgroup_oom_count(s->container->cgroup, &count, NULL) < 0 || count == 0)
		return;
	s->oom = true;
	if (conns_any(s->conns)) {
		autostrbuf struct strbuf out = STRBUF_INIT(64);
		struct json_writer w;

		shim_event_begin(&w, &out, "oom");
		shim_event_send(s, &w);
	}
}

static void oom_ready(struct loop_source *src, int fd, uint32_t events, void *data)
{
	char buf[4096];

	(void)src;
	(void)events;
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	check_oom(data);
}

static void answer_late(struct loop_source *timer, void *data)
{
	struct shim *s = data;

	(void)timer;
	waiters_answer(&s->waiters, s->exit_code, false);
}

void shim_answer_waiters_in_time(struct shim *s)
{
	if (!conns_any(s->conns))
		waiters_answer(&s->waiters, s->exit_code, false);
	else if (s->waiters.count > 0 && !s->answer_timer)
		(void)loop_add_timer(s->loop, ANSWER_TIMEOUT_MS, answer_late, s, &s->answer_timer,
				     NULL);
}

static void send_exit(struct shim *s)
{
	autostrbuf struct strbuf out = STRBUF_INIT(4096);
	struct json_writer w;

	shim_event_begin(&w, &out, "exit");
	shim_write_exit(s, &w);
	shim_event_send(s, &w);
}

void shim_discard(struct shim *s)
{
	autoerror struct error err = {0};

	s->discard_timer = loop_remove(s->discard_timer);
	if (!s->container)
		return;
	if (s->container->ops->remove(s->container, &err) < 0)
		log_error("remove what the container left: %s", error_msg(&err));
	s->container = driver_free(s->container);
	s->spec_arena = arena_free(s->spec_arena);
}

static void discard_late(struct loop_source *timer, void *data)
{
	(void)timer;
	shim_discard(data);
}

static void container_exited(struct shim *s, int code)
{
	s->exit_code = code;
	s->finished_at = clock_realtime_ns();
	s->resolver = resolver_free(s->resolver); /* it keeps the network namespace */
	check_oom(s);
	stop_watching_oom(s);
	if (!s->own_pids)
		shim_discard(s);
	streams_finish(s->streams);
	if (logfile_pipe(s->log))
		logpipe_finish(logfile_pipe(s->log));
	record_exit(s);
	send_exit(s);
	streams_close(s->streams);
	shim_answer_waiters_in_time(s);
	/* Nobody waits for it, and now it would keep the daemon from the processor. */
	if (s->container &&
	    loop_add_timer(s->loop, DISCARD_DELAY_MS, discard_late, s, &s->discard_timer, NULL) < 0)
		shim_discard(s);
}

static void container_died(struct shim *s, int code)
{
	enum lifecycle_state before = s->state;
	autoerror struct error err = {0};

	s->pid = 0;
	if (shim_event(s, LIFECYCLE_EV_DIED, &err) < 0) {
		log_error("process 1 died: %s", error_msg(&err));
		return;
	}
	if (before == LIFECYCLE_CREATED) {
		(void)error_set(&err, ERROR_INTERNAL, 0,
				"the container's process died before it was started, with code %d",
				code);
		send_failed(s, &err);
		shim_undo(s);
	} else if (before != LIFECYCLE_LEAVING) {
		container_exited(s, code);
	}
}

/* All children: process 1, execs, and orphans that the kernel gave us as their subreaper.  Process
 * 1 comes last, for its execs ended before it. */
static void reap(struct shim *s)
{
	bool died = false;
	int code = 0;

	for (;;) {
		siginfo_t si = {0};
		int child_code;

		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG) < 0 || si.si_pid == 0)
			break;
		child_code = si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status;
		if (si.si_pid == s->pid) {
			died = true;
			code = child_code;
		} else if (!logfile_reaped(s->log, si.si_pid, child_code)) {
			(void)shim_exec_died(s, si.si_pid, child_code); /* else an orphan */
		}
	}
	if (died)
		container_died(s, code);
}

static void child_signal(struct loop_source *src, const struct signalfd_siginfo *si, void *data)
{
	(void)src;
	(void)si;
	reap(data);
}

/* Daemons */

static void daemon_gone(void *data, bool first)
{
	struct shim *s = data;
	bool undo = s->state == LIFECYCLE_CREATED || s->state == LIFECYCLE_SETTING_UP;

	if (first && shim_event(s, LIFECYCLE_EV_DAEMON_GONE, NULL) >= 0 && undo)
		shim_undo(s);
	else if (s->state == LIFECYCLE_EXITED)
		shim_answer_waiters_in_time(s);
}

int shim_start_resolver(struct shim *s, int netns_fd, struct error *err)
{
	const struct resolver_args args = {.loop = s->loop,
					   .scratch = s->scratch,
					   .netns_fd = netns_fd,
					   .runtime_dir_fd = s->runtime_dir_fd};

	return s->resolver ? 0 : resolver_new(&args, &s->resolver, err);
}

void shim_resolver_write(const struct shim *s, struct json_writer *w)
{
	if (!s->resolver)
		return;
	jw_kobject(w, "resolver");
	jw_kuint(w, "udp", resolver_udp_port(s->resolver));
	jw_kuint(w, "tcp", resolver_tcp_port(s->resolver));
	jw_object_end(w);
}

static void on_namespaces(void *data, pid_t pid, int netns_fd)
{
	struct shim *s = data;
	autostrbuf struct strbuf out = STRBUF_INIT(SHIM_MESSAGE_MAX);
	autoerror struct error err = {0};
	struct json_writer w;

	s->pid = pid;
	shim_event_begin(&w, &out, "namespaces");
	jw_kint(&w, "pid", pid);
	ports_write(s->ports, &w);
	/* Without one the daemon gives the start up; it cannot be done from within here. */
	if (s->want_resolver && netns_fd >= 0 && shim_start_resolver(s, netns_fd, &err) < 0)
		log_error("%s", error_msg(&err));
	shim_resolver_write(s, &w);
	jw_object_end(&w);
	conns_send(s->conns, &out, &netns_fd, netns_fd >= 0 ? 1 : 0);
}

/* Set-up */

static void do_nothing(int signo)
{
	(void)signo;
}

/* What a terminal or a service manager may send us is not for us.  A handler rather than SIG_IGN:
 * programs that we start get their defaults back at execve(2). */
static void disarm_signals(void)
{
	static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1,
				      SIGUSR2, SIGALRM, SIGTSTP, SIGTTIN, SIGTTOU};
	struct sigaction act = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};
	sigset_t none;

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaction(signals[i], &act, NULL);
	act = (struct sigaction){.sa_handler = SIG_DFL};
	(void)sigaction(SIGCHLD, &act, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void trim_memory(void *data)
{
	struct shim *s = data;

	logfile_trim(s->log);
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

/* Make a cgroup that may be in use by others, wholly or in some hierarchies: by way of a child of
 * our own, which goes again. */
static int make_shared_cgroup(const struct cgroup_layout *layout, const char *path,
			      struct error *err)
{
	autofree char *child =
		xasprintf("%s/vessel-shim-%d", str_eq(path, "/") ? "" : path, (int)getpid());
	autocgroup struct cgroup *cg = NULL;
	int r = cgroup_create(layout, child, &cg, err);

	return r < 0 ? r : cgroup_destroy(cg, err);
}

/* Out of the daemon's cgroup, whose processes end with its service: at once in the v1 hierarchies,
 * where a thread that joins by itself waits for nobody, and in the unified one later, for there it
 * may have to wait for a grace period, and starting a container must not. */
static int move_to_cgroup(struct shim *s, const char *path, struct error *err)
{
	const struct cgroup_layout *layout = runtime_prepared_cgroups(s->prepared);
	int r;

	if (str_empty(path))
		return 0;
	if (!layout)
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "move the shim to cgroup '%s': no cgroups", path);
	if (cgroup_layout_mode(layout) == CGROUP_MODE_V2 ||
	    cgroup_move_out(layout, path, NULL) >= 0)
		return 0; /* no v1 hierarchy, or joined */
	r = make_shared_cgroup(layout, path, err);
	if (r >= 0)
		r = cgroup_move_out(layout, path, err);
	return r < 0 ? error_wrap(err, r, "move the shim to cgroup '%s'", path) : 0;
}

/* The same on a pure v2 host, where a cgroup that passes controllers on to a child may hold no
 * processes (cgroups(7), "no internal processes"): there the child is one of its parent. */
static int make_shared_leaf(const struct cgroup_layout *layout, const char *path, struct error *err)
{
	const char *name = strrchr(path, '/');
	autofree char *parent = xstrndup(path, (size_t)(name - path));
	autocgroup struct cgroup *cg = NULL;
	int r = make_shared_cgroup(layout, *parent ? parent : "/", err);

	r = r < 0 ? r : cgroup_open(layout, *parent ? parent : "/", &cg, err);
	if (r < 0)
		return r;
	if (mkdirat(cgroup_clone_fd(cg), name + 1, 0755) < 0 && errno != EEXIST)
		return error_set(err, ERROR_INTERNAL, errno, "make cgroup '%s'", path);
	return 0;
}

static int join_unified(const char *path, pid_t log_helper, struct error *err)
{
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;
	int r = cgroup_layout_detect(&layout, err);

	if (r < 0 || cgroup_layout_mode(layout) == CGROUP_MODE_V1)
		return r;
	if (cgroup_open(layout, path, &cg, NULL) < 0 || cgroup_clone_fd(cg) < 0) {
		cg = cgroup_free(cg);
		r = cgroup_layout_mode(layout) == CGROUP_MODE_V2
			    ? make_shared_leaf(layout, path, err)
			    : make_shared_cgroup(layout, path, err);
		if (r >= 0)
			r = cgroup_open(layout, path, &cg, err);
	}
	if (r >= 0 && log_helper > 0) {
		autofree char *pid = xasprintf("%d", (int)log_helper);

		(void)file_write_value(cgroup_clone_fd(cg), "cgroup.procs", pid,
				       NULL); /* it may have ended */
	}
	return r < 0 ? r : file_write_value(cgroup_clone_fd(cg), "cgroup.procs", "0", err);
}

static void join_later(struct loop_source *timer, void *data)
{
	struct shim *s = data;
	autoerror struct error err = {0};

	if (join_unified(s->cgroup, logpipe_pid(logfile_pipe(s->log)), &err) < 0)
		log_warn("move the shim to cgroup '%s': %s", s->cgroup, error_msg(&err));
	s->cgroup_timer = loop_remove(timer);
	free(TAKE_PTR(s->cgroup));
	trim_memory(s);
}

void shim_started(struct shim *s)
{
	s->started_at = clock_realtime_ns();
	if (s->container->ops->release_spec(s->container))
		s->spec_arena = arena_free(s->spec_arena);
	if (!str_empty(s->cgroup))
		(void)loop_add_timer(s->loop, JOIN_DELAY_MS, join_later, s, &s->cgroup_timer, NULL);
}

static int open_directory(const char *path, int *ret, struct error *err)
{
	*ret = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? error_set(err, ERROR_INTERNAL, errno, "open '%s'", path) : 0;
}

static void log_flow(void *data)
{
	struct shim *s = data;

	if (s->streams)
		streams_update_flow(s->streams);
}

/* The file, and whom the log is sent to. */
static int open_log(struct shim *s, const struct shim_log *log, struct error *err)
{
	struct logpipe *pipe = NULL;
	int r = logfile_open(log, &s->log, err);

	if (r < 0 || json_is_null(log->driver))
		return r;
	r = logpipe_open(s->loop, log, &pipe, err);
	if (r >= 0)
		logfile_set_pipe(s->log, pipe);
	return r;
}

static int open_streams(struct shim *s, const struct shim_config *c, int theirs[static 3],
			struct error *err)
{
	const bool wanted[3] = {!c->tty && c->open_stdin, !c->tty, !c->tty};
	struct streams_args args = {.loop = s->loop,
				    .scratch = s->scratch,
				    .log = s->log,
				    .tty = c->tty,
				    .close_stdin = c->stdin_once,
				    .on_idle = shim_leave_if_idle,
				    .data = s};
	int ours[3];
	int r = shim_pipes(wanted, ours, theirs, err);

	if (r < 0)
		return r;
	args.in_take = ours[0];
	args.out_take = ours[1];
	args.err_take = ours[2];
	r = streams_new(&args, &s->streams, err);
	if (r < 0)
		shim_close_all(theirs, 3);
	else if (logfile_pipe(s->log))
		logpipe_set_callbacks(logfile_pipe(s->log), log_flow, s, shim_leave_if_idle, s);
	return r;
}

static int watch_container(struct shim *s, const struct shim_config *c, struct error *err)
{
	struct cgroup *cg = s->container->cgroup;
	int console = TAKE_FD(s->container->console_fd);
	int r = 0;

	if (console >= 0)
		r = streams_set_console(s->streams, console, err);
	if (r >= 0 && console >= 0 && c->rows > 0 && c->cols > 0)
		r = streams_resize(s->streams, c->rows, c->cols, err);
	/* Without a memory controller there is nothing to watch. */
	if (r >= 0 && cg && cgroup_oom_watch(cg, &s->oom_fd, NULL) >= 0)
		r = loop_add_fd(s->loop, s->oom_fd, EPOLLIN, oom_ready, s, &s->oom_src, err);
	return r;
}

/* Once the container has them, or is not to be. */
static void close_joined(struct shim *s)
{
	for (int i = 0; i < SHIM_JOIN_COUNT; i++)
		fd_close(&s->join_fds[i]);
}

/* Then all its processes are dead once process 1 can be reaped (pid_namespaces(7)). */
static bool has_own_pids(const struct oci_spec *spec)
{
	const struct oci_namespace *pid = &spec->linux_.namespaces[OCI_NAMESPACE_PID];

	return pid->present && !pid->path;
}

static int create_container(struct shim *s, const struct shim_config *c, struct error *err)
{
	struct driver_create_args args = {
		.config = c,
		.spec = &s->spec,
		.state_dir_fd = s->state_dir_fd,
		.give_up_fd = SHIM_CONTROL_FD,
		.prepared = s->prepared,
		.on_namespaces = on_namespaces,
		.data = s,
	};
	int r;

	s->own_pids = has_own_pids(&s->spec);
	s->spec.process.terminal = c->tty;
	r = open_streams(s, c, args.stdio, err);
	if (r < 0)
		return r;
	r = driver_create(&args, &s->container, err);
	shim_close_all(args.stdio, 3);
	close_joined(s);
	s->prepared = runtime_prepared_free(s->prepared);
	if (r < 0) {
		s->pid = 0;
		return r;
	}
	s->pid = s->container->pid;
	return watch_container(s, c, err);
}

static int set_up(struct shim *s, const struct shim_config *c, struct error *err)
{
	int r;

	s->want_resolver = c->resolver;
	s->open_stdin = c->open_stdin;
	s->auto_remove = c->auto_remove;
	s->detach_keys = xstrdup(c->detach_keys);
	s->cgroup = c->cgroup ? xstrdup(c->cgroup) : NULL;
	if (!s->prepared)
		s->prepared = runtime_prepare(runtime_takes_netns(&s->spec));
	r = move_to_cgroup(s, c->cgroup, err);
	if (r >= 0)
		r = open_directory(c->runtime_dir, &s->runtime_dir_fd, err);
	if (r >= 0)
		r = open_directory(c->state_dir, &s->state_dir_fd, err);
	if (r >= 0)
		r = conns_listen(s->conns, s->runtime_dir_fd, err);
	if (r >= 0)
		r = ports_reserve(c, &s->ports, err);
	if (r >= 0)
		r = open_log(s, &c->log, err);
	if (r >= 0)
		r = create_container(s, c, err);
	return r < 0 ? r : shim_event(s, LIFECYCLE_EV_CREATED, err);
}

static int read_config(struct arena *a, int fd, struct shim_config *ret, struct error *err)
{
	autofree char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "the shim's configuration");
	if (st.st_size <= 0 || (size_t)st.st_size > CONFIG_MAX)
		return error_set(err, ERROR_INVALID, E2BIG, "the shim's configuration");
	text = xcalloc((size_t)st.st_size, 1);
	n = pread(fd, text, (size_t)st.st_size, 0);
	if (n != st.st_size)
		return error_set(err, ERROR_INTERNAL, n < 0 ? errno : EIO,
				 "the shim's configuration");
	return shim_config_parse(a, text, (size_t)n, ret, err);
}

static int open_loop(struct shim *s, struct error *err)
{
	struct conns_args conns = {.on_message = shim_request, .on_end = daemon_gone, .data = s};
	int r = loop_new(&s->loop, err);

	if (r >= 0)
		r = scratch_new(s->loop, trim_memory, s, &s->scratch, err);
	if (r >= 0)
		r = loop_add_signal(s->loop, SIGCHLD, child_signal, s, &s->child_src, err);
	if (r < 0)
		return r;
	conns.loop = s->loop;
	s->conns = conns_new(&conns);
	return conns_add_first(s->conns, SHIM_CONTROL_FD, err);
}

static int adopt_descriptors(struct shim *s, struct error *err)
{
	for (int fd = SHIM_CONFIG_FD; fd < SHIM_JOIN_FD + SHIM_JOIN_COUNT; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 && fd == SHIM_CONTROL_FD)
			return error_set(err, ERROR_INVALID, errno,
					 "vesseld starts this program, with descriptor %d open",
					 fd);
	s->config_fd = fcntl(SHIM_CONFIG_FD, F_GETFD) < 0 ? -EBADF : SHIM_CONFIG_FD;
	(void)close(SHIM_INIT_FD); /* init is bind-mounted by its path */
	s->lock_fd = fcntl(SHIM_LOCK_FD, F_GETFD) < 0 ? -EBADF : SHIM_LOCK_FD;
	for (int i = 0; i < SHIM_JOIN_COUNT; i++)
		s->join_fds[i] = fcntl(SHIM_JOIN_FD + i, F_GETFD) < 0 ? -EBADF : SHIM_JOIN_FD + i;
	return 0;
}

/* Of all that is killed when memory runs out, the container's processes come first: its exit must be
 * told.  They do not inherit this, for the configuration always has a score.  Without CAP_SYS_RESOURCE
 * it stays as it is. */
static void leave_to_others(void)
{
	autoclose int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)!write(fd, SHIM_OOM_SCORE, strlen(SHIM_OOM_SCORE));
}

static void prepare(struct shim *s, const struct shim_message *m)
{
	if (s->prepared)
		return;
	s->prepared = runtime_prepare(json_get_bool(m->body, "Network"));
	trim_memory(s);
}

static int take_container(struct shim *s, struct shim_message *m, char *id_arg, struct error *err)
{
	const char *id = json_get_string(m->body, "Id");

	if (m->fd_count != 2 || !id)
		return error_set(err, ERROR_INVALID, 0, "op launch without a container");
	s->config_fd = m->fds[0];
	s->lock_fd = m->fds[1];
	m->fds[0] = m->fds[1] = -EBADF;
	if (id_arg && strlen(id_arg) == strlen(id))
		memcpy(id_arg, id, strlen(id)); /* what ps(1) shows */
	return 1;
}

/* One message of a daemon that may send us a container.  1: it has come; 0: it never will; -EAGAIN. */
static int stand_by_once(struct shim *s, char *id_arg, struct error *err)
{
	struct pollfd p = {.fd = SHIM_CONTROL_FD, .events = POLLIN};
	autoarena struct arena *a = arena_new();
	autoerror struct error why = {0};
	struct shim_message m;
	int r;

	if (poll(&p, 1, -1) < 0 && errno != EINTR)
		return error_set(err, ERROR_INTERNAL, errno, "stand by");
	r = shim_message_recv(SHIM_CONTROL_FD, a, &m, &why);
	if (r == -EAGAIN || r == 0)
		return r;
	if (r < 0)
		return error_move(err, &why, r);
	r = -EAGAIN;
	if (str_eq(m.op, "prepare"))
		prepare(s, &m);
	else if (str_eq(m.op, "launch"))
		r = take_container(s, &m, id_arg, err);
	shim_message_close_fds(&m);
	return r;
}

static int stand_by(struct shim *s, char *id_arg, struct error *err)
{
	int r;

	do
		r = stand_by_once(s, id_arg, err);
	while (r == -EAGAIN);
	return r;
}

static void shim_done(struct shim *s)
{
	shim_execs_free(s);
	s->resolver = resolver_free(s->resolver);
	s->streams = streams_free(s->streams);
	s->container = driver_free(s->container);
	waiters_done(&s->waiters);
	s->conns = conns_free(s->conns);
	s->ports = ports_free(s->ports);
	s->log = logfile_free(s->log);
	s->scratch = scratch_free(s->scratch);
	s->loop = loop_free(s->loop);
	s->prepared = runtime_prepared_free(s->prepared);
	s->spec_arena = arena_free(s->spec_arena);
	free(s->detach_keys);
	free(s->cgroup);
	fd_close(&s->oom_fd);
	close_joined(s);
	fd_close(&s->config_fd);
	fd_close(&s->state_dir_fd);
	fd_close(&s->runtime_dir_fd);
	fd_close(&s->lock_fd);
}

/* The configuration stays until the container has started, for the sake of the specification in it. */
static int begin(struct shim *s, struct error *err)
{
	struct shim_config config;
	int r;

	s->spec_arena = arena_new_of(CONFIG_ARENA);
	r = read_config(s->spec_arena, s->config_fd, &config, err);
	fd_close(&s->config_fd);
	if (r >= 0)
		r = oci_spec_decode(s->spec_arena, config.spec, &s->spec, err);
	return r < 0 ? r : set_up(s, &config, err);
}

static void announce_created(struct shim *s)
{
	autostrbuf struct strbuf out = STRBUF_INIT(4096);
	struct json_writer w;

	shim_event_begin(&w, &out, "created");
	jw_kint(&w, "pid", s->pid);
	shim_event_send(s, &w);
	trim_memory(s);
}

int shim_run(char *id_arg)
{
	struct shim s = {.config_fd = -EBADF,
			 .state_dir_fd = -EBADF,
			 .runtime_dir_fd = -EBADF,
			 .lock_fd = -EBADF,
			 .join_fds = {-EBADF, -EBADF, -EBADF, -EBADF},
			 .oom_fd = -EBADF};
	autoerror struct error err = {0};
	int r;

	log_set_name("vessel-shim");
	(void)prctl(PR_SET_NAME, "vessel-shim", 0, 0, 0);
	disarm_signals();
	leave_to_others();
	if (adopt_descriptors(&s, &err) < 0 || open_loop(&s, &err) < 0 ||
	    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) {
		log_error("not started as a shim: %s", error_msg(&err));
		shim_done(&s);
		return 1;
	}
	r = s.config_fd < 0 ? stand_by(&s, id_arg, &err) : 1;
	if (r <= 0) {
		if (r < 0)
			log_error("standing by: %s", error_msg(&err));
		shim_done(&s);
		return r < 0;
	}
	if (begin(&s, &err) < 0) {
		send_failed(&s, &err);
		shim_undo(&s);
	} else {
		announce_created(&s);
	}
	if (loop_run(s.loop, &err) < 0)
		log_error("%s", error_msg(&err));
	shim_done(&s);
	return s.exit_status;
}
