/* Hooks of the runtime-spec: programs run at points of a container's life, with its state on their
 * standard input. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/spawn.h"
#include "base/str.h"
#include "linux/pidfd.h"
#include "runtime/setup_priv.h"

/* the annotations of a config.json, escaped */
#define STATE_MAX  ((size_t)16 << 20)
#define OUTPUT_MAX 512

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

static int timeout_ms(const struct oci_hook *hook)
{
	if (!hook->timeout)
		return -1;
	return *hook->timeout < INT_MAX / 1000 ? *hook->timeout * 1000 : INT_MAX;
}

/* The end of what it has said, in one line: it goes into the error. */
static void read_output(int fd, char ret[static OUTPUT_MAX])
{
	off_t end = lseek(fd, 0, SEEK_END);
	ssize_t n = pread(fd, ret, OUTPUT_MAX - 1, end < OUTPUT_MAX ? 0 : end - OUTPUT_MAX + 1);

	ret[n > 0 ? n : 0] = '\0';
	while (n > 0 && ret[n - 1] == '\n')
		ret[--n] = '\0';
	for (char *p = ret; *p; p++)
		if ((unsigned char)*p < ' ')
			*p = ' ';
}

static int failure(const struct oci_hook *hook, const siginfo_t *info, int output_fd,
		   struct error *err)
{
	char output[OUTPUT_MAX];

	read_output(output_fd, output);
	return error_set(err, ERROR_INTERNAL, 0, "hook '%s': %s %d%s%s", hook->path,
			 info->si_code == CLD_EXITED ? "exit status" : "killed by signal",
			 info->si_status, output[0] ? ": " : "", output);
}

static int hook_run(const struct oci_hook *hook, int state_fd, struct error *err)
{
	static const char *const no_env[] = {NULL};
	const char *default_args[] = {hook->path, NULL};
	autoclose int output_fd = memfd_create("hook", MFD_CLOEXEC), pidfd = -EBADF;
	const struct spawn_fd fds[] = {{state_fd, 0}, {output_fd, 1}, {output_fd, 2}};
	const struct spawn_args args = {
		.path = hook->path,
		.exec_fd = -EBADF,
		.argv = hook->args.n ? (const char *const *)hook->args.v : default_args,
		.envp = hook->env.n ? (const char *const *)hook->env.v : no_env,
		.fds = fds,
		.fd_count = ARRAY_SIZE(fds),
	};
	siginfo_t info = {0};
	pid_t pid;
	int r;

	if (output_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create a memfd");
	r = spawn(&args, &pid, &pidfd, err);
	if (r < 0)
		return r;
	r = wait_hook(pid, pidfd, timeout_ms(hook));
	if (r == 0)
		(void)kill(pid, SIGKILL); /* our child, and not reaped yet */
	while (waitid(P_PID, (id_t)pid, &info, WEXITED) < 0 && errno == EINTR)
		;
	if (r == 0)
		return error_set(err, ERROR_INTERNAL, ETIMEDOUT, "hook '%s'", hook->path);
	if (info.si_code != CLD_EXITED || info.si_status != 0)
		return failure(hook, &info, output_fd, err);
	return 0;
}

static int run_nth(const struct json_objects *hooks, size_t i, const char *name, const char *state,
		   struct error *err)
{
	autoclose int fd = fd_memfd("state", state, strlen(state), err);
	int r = fd < 0 ? fd : hook_run(oci_at(hooks, struct oci_hook, i), fd, err);

	return r < 0 ? error_wrap(err, r, "%s hook %zu", name, i) : 0;
}

int hooks_run(const struct json_objects *hooks, const char *name, const char *state,
	      struct error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < hooks->n; i++)
		r = run_nth(hooks, i, name, state, err);
	return r;
}

void hooks_run_all(const struct json_objects *hooks, const char *name, const char *state)
{
	for (size_t i = 0; i < hooks->n; i++) {
		autoerror struct error err = {0};

		if (run_nth(hooks, i, name, state, &err) < 0)
			log_warn("%s", error_msg(&err));
	}
}
