/* Running an OCI runtime's program.
 *
 * Between the shim and the program there is one more execve(2): of our own binary, by its descriptor,
 * which asks to die with the shim (prctl(2), PR_SET_PDEATHSIG, kept across execve), gives up the shim's
 * protection from the OOM killer, and executes the program.  So a shim that is killed in the middle of a
 * creation leaves no program behind that would go on making a container which nobody knows.
 *
 * Why that failed, it tells through a close-on-exec pipe; end of file there means that it did not.
 */
#include "shim/program.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/spawn.h"
#include "linux/pidfd.h"

#define TIME_LIMIT_MS (60 * 1000)
#define ASK_MS        5 /* without a pidfd */
#define NS_PER_MS     1000000
#define LOG_MAX       ((size_t)1 << 20)
#define TEXT_MAX      ((size_t)4096) /* of stderr */
#define STATUS_FD     3

/* -- the process in between ---------------------------------------------------------------- */

enum word { WORD_PROGRAM, WORD_NAME, WORD_PARENT, WORD_PATH, WORD_ARGV };

static int fail(int errnum)
{
	(void)!write(STATUS_FD, &errnum, sizeof(errnum));
	return 1;
}

int program_become(int argc, char **argv)
{
	char parent[16];

	if (argc <= WORD_ARGV || fcntl(STATUS_FD, F_SETFD, FD_CLOEXEC) < 0)
		return 1;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return fail(errno);
	(void)snprintf(parent, sizeof(parent), "%d", (int)getppid());
	if (strcmp(parent, argv[WORD_PARENT]) != 0)
		return 1; /* the shim is gone already */
	/* Without CAP_SYS_RESOURCE it can only be raised, which this does. */
	(void)file_write_value(AT_FDCWD, "/proc/self/oom_score_adj", "0", NULL);
	(void)execvp(argv[WORD_PATH], argv + WORD_ARGV);
	return fail(errno);
}

/* -- what went wrong ----------------------------------------------------------------------- */

static const struct {
	const char *text;
	int errnum;
} causes[] = {
	/* Docker tells the exit code by these words. */
	{"executable file not found", ENOENT},
	{"executable file `", ENOENT}, /* crun's */
	{"no such file or directory", ENOENT},
	{"permission denied", EACCES},
	{"is a directory", EACCES},
	{"exec format error", ENOEXEC},
};

static const char *const gone[] = {"not running", "already finished", "no such process",
				   "does not exist", "stopped"};

/* What an error of creating or executing is, in the terms of runtime/runtime.h; of all else that the
 * container is gone. */
static int classify(const struct program_call *call, const char *text, enum error_kind *ret)
{
	bool makes = strcmp(call->what, "create") == 0 || strcmp(call->what, "exec") == 0 ||
		     strcmp(call->what, "start") == 0;

	*ret = ERROR_INTERNAL;
	for (size_t i = 0; makes && i < ARRAY_SIZE(causes); i++)
		if (strcasestr(text, causes[i].text)) {
			*ret = ERROR_INVALID;
			return causes[i].errnum;
		}
	for (size_t i = 0; !makes && i < ARRAY_SIZE(gone); i++)
		if (strcasestr(text, gone[i]))
			*ret = ERROR_CONFLICT;
	return 0;
}

static int failed(const struct program_call *call, const char *text, struct error *err)
{
	enum error_kind kind;
	int errnum = classify(call, text, &kind);

	(void)error_set(err, kind, 0, "OCI runtime %s failed: %s", call->what, text);
	if (err)
		err->errnum = errnum;
	return errnum ? -errnum : -EIO;
}

static const char *error_of_line(struct arena *a, const char *line)
{
	const struct json *v;
	const char *level;

	if (json_parse(a, line, strlen(line), &v, NULL) < 0)
		return NULL;
	level = json_get_string(v, "level");
	if (!level || (strcmp(level, "error") != 0 && strcmp(level, "fatal") != 0))
		return NULL;
	return json_get_string(v, "msg");
}

/* The last error that its log tells of, in the arena; NULL: none. */
static const char *read_log(const struct program *p, struct arena *a)
{
	autofree char *text = NULL;
	const char *found = NULL;
	char *save = NULL;

	if (file_read(AT_FDCWD, p->log, LOG_MAX, &text, NULL, NULL) < 0)
		return NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *msg = error_of_line(a, line);

		found = msg ? msg : found;
	}
	return found;
}

/* What was written to a memfd or into a pipe, at most TEXT_MAX bytes of it, in the arena.  A pipe is
 * empty then: what a runtime says that makes no container must not become the container's output. */
static char *take_output(int fd, struct arena *a)
{
	char path[32], *text = arena_new0n(a, char, TEXT_MAX + 1), rest[512];
	autoclose int own = -EBADF;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = fd < 0 ? -EBADF : open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (own < 0)
		return text;
	(void)fd_read_full(own, text, TEXT_MAX); /* or what there was: it is zeroed */
	while (read(own, rest, sizeof(rest)) > 0)
		;
	return text;
}

/* The last line that says something; NULL: none. */
static const char *last_line(char *text)
{
	size_t n = strlen(text);
	const char *nl;

	while (n > 0 && strchr("\r\n ", text[n - 1]))
		text[--n] = '\0';
	nl = strrchr(text, '\n');
	return n == 0 ? NULL : nl ? nl + 1 : text;
}

