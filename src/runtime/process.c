/* What a process is, apart from its program: streams, working directory, labels, scheduling, limits,
 * user, capabilities, filter.  Each function is a stage of setup.c, whose tables have the order. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/str.h"
#include "linux/apparmor.h"
#include "linux/caps.h"
#include "linux/descriptors.h"
#include "linux/keyring.h"
#include "linux/lsm.h"
#include "linux/rlimits.h"
#include "linux/scheduling.h"
#include "linux/seccomp_program.h"
#include "linux/selinux.h"
#include "linux/sys.h"
#include "runtime/setup_priv.h"

static void warn(struct setup *s, const struct error *err)
{
	(void)sync_send_error(s->sync_fd, SYNC_WARNING, NULL, err); /* who is gone needs none */
}

/* -- streams and directory ----------------------------------------------------------------- */

static bool is_null_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3);
}

/* The host's: the container's may be a link to one of the descriptors that we still hold. */
int process_open_null(struct setup *s, struct error *err)
{
	s->null_fd = open("/dev/null", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (s->null_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open /dev/null");
	if (!is_null_device(s->null_fd))
		return error_set(err, ERROR_FORBIDDEN, 0, "/dev/null is not the null device");
	return 0;
}

int process_set_streams(struct setup *s, struct error *err)
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
int process_enter_cwd(struct setup *s, struct error *err)
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

int process_try_cwd(struct setup *s, struct error *err)
{
	int r = process_enter_cwd(s, NULL);

	return r == -EACCES ? 0 : r < 0 ? process_enter_cwd(s, err) : 0;
}

/* All but these is closed here, not just at execve(2): until then /proc/self/fd leads whatever is
 * looked up to the host's directories that we hold, the working directory, the program and its
 * interpreter among them (CVE-2024-21626). */
int process_close_descriptors(struct setup *s, struct error *err)
{
	const int keep[] = {s->sync_fd, s->listen_fd, s->console_fd};
	char pid[16] = "";
	int r;

	/* the host's procfs: the host's number */
	if (s->seccomp && seccomp_program_notifies(s->seccomp) &&
	    (readlinkat(s->proc_fd, "self", pid, sizeof(pid) - 1) < 0 ||
	     str_parse_int(pid, &s->own_pid) < 0))
		return error_set(err, ERROR_INTERNAL, errno, "find our own pid");
	r = descriptors_close(s->proc_fd, 3 + s->preserve_fds, keep, ARRAY_SIZE(keep), err);
	s->proc_fd = s->bundle_fd = s->null_fd = s->tty_fd = s->target_pidfd = -EBADF;
	return r;
}

/* What the caller wants preserved stays at execve(2); whatever else is open is close-on-exec by
 * birth, for what was inherited is closed. */
int process_keep_descriptors(struct setup *s, struct error *err)
{
	for (unsigned fd = 3; fd <= 2 + s->preserve_fds; fd++)
		if (fcntl((int)fd, F_SETFD, 0) < 0)
			return error_set(err, ERROR_INVALID, errno, "preserve fd %u", fd);
	return 0;
}

/* -- labels and keys ----------------------------------------------------------------------- */

int process_check_labels(const struct oci_process *p, struct error *err)
{
	if (!str_empty(p->selinux_label) && !selinux_is_enabled())
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "process.selinuxLabel: SELinux is not enabled");
	if (!str_empty(p->apparmor_profile) && strcmp(p->apparmor_profile, "unconfined") != 0 &&
	    !apparmor_is_enabled())
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "process.apparmorProfile: AppArmor is not enabled");
	return 0;
}

static int wrap_selinux(const struct oci_process *p, int r, struct error *err)
{
	return error_wrap(err, r, "process.selinuxLabel: SELinux label '%s'", p->selinux_label);
}

int process_set_labels(struct setup *s, struct error *err)
{
	const struct oci_process *p = s->process;
	int r = 0;

	/* "unconfined" is what everything is where there is no AppArmor. */
	if (!str_empty(p->apparmor_profile) && s->has_apparmor) {
		r = lsm_apparmor_exec(s->proc_fd, p->apparmor_profile, err);
		if (r < 0)
			return error_wrap(err, r, "process.apparmorProfile '%s'",
					  p->apparmor_profile);
	}
	if (!str_empty(p->selinux_label)) {
		r = lsm_selinux_exec(s->proc_fd, p->selinux_label, err);
		if (r < 0)
			return wrap_selinux(p, r, err);
	}
	return 0;
}

