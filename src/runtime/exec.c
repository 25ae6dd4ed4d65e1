/* One more process in a running container.
 *
 * It is cloned here and joins process 1's namespaces by pidfd (Linux 5.8): no path, no pid that
 * could be reused.  It cannot be traced or read by the container's processes on its way in: it is
 * not dumpable until its execve(2) (CVE-2016-9962), and it holds no fd of the host that survives
 * that (CVE-2024-21626).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/file.h"
#include "base/str.h"
#include "linux/apparmor.h"
#include "linux/cgroup.h"
#include "linux/pidfd.h"
#include "linux/procfs.h"
#include "linux/scheduling.h"
#include "linux/self.h"
#include "runtime/launch_priv.h"
#include "runtime/runtime.h"

static bool is_running(const struct runtime_container *c)
{
	return c->pid > 0 && c->pidfd >= 0 && c->sync_fd < 0 && pidfd_wait(c->pidfd, 0) == 0;
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

/* -- which cgroup -------------------------------------------------------------------------- */

/* One below the container's, by a path that cannot lead elsewhere; malloc'd. */
static int sub_path(const char *base, const char *sub, char **ret, struct error *err)
{
	autostrbuf struct strbuf path = STRBUF_INIT(4096);

	strbuf_adds(&path, base);
	for (const char *p = sub; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && strncmp(p, "..", 2) == 0)
			return error_set(err, ERROR_INVALID, 0, "%s is not a sub cgroup path", sub);
		if (n > 0 && !(n == 1 && p[0] == '.'))
			strbuf_addf(&path, "/%.*s", (int)n, p);
		p += n + (p[n] == '/');
	}
	if (strbuf_error(&path) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "cgroup path");
	*ret = strbuf_take(&path);
	return 0;
}

static bool list_has(const char *list, const char *item)
{
	size_t len = strlen(item);

	for (const char *p = list; *p; p += strspn(p, ",")) {
		size_t n = strcspn(p, ",");

		if (n == len && strncmp(p, item, n) == 0)
			return true;
		p += n;
	}
	return false;
}

/* The hierarchy that has a v1 controller: "cpu", or "name=systemd" which is "systemd" too. */
static const char *find_hierarchy(const struct cgroup_layout *l, const char *controller)
{
	for (size_t i = 0; i < cgroup_layout_count(l); i++) {
		struct cgroup_hierarchy h;

		cgroup_layout_get(l, i, &h);
		if (!h.is_v2 && (list_has(h.controllers, controller) || str_eq(h.name, controller)))
			return h.mount_point;
	}
	return NULL;
}

/* Single controllers, once the process is in the container's own cgroups. */
static int enter_controllers(const struct runtime_exec_args *args, pid_t pid, struct error *err)
{
	const struct runtime_container *c = args->container;
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	for (size_t i = 0; i < args->cgroup_count; i++) {
		const struct runtime_exec_cgroup *sub = &args->cgroups[i];
		autofree char *path = NULL, *file = NULL;
		const char *top;
		int r;

		if (!sub->controller)
			continue;
		top = find_hierarchy(c->cgroups, sub->controller);
		if (!top)
			return error_set(err, ERROR_INVALID, 0,
					 "unknown controller %s in SubCgroupPaths",
					 sub->controller);
		r = sub_path(cgroup_path(c->cgroup), sub->path, &path, err);
		if (r < 0)
			return r;
		file = xasprintf("%s%s/cgroup.procs", top, path);
		r = file_write_value(AT_FDCWD, file, text, err);
		if (r < 0)
			return error_wrap(err, r, "join cgroup '%s' of %s", sub->path,
					  sub->controller);
	}
	return 0;
}

/* Where process 1 is in the unified tree: it may have moved below the container's cgroup and have
 * given that controllers, which then takes no processes ("no internal processes", EBUSY). */
static int open_cgroup_of_target(const struct setup *s, struct error *err)
{
	autocgroup struct cgroup *cgroup = NULL;
	autofree char *text = NULL, *unified = NULL;
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "%d/cgroup", (int)s->target_pid);
	r = file_read(s->proc_fd, path, (size_t)1 << 20, &text, NULL, err);
	if (r < 0)
		return r;
	unified = cgroup_unified_path(s->cgroup_layout, text);
	if (!unified)
		return error_set(err, ERROR_INTERNAL, EBUSY, "find the cgroup of process 1");
	r = cgroup_open(s->cgroup_layout, unified, &cgroup, err);
	if (r < 0)
		return r;
	r = fcntl(cgroup_clone_fd(cgroup), F_DUPFD_CLOEXEC, 3);
	return r < 0 ? error_set(err, ERROR_INTERNAL, errno, "open the cgroup of process 1") : r;
}

/* Another cgroup than the container's, if that is asked for. */
static int choose_cgroup(const struct runtime_exec_args *args, struct cgroup **ret,
			 struct error *err)
{
	const struct runtime_container *c = args->container;
	autofree char *path = NULL;
	int r;

	if (args->cgroup_count == 0 || args->cgroups[0].controller)
		return 0;
	r = sub_path(cgroup_path(c->cgroup), args->cgroups[0].path, &path, err);
	return r < 0 ? r : cgroup_open(c->cgroups, path, ret, err);
}

/* -- the process --------------------------------------------------------------------------- */

/* It has been changed by chroot(2) alone. */
static int open_root(const struct runtime_container *c, struct setup *s, struct error *err)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%d/root", (int)c->pid);
	s->target_root_fd = openat(s->proc_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->target_root_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open the container's root");
	if (is_running(c)) /* the number was its all the time */
		return 0;
	fd_close(&s->target_root_fd);
	return error_set(err, ERROR_CONFLICT, 0, "container not running");
}

