/* The stages that the new process goes through on its way to execve(2).
 *
 * One static table for process 1 of a container, one for a process that joins it; the order is the
 * point.  Privileges are given up as late as possible and all at once: what needs them comes
 * before "user", what must be tried as that user comes after.
 */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/str.h"
#include "linux/caps.h"
#include "linux/cgroup.h"
#include "linux/descriptors.h"
#include "linux/ns.h"
#include "linux/procfs.h"
#include "linux/sys.h"
#include "runtime/launch_priv.h"
#include "runtime/setup_priv.h"

#define KEYCTL_JOIN_SESSION_KEYRING_ 1
#define KERNEL_SIGSET_SIZE           8 /* bytes: 64 signals */

static int warn(struct setup *s, const char *stage, const struct error *err)
{
	return sync_send_error(s->sync_fd, SYNC_WARNING, stage, err);
}

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
	if (flags && setns(s->target_pidfd, (int)flags) < 0)
		return error_set(err, errno == ESRCH ? ERROR_CONFLICT : ERROR_INTERNAL, errno,
				 "join the container's namespaces");
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
	if (s->clone_flags & CLONE_NEWUSER) {
		r = sync_expect(s->sync_fd, SYNC_MAPPED, &s->prepared_root_fd, err);
		if (r < 0)
			return r;
	}
	return become_root(err);
}

static int stage_session(struct setup *s, struct error *err)
{
	autofree char *keyring = xasprintf("_ses.%s", s->id);
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
	/* The host's session keyring is not the container's. */
	if (!s->no_new_keyring && syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING_, keyring) < 0 &&
	    errno != ENOSYS && errno != EDQUOT && errno != EPERM)
		return error_set(err, ERROR_INTERNAL, errno, "join a session keyring");
	return 0;
}

static int stage_time(struct setup *s, struct error *err)
{
	const struct oci_linux *l = &s->spec->linux_;
	const struct oci_namespace *ns = &l->namespaces[OCI_NAMESPACE_TIME];
	const struct ns_clock_offset monotonic = {l->monotonic.secs, l->monotonic.nanosecs};
	const struct ns_clock_offset boottime = {l->boottime.secs, l->boottime.nanosecs};

	if (!ns->present || ns->path)
		return 0;
	return ns_unshare_time(s->proc_fd, l->monotonic.present ? &monotonic : NULL,
			       l->boottime.present ? &boottime : NULL, err);
}