/* The host's session keyring is not the container's. */
int process_join_keyring(struct setup *s, struct error *err)
{
	const struct oci_namespace *user = &s->spec->linux_.namespaces[OCI_NAMESPACE_USER];
	autofree char *name = xasprintf("_ses.%s", s->id);
	const char *label = s->process->selinux_label;
	autoerror struct error why = {0};
	int r = 0;

	if (s->no_new_keyring)
		return 0;
	if (!str_empty(label))
		r = lsm_selinux_keycreate(s->proc_fd, label, err);
	if (r < 0)
		return wrap_selinux(s->process, r, err);
	r = keyring_join_session(name, user->present, &why);
	if (r == -EPERM) {
		/* Somebody's filter keeps us from keys, and so whoever comes after us. */
		warn(s, &why);
		r = 0;
	}
	if (r < 0)
		return error_move(err, &why, r);
	return str_empty(label) ? 0 : lsm_selinux_keycreate(s->proc_fd, NULL, err);
}

/* -- scheduling ---------------------------------------------------------------------------- */

static int set_scheduler(const struct oci_scheduler *o, struct error *err)
{
	const struct scheduling s = {.policy = o->policy,
				     .nice = o->nice,
				     .priority = (uint32_t)o->priority,
				     .flags = o->flags,
				     .runtime = o->runtime,
				     .deadline = o->deadline,
				     .period = o->period};
	int r = scheduling_set(&s, err);

	return r < 0 ? error_wrap(err, r, "process.scheduler: %s", o->policy_name) : 0;
}

int process_set_scheduling(struct setup *s, struct error *err)
{
	const struct oci_process *p = s->process;
	const struct oci_linux *l = &s->spec->linux_;
	int r = 0;

	if (!s->plan && !str_empty(p->exec_cpu_affinity.final)) {
		r = scheduling_set_cpus(p->exec_cpu_affinity.final, err);
		if (r < 0)
			return error_wrap(err, r, "process.execCPUAffinity.final");
	}
	if (p->scheduler)
		r = set_scheduler(p->scheduler, err);
	if (r == 0 && p->io_priority) {
		r = scheduling_set_io(p->io_priority->io_class, (unsigned)p->io_priority->priority,
				      err);
		if (r < 0)
			return error_wrap(err, r, "process.ioPriority");
	}
	if (r == 0 && l->memory_policy) {
		r = scheduling_set_memory(l->memory_policy->mode, l->memory_policy->flags,
					  l->memory_policy->nodes, err);
		if (r < 0)
			return error_wrap(err, r, "linux.memoryPolicy");
	}
	if (r == 0 && l->personality && personality(*l->personality) < 0)
		return error_set(err, ERROR_INVALID, errno, "linux.personality");
	return r;
}

/* -- limits -------------------------------------------------------------------------------- */

static int set_limit(const struct oci_process *p, size_t i, struct error *err)
{
	const struct oci_rlimit *limit = oci_at(&p->rlimits, struct oci_rlimit, i);
	const struct rlimit want = {.rlim_cur = limit->soft, .rlim_max = limit->hard};
	unsigned resource = (unsigned)rlimit_parse(limit->type); /* known: the parser has looked */
	struct rlimit now;
	int errnum;

	if (prlimit(0, resource, &want, NULL) == 0)
		return 0;
	errnum = errno;
	/* Raising the hard limit takes CAP_SYS_RESOURCE; what it is already is no raising. */
	if (errnum == EPERM && prlimit(0, resource, NULL, &now) == 0 &&
	    now.rlim_cur == want.rlim_cur && now.rlim_max == want.rlim_max)
		return 0;
	return error_set(err, errnum == EINVAL ? ERROR_INVALID : ERROR_INTERNAL, errnum,
			 "process.rlimits[%zu]: set %s to %" PRIu64 ":%" PRIu64, i, limit->type,
			 limit->soft, limit->hard);
}

/* By the process itself: nobody without CAP_SYS_RESOURCE may set those of another user's process. */
static int set_limits(struct setup *s, bool open_files, struct error *err)
{
	const struct caps all = {CAP_SET_ALL, CAP_SET_ALL, CAP_SET_ALL, 0, 0};
	const struct json_objects *limits = &s->process->rlimits;
	int r = limits->n > 0 ? caps_apply(&all, NULL, err) : 0;

	for (size_t i = 0; r == 0 && i < limits->n; i++)
		if ((rlimit_parse(oci_at(limits, struct oci_rlimit, i)->type) == RLIMIT_NOFILE) ==
		    open_files)
			r = set_limit(s->process, i, err);
	return r;
}

int process_set_limits(struct setup *s, struct error *err)
{
	return set_limits(s, false, err);
}

/* Behind everything that opens files, since the limit may be lower than what is open. */
int process_limit_files(struct setup *s, struct error *err)
{
	return set_limits(s, true, err);
}

/* -- user and privileges ------------------------------------------------------------------- */

/* Unknown ones are left out. */
static uint64_t cap_set(const struct json_strings *names)
{
	uint64_t set = 0;

	for (size_t i = 0; i < names->n; i++) {
		int cap = caps_parse(names->v[i]);

		if (cap >= 0 && cap < caps_count())
			set |= (uint64_t)1 << cap;
	}
	return set;
}

