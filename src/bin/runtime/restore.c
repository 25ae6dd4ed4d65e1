/* restore: a container from images of criu's. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "bin/runtime/commands.h"
#include "bin/runtime/creation.h"
#include "bin/runtime/external.h"
#include "bin/runtime/session.h"
#include "linux/ns.h"
#include "linux/pidfd.h"
#include "linux/procfs.h"
#include "runtime/foreground.h"
#include "runtime/state.h"

#define RESTORE_LOG     "restore.log"
#define RESTORE_ROOT    "criu-root"
#define CGROUP_FILE_MAX ((size_t)1 << 20)

/* criu wants the root to be a mount, and makes more: in a mount namespace of ours, so that nobody sees
 * them.  Before any directory is opened, for criu mounts things below those. */
static int leave_mount_namespace(struct error *err)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make a mount namespace");
	return 0;
}

static int mount_root(struct session *s, char **ret, struct error *err)
{
	autofree char *path = xasprintf("%s/%s/" RESTORE_ROOT, s->o->value[OPT_ROOT], s->state->id);
	autofree char *absolute = NULL;

	if (mkdir(path, 0700) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create '%s'", path);
	absolute = realpath(path, NULL);
	if (!absolute || mount(s->state->rootfs, absolute, NULL, MS_BIND | MS_REC, NULL) < 0)
		return error_set(err, ERROR_INVALID, errno, "mount '%s'", s->state->rootfs);
	*ret = TAKE_PTR(absolute);
	return 0;
}

/* Where criu itself is by now is where it is to put the container. */
static int set_cgroup_roots(struct session *s, struct error *err)
{
	autofree char *path = xasprintf("/proc/%d/cgroup", (int)s->criu.pid), *text = NULL;
	char *rest, *line;
	int r = file_read(AT_FDCWD, path, CGROUP_FILE_MAX, &text, NULL, err);

	if (r < 0)
		return r;
	rest = text;
	while ((line = strsep(&rest, "\n"))) {
		const char *controllers;

		(void)strsep(&line, ":");
		controllers = line ? strsep(&line, ":") : NULL;
		if (controllers && line)
			criu_add_pair(&s->opts, CRIU_CG_ROOT, controllers, line);
	}
	return 0;
}

/* Loopback is up in every container of ours, and sockets that listen on it need that. */
static int set_loopback_up(pid_t pid, struct error *err)
{
	autoclose int proc = procfs_open(err);
	autoclose int own = proc < 0 ? -EBADF : ns_open_pid(proc, getpid(), "net");
	autoclose int theirs = proc < 0 ? -EBADF : ns_open_pid(proc, pid, "net");
	int r;

	if (proc < 0)
		return proc;
	if (own < 0 || theirs < 0)
		return error_set(err, ERROR_INTERNAL, own < 0 ? -own : -theirs,
				 "open the network namespace");
	r = ns_join(theirs, CLONE_NEWNET, "the network namespace", err);
	if (r < 0)
		return r;
	r = ns_loopback_up(err);
	if (setns(own, CLONE_NEWNET) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "leave the network namespace");
	return r;
}

static int on_restore_step(void *data, const char *step, pid_t pid, int fd, struct error *err)
{
	struct session *s = data;
	const struct oci_namespace *net = &s->spec->linux_.namespaces[OCI_NAMESPACE_NETWORK];
	int r = 0;

	if (strcmp(step, "setup-namespaces") == 0) {
		if (net->present && !net->path)
			r = set_loopback_up(pid, err);
		return r < 0 ? r
			     : runtime_run_create_hooks(s->spec, s->state->id, pid,
							s->state->bundle, err);
	}
	if (strcmp(step, "orphan-pts-master") == 0 && fd >= 0) {
		s->console_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (s->console_fd < 0)
			return error_set(err, ERROR_INTERNAL, errno, "keep the terminal");
	}
	return 0;
}

static void set_options(struct session *s, const char *root)
{
	const char *profile = s->o->value[OPT_LSM_PROFILE];
	const char *context = s->o->value[OPT_LSM_MOUNT_CONTEXT];

	criu_add_string(&s->opts, CRIU_ROOT, root);
	criu_add_int(&s->opts, CRIU_RST_SIBLING, 1); /* a child of ours */
	criu_add_int(&s->opts, CRIU_EVASIVE_DEVICES, 1);
	if (profile)
		criu_add_string(&s->opts, CRIU_LSM_PROFILE, profile);
	if (context)
		criu_add_string(&s->opts, CRIU_LSM_MOUNT_CONTEXT, context);
}

static int start_criu(struct session *s, struct error *err)
{
	struct external_fds fds = {0};
	struct criu_inherited inherited[ARRAY_SIZE(fds.v)];
	int r = external_restore_namespaces(s->spec, CRIU_FIRST_FD, &s->opts, &fds, err);

	for (size_t i = 0; i < fds.n; i++)
		inherited[i] = (struct criu_inherited){fds.v[i], CRIU_FIRST_FD + (int)i};
	if (r == 0)
		r = criu_start(&s->criu, s->o->value[OPT_CRIU], inherited, fds.n, err);
	external_fds_done(&fds);
	return r;
}

/* criu is put into the container's cgroup, and what it restores is born there. */
static int restore_process(struct session *s, struct creation *cr, const char *root, pid_t *ret_pid,
			   struct error *err)
{
	const struct external_args external = {s->spec, s->state, s->images_fd};
	autoclose int rootfs_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = rootfs_fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "open '%s'", root) : 0;

	set_options(s, root);
	if (r == 0)
		r = start_criu(s, err);
	if (r == 0)
		r = runtime_adopt(&cr->args, s->criu.pid, &cr->c, err);
	if (r == 0)
		r = external_restore(&external, rootfs_fd, &s->opts, err);
	if (r == 0)
		r = set_cgroup_roots(s, err);
	s->criu.data = s;
	s->criu.on_step = on_restore_step;
	return r < 0 ? r : session_call(s, CRIU_RESTORE, RESTORE_LOG, ret_pid, err);
}

