/* The program that a process executes: where it is, what it gets, and execve(2). */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/str.h"
#include "linux/sys.h"
#include "runtime/setup_priv.h"

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
int program_look_up(struct setup *s, struct error *err)
{
	const char *name = s->process->args.v[0], *path = get_env(s->process, "PATH");
	int errnum = ENOENT, r;

	if (s->process->user.uid != 0 || s->process->cwd[0] != '/') {
		r = process_enter_cwd(s, err); /* as the user, if root could not */
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

static bool is_annotated(const struct oci_spec *spec, const char *key)
{
	for (size_t i = 0; i < spec->annotations.n; i++)
		if (str_eq(spec->annotations.keys[i], key))
			return str_eq(spec->annotations.values[i], "true");
	return false;
}

/* All that allocates or reads files, before the filter and the wait. */
int program_prepare(struct setup *s, struct error *err)
{
	sigset_t mask;

	(void)err;
	prepared_env = make_env(s);
	prepared_args = make_args(s, &prepared_path);
	/* The kernel drops what process 1 neither blocks nor handles: an init that blocks all signals itself begins
	 * with them blocked, so that one that comes before it does is not lost. */
	if (s->plan && is_annotated(s->spec, OCI_BLOCKED_SIGNALS))
		(void)sigfillset(&mask);
	else
		(void)sigemptyset(&mask);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	return 0;
}

int program_execute(struct setup *s, struct error *err)
{
	(void)execve(prepared_path, prepared_args, prepared_env);
	return exec_error(s->plan && s->plan->init_path ? PLAN_INIT_DESTINATION
							: s->process->args.v[0],
			  errno, err);
}
