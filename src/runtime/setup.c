/* The stages that the new process goes through on its way to execve(2).
 *
 * One static table for process 1 of a container, one for a process that joins it; the order is the
 * point.  What needs privileges comes before "user", what must be tried as that user comes after; capabilities
 * and the filter come last of all, when nothing is left to be said.
 */
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "linux/cgroup.h"
#include "linux/ns.h"
#include "linux/pidfd.h"
#include "linux/procfs.h"
#include "linux/self.h"
#include "linux/sys.h"
#include "runtime/launch_priv.h"
#include "runtime/setup_priv.h"

#define KERNEL_SIGSET_SIZE 8 /* bytes: 64 signals */

/* -- namespaces ---------------------------------------------------------------------------- */

static const struct {
	int flag;
	const char *what;
} join_kinds[OCI_NAMESPACE_COUNT] = {
	[OCI_NAMESPACE_MOUNT] = {CLONE_NEWNS, "the mount namespace"},
	[OCI_NAMESPACE_PID] = {CLONE_NEWPID, "the pid namespace"},
	[OCI_NAMESPACE_NETWORK] = {CLONE_NEWNET, "the network namespace"},
	[OCI_NAMESPACE_UTS] = {CLONE_NEWUTS, "the uts namespace"},
	[OCI_NAMESPACE_IPC] = {CLONE_NEWIPC, "the ipc namespace"},
	[OCI_NAMESPACE_USER] = {CLONE_NEWUSER, "the user namespace"},
	[OCI_NAMESPACE_CGROUP] = {CLONE_NEWCGROUP, "the cgroup namespace"},
	[OCI_NAMESPACE_TIME] = {CLONE_NEWTIME, "the time namespace"},
};

