/* What every container has: ids, capabilities, limits, namespaces, mounts, open files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/json.h"
#include "payload.h"

const char *payload_read(const char *path)
{
	static char text[65536];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0) {
		(void)snprintf(text, sizeof(text), "!%s", strerror(errno));
		return text;
	}
	while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	(void)close(fd);
	text[len] = '\0';
	return text;
}

/* -- parts --------------------------------------------------------------------------------- */

static void write_ids(struct json_writer *w)
{
	gid_t groups[NGROUPS_MAX];
	int n = getgroups(NGROUPS_MAX, groups);
	mode_t mask = umask(0);

	jw_object(w);
	jw_kint(w, "pid", getpid());
	jw_kint(w, "ppid", getppid());
	jw_kint(w, "sid", getsid(0));
	jw_kint(w, "uid", getuid());
	jw_kint(w, "euid", geteuid());
	jw_kint(w, "gid", getgid());
	jw_kint(w, "egid", getegid());
	jw_kint(w, "umask", (int)mask);
	jw_key(w, "groups");
	jw_array(w);
	for (int i = 0; i < n; i++)
		jw_int(w, groups[i]);
	jw_array_end(w);
	jw_object_end(w);
}

/* Every line of /proc/self/status, by its name: CapEff, NoNewPrivs, Seccomp, Cpus_allowed_list ... */
static void write_status(struct json_writer *w)
{
	char *line, *rest, *text = strdup(payload_read("/proc/self/status"));

	jw_object(w);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, ':');

		if (!value)
			continue;
		*value++ = '\0';
		jw_kstring(w, line, value + strspn(value, "\t "));
	}
	jw_object_end(w);
	free(text);
}

static void write_limits(struct json_writer *w)
{
	jw_array(w); /* by RLIMIT_ number: [soft, hard], as text for RLIM_INFINITY's sake */
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		struct rlimit limit = {0};
		char text[32];

		(void)getrlimit((unsigned)i, &limit);
		jw_array(w);
		(void)snprintf(text, sizeof(text), "%lld", (long long)limit.rlim_cur);
		jw_string(w, text);
		(void)snprintf(text, sizeof(text), "%lld", (long long)limit.rlim_max);
		jw_string(w, text);
		jw_array_end(w);
	}
	jw_array_end(w);
}

static void write_uts(struct json_writer *w)
{
	struct utsname name;

	(void)uname(&name);
	jw_object(w);
	jw_kstring(w, "nodename", name.nodename);
	jw_kstring(w, "domainname", name.domainname);
	jw_kstring(w, "machine", name.machine);
	jw_kstring(w, "release", name.release);
	jw_object_end(w);
}

static void write_links(struct json_writer *w, const char *directory, int skip_fd)
{
	DIR *d = opendir(directory);
	struct dirent *entry;
	char target[PATH_MAX];

	jw_object(w);
	while (d && (entry = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1);

		if (n < 0 || (skip_fd && strtol(entry->d_name, NULL, 10) == dirfd(d)))
			continue;
		target[n] = '\0';
		jw_kstring(w, entry->d_name, target);
	}
	if (d)
		(void)closedir(d);
	jw_object_end(w);
}

static void write_namespaces(struct json_writer *w)
{
	write_links(w, "/proc/self/ns", 0);
}

static void write_fds(struct json_writer *w)
{
	write_links(w, "/proc/self/fd", 1);
}

static void write_text(struct json_writer *w, const char *path)
{
	jw_string(w, payload_read(path));
}

static void write_mountinfo(struct json_writer *w)
{
	write_text(w, "/proc/self/mountinfo");
}

static void write_cgroup(struct json_writer *w)
{
	write_text(w, "/proc/self/cgroup");
}

static void write_oom_score_adj(struct json_writer *w)
{
	write_text(w, "/proc/self/oom_score_adj");
}

static void write_cwd(struct json_writer *w)
{
	char path[PATH_MAX];

	jw_string(w, getcwd(path, sizeof(path)) ? path : strerror(errno));
}

extern char **environ;

static void write_env(struct json_writer *w)
{
	jw_array(w);
	for (char **e = environ; *e; e++)
		jw_string(w, *e);
	jw_array_end(w);
}

const struct payload_part base_parts[] = {
	{"ids", write_ids},
	{"status", write_status},
	{"limits", write_limits},
	{"uts", write_uts},
	{"namespaces", write_namespaces},
	{"fds", write_fds},
	{"mountinfo", write_mountinfo},
	{"cgroup", write_cgroup},
	{"oom_score_adj", write_oom_score_adj},
	{"cwd", write_cwd},
	{"env", write_env},
	{NULL, NULL},
};

/* -- words --------------------------------------------------------------------------------- */

static void end(int signo)
{
	_exit(128 + signo);
}

/* Wait for a signal; as process 1 nothing has a default action. */
static int word_pause(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = end};

	(void)argc, (void)argv;
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	while (pause() < 0)
		continue;
	return 0;
}

static int word_exit(int argc, char **argv)
{
	return argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
}

/* read FILE...: the text of each, or '!' and the error */
static int word_read(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		(void)puts(payload_read(argv[i]));
	return 0;
}

const struct payload_command base_commands[] = {
	{"pause", word_pause},
	{"exit", word_exit},
	{"read", word_read},
	{NULL, NULL},
};