static int tell_failure(const struct program *p, const struct program_call *call,
			const int stdio[3], const siginfo_t *si, struct error *err)
{
	autoarena struct arena *a = arena_new();
	const char *text = read_log(p, a), *said = last_line(take_output(stdio[2], a));
	char status[64];

	(void)take_output(stdio[1], a);
	if (si->si_code == CLD_EXITED)
		(void)snprintf(status, sizeof(status), "exit status %d", si->si_status);
	else
		(void)snprintf(status, sizeof(status), "signal: %d", si->si_status);
	if (!text)
		text = said;
	return failed(call, text ? text : arena_printf(a, "%s: %s", p->path, status), err);
}

/* -- the call ------------------------------------------------------------------------------ */

enum end { END_OWN, END_LATE, END_GIVEN_UP };

static enum end wait_process(pid_t pid, int pidfd, int give_up_fd)
{
	struct pollfd fds[] = {
		{.fd = give_up_fd > 0 ? give_up_fd : -1}, /* POLLHUP always counts */
		{.fd = pidfd, .events = POLLIN},          /* none before Linux 5.3 */
	};
	const int64_t end = clock_monotonic_ns() / NS_PER_MS + TIME_LIMIT_MS;
	int64_t left;

	while ((left = end - clock_monotonic_ns() / NS_PER_MS) > 0) {
		siginfo_t info = {0};

		if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid)
			return END_OWN;
		(void)poll(fds, ARRAY_SIZE(fds), fds[1].fd >= 0 ? (int)left : ASK_MS);
		if (fds[0].revents & POLLHUP)
			return END_GIVEN_UP;
	}
	return END_LATE;
}

/* Reaped in any case. */
static enum end await_end(pid_t pid, int pidfd, int give_up_fd, siginfo_t *ret)
{
	enum end end = wait_process(pid, pidfd, give_up_fd);

	if (end != END_OWN)
		(void)kill(pid, SIGKILL);
	while (waitid(P_PID, (id_t)pid, ret, WEXITED) < 0 && errno == EINTR)
		;
	return end;
}

static const char **make_argv(struct arena *a, const struct program *p,
			      const struct program_call *call)
{
	const char *const ours[] = {"vessel-shim", PROGRAM_WORD,
				    arena_printf(a, "%d", (int)getpid()), p->path, p->path};
	const char *const options[] = {"--root", p->root, "--log", p->log, "--log-format", "json"};
	const char **argv;
	size_t n = 0, count = 0;

	while (call->argv[count])
		count++;
	argv = arena_new0n(a, const char *,
			   ARRAY_SIZE(ours) + p->arg_count + ARRAY_SIZE(options) + count + 1);
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		argv[n++] = ours[i];
	for (size_t i = 0; i < p->arg_count; i++)
		argv[n++] = p->args[i];
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		argv[n++] = options[i];
	for (size_t i = 0; i < count; i++)
		argv[n++] = call->argv[i];
	return argv;
}

/* Its standard descriptors, and where it tells that it could not be executed. */
static int start(const struct program *p, const struct program_call *call, const int stdio[3],
		 int status_fd, pid_t *ret_pid, int *ret_pidfd, struct error *err)
{
	autoarena struct arena *a = arena_new();
	autoclose int self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	struct spawn_fd fds[4] = {{status_fd, STATUS_FD}};
	struct spawn_args args = {.exec_fd = self, .fds = fds, .fd_count = 1};

	if (self < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open our own program");
	for (int i = 0; i < 3; i++)
		if (stdio[i] >= 0)
			fds[args.fd_count++] = (struct spawn_fd){stdio[i], i};
	args.argv = make_argv(a, p, call);
	return spawn(&args, ret_pid, ret_pidfd, err);
}

/* dockerd's words, in which clients look for the exit code: its errors begin in lower case. */
static int not_executed(const struct program *p, const struct program_call *call, int errnum,
			struct error *err)
{
	const char *reason = strerror(errnum);
	autofree char *text =
		xasprintf("fork/exec %s: %c%s", p->path, tolower(reason[0]), reason + 1);

	return failed(call, text, err);
}

int program_run(const struct program *p, const struct program_call *call, struct error *err)
{
	autoclose int said = -EBADF, pidfd = -EBADF, from = -EBADF, to = -EBADF;
	int stdio[3] = {call->stdio[0], call->stdio[1], call->stdio[2]}, status[2], errnum = 0, r;
	siginfo_t si = {0};
	enum end end;
	pid_t pid;

	(void)unlink(p->log);
	if (pipe2(status, O_CLOEXEC) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "run '%s'", p->path);
	from = status[0];
	to = status[1];
	if (stdio[2] < 0)
		stdio[2] = said = memfd_create("oci-runtime", MFD_CLOEXEC);
	r = start(p, call, stdio, to, &pid, &pidfd, err);
	fd_close(&to);
	if (r < 0)
		return r;
	/* What is in between ends at once, or becomes the program. */
	r = fd_read_full(from, &errnum, sizeof(errnum));
	end = await_end(pid, pidfd, call->give_up_fd, &si);
	if (end != END_OWN)
		return failed(call, end == END_LATE ? "it takes too long: killed" : "given up",
			      err);
	if (r == (int)sizeof(errnum))
		return not_executed(p, call, errnum, err);
	if (si.si_code == CLD_EXITED && si.si_status == 0)
		return 0;
	return tell_failure(p, call, stdio, &si, err);
}