static bool contains(const struct json_strings *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(names->v[i], name))
			return true;
	return false;
}

/* The specification: what cannot be mapped or granted is logged, and the container runs.  Once for
 * each name, though it stand in all sets. */
static void warn_unknown(struct setup *s, const struct oci_capabilities *c)
{
	const struct json_strings *sets[] = {&c->bounding, &c->effective, &c->permitted,
					     &c->inheritable, &c->ambient};

	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		for (size_t j = 0; j < sets[i]->n; j++) {
			autoerror struct error e = {0};
			const char *name = sets[i]->v[j];
			int cap = caps_parse(name);
			bool said = (cap >= 0 && cap < caps_count()) || contains(sets[i], j, name);

			for (size_t k = 0; k < i; k++)
				said = said || contains(sets[k], sets[k]->n, name);
			if (said)
				continue;
			(void)error_set(&e, ERROR_INVALID, 0, "unknown capability '%s' is ignored",
					name);
			warn(s, &e);
		}
}

int process_drop_bounding(struct setup *s, struct error *err)
{
	const struct oci_capabilities *caps = s->process->capabilities;
	int r = caps && !s->bounding_dropped ? caps_apply_bounding(cap_set(&caps->bounding), err)
					     : 0;

	s->bounding_dropped = r == 0;
	return r;
}

int process_set_user(struct setup *s, struct error *err)
{
	const struct oci_user *user = &s->process->user;
	int r;

	if (s->process->capabilities)
		warn_unknown(s, s->process->capabilities);
	r = process_drop_bounding(s, err);
	if (r < 0)
		return r;
	/* Permitted capabilities survive the change of user until caps_apply. */
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "keep capabilities");
	if (syscall(SYS_setgroups, user->additional_gid_count, user->additional_gids) < 0) {
		/* A user namespace without setgroups: fine as long as none are asked for. */
		if (errno != EPERM || user->additional_gid_count)
			return error_set(err, ERROR_INTERNAL, errno, "set supplementary groups");
	}
	/* (uid_t)-1 would leave it as it is: root. */
	if (user->uid == (uid_t)-1 || user->gid == (gid_t)-1)
		return error_set(err, ERROR_INVALID, 0, "user %u:%u: there is no such id",
				 user->uid, user->gid);
	if (syscall(SYS_setresgid, user->gid, user->gid, user->gid) < 0)
		return error_set(err, ERROR_INVALID, errno, "set gid %u", user->gid);
	if (syscall(SYS_setresuid, user->uid, user->uid, user->uid) < 0)
		return error_set(err, ERROR_INVALID, errno, "set uid %u", user->uid);
	(void)umask(user->umask ? (mode_t)*user->umask : 0022);
	return 0;
}

/* In one message: who is told wakes up for each. */
static void warn_missing(struct setup *s, uint64_t missing)
{
	autostrbuf struct strbuf list = STRBUF_INIT(SYNC_TEXT_SIZE);
	autoerror struct error warning = {0};

	for (int i = 0; i < caps_count(); i++)
		if (missing & (uint64_t)1 << i)
			strbuf_addf(&list, "%s%s", list.len ? ", " : "",
				    caps_name(i) ? caps_name(i) : "a capability");
	if (list.len == 0)
		return; /* this kernel knows none of them: warn_unknown() */
	(void)error_set(&warning, ERROR_INVALID, 0, "%s cannot be granted", list.s);
	warn(s, &warning);
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
	want = (struct caps){.effective = cap_set(&c->effective),
			     .permitted = cap_set(&c->permitted),
			     .inheritable = cap_set(&c->inheritable),
			     .ambient = cap_set(&c->ambient)};
	r = caps_apply(&want, &missing, err);
	if (r == 0 && missing)
		warn_missing(s, missing);
	return r;
}

static int load_filter(struct setup *s, struct error *err)
{
	if (!s->seccomp)
		return 0;
	return seccomp_program_notifies(s->seccomp) ? agent_load_filter(s, err)
						    : seccomp_program_load(s->seccomp, err);
}

/* Without no_new_privs a filter needs CAP_SYS_ADMIN, so it goes in just before the capabilities are
 * dropped, with all of them raised; otherwise it is the very last thing. */
int process_drop_privileges(struct setup *s, struct error *err)
{
	int r;

	if (s->process->no_new_privileges) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "set no_new_privs");
		r = apply_caps(s, err);
		if (r < 0)
			return r;
		return load_filter(s, err);
	}
	if (s->seccomp) {
		struct caps all = {CAP_SET_ALL, CAP_SET_ALL, CAP_SET_ALL, 0, 0};

		r = caps_apply(&all, NULL, err);
		if (r < 0)
			return r;
		r = load_filter(s, err);
		if (r < 0)
			return r;
	}
	return apply_caps(s, err);
}
