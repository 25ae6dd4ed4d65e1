/* Cloning a process into its namespaces and talking to it until it executes; for create and exec. */
#include "runtime/launch_priv.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "linux/clone.h"
#include "linux/ns.h"
#include "linux/pidfd.h"
#include "linux/procfs.h"
#include "linux/rlimits.h"
#include "linux/self.h"
#include "linux/sys.h"

/* -- clone --------------------------------------------------------------------------------- */

/* setns(2) into a pid namespace changes where children are born; this undoes it. */
struct pid_namespace {
	int own_fd; /* ours, to go back to; -EBADF: nothing to undo */
};

static int enter_pid_namespace(struct setup *s, struct pid_namespace *pidns, struct error *err)
{
	int fd = s->join_fds[OCI_NAMESPACE_PID];
	bool exec = s->target_pidfd >= 0 && s->target_flags & CLONE_NEWPID;
	int r;

	pidns->own_fd = -EBADF;
	if (fd < 0 && !exec)
		return 0;
	pidns->own_fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	if (pidns->own_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open our own pid namespace");
	r = exec                          ? pidfd_join(s->target_pidfd, CLONE_NEWPID)
	    : setns(fd, CLONE_NEWPID) < 0 ? -errno
					  : 0;
	if (r < 0)
		return error_set(err, r == -ESRCH ? ERROR_CONFLICT : ERROR_INTERNAL, -r,
				 "join the pid namespace");
	return 0;
}

static void leave_pid_namespace(struct pid_namespace *pidns)
{
	if (pidns->own_fd >= 0)
		(void)setns(pidns->own_fd, CLONE_NEWPID); /* cannot fail: it is our own */
	fd_close(&pidns->own_fd);
}

/* In the new process, what clone(2) could not do; fd -EBADF: nothing.  Its signal handlers are
 * reset in its first stages anyway. */
static void enter_cgroup(struct setup *s, int cgroup_fd)
{
	autoerror struct error e = {0};
	autoclose int other_fd = -EBADF;
	int r = cgroup_fd < 0 ? 0 : clone_enter_cgroup(cgroup_fd, &e);

	if (r == -EBUSY && s->open_other_cgroup) {
		error_done(&e);
		other_fd = s->open_other_cgroup(s, &e);
		r = other_fd < 0 ? other_fd : clone_enter_cgroup(other_fd, &e);
	}
	if (r == 0)
		return;
	(void)sync_send_error(s->sync_fd, SYNC_ERROR, "cgroup", &e); /* nobody else to tell */
	_exit(127);
}

/* -- through a process in between ----------------------------------------------------------- */

/* Who makes or joins a user namespace loses what he may do outside of it, and gains what he may do
 * inside; so what has to happen on which side is done by a process in between, which leaves the real
 * one to our care (CLONE_PARENT):
 *   - namespaces given by path are joined before a user namespace is made, or before it is joined
 *     unless they belong to it;
 *   - a user namespace given by path owns the namespaces that are made in it, so something must be
 *     in it before it makes them;
 *   - the pid namespace of a container may be joined, by who is not root, from its user namespace only.
 * The real one's pid comes back through a pipe.  Joining a pid namespace moves children only, so this
 * process stays in the caller's, and the pid it learns means the same to both. */
static bool needs_between(const struct setup *s)
{
	if (s->join_fds[OCI_NAMESPACE_USER] >= 0)
		return true;
	if (s->target_pidfd >= 0)
		return s->target_flags & CLONE_NEWUSER && geteuid() != 0;
	for (size_t i = 0; i < OCI_NAMESPACE_COUNT && s->clone_flags & CLONE_NEWUSER; i++)
		if (s->join_fds[i] >= 0)
			return true;
	return false;
}

/* What is not ours to join yet is left to stage_join(), or refused there. */
static int join_outside(struct setup *s, struct error *err)
{
	for (size_t i = 0; i < OCI_NAMESPACE_COUNT; i++) {
		int fd = s->join_fds[i];

		if (fd < 0 || i == OCI_NAMESPACE_USER)
			continue;
		if (setns(fd, 0) == 0)
			fd_close(&s->join_fds[i]);
		else if (errno != EPERM)
			return error_set(err, ERROR_INTERNAL, errno, "join a namespace");
	}
	return 0;
}

static int join_between(struct setup *s, struct error *err)
{
	uint64_t target = s->target_flags & (CLONE_NEWUSER | CLONE_NEWPID);
	int r;

	if (s->target_pidfd >= 0) {
		r = pidfd_join(s->target_pidfd, target);
		if (r < 0)
			return error_set(err, r == -ESRCH ? ERROR_CONFLICT : ERROR_INTERNAL, -r,
					 "join the container's user namespace");
		s->target_flags &= ~target;
		return 0;
	}
	r = join_outside(s, err);
	if (r == 0 && s->join_fds[OCI_NAMESPACE_USER] >= 0)
		r = ns_join(s->join_fds[OCI_NAMESPACE_USER], CLONE_NEWUSER, "the user namespace",
			    err);
	if (r == 0 && s->join_fds[OCI_NAMESPACE_PID] >= 0)
		r = ns_join(s->join_fds[OCI_NAMESPACE_PID], CLONE_NEWPID, "the pid namespace", err);
	return r;
}

static void run_between(struct setup *s, const struct stage *stages, size_t n, int pid_fd)
{
	struct sys_clone_args inner = {.flags = s->clone_flags | CLONE_PARENT};
	autoerror struct error e = {0};
	pid_t pid = -1;

	self_forget_mount();
	if (join_between(s, &e) == 0) {
		pid = clone_process(&inner, NULL);
		if (pid == 0)
			setup_run(s, stages, n);
		if (pid < 0)
			(void)error_set(&e, ERROR_INTERNAL, errno, "clone");
	}
	if (pid < 0)
		(void)sync_send_error(s->sync_fd, SYNC_ERROR, NULL, &e); /* nobody else to tell */
	else
		(void)fd_write_full(pid_fd, &pid, sizeof(pid)); /* a short read tells */
	_exit(0);
}

static int clone_through_between(struct setup *s, const struct stage *stages, size_t n,
				 int cgroup_fd, pid_t *ret_pid, struct error *err)
{
	struct sys_clone_args outer = {
		.flags = CLONE_CLEAR_SIGHAND | (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
		.exit_signal = SIGCHLD,
		.cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0, /* its child is born there */
	};
	int pipe_fds[2], got;
	pid_t middle, pid = 0;
	uint64_t left;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create a pipe");
	middle = clone_process(&outer, &left);
	if (middle == 0) {
		enter_cgroup(s, left & CLONE_INTO_CGROUP ? cgroup_fd : -EBADF);
		run_between(s, stages, n, pipe_fds[1]);
	}
	fd_close(&pipe_fds[1]);
	if (middle < 0) {
		fd_close(&pipe_fds[0]);
		return error_set(err, ERROR_INTERNAL, errno, "clone");
	}
	while (waitpid(middle, NULL, 0) < 0 && errno == EINTR)
		;
	got = fd_read_full(pipe_fds[0], &pid, sizeof(pid));
	fd_close(&pipe_fds[0]);
	if (got != (int)sizeof(pid))
		return launch_why_gone(s->caller_sync_fd, err);
	*ret_pid = pid;
	return 0;
}

static int clone_directly(struct setup *s, const struct stage *stages, size_t n, int cgroup_fd,
			  struct launched *ret, struct error *err)
{
	int pidfd = -EBADF;
	struct sys_clone_args args = {
		.flags = s->clone_flags | CLONE_PIDFD | CLONE_CLEAR_SIGHAND |
			 (cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0),
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = cgroup_fd >= 0 ? (uint64_t)cgroup_fd : 0,
	};
	uint64_t left;
	pid_t pid = clone_process(&args, &left);

	if (pid < 0)
		return error_set(err, ERROR_INTERNAL, errno, "clone");
	if (pid == 0) {
		enter_cgroup(s, left & CLONE_INTO_CGROUP ? cgroup_fd : -EBADF);
		setup_run(s, stages, n);
	}
	ret->pid = pid;
	ret->pidfd = pidfd;
	return 0;
}

static int clone_by_kind(struct setup *s, const struct stage *stages, size_t n, int cgroup_fd,
			 struct launched *ret, struct error *err)
{
	struct pid_namespace pidns = {-EBADF};
	int r;

	if (!needs_between(s)) {
		r = enter_pid_namespace(s, &pidns, err);
		if (r == 0)
			r = clone_directly(s, stages, n, cgroup_fd, ret, err);
		leave_pid_namespace(&pidns);
		return r;
	}
	r = clone_through_between(s, stages, n, cgroup_fd, &ret->pid, err);
	if (r < 0)
		return r;
	ret->pidfd = pidfd_of(ret->pid);
	if (ret->pidfd >= 0)
		return 0;
	r = error_set(err, ERROR_INTERNAL, -ret->pidfd, "open the process");
	launch_kill(ret->pid, ret->pidfd);
	return r;
}

/* -- what the new process inherits ---------------------------------------------------------- */

/* In a user namespace it may not raise its limits any more, and what the namespace as a whole may
 * have of some resources is what its maker could have (ucounts, Linux 5.14): so we have for a moment
 * at least what it is to have. */
static void raise_limits(const struct setup *s, struct rlimit saved[static RLIM_NLIMITS],
			 uint32_t *ret_raised)
{
	const struct json_objects *list = &s->process->rlimits;

	*ret_raised = 0;
	if (!s->spec->linux_.namespaces[OCI_NAMESPACE_USER].present || geteuid() != 0)
		return;
	for (size_t i = 0; i < list->n; i++) {
		const struct oci_rlimit *want = oci_at(list, struct oci_rlimit, i);
		int resource = rlimit_parse(want->type);
		struct rlimit more;

		if (resource < 0 || resource >= RLIM_NLIMITS || *ret_raised & 1U << resource ||
		    prlimit(0, (unsigned)resource, NULL, &saved[resource]) < 0)
			continue;
		more = saved[resource];
		more.rlim_cur = want->soft > more.rlim_cur ? want->soft : more.rlim_cur;
		more.rlim_max = want->hard > more.rlim_max ? want->hard : more.rlim_max;
		/* process_set_limits() tells, if the process cannot do without */
		if (prlimit(0, (unsigned)resource, &more, NULL) == 0)
			*ret_raised |= 1U << resource;
	}
}

static void restore_limits(const struct rlimit saved[static RLIM_NLIMITS], uint32_t raised)
{
	for (unsigned i = 0; i < RLIM_NLIMITS; i++)
		if (raised & 1U << i)
			(void)prlimit(0, i, &saved[i], NULL); /* lowering, to what it was */
}

/* The new process is a copy of us, with all our descriptors, and others may see it long before its
 * execve(2): those of a pid namespace that it joins, or with the host's.  Not being dumpable keeps
 * them from tracing it and from reading /proc/PID/fd and exe (ptrace(2), CVE-2016-9962).  Without
 * privileges there is nothing to protect, and the id maps of a new user namespace could not be
 * written. */
static int clone_undumpable(struct setup *s, const struct stage *stages, size_t n, int cgroup_fd,
			    struct launched *ret, struct error *err)
{
	bool unprivileged = s->clone_flags & CLONE_NEWUSER && geteuid() != 0;
	int dumpable = unprivileged ? -1 : prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
	int r;

	if (!unprivileged && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "become undumpable");
	r = clone_by_kind(s, stages, n, cgroup_fd, ret, err);
	if (dumpable == 1) /* 2 cannot be set */
		(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return r;
}

int launch_clone(struct setup *s, const struct stage *stages, size_t n, int cgroup_fd,
		 struct launched *ret, struct error *err)
{
	struct launched l = {.pidfd = -EBADF};
	struct rlimit limits[RLIM_NLIMITS];
	uint32_t raised;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create a socket pair");
	s->sync_fd = pair[1];
	s->caller_sync_fd = pair[0];
	raise_limits(s, limits, &raised);
	r = clone_undumpable(s, stages, n, cgroup_fd, &l, err);
	restore_limits(limits, raised);
	fd_close(&pair[1]);
	if (r < 0) {
		fd_close(&pair[0]);
		return r;
	}
	l.sync_fd = pair[0];
	*ret = l;
	return 0;
}

void launch_kill(pid_t pid, int pidfd)
{
	siginfo_t info;
	int r;

	if (pid <= 0)
		return;
	/* Our child, and nobody has reaped it: the number is good too. */
	if (pidfd < 0 || (r = pidfd_signal(pidfd, SIGKILL), r < 0 && r != -ESRCH))
		(void)kill(pid, SIGKILL); /* it may be gone */
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
}

/* -- words --------------------------------------------------------------------------------- */

int launch_why_gone(int sync_fd, struct error *err)
{
	/* No message has this type: either an error is in the queue, or the end. */
	return sync_expect(sync_fd, (enum sync_type)0, NULL, err);
}

int launch_tell(int sync_fd, enum sync_type type, struct error *err)
{
	if (type == SYNC_GO)
		self_forget_mount(); /* mostly done */
	return launch_give(sync_fd, type, -EBADF, err);
}

int launch_give(int sync_fd, enum sync_type type, int fd, struct error *err)
{
	int r = sync_send(sync_fd, type, fd);

	if (r == -EPIPE || r == -ECONNRESET)
		return launch_why_gone(sync_fd, err);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "talk to the container's process") : 0;
}

/* The process cannot see the socket any more. */
static int find_agent(int sync_fd, const char *path, struct error *err)
{
	autoclose int sock = agent_connect(path, err);

	if (sock < 0)
		return sock;
	return sync_send(sync_fd, SYNC_AGENT, sock) < 0 ? launch_why_gone(sync_fd, err) : 0;
}

/* What the process says after the word to go: warnings, a question, an error; or that it is READY only
 * now. */
static int hear(int sync_fd, uint32_t type, bool *is_ready, struct error *err)
{
	struct sync_message m;

	if (type != SYNC_WARNING && type != SYNC_AGENT && (type != SYNC_READY || *is_ready))
		return launch_why_gone(sync_fd, err);
	if (sync_recv(sync_fd, &m, NULL) <= 0)
		return launch_why_gone(sync_fd, err);
	if (type == SYNC_AGENT)
		return find_agent(sync_fd, m.text, err);
	if (type == SYNC_READY)
		*is_ready = true;
	else
		log_warn("%s", m.text);
	return 0;
}

static int await_exec(int sync_fd, bool is_ready, struct error *err)
{
	struct sync_message m;
	bool reset = false;
	int r;

	for (;;) {
		r = (int)recv(sync_fd, &m, sizeof(m), MSG_PEEK);
		if (r == 0 && !reset && is_ready)
			return 0; /* closed by execve(2) */
		if (r == 0)
			return launch_why_gone(sync_fd, err);
		/* ECONNRESET: it died with our GO unread; what it said is behind that (fd_recv) */
		if (r < 0 && (errno == EINTR || (errno == ECONNRESET && !reset))) {
			reset = errno == ECONNRESET;
			continue;
		}
		if (r < 0)
			return error_set(err, ERROR_INTERNAL, errno,
					 "start the container's process");
		r = hear(sync_fd, m.type, &is_ready, err);
		if (r < 0)
			return r;
	}
}

int launch_go(int sync_fd, struct error *err)
{
	int r = launch_tell(sync_fd, SYNC_GO, err);

	return r < 0 ? r : await_exec(sync_fd, true, err);
}

int launch_await_exec(int sync_fd, struct error *err)
{
	struct pollfd hangup = {.fd = sync_fd};

	/* Only the end is worth waking up for: on few processors each time is one that it waits. */
	while (poll(&hangup, 1, -1) < 0 && errno == EINTR)
		;
	return await_exec(sync_fd, false, err);
}

/* -- limits that the caller sets on the process -------------------------------------------- */

int launch_set_oom_score(int proc_fd, pid_t pid, const struct oci_process *p, struct error *err)
{
	autofree char *present = NULL;
	autoclose int dir_fd = -EBADF;
	autoerror struct error why = {0};
	char path[64], value[16];
	int now, r;

	if (!p->oom_score_adj)
		return 0;
	(void)snprintf(path, sizeof(path), "%d/oom_score_adj", (int)pid);
	(void)snprintf(value, sizeof(value), "%d", *p->oom_score_adj);
	r = procfs_write(proc_fd, path, value, &why);
	if (r == 0)
		return 0;
	/* Lowering takes CAP_SYS_RESOURCE; what it is already is no lowering. */
	dir_fd = openat(proc_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (file_read(dir_fd, path, 64, &present, NULL, NULL) >= 0) {
		present[strcspn(present, "\n")] = '\0';
		if (str_parse_int(present, &now) == 0 && now == *p->oom_score_adj)
			return 0;
	}
	return error_wrap(err, error_move(err, &why, r), "process.oomScoreAdj");
}

char *launch_fd_path(int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	return n > 0 ? xstrndup(path, (size_t)n) : xstrdup("/");
}