/* By path; user and pid were joined by the caller before it cloned. */
static int stage_join(struct setup *s, struct error *err)
{
	for (size_t i = 0; i < OCI_NAMESPACE_COUNT; i++) {
		int r;

		if (s->join_fds[i] < 0 || i == OCI_NAMESPACE_USER || i == OCI_NAMESPACE_PID)
			continue;
		r = ns_join(s->join_fds[i], join_kinds[i].flag, join_kinds[i].what, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* exec: all of process 1's namespaces at once, by its pidfd (Linux 5.8).  The pid namespace was the
 * caller's business. */
static int stage_join_target(struct setup *s, struct error *err)
{
	uint64_t flags = s->target_flags & ~(uint64_t)CLONE_NEWPID;
	int r = cgroup_join(s->cgroup_layout, s->cgroup_path, err);

	if (r < 0)
		return r;
	r = flags ? pidfd_join(s->target_pidfd, flags) : 0;
	if (r < 0)
		return error_set(err, r == -ESRCH ? ERROR_CONFLICT : ERROR_INTERNAL, -r,
				 "join the container's namespaces");
	if (s->target_root_fd >= 0 &&
	    (fchdir(s->target_root_fd) < 0 || chroot(".") < 0 || chdir("/") < 0))
		return error_set(err, ERROR_INTERNAL, errno, "enter the container's root");
	return 0;
}

static int become_root(struct error *err)
{
	if (setgroups(0, NULL) < 0 && errno != EPERM) /* EPERM: setgroups is denied in there */
		return error_set(err, ERROR_INTERNAL, errno, "drop groups");
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "become root in the user namespace");
	return 0;
}

static int stage_user_namespace(struct setup *s, struct error *err)
{
	const struct oci_namespace *user = &s->spec->linux_.namespaces[OCI_NAMESPACE_USER];
	int r;

	if (!user->present)
		return 0;
	if (s->waits_mapped) {
		r = sync_expect(s->sync_fd, SYNC_MAPPED, &s->time_offsets_fd, err);
		if (r < 0)
			return r;
	}
	return become_root(err);
}

static int stage_session(struct setup *s, struct error *err)
{
	/* struct kernel_sigaction: handler (SIG_DFL is 0), flags, restorer, mask: all zero */
	static const unsigned long default_action[4];

	/* Handlers are gone since clone3 (CLEAR_SIGHAND); what is ignored is inherited still.  By the
	 * raw call: the C libraries keep 32 to 34 to themselves, and glibc's posix_spawn leaves some of
	 * them ignored.  SIGKILL and SIGSTOP refuse, as they should. */
	for (int signo = 1; signo <= 64; signo++)
		(void)syscall(SYS_rt_sigaction, signo, &default_action, NULL, KERNEL_SIGSET_SIZE);
	(void)umask(0); /* modes of devices and directories are meant as they are given */
	if (setsid() < 0 && errno != EPERM)
		return error_set(err, ERROR_INTERNAL, errno, "setsid");
	return process_join_keyring(s, err);
}

static int stage_time(struct setup *s, struct error *err)
{
	const struct oci_linux *l = &s->spec->linux_;
	const struct oci_namespace *ns = &l->namespaces[OCI_NAMESPACE_TIME];
	const struct ns_clock_offset monotonic = {l->monotonic.secs, l->monotonic.nanosecs};
	const struct ns_clock_offset boottime = {l->boottime.secs, l->boottime.nanosecs};

	if (!ns->present || ns->path)
		return 0;
	return ns_unshare_time(s->proc_fd, s->time_offsets_fd,
			       l->monotonic.present ? &monotonic : NULL,
			       l->boottime.present ? &boottime : NULL, err);
}

static int stage_loopback(struct setup *s, struct error *err)
{
	return s->clone_flags & CLONE_NEWNET ? ns_loopback_up(err) : 0;
}

/* The next of the messages whose order is open. */
static int expect_part(struct setup *s, struct error *err)
{
	static const enum sync_type parts[] = {SYNC_NETNS, SYNC_CGROUP, SYNC_CGROUP_TREE};
	enum sync_type type;
	int fd = -EBADF;
	int r = sync_expect_one_of(s->sync_fd, parts, ARRAY_SIZE(parts), &type, &fd, err);

	if (r < 0)
		return r;
	if (type == SYNC_CGROUP) {
		s->cgroup_made = true;
	} else if (type == SYNC_CGROUP_TREE) {
		s->cgroup_tree_comes = false;
		s->cgroup_tree_fd = TAKE_FD(fd);
	} else {
		s->netns_fd = TAKE_FD(fd);
	}
	fd_close(&fd);
	return 0;
}

int setup_wait_network(struct setup *s, struct error *err)
{
	int r = 0;

	if (!s->netns_comes)
		return 0;
	while (r == 0 && s->netns_fd < 0)
		r = expect_part(s, err);
	if (r == 0)
		r = ns_join(s->netns_fd, CLONE_NEWNET, "the network namespace", err);
	if (r < 0)
		return r;
	fd_close(&s->netns_fd);
	s->netns_comes = false;
	return ns_loopback_up(err);
}

static int stage_hostname(struct setup *s, struct error *err)
{
	const char *host = s->spec->hostname, *domain = s->spec->domainname;

	if (host && sethostname(host, strlen(host)) < 0)
		return error_set(err, ERROR_INVALID, errno, "set hostname '%s'", host);
	if (domain && setdomainname(domain, strlen(domain)) < 0)
		return error_set(err, ERROR_INVALID, errno, "set domainname '%s'", domain);
	return 0;
}

int setup_wait_cgroup(struct setup *s, struct error *err)
{
	int r;

	if (s->cgroup_joined)
		return 0;
	r = setup_wait_network(s, err);
	/* Nothing is executed before the program, and there is time. */
	if (r == 0 && s->spec->hooks.create_container.n == 0)
		r = process_drop_bounding(s, err);
	while (r == 0 && !s->cgroup_made)
		r = expect_part(s, err);
	if (r < 0)
		return r;
	s->cgroup_joined = true;
	if (s->joins_cgroup) {
		r = cgroup_join(s->cgroup_layout, s->cgroup_path, err);
		if (r < 0)
			return r;
	}
	/* Only now: the namespace's root is the cgroup one is in (cgroup_namespaces(7)). */
	if (s->plan) {
		const struct oci_namespace *ns = &s->spec->linux_.namespaces[OCI_NAMESPACE_CGROUP];

		if (ns->present && !ns->path && unshare(CLONE_NEWCGROUP) < 0)
			return error_set(err, ERROR_INTERNAL, errno,
					 "unshare the cgroup namespace");
	}
	return 0;
}

int setup_wait_cgroup_tree(struct setup *s, struct error *err)
{
	int r = 0;

	while (r == 0 && s->cgroup_tree_comes)
		r = expect_part(s, err);
	return r;
}

static int stage_sysctl(struct setup *s, struct error *err)
{
	const struct json_string_map *map = &s->spec->linux_.sysctl;
	/* In the host's proc the kernel looks for "net" among those of all namespaces. */
	autoclose int own_fd = map->n > 0 ? procfs_open_at(s->root_fd, "proc", NULL) : -EBADF;

	for (size_t i = 0; i < map->n; i++) {
		int r = own_fd < 0 ? -ENOENT
				   : procfs_sysctl(own_fd, map->keys[i], map->values[i], NULL);

		/* The container's may be read-only, or covered. */
		if (r < 0)
			r = procfs_sysctl(s->proc_fd, map->keys[i], map->values[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int stage_hooks(struct setup *s, struct error *err)
{
	const struct oci_hooks *hooks = &s->spec->hooks;
	int r;

	if (s->wait_for_hooks) {
		if (sync_send(s->sync_fd, SYNC_HOOKS, -EBADF) < 0)
			return error_set(err, ERROR_INTERNAL, EPIPE, "ask for hooks");
		r = sync_expect(s->sync_fd, SYNC_HOOKS_DONE, NULL, err);
		if (r < 0)
			return r;
	}
	if (hooks->create_container.n) {
		autofree char *state =
			runtime_state_json(s->spec, s->id, "creating", getpid(), s->bundle);

		return hooks_run(&hooks->create_container, "createContainer", state, err);
	}
	return 0;
}

/* -- the word to go ------------------------------------------------------------------------ */

static int stage_ready(struct setup *s, struct error *err)
{
	int r = sync_send(s->sync_fd, SYNC_READY, s->console_fd);

	fd_close(&s->console_fd);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "report readiness") : 0;
}

/* Nobody would be told of an error: accept(2) asks to try again for most of them. */
#define ACCEPT_TRIES 16

static int wait_go(struct setup *s, struct error *err)
{
	int fd = -1;

	if (s->listen_fd >= 0) {
		/* Whoever created us is gone; whoever starts us connects. */
		for (int i = 0; i < ACCEPT_TRIES; i++) {
			fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
			if (fd >= 0)
				break;
		}
		if (fd < 0)
			return error_set(err, ERROR_INTERNAL, errno, "wait for start");
		fd_close(&s->sync_fd);
		s->sync_fd = fd;
	}
	return sync_expect(s->sync_fd, SYNC_GO, NULL, err);
}

int setup_publish(const struct runtime_rename *file, struct error *err)
{
	if (renameat(file->dir_fd, file->from, file->dir_fd, file->to) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "rename '%s'", file->from);
	return 0;
}

/* GO says that the record is written, too. */
static int stage_publish(struct setup *s, struct error *err)
{
	int r = s->publishes ? wait_go(s, err) : 0;

	return r < 0 || !s->publishes ? r : setup_publish(s->publishes, err);
}

/* What is left for afterwards are the privileges, and the filter, under which nothing here could be
 * said or heard. */
static int stage_go(struct setup *s, struct error *err)
{
	int r = stage_ready(s, err);

	return r < 0 || s->publishes ? r : wait_go(s, err);
}

/* As the program itself would: its user, its capabilities, its filter.  The hook is a file of the
 * container's. */
static int stage_start_hooks(struct setup *s, struct error *err)
{
	const struct json_objects *hooks = &s->spec->hooks.start_container;
	autofree char *state = NULL;

	if (hooks->n == 0)
		return 0;
	state = runtime_state_json(s->spec, s->id, "created", getpid(), s->bundle);
	return hooks_run(hooks, "startContainer", state, err);
}

/* -- tables -------------------------------------------------------------------------------- */

static int stage_cgroup(struct setup *s, struct error *err)
{
	return setup_wait_cgroup(s, err);
}

const struct stage create_stages[] = {
	{"null device", process_open_null},
	{"join namespaces", stage_join},
	{"user namespace", stage_user_namespace},
	{"session", stage_session},
	{"time namespace", stage_time},
	{"loopback", stage_loopback},
	{"hostname", stage_hostname},
	{"bundle", rootfs_reopen_bundle},
	{"propagation", rootfs_set_propagation},
	{"root file system", rootfs_mount_root},
	{"mounts", rootfs_mount_all},
	{"devices", rootfs_make_devices},
	{"terminal", console_create},
	{"cgroup", stage_cgroup},
	{"sysctl", stage_sysctl},
	{"working directory", rootfs_make_cwd},
	{"masked paths", rootfs_protect_paths},
	{"hooks", stage_hooks},
	{"enter root", rootfs_enter},
	{"terminal", console_take_control},
	{"standard streams", process_set_streams},
	{"record", stage_publish},
	{"security label", process_set_labels},
	{"descriptors", process_close_descriptors},
	{"working directory", process_try_cwd},
	{"scheduling", process_set_scheduling},
	{"user", process_set_user},
	{NULL, program_look_up}, /* the message is a contract of its own */
	{"arguments", program_prepare},
	{"descriptors", process_keep_descriptors},
	{"resource limits", process_set_limits},
	{"start", stage_go},
	{"resource limits", process_limit_files},
	{"privileges", process_drop_privileges},
	{"hooks", stage_start_hooks},
	{NULL, program_execute},
};
const size_t create_stage_count = ARRAY_SIZE(create_stages);

const struct stage exec_stages[] = {
	{"null device", process_open_null},
	{"join namespaces", stage_join_target},
	{"user namespace", stage_user_namespace},
	{"session", stage_session},
	{"terminal", console_open_in_container},
	{"terminal", console_take_control},
	{"standard streams", process_set_streams},
	{"security label", process_set_labels},
	{"descriptors", process_close_descriptors},
	{"working directory", process_try_cwd},
	{"scheduling", process_set_scheduling},
	{"user", process_set_user},
	{NULL, program_look_up}, /* the message is a contract of its own */
	{"arguments", program_prepare},
	{"descriptors", process_keep_descriptors},
	{"resource limits", process_set_limits},
	{"start", stage_go},
	{"resource limits", process_limit_files},
	{"privileges", process_drop_privileges},
	{NULL, program_execute},
};
const size_t exec_stage_count = ARRAY_SIZE(exec_stages);

void setup_run(struct setup *s, const struct stage *stages, size_t n)
{
	autoerror struct error err = {0};

	/* Our copy would keep us from seeing that the caller has died. */
	fd_close(&s->caller_sync_fd);
	if (s->plan)
		(void)sched_yield(); /* our creator moves us to another processor, if we run on its */
	self_forget_mount();
	for (size_t i = 0; i < n; i++) {
		if (stages[i].fn(s, &err) < 0) {
			(void)sync_send_error(s->sync_fd, SYNC_ERROR, stages[i].name,
					      &err); /* nobody else to tell */
			break;
		}
	}
	_exit(127);
}