static int stage_loopback(struct setup *s, struct error *err)
{
	return s->clone_flags & CLONE_NEWNET ? ns_loopback_up(err) : 0;
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
	r = sync_expect(s->sync_fd, SYNC_CGROUP, NULL, err);
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

static int stage_sysctl(struct setup *s, struct error *err)
{
	const struct json_string_map *map = &s->spec->linux_.sysctl;

	for (size_t i = 0; i < map->n; i++) {
		int r = procfs_sysctl(s->proc_fd, map->keys[i], map->values[i], err);

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
			runtime_state_json(s->spec, s->id, "creating", getpid(), NULL);

		return hooks_run(&hooks->create_container, "createContainer", state, err);
	}
	return 0;
}

/* -- the process's identity ---------------------------------------------------------------- */

static bool is_null_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* The host's: the container's may be a link to one of the descriptors that we still hold. */
static int stage_null_device(struct setup *s, struct error *err)
{
	s->null_fd = open("/dev/null", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (s->null_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open /dev/null");
	if (!is_null_device(s->null_fd))
		return error_set(err, ERROR_FORBIDDEN, 0, "/dev/null is not the null device");
	return 0;
}

static int stage_stdio(struct setup *s, struct error *err)
{
	int fds[3], moved[3] = {-EBADF, -EBADF, -EBADF};
	int r = 0;

	for (int i = 0; i < 3; i++)
		fds[i] = s->process->terminal ? s->tty_fd : s->stdio[i];
	for (int i = 0; i < 3 && r == 0; i++) {
		/* Clear of 0..2, so that no dup2 below closes one that is still needed. */
		moved[i] = fcntl(fds[i] < 0 ? s->null_fd : fds[i], F_DUPFD_CLOEXEC, 3);
		if (moved[i] < 0)
			r = error_set(err, ERROR_INTERNAL, errno, "open standard stream %d", i);
	}
	for (int i = 0; i < 3 && r == 0; i++)
		if (dup2(moved[i], i) < 0)
			r = error_set(err, ERROR_INTERNAL, errno, "set standard stream %d", i);
	for (int i = 0; i < 3; i++) {
		struct stat st;

		fd_close(&moved[i]);
		/* /dev/stdout and friends must open for the user too.  Not for the null device,
		 * which may be the host's; and where it cannot be done (a file on a read-only
		 * mount) nothing is lost. */
		if (r == 0 && s->process->user.uid != 0 && fstat(i, &st) == 0 &&
		    st.st_uid != s->process->user.uid &&
		    (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) && !is_null_device(i))
			(void)!fchown(i, s->process->user.uid, (gid_t)-1);
	}
	return r;
}

/* Into the directory as root, for it may be one that the user cannot reach; else as the user. */
static int enter_cwd(struct setup *s, struct error *err)
{
	char cwd[PATH_MAX];

	if (chdir(s->process->cwd) < 0)
		return error_set(err, ERROR_INVALID, errno, "enter working directory '%s'",
				 s->process->cwd);
	/* A path through a leaked fd is outside of our root: getcwd(2) then says so
	 * (CVE-2024-21626). */
	if (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/')
		return error_set(err, ERROR_FORBIDDEN, EPERM,
				 "working directory '%s' is outside of the container",
				 s->process->cwd);
	return 0;
}

static int stage_cwd(struct setup *s, struct error *err)
{
	int r = enter_cwd(s, NULL);

	return r == -EACCES ? 0 : r < 0 ? enter_cwd(s, err) : 0;
}

static uint64_t cap_set(struct setup *s, const struct json_strings *names)
{
	uint64_t set = 0;

	for (size_t i = 0; i < names->n; i++) {
		int cap = caps_parse(names->v[i]);

		if (cap >= 0 && cap < caps_count()) {
			set |= (uint64_t)1 << cap;
		} else {
			autoerror struct error err = {0};

			(void)error_set(&err, ERROR_INVALID, 0,
					"unknown capability '%s' is ignored", names->v[i]);
			(void)warn(s, NULL, &err); /* best effort: it is a warning */
		}
	}
	return set;
}

static int stage_user(struct setup *s, struct error *err)
{
	const struct oci_user *user = &s->process->user;
	const struct oci_capabilities *caps = s->process->capabilities;
	int r;

	if (caps) {
		r = caps_apply_bounding(cap_set(s, &caps->bounding), err);
		if (r < 0)
			return r;
	}
	/* Permitted capabilities survive the change of user until caps_apply. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "keep capabilities");
	if (syscall(SYS_setgroups, user->additional_gid_count, user->additional_gids) < 0) {
		/* A user namespace without setgroups: fine as long as none are asked for. */
		if (errno != EPERM || user->additional_gid_count)
			return error_set(err, ERROR_INTERNAL, errno, "set supplementary groups");
	}
	if (syscall(SYS_setresgid, user->gid, user->gid, user->gid) < 0)
		return error_set(err, ERROR_INVALID, errno, "set gid %u", user->gid);
	if (syscall(SYS_setresuid, user->uid, user->uid, user->uid) < 0)
		return error_set(err, ERROR_INVALID, errno, "set uid %u", user->uid);
	(void)umask(user->umask ? (mode_t)*user->umask : 0022);
	return 0;
}

static const char *get_env(const struct oci_process *p, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = p->env.n; i-- > 0;)
		if (strncmp(p->env.v[i], name, len) == 0 && p->env.v[i][len] == '=')
			return p->env.v[i] + len + 1;
	return NULL;
}

/* 0 if it can be executed, else the errno: a directory and a missing x bit are both EACCES for
 * execve(2), but Docker's users are told which. */
static int executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (sys_faccessat2(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
		return 0;
	/* Without it (before Linux 5.8): all our ids are the same by now. */
	return errno == ENOSYS && access(path, X_OK) == 0 ? 0 : errno;
}

/* The words are runc's: Docker's client and its users know them. */
static int exec_error(const char *name, int errnum, struct error *err)
{
	static const struct {
		int errnum;
		const char *text;
	} texts[] = {
		{ENOENT, "no such file or directory"},
		{EACCES, "permission denied"},
		{EISDIR, "is a directory"},
		{ENOEXEC, "exec format error"},
	};
	const char *text = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].errnum == errnum)
			text = texts[i].text;
	if (text && errnum == ENOENT)
		(void)error_set(err, ERROR_INVALID, 0, "exec: \"%s\": stat %s: %s", name, name,
				text);
	else if (text)
		(void)error_set(err, ERROR_INVALID, 0, "exec: \"%s\": %s", name, text);
	else
		(void)error_set(err, ERROR_INVALID, errnum, "exec: \"%s\"", name);
	if (err)
		err->errnum = errnum;
	return -errnum;
}

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* As execvp(3) would, but before the point of no return, so that the error is one of create. */
static int stage_lookup(struct setup *s, struct error *err)
{
	const char *name = s->process->args.v[0], *path = get_env(s->process, "PATH");
	int errnum = ENOENT, r;

	if (s->process->user.uid != 0 || s->process->cwd[0] != '/') {
		r = enter_cwd(s, err); /* as the user, if root could not */
		if (r < 0)
			return r;
	}
	if (strchr(name, '/')) {
		errnum = executable(name);
		s->exec_path = name;
		return errnum ? exec_error(name, errnum, err) : 0;
	}
	for (const char *p = path ? path : DEFAULT_PATH; *p && name[0];) {
		size_t n = strcspn(p, ":");
		autofree char *candidate = xasprintf("%.*s%s%s", (int)n, p, n ? "/" : "", name);
		int e = executable(candidate);

		if (e == 0) {
			s->exec_path_buf = TAKE_PTR(candidate);
			s->exec_path = s->exec_path_buf;
			return 0;
		}
		errnum = e == EACCES ? EACCES : errnum;
		p += n + (p[n] == ':');
	}
	if (errnum == EACCES)
		return exec_error(name, EACCES, err);
	(void)error_set(err, ERROR_INVALID, 0, "exec: \"%s\": executable file not found in $PATH",
			name);
	if (err)
		err->errnum = ENOENT;
	return -ENOENT;
}

static int stage_lsm(struct setup *s, struct error *err)
{
	const char *profile = s->process->apparmor_profile;
	autofree char *command = NULL;
	int r;

	if (!str_empty(s->process->selinux_label))
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "a SELinux label is given, but SELinux is not supported");
	if (str_empty(profile) || strcmp(profile, "unconfined") == 0)
		return 0;
	command = xasprintf("exec %s", profile);
	r = procfs_write(s->proc_fd, "thread-self/attr/apparmor/exec", command, err);
	return r < 0 ? error_wrap(err, r, "AppArmor profile '%s'", profile) : 0;
}