static int prepare(const struct runtime_exec_args *args, const struct cgroup *cgroup,
		   struct setup *s, struct error *err)
{
	const struct runtime_container *c = args->container;
	int r;

	*s = (struct setup){
		.spec = c->spec,
		.process = args->process,
		.id = c->id,
		.bundle = c->bundle,
		.has_apparmor =
			!str_empty(args->process->apparmor_profile) && apparmor_is_enabled(),
		.bundle_fd = -EBADF,
		.listen_fd = -EBADF,
		.preserve_fds = args->preserve_fds,
		.plain_newlines = args->plain_newlines,
		.no_new_keyring = c->no_new_keyring,
		.target_pid = c->pid,
		.target_pidfd = c->pidfd,
		.target_flags = c->ns_flags,
		.target_root_fd = -EBADF,
		.cgroup_layout = c->cgroups,
		.cgroup_path = cgroup_path(cgroup),
		.seccomp = c->has_seccomp && !args->no_seccomp ? &c->seccomp : NULL,
		.prepared_root_fd = -EBADF,
		.time_offsets_fd = -EBADF,
		.place_fd = -EBADF,
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
	if (s->proc_fd < 0)
		return s->proc_fd;
	r = process_check_labels(args->process, err);
	if (r == 0 && !(c->ns_flags & CLONE_NEWNS))
		r = open_root(c, s, err);
	if (r < 0)
		fd_close(&s->proc_fd);
	return r;
}

static int clone_into(const struct runtime_exec_args *args, struct setup *s,
		      const struct cgroup *cgroup, struct launched *ret, struct error *err)
{
	autoclose int other_fd = -EBADF;
	autoerror struct error busy = {0};
	int r;

	s->open_other_cgroup = args->cgroup_count == 0 ? open_cgroup_of_target : NULL;
	r = launch_clone(s, exec_stages, exec_stage_count, cgroup_clone_fd(cgroup), ret, &busy);
	if (r != -EBUSY || !s->open_other_cgroup)
		return error_move(err, &busy, r);
	other_fd = s->open_other_cgroup(s, NULL);
	return other_fd < 0 ? error_move(err, &busy, r)
			    : launch_clone(s, exec_stages, exec_stage_count, other_fd, ret, err);
}

/* It is born where we run: its processors before it is in the container's cgroup are ours for a
 * moment. */
static int clone_with_affinity(const struct runtime_exec_args *args, struct setup *s,
			       const struct cgroup *cgroup, struct launched *ret, struct error *err)
{
	const char *initial = s->process->exec_cpu_affinity.initial;
	struct scheduling_cpus own;
	int r, back;

	if (str_empty(initial))
		return clone_into(args, s, cgroup, ret, err);
	r = scheduling_get_cpus(&own, err);
	if (r == 0)
		r = scheduling_set_cpus(initial, err);
	if (r < 0)
		return error_wrap(err, r, "process.execCPUAffinity.initial");
	r = clone_into(args, s, cgroup, ret, err);
	back = scheduling_restore_cpus(&own, r < 0 ? NULL : err);
	if (r == 0 && back < 0) {
		launch_kill(ret->pid, ret->pidfd);
		fd_close(&ret->pidfd);
		fd_close(&ret->sync_fd);
	}
	return r < 0 ? r : back;
}

static int set_up(const struct runtime_exec_args *args, struct setup *s,
		  struct runtime_exec_process *p, int sync, struct error *err)
{
	const struct timeval timeout = {.tv_sec = args->ignore_paused ? 0 : SET_UP_TIMEOUT_S};
	int r;

	if (setsockopt(sync, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "limit the set-up's time");
	r = launch_set_oom_score(s->proc_fd, p->pid, s->process, err);
	self_forget_mount(); /* the process is busy */
	if (r == 0)
		r = sync_expect(sync, SYNC_READY, &p->console_fd, err);
	if (r == 0)
		r = enter_controllers(args, p->pid, err);
	return r < 0 ? r : launch_go(sync, err);
}

int runtime_exec(const struct runtime_exec_args *args, struct runtime_exec_process *ret,
		 struct error *err)
{
	const struct runtime_container *c = args->container;
	struct runtime_exec_process p = {.pidfd = -EBADF, .console_fd = -EBADF};
	autocgroup struct cgroup *sub = NULL;
	struct launched process;
	autoclose int sync = -EBADF;
	struct setup s;
	int r;

	if (!c->cgroup || !is_running(c))
		return error_set(err, ERROR_CONFLICT, 0, "container not running");
	r = args->ignore_paused ? 0 : check_frozen(c, err);
	if (r == 0)
		r = choose_cgroup(args, &sub, err);
	if (r == 0)
		r = prepare(args, sub ? sub : c->cgroup, &s, err);
	if (r < 0)
		return r;
	r = clone_with_affinity(args, &s, sub ? sub : c->cgroup, &process, err);
	if (r == 0) {
		p.pid = process.pid;
		p.pidfd = process.pidfd;
		sync = process.sync_fd;
		r = set_up(args, &s, &p, sync, err);
	}
	fd_close(&s.proc_fd);
	fd_close(&s.target_root_fd);
	if (r < 0) {
		launch_kill(p.pid, p.pidfd);
		fd_close(&p.pidfd);
		fd_close(&p.console_fd);
		return r;
	}
	*ret = p;
	return 0;
}

void runtime_exec_kill(const struct runtime_exec_process *p)
{
	launch_kill(p->pid, p->pidfd);
}
