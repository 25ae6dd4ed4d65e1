/* Hooks of the runtime-spec: programs run at points of a container's life, with its state on their
 * standard input. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/json.h"
#include "base/spawn.h"
#include "base/str.h"
#include "linux/pidfd.h"
#include "runtime/setup_priv.h"

#define STATE_MAX ((size_t)1 << 20)

char *runtime_state_json(const struct oci_spec *spec, const char *id, const char *status, pid_t pid,
			 const char *bundle)
{
	struct strbuf out = STRBUF_INIT(STATE_MAX);
	struct json_writer w;

	json_writer_init(&w, &out);
	jw_object(&w);
	jw_kstring(&w, "ociVersion", OCI_SPEC_VERSION);
	jw_kstring(&w, "id", id);
	jw_kstring(&w, "status", status);
	if (pid > 0)
		jw_kint(&w, "pid", pid);
	jw_kstring(&w, "bundle", bundle);
	if (spec->annotations.n) {
		jw_kobject(&w, "annotations");
		for (size_t i = 0; i < spec->annotations.n; i++)
			jw_kstring(&w, spec->annotations.keys[i], spec->annotations.values[i]);
		jw_object_end(&w);
	}
	jw_object_end(&w);
	return strbuf_take(&out);
}

#define CHILD_POLL_MS 5 /* before Linux 5.3 nobody tells with a time limit */

/* pidfd_wait() for a child; /proc may be another pid namespace's here, so a pid is no name in it. */
static int wait_hook(pid_t pid, int pidfd, int timeout_ms)
{
	if (pidfd >= 0)
		return pidfd_wait(pidfd, timeout_ms);
	for (int left = timeout_ms; timeout_ms < 0 || left > 0; left -= CHILD_POLL_MS) {
		siginfo_t info = {0};

		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid)
			return 1;
		(void)poll(NULL, 0, CHILD_POLL_MS);
	}
	return 0;
}

static int hook_run(const struct oci_hook *hook, int state_fd, struct error *err)
{
	static const char *const no_env[] = {NULL};
	const char *default_args[] = {hook->path, NULL};
	const struct spawn_fd fds[] = {{state_fd, 0}};
	const struct spawn_args args = {
		.path = hook->path,
		.exec_fd = -EBADF,
		.argv = hook->args.n ? (const char *const *)hook->args.v : default_args,
		.envp = hook->env.n ? (const char *const *)hook->env.v : no_env,
		.fds = fds,
		.fd_count = 1,
	};
	autoclose int pidfd = -EBADF;
	siginfo_t info = {0};
	pid_t pid;
	int r = spawn(&args, &pid, &pidfd, err);

	if (r < 0)
		return r;
	r = wait_hook(pid, pidfd, hook->timeout ? *hook->timeout * 1000 : -1);
	if (r == 0)
		(void)kill(pid, SIGKILL); /* our child, and not reaped yet */
	while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0 && errno == EINTR)
		;
	if (r == 0)
		return error_set(err, ERROR_INTERNAL, ETIMEDOUT, "hook '%s'", hook->path);
	if (info.si_code != CLD_EXITED || info.si_status != 0)
		return error_set(err, ERROR_INTERNAL, 0, "hook '%s': %s %d", hook->path,
				 info.si_code == CLD_EXITED ? "exit status" : "killed by signal",
				 info.si_status);
	return 0;
}

int hooks_run(const struct json_objects *hooks, const char *name, const char *state,
	      struct error *err)
{
	for (size_t i = 0; i < hooks->n; i++) {
		autoclose int fd = fd_memfd("state", state, strlen(state), err);
		int r = fd < 0 ? fd : hook_run(oci_at(hooks, struct oci_hook, i), fd, err);

		if (r < 0)
			return error_wrap(err, r, "%s hook %zu", name, i);
	}
	return 0;
}