static int apply_caps(struct setup *s, struct error *err)
{
	const struct oci_capabilities *c = s->process->capabilities;
	struct caps want;
	uint64_t missing = 0;
	int r;

	if (!c) {
		/* Nothing said: what the change of user leaves, as the kernel has it. */
		if (s->process->user.uid != 0) {
			want = (struct caps){0};
			return caps_apply(&want, NULL, err);
		}
		return 0;
	}
	want = (struct caps){.effective = cap_set(s, &c->effective),
			     .permitted = cap_set(s, &c->permitted),
			     .inheritable = cap_set(s, &c->inheritable),
			     .ambient = cap_set(s, &c->ambient)};
	r = caps_apply(&want, &missing, err);
	for (int i = 0; r == 0 && missing && i < caps_count(); i++) {
		autoerror struct error warning = {0};

		if (!(missing & (uint64_t)1 << i))
			continue;
		(void)error_set(&warning, ERROR_INVALID, 0, "%s cannot be granted", caps_name(i));
		(void)warn(s, NULL, &warning); /* the spec: "MUST be logged", no more */
	}
	return r;
}

/* Without no_new_privs a filter needs CAP_SYS_ADMIN, so it goes in just before the capabilities are
 * dropped, with all of them raised; otherwise it is the very last thing. */
