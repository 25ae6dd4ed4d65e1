/* One more process in a running container.
 *
 * It is cloned here and joins process 1's namespaces by pidfd (Linux 5.8): no path, no pid that
 * could be reused.  It cannot be traced or read by the container's processes on its way in: it is
 * not dumpable until its execve(2) (CVE-2016-9962), and it holds no fd of the host that survives
 * that (CVE-2024-21626).
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "linux/cgroup.h"
#include "linux/procfs.h"
#include "runtime/launch_priv.h"
#include "runtime/runtime.h"

static bool is_running(const struct runtime_container *c)
{
	struct pollfd p = {.fd = c->pidfd, .events = POLLIN};

	return c->pid > 0 && c->pidfd >= 0 && c->sync_fd < 0 && poll(&p, 1, 0) == 0;
}

/* From when it joins, the container's processes may stop it or make it wait: its root owns the
 * process as it owns the files that are looked at.  Whoever waits for it must not wait for ever.
 * What is in a frozen cgroup cannot even be killed (v1), so none is started there. */
#define SET_UP_TIMEOUT_S 30

static int check_frozen(const struct runtime_container *c, struct error *err)
{
	bool frozen = false;

	if (cgroup_is_frozen(c->cgroup, &frozen, NULL) == 0 && frozen)
		return error_set(err, ERROR_CONFLICT, 0,
				 "container is paused, unpause it before exec");
	return 0;
}

static int prepare(const struct runtime_exec_args *args, struct setup *s, struct error *err)
{
	const struct runtime_container *c = args->container;

	*s = (struct setup){
		.spec = c->spec,
		.process = args->process,
		.id = c->id,
		.bundle_fd = -EBADF,
		.listen_fd = -EBADF,
		.preserve_fds = args->preserve_fds,
		.target_pidfd = c->pidfd,
		.target_flags = c->ns_flags,
		.cgroup_layout = c->cgroups,
		.cgroup_path = cgroup_path(c->cgroup),
		.seccomp = c->has_seccomp && !args->no_seccomp ? &c->seccomp : NULL,
		.prepared_root_fd = -EBADF,
		.root_fd = -EBADF,
		.devpts_fd = -EBADF,
		.own_proc_fd = -EBADF,
		.own_sys_fd = -EBADF,
		.console_fd = -EBADF,
		.tty_fd = -EBADF,
	};
	memcpy(s->stdio, args->stdio, sizeof(s->stdio));
	for (size_t i = 0; i < OCI_NAMESPACE_COUNT; i++)
		s->join_fds[i] = -EBADF;
	s->proc_fd = procfs_open(err);
	return s->proc_fd < 0 ? s->proc_fd : 0;
}

static int set_up(struct setup *s, struct runtime_exec_process *p, int sync, struct error *err)
{
	int r = launch_set_oom_score(s->proc_fd, p->pid, s->process, err);

	if (r == 0)
		r = sync_expect(sync, SYNC_READY, &p->console_fd, err);
	return r < 0 ? r : launch_go(sync, err);
}

int runtime_exec(const struct runtime_exec_args *args, struct runtime_exec_process *ret,
		 struct error *err)
{
	const struct runtime_container *c = args->container;
	struct runtime_exec_process p = {.pidfd = -EBADF, .console_fd = -EBADF};
	const struct timeval timeout = {.tv_sec = SET_UP_TIMEOUT_S};
	struct launched process;
	autoclose int sync = -EBADF;
	struct setup s;
	int r;

	if (!c->cgroup || !is_running(c))
		return error_set(err, ERROR_CONFLICT, 0, "container not running");
	r = check_frozen(c, err);
	if (r == 0)
		r = prepare(args, &s, err);
	if (r < 0)
		return r;
	r = launch_clone(&s, exec_stages, exec_stage_count, cgroup_clone_fd(c->cgroup), &process,
			 err);
	if (r == 0) {
		p.pid = process.pid;
		p.pidfd = process.pidfd;
		sync = process.sync_fd;
		if (setsockopt(sync, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
			r = error_set(err, ERROR_INTERNAL, errno, "limit the set-up's time");
		else
			r = set_up(&s, &p, sync, err);
	}
	fd_close(&s.proc_fd);
	if (r < 0) {
		launch_kill(p.pid, p.pidfd);
		fd_close(&p.pidfd);
		fd_close(&p.console_fd);
		return r;
	}
	*ret = p;
	return 0;
}