/* It is one of ours from now on. */
static int take_process(struct session *s, struct creation *cr, pid_t pid, struct error *err)
{
	autofree char *path = xasprintf("/proc/%d/ns/time", (int)pid);
	int pidfd = pidfd_of(pid);
	struct stat own, theirs;

	if (pidfd < 0)
		return error_set(err, ERROR_INTERNAL, -pidfd, "open the restored process");
	runtime_set_process(cr->c, pid, pidfd, TAKE_FD(s->console_fd));
	/* criu makes a time namespace, so that clocks go on where they were. */
	cr->state->own_time = stat("/proc/self/ns/time", &own) == 0 && stat(path, &theirs) == 0 &&
			      own.st_ino != theirs.st_ino;
	return state_note_process(cr->state, pid, err);
}

static int restore(struct session *s, struct creation *cr, struct error *err)
{
	autofree char *root = NULL;
	pid_t pid = 0;
	int r = leave_mount_namespace(err);

	if (r == 0)
		r = session_begin(s, RESTORE_LOG, err);
	if (r == 0)
		r = state_save_config(cr->state, cr->bundle.text, cr->bundle.len, err);
	if (r == 0)
		r = mount_root(s, &root, err);
	if (r == 0)
		r = restore_process(s, cr, root, &pid, err);
	if (r == 0)
		r = take_process(s, cr, pid, err);
	if (root) {
		(void)umount2(root, MNT_DETACH); /* of a namespace that goes with us */
		(void)rmdir(root);
	}
	return r < 0 ? r : creation_record(cr, err);
}

int command_restore(const struct options *o, int *ret_code, struct error *err)
{
	autocreation struct creation cr = CREATION_INIT(o);
	struct session s = SESSION_INIT(o);
	bool detach = options_has(o, OPT_DETACH), subreaper = false;
	int r = creation_begin(&cr, detach, err);

	s.spec = &cr.bundle.spec;
	s.state = cr.state;
	if (r == 0 && !detach) {
		foreground_block_signals();
		subreaper = creation_adopt_orphans(&cr);
	}
	if (r == 0)
		r = restore(&s, &cr, err);
	session_done(&s);
	if (r < 0) {
		creation_roll_back(&cr);
		return r;
	}
	return detach ? 0 : creation_stay(&cr, subreaper, ret_code, err);
}