static int stage_privileges(struct setup *s, struct error *err)
{
	int r;

	if (s->process->no_new_privileges) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "set no_new_privs");
		r = apply_caps(s, err);
		if (r < 0)
			return r;
		return s->seccomp ? seccomp_program_load(s->seccomp, err) : 0;
	}
	if (s->seccomp) {
		struct caps all = {CAP_SET_ALL, CAP_SET_ALL, CAP_SET_ALL, 0, 0};

		r = caps_apply(&all, NULL, err);
		if (r < 0)
			return r;
		r = seccomp_program_load(s->seccomp, err);
		if (r < 0)
			return r;
	}
	return apply_caps(s, err);
}

/* All but these is closed here, not just at execve(2): until then /proc/self/fd leads whatever is
 * looked up to the host's directories that we hold, the working directory, the program and its
 * interpreter among them (CVE-2024-21626). */
static int stage_close(struct setup *s, struct error *err)
{
	const int keep[] = {s->sync_fd, s->listen_fd, s->console_fd};
	int r = descriptors_close(s->proc_fd, 3 + s->preserve_fds, keep, ARRAY_SIZE(keep), err);

	s->proc_fd = s->bundle_fd = s->null_fd = s->tty_fd = s->target_pidfd = -EBADF;
	return r;
}

/* What the caller wants preserved stays at execve(2); whatever else is open is close-on-exec by
 * birth, for what was inherited is closed. */
static int stage_descriptors(struct setup *s, struct error *err)
{
	for (unsigned fd = 3; fd <= 2 + s->preserve_fds; fd++)
		if (fcntl((int)fd, F_SETFD, 0) < 0)
			return error_set(err, ERROR_INVALID, errno, "preserve fd %u", fd);
	return 0;
}

/* By the process itself: nobody without CAP_SYS_RESOURCE may set those of another user's process.
 * Behind everything that opens files, since the limit may be lower than what is open. */
static int stage_rlimits(struct setup *s, struct error *err)
{
	const struct caps all = {CAP_SET_ALL, CAP_SET_ALL, CAP_SET_ALL, 0, 0};
	int r = s->process->rlimits.n > 0 ? caps_apply(&all, NULL, err) : 0;

	return r < 0 ? r : launch_set_rlimits(s->process, err);
}

/* -- the word to go ------------------------------------------------------------------------ */

static int stage_ready(struct setup *s, struct error *err)
{
	int r = sync_send(s->sync_fd, SYNC_READY, s->console_fd);

	fd_close(&s->console_fd);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "report readiness") : 0;
}

static int wait_go(struct setup *s, struct error *err)
{
	int fd, r = 0;

	if (s->listen_fd >= 0) {
		/* Whoever created us is gone; whoever starts us connects. */
		fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return error_set(err, ERROR_INTERNAL, errno, "wait for start");
		fd_close(&s->sync_fd);
		s->sync_fd = fd;
	}
	r = sync_expect(s->sync_fd, SYNC_GO, NULL, err);
	if (r == 0 && s->spec && s->plan && s->spec->hooks.start_container.n) {
		autofree char *state =
			runtime_state_json(s->spec, s->id, "created", getpid(), NULL);

		r = hooks_run(&s->spec->hooks.start_container, "startContainer", state, err);
	}
	return r;
}

/* With a listener or hooks the rest of the way comes after the word to go, for neither works under
 * a filter and without privileges. */
static bool go_is_early(const struct setup *s)
{
	return s->listen_fd >= 0 || (s->plan && s->spec->hooks.start_container.n);
}

static int stage_go_early(struct setup *s, struct error *err)
{
	int r;

	if (!go_is_early(s))
		return 0;
	r = stage_ready(s, err);
	return r < 0 ? r : wait_go(s, err);
}

static int stage_go(struct setup *s, struct error *err)
{
	int r;

	if (go_is_early(s))
		return 0;
	r = stage_ready(s, err);
	return r < 0 ? r : wait_go(s, err);
}

#define PASSWD_MAX ((size_t)1 << 20)

