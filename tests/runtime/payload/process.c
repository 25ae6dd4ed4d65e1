/* What a process is: scheduling, personality, keyring, clocks, terminal, labels. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "payload.h"

#define NODES_MAX 1024 /* bits; as many as the kernel may ask for */

struct sched_attr_v0 {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static void write_scheduling(struct json_writer *w)
{
	struct sched_attr_v0 attr = {.size = sizeof(attr)};
	unsigned long nodes[NODES_MAX / 64] = {0};
	int mode = -1;

	jw_object(w);
	if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) == 0) {
		jw_kint(w, "policy", attr.policy);
		jw_kint(w, "flags", (int64_t)attr.flags);
		jw_kint(w, "nice", attr.nice);
		jw_kint(w, "priority", attr.priority);
		jw_kint(w, "runtime", (int64_t)attr.runtime);
		jw_kint(w, "deadline", (int64_t)attr.deadline);
		jw_kint(w, "period", (int64_t)attr.period);
	}
	jw_kint(w, "io", syscall(SYS_ioprio_get, 1, 0));
	if (syscall(SYS_get_mempolicy, &mode, nodes, (unsigned long)NODES_MAX, NULL, 0UL) == 0) {
		jw_kint(w, "memory_mode", mode);
		jw_kint(w, "memory_nodes", (int64_t)nodes[0]);
	}
	jw_kint(w, "personality", personality(0xffffffff));
	jw_object_end(w);
}

static void write_keyring(struct json_writer *w)
{
	char text[256];
	long n = syscall(SYS_keyctl, 6 /* KEYCTL_DESCRIBE */, -3 /* session */, text, sizeof(text));

	jw_object(w);
	jw_kint(w, "id", syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3, 0));
	jw_kstring(w, "description", n > 0 ? text : strerror(errno));
	n = syscall(SYS_keyctl, 17 /* KEYCTL_GET_SECURITY */, -3, text, sizeof(text));
	jw_kstring(w, "label", n > 0 ? text : "");
	jw_object_end(w);
}

static void write_clocks(struct json_writer *w)
{
	struct timespec t;

	jw_object(w);
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	jw_kint(w, "monotonic", t.tv_sec);
	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	jw_kint(w, "boottime", t.tv_sec);
	jw_object_end(w);
}

static void write_terminal(struct json_writer *w)
{
	struct winsize size = {0};
	char name[64] = "";

	jw_object(w);
	if (isatty(0) && ioctl(0, TIOCGWINSZ, &size) == 0 &&
	    ttyname_r(0, name, sizeof(name)) >= 0) {
		int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);

		jw_kstring(w, "name", name);
		jw_kint(w, "height", size.ws_row);
		jw_kint(w, "width", size.ws_col);
		jw_kbool(w, "controls", fd >= 0 && tcgetpgrp(fd) == getpgrp());
		(void)close(fd);
	}
	jw_object_end(w);
}

const struct payload_part process_parts[] = {
	{"scheduling", write_scheduling},
	{"keyring", write_keyring},
	{"clocks", write_clocks},
	{"terminal", write_terminal},
	{NULL, NULL},
};

/* As a hook: hook FILE [NAME=VALUE...]: append to FILE a line of JSON with what it was given: state,
 * environment, arguments, namespaces, what "/" is. */
static int word_hook(int argc, char **argv)
{
	extern char **environ;
	struct strbuf out = STRBUF_INIT(1U << 20);
	struct json_writer w;
	char link[128], state[65536];
	static const char *const kinds[] = {"mnt", "pid", "net", "uts", "user"};
	ssize_t n, len = 0;
	int fd;

	while (len < (ssize_t)sizeof(state) - 1 &&
	       (n = read(0, state + len, sizeof(state) - 1 - (size_t)len)) > 0)
		len += n;
	state[len] = '\0';
	json_writer_init(&w, &out);
	jw_object(&w);
	jw_kstring(&w, "state", state);
	jw_karray(&w, "args");
	for (int i = 0; i < argc; i++)
		jw_string(&w, argv[i]);
	jw_array_end(&w);
	jw_karray(&w, "env");
	for (char **e = environ; *e; e++)
		jw_string(&w, *e);
	jw_array_end(&w);
	jw_kobject(&w, "namespaces");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		n = readlink(path, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		jw_kstring(&w, kinds[i], link);
	}
	jw_object_end(&w);
	jw_kbool(&w, "in_root", access("/payload", F_OK) == 0);
	jw_kint(&w, "uid", getuid());
	jw_kstring(&w, "status", payload_read("/proc/self/status"));
	jw_object_end(&w);
	strbuf_addc(&out, '\n');
	fd = open(argc > 1 ? argv[1] : "/dev/null", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
		  0666);
	if (fd < 0 || write(fd, out.s, out.len) != (ssize_t)out.len)
		return 1;
	return argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
}

/* joinable NAME: 0 if the session keyring of that name can be joined and is the one we have */
static int word_same_keyring(int argc, char **argv)
{
	long had = syscall(SYS_keyctl, 0, -3, 0);

	return argc < 2 || syscall(SYS_keyctl, 1 /* JOIN_SESSION */, argv[1]) != had;
}

/* open: the descriptors it may have open, as many as it can open */
static int word_open(int argc, char **argv)
{
	int n = 0;

	(void)argc, (void)argv;
	while (open("/", O_RDONLY | O_CLOEXEC) >= 0)
		n++;
	(void)printf("%d\n", n);
	return 0;
}

/* call NAME[:ARGUMENT]...: make each system call with that first argument, and print its result or
 * E and its errno. */
static int word_call(int argc, char **argv)
{
	static const struct {
		const char *name;
		long nr;
	} calls[] = {
		{"getpid", SYS_getpid},
		{"getppid", SYS_getppid},
		{"getuid", SYS_getuid},
		{"mkdir", SYS_mkdirat},
		{"getpriority", SYS_getpriority},
		{"personality", SYS_personality},
		{"sync", SYS_sync},
		{"setsid", SYS_setsid},
		{"sethostname", SYS_sethostname},
		{"unknown", 1000},
		{"openat2", 437},
		{"mseal", 462},
	};

	for (int i = 1; i < argc; i++) {
		char *argument = strchr(argv[i], ':');
		long first = argument ? strtol(argument + 1, NULL, 0) : 0, r;

		for (size_t j = 0; j < sizeof(calls) / sizeof(*calls); j++) {
			if (strncmp(calls[j].name, argv[i], strcspn(argv[i], ":")) != 0 ||
			    calls[j].name[strcspn(argv[i], ":")] != '\0')
				continue;
			r = calls[j].nr == SYS_mkdirat
				    ? syscall(SYS_mkdirat, AT_FDCWD, "/tmp/made", 0755)
				    : syscall(calls[j].nr, first, 0, 0, 0);
			if (r < 0)
				(void)printf("%s: E%d\n", argv[i], errno);
			else
				(void)printf("%s: %ld\n", argv[i], r);
			(void)fflush(stdout);
		}
	}
	return 0;
}

const struct payload_command process_commands[] = {
	{"call", word_call}, {"hook", word_hook}, {"same-keyring", word_same_keyring},
	{"open", word_open}, {NULL, NULL},
};