/* HOME from the container's /etc/passwd, "/" if the user is not in it. */
static char *find_home(uint32_t uid)
{
	autofree char *text = NULL;
	char *save = NULL;
	struct stat st;

	/* a FIFO there would block us */
	if (stat("/etc/passwd", &st) < 0 || !S_ISREG(st.st_mode) ||
	    file_read(AT_FDCWD, "/etc/passwd", PASSWD_MAX, &text, NULL, NULL) < 0)
		return xstrdup("/");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *p = line, *fields[7] = {0};
		uint32_t id;

		for (size_t i = 0; i < ARRAY_SIZE(fields) && p; i++)
			fields[i] = strsep(&p, ":");
		if (fields[5] && str_parse_u32(fields[2], &id) == 0 && id == uid &&
		    fields[5][0] == '/')
			return xstrdup(fields[5]);
	}
	return xstrdup("/");
}

static char **make_env(struct setup *s)
{
	const struct oci_process *p = s->process;
	char **env = xnew0n(char *, p->env.n + 3);
	size_t n = 0;

	for (size_t i = 0; i < p->env.n; i++)
		env[n++] = (char *)p->env.v[i];
	if (!get_env(p, "HOME")) {
		autofree char *home = find_home(p->user.uid);

		env[n++] = xasprintf("HOME=%s", home);
	}
	return env;
}

static char **make_args(struct setup *s, const char **path)
{
	const struct json_strings *args = &s->process->args;
	char **argv = xnew0n(char *, args->n + 3);
	size_t n = 0;

	if (s->plan && s->plan->init_path) {
		argv[n++] = (char *)PLAN_INIT_DESTINATION;
		argv[n++] = (char *)"--";
		*path = PLAN_INIT_DESTINATION;
	} else {
		*path = s->exec_path;
	}
	for (size_t i = 0; i < args->n; i++)
		argv[n++] = (char *)args->v[i];
	return argv;
}

static char **prepared_env, **prepared_args;
static const char *prepared_path;

/* All that allocates or reads files, before the filter and the wait. */
static int stage_arguments(struct setup *s, struct error *err)
{
	sigset_t none;

	(void)err;
	prepared_env = make_env(s);
	prepared_args = make_args(s, &prepared_path);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

static int stage_exec(struct setup *s, struct error *err)
{
	(void)execve(prepared_path, prepared_args, prepared_env);
	return exec_error(s->plan && s->plan->init_path ? PLAN_INIT_DESTINATION
							: s->process->args.v[0],
			  errno, err);
}

/* -- tables -------------------------------------------------------------------------------- */

static int stage_cgroup(struct setup *s, struct error *err)
{
	return setup_wait_cgroup(s, err);
}

const struct stage create_stages[] = {
	{"null device", stage_null_device},
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
	{"standard streams", stage_stdio},
	{"security label", stage_lsm},
	{"descriptors", stage_close},
	{"working directory", stage_cwd},
	{"start", stage_go_early},
	{"user", stage_user},
	{NULL, stage_lookup}, /* the message is a contract of its own */
	{"arguments", stage_arguments},
	{"descriptors", stage_descriptors},
	{"resource limits", stage_rlimits},
	{"privileges", stage_privileges},
	{"start", stage_go},
	{NULL, stage_exec},
};
const size_t create_stage_count = ARRAY_SIZE(create_stages);

const struct stage exec_stages[] = {
	{"null device", stage_null_device},
	{"join namespaces", stage_join_target},
	{"user namespace", stage_user_namespace},
	{"session", stage_session},
	{"terminal", console_open_in_container},
	{"terminal", console_take_control},
	{"standard streams", stage_stdio},
	{"security label", stage_lsm},
	{"descriptors", stage_close},
	{"working directory", stage_cwd},
	{"user", stage_user},
	{NULL, stage_lookup},
	{"arguments", stage_arguments},
	{"descriptors", stage_descriptors},
	{"resource limits", stage_rlimits},
	{"privileges", stage_privileges},
	{"start", stage_go},
	{NULL, stage_exec},
};
const size_t exec_stage_count = ARRAY_SIZE(exec_stages);

void setup_run(struct setup *s, const struct stage *stages, size_t n)
{
	autoerror struct error err = {0};

	/* Our copy would keep us from seeing that the caller has died. */
	fd_close(&s->caller_sync_fd);
	for (size_t i = 0; i < n; i++) {
		if (stages[i].fn(s, &err) < 0) {
			(void)sync_send_error(s->sync_fd, SYNC_ERROR, stages[i].name,
					      &err); /* nobody else to tell */
			break;
		}
	}
	_exit(127);
}
