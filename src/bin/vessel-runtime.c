/* vessel-runtime: an OCI runtime with runc's command line, on the library in runtime/. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "linux/cgroup.h"
#include "linux/self.h"
#include "linux/signals.h"
#include "oci/runtime_spec.h"
#include "runtime/foreground.h"
#include "runtime/runtime.h"
#include "runtime/state.h"

#define DEFAULT_ROOT  "/run/vessel-runtime"
#define SPEC_VERSION  "1.2.1"
#define ARG_MAX_COUNT 2
#define EXIT_FAILURE_ 1

enum option_id {
	OPT_ROOT = 256,
	OPT_LOG,
	OPT_LOG_FORMAT,
	OPT_DEBUG,
	OPT_SYSTEMD_CGROUP,
	OPT_ROOTLESS,
	OPT_PID_FILE,
	OPT_CONSOLE_SOCKET,
	OPT_NO_PIVOT,
	OPT_NO_NEW_KEYRING,
	OPT_PRESERVE_FDS,
	OPT_KEEP,
};

struct options {
	const char *root, *log, *log_format, *bundle, *pid_file, *console_socket;
	unsigned preserve_fds;
	bool debug, detach, force, all, keep, version, help;
	const char *args[ARG_MAX_COUNT]; /* the container's id; kill: the signal */
	size_t arg_count;
};

struct command {
	const char *name;
	int (*run)(const struct options *o, int *ret_code, struct error *err);
	const char *short_options;
	const struct option *long_options;
	const char *usage;
	bool executes; /* runs a container's program: from a sealed copy of ourselves */
};

/* -- creating ------------------------------------------------------------------------------ */

struct bundle {
	struct arena *arena; /* owned */
	struct oci_spec spec;
	int fd;     /* owned */
	char *path; /* owned, absolute */
};

static void bundle_done(struct bundle *b)
{
	(void)arena_free(b->arena);
	fd_close(&b->fd);
	free(b->path);
}
#define autobundle __attribute__((cleanup(bundle_done)))

static int bundle_open(const char *path, struct bundle *b, struct error *err)
{
	autofree char *text = NULL;
	size_t len = 0;
	int r;

	b->path = realpath(path ? path : ".", NULL);
	b->fd = b->path ? open(b->path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (b->fd < 0)
		return error_set(err, ERROR_INVALID, errno, "bundle '%s'", path ? path : ".");
	r = file_read(b->fd, "config.json", OCI_SPEC_MAX, &text, &len, err);
	if (r < 0)
		return r;
	b->arena = arena_new();
	return oci_spec_parse(b->arena, text, len, &b->spec, err);
}

static char *annotations_json(const struct oci_spec *spec)
{
	struct strbuf out = STRBUF_INIT(OCI_SPEC_MAX);
	struct json_writer w;

	if (spec->annotations.n == 0)
		return NULL;
	json_writer_init(&w, &out);
	jw_object(&w);
	for (size_t i = 0; i < spec->annotations.n; i++)
		jw_kstring(&w, spec->annotations.keys[i], spec->annotations.values[i]);
	jw_object_end(&w);
	return strbuf_take(&out);
}

static int describe(struct state *s, const struct bundle *b, struct error *err)
{
	const char *root = b->spec.root.path;
	char created[CLOCK_RFC3339_SIZE];
	int r;

	clock_format_rfc3339(clock_realtime_ns(), created);
	s->created = xstrdup(created);
	s->bundle = xstrdup(b->path);
	s->rootfs = root[0] == '/' ? xstrdup(root) : xasprintf("%s/%s", b->path, root);
	s->annotations = annotations_json(&b->spec);
	s->has_poststop = b->spec.hooks.poststop.n;
	r = runtime_cgroup_place(&b->spec, s->id, false, &s->cgroup_path, err);
	return r < 0 ? r : state_note_cgroup(s, err);
}

static int send_console(const char *path, int console_fd, struct error *err)
{
	static const char name[] = "/dev/ptmx"; /* what containerd and conmon are told by runc */
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (!str_copy(address.sun_path, sizeof(address.sun_path), path))
		return error_set(err, ERROR_INVALID, ENAMETOOLONG, "console socket '%s'", path);
	if (sock < 0 || connect(sock, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(err, ERROR_INVALID, errno, "connect to console socket '%s'", path);
	r = fd_send(sock, name, strlen(name), &console_fd, 1);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "send the console") : 0;
}

static int write_pid_file(const char *path, pid_t pid, struct error *err)
{
	autofree char *text = xasprintf("%d", (int)pid);

	return path ? file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, 0, err) : 0;
}

static int check_terminal(const struct options *o, const struct bundle *b, bool foreground,
			  struct error *err)
{
	bool terminal = b->spec.has_process && b->spec.process.terminal;

	if (terminal && !foreground && !o->console_socket)
		return error_set(err, ERROR_INVALID, 0,
				 "cannot allocate tty if runc will detach without setting console "
				 "socket");
	if (o->console_socket && !terminal)
		return error_set(
			err, ERROR_INVALID, 0,
			"cannot use console socket if runc will not detach or allocate tty");
	return 0;
}

/* What must be on record once process 1 exists. */
static int record(const struct options *o, struct state *s, struct runtime_container *c,
		  struct error *err)
{
	int console, r;

	r = state_save(s, err);
	if (r == 0 && o->console_socket) {
		console = runtime_console_take(c);
		r = send_console(o->console_socket, console, err);
		fd_close(&console);
	}
	return r < 0 ? r : write_pid_file(o->pid_file, runtime_pid(c), err);
}

static void fill_args(const struct options *o, const struct bundle *b,
		      struct runtime_create_args *ret)
{
	*ret = (struct runtime_create_args){.id = o->args[0],
					    .spec = &b->spec,
					    .bundle_fd = b->fd,
					    .stdio = {0, 1, 2},
					    .preserve_fds = o->preserve_fds,
					    .seccomp_cache_dir = NULL};
}

/* Compiled filters are shared by all containers of the host. */
static int seccomp_cache(const struct options *o, const struct bundle *b, char **ret,
			 struct error *err)
{
	if (json_is_null(b->spec.linux_.seccomp))
		return 0;
	*ret = xasprintf("%s/.seccomp", o->root);
	return file_mkdir_p(AT_FDCWD, *ret, 0700, err);
}

static int command_create(const struct options *o, int *ret_code, struct error *err)
{
	autobundle struct bundle b = {.fd = -EBADF};
	autoruntime struct runtime_container *c = NULL;
	autostate struct state *s = NULL;
	autofree char *cache = NULL;
	struct runtime_create_args args;
	int r;

	(void)ret_code;
	r = bundle_open(o->bundle, &b, err);
	if (r == 0)
		r = check_terminal(o, &b, false, err);
	if (r == 0)
		r = state_create(o->root, o->args[0], &s, err);
	if (r < 0)
		return r;
	r = describe(s, &b, err);
	fill_args(o, &b, &args);
	args.cgroup_place = s->cgroup_path;
	if (r == 0)
		r = seccomp_cache(o, &b, &cache, err);
	args.seccomp_cache_dir = cache;
	if (r == 0)
		r = state_create_container(s, &args, &c, err);
	if (r == 0)
		r = record(o, s, c, err);
	if (r < 0) {
		if (c)
			(void)runtime_delete(c, NULL); /* the first error is the one to tell */
		(void)state_remove(o->root, s, NULL);
	}
	return r;
}

static int run_foreground(const struct options *o, struct state *s, struct runtime_container *c,
			  int *ret_code, struct error *err)
{
	autoclose int console = runtime_console_take(c);
	int r = foreground_run(runtime_pid(c), runtime_pidfd(c), console, ret_code, err);
	int deleted = runtime_delete(c, r < 0 ? NULL : err);

	if (!o->keep)
		(void)state_remove(o->root, s, NULL);
	return r < 0 ? r : deleted;
}

static int command_run(const struct options *o, int *ret_code, struct error *err)
{
	autobundle struct bundle b = {.fd = -EBADF};
	autoruntime struct runtime_container *c = NULL;
	autostate struct state *s = NULL;
	autofree char *cache = NULL;
	struct runtime_create_args args;
	int r;

	r = bundle_open(o->bundle, &b, err);
	if (r == 0)
		r = check_terminal(o, &b, !o->detach, err);
	if (r == 0)
		r = state_create(o->root, o->args[0], &s, err);
	if (r < 0)
		return r;
	r = describe(s, &b, err);
	if (!o->detach)
		foreground_block_signals();
	fill_args(o, &b, &args);
	args.cgroup_place = s->cgroup_path;
	if (r == 0)
		r = seccomp_cache(o, &b, &cache, err);
	args.seccomp_cache_dir = cache;
	if (r == 0)
		r = runtime_create(&args, &c, err);
	if (r == 0) {
		s->pid = runtime_pid(c);
		(void)state_process_start_time(s->pid, &s->start_time); /* 0: dead already */
		r = record(o, s, c, err);
	}
	if (r == 0)
		r = runtime_start(c, err);
	if (r < 0) {
		if (c)
			(void)runtime_delete(c, NULL); /* the first error is the one to tell */
		(void)state_remove(o->root, s, NULL);
		return r;
	}
	return o->detach ? 0 : run_foreground(o, s, c, ret_code, err);
}

/* -- the rest ------------------------------------------------------------------------------ */

static int command_start(const struct options *o, int *ret_code, struct error *err)
{
	autostate struct state *s = NULL;
	int r = state_load(o->root, o->args[0], &s, err);

	(void)ret_code;
	return r < 0 ? r : state_start_container(s, err);
}

static int command_state(const struct options *o, int *ret_code, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(OCI_SPEC_MAX);
	autostate struct state *s = NULL;
	enum state_status status;
	struct json_writer w;
	int r = state_load(o->root, o->args[0], &s, err);

	(void)ret_code;
	if (r < 0)
		return r;
	status = state_status(s);
	json_writer_init(&w, &out);
	w.pretty_indent = 2;
	jw_object(&w);
	jw_kstring(&w, "ociVersion", SPEC_VERSION);
	jw_kstring(&w, "id", s->id);
	jw_kint(&w, "pid", status == STATE_STOPPED ? 0 : s->pid);
	jw_kstring(&w, "status", state_status_name(status));
	jw_kstring(&w, "bundle", s->bundle ? s->bundle : "");
	jw_kstring(&w, "rootfs", s->rootfs ? s->rootfs : "");
	jw_kstring(&w, "created", s->created ? s->created : "");
	if (s->annotations) {
		jw_key(&w, "annotations");
		jw_raw(&w, s->annotations, strlen(s->annotations));
	}
	jw_kstring(&w, "owner", "");
	jw_object_end(&w);
	strbuf_addc(&out, '\n');
	return fd_write_full(STDOUT_FILENO, out.s, out.len) < 0
		       ? error_set(err, ERROR_INTERNAL, EIO, "write the state")
		       : 0;
}

static int command_kill(const struct options *o, int *ret_code, struct error *err)
{
	const char *name = o->arg_count > 1 ? o->args[1] : "SIGTERM";
	int signo = signal_parse(name), r;
	autostate struct state *s = NULL;

	(void)ret_code;
	if (signo < 0)
		return error_set(err, ERROR_INVALID, 0, "unknown signal \"%s\"", name);
	r = state_load(o->root, o->args[0], &s, err);
	return r < 0 ? r : state_kill_container(s, signo, o->all, err);
}

static void run_poststop(const struct state *s)
{
	autobundle struct bundle b = {.fd = -EBADF};
	autoerror struct error err = {0};

	/* The spec: failures of poststop hooks are logged. */
	if (bundle_open(s->bundle, &b, &err) < 0 ||
	    runtime_run_poststop(&b.spec, s->id, s->bundle, &err) < 0)
		log_warn("%s", error_msg(&err));
}

static int command_delete(const struct options *o, int *ret_code, struct error *err)
{
	autostate struct state *s = NULL;
	enum state_status status;
	int r = state_load(o->root, o->args[0], &s, err);

	(void)ret_code;
	if (r < 0) {
		if (o->force && err && err->kind == ERROR_NOT_FOUND) {
			error_done(err);
			return 0;
		}
		return r;
	}
	status = state_status(s);
	if (!o->force && (status == STATE_RUNNING || status == STATE_PAUSED))
		return error_set(err, ERROR_CONFLICT, 0,
				 "cannot delete container %s that is not stopped: %s", s->id,
				 state_status_name(status));
	r = state_destroy_container(s, err);
	if (r < 0)
		return r;
	if (s->has_poststop)
		run_poststop(s);
	return state_remove(o->root, s, err);
}

/* -- command line -------------------------------------------------------------------------- */

static const struct option no_options[] = {{0}};
static const struct option global_options[] = {
	{"root", required_argument, NULL, OPT_ROOT},
	{"log", required_argument, NULL, OPT_LOG},
	{"log-format", required_argument, NULL, OPT_LOG_FORMAT},
	{"debug", no_argument, NULL, OPT_DEBUG},
	{"systemd-cgroup", no_argument, NULL, OPT_SYSTEMD_CGROUP},
	{"rootless", required_argument, NULL, OPT_ROOTLESS},
	{"version", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};
#define CREATE_OPTIONS                                                           \
	{"bundle", required_argument, NULL, 'b'},                                \
		{"pid-file", required_argument, NULL, OPT_PID_FILE},             \
		{"console-socket", required_argument, NULL, OPT_CONSOLE_SOCKET}, \
		{"no-pivot", no_argument, NULL, OPT_NO_PIVOT},                   \
		{"no-new-keyring", no_argument, NULL, OPT_NO_NEW_KEYRING},       \
	{                                                                        \
		"preserve-fds", required_argument, NULL, OPT_PRESERVE_FDS        \
	}
static const struct option create_options[] = {CREATE_OPTIONS, {0}};
static const struct option run_options[] = {
	CREATE_OPTIONS,
	{"detach", no_argument, NULL, 'd'},
	{"keep", no_argument, NULL, OPT_KEEP},
	{0},
};
static const struct option kill_options[] = {{"all", no_argument, NULL, 'a'}, {0}};
static const struct option delete_options[] = {{"force", no_argument, NULL, 'f'}, {0}};

static const struct command commands[] = {
	{"create", command_create, "+b:", create_options, "[-b bundle] ID", true},
	{"start", command_start, "+", no_options, "ID", false},
	{"run", command_run, "+b:d", run_options, "[-b bundle] [-d] ID", true},
	{"state", command_state, "+", no_options, "ID", false},
	{"kill", command_kill, "+a", kill_options, "[--all] ID [SIGNAL]", false},
	{"delete", command_delete, "+f", delete_options, "[--force] ID", false},
};

static int not_implemented(const char *option, struct error *err)
{
	return error_set(err, ERROR_NOT_IMPLEMENTED, 0, "%s is not implemented", option);
}

static int set_option(struct options *o, int id, const char *value, struct error *err)
{
	switch (id) {
	case OPT_ROOT:
		o->root = value;
		return 0;
	case OPT_LOG:
		o->log = value;
		return 0;
	case OPT_LOG_FORMAT:
		if (strcmp(value, "text") != 0 && strcmp(value, "json") != 0)
			return error_set(err, ERROR_INVALID, 0, "unknown log-format \"%s\"", value);
		o->log_format = value;
		return 0;
	case OPT_DEBUG:
		o->debug = true;
		return 0;
	case OPT_SYSTEMD_CGROUP:
		return not_implemented("--systemd-cgroup", err);
	case OPT_ROOTLESS:
		return strcmp(value, "true") == 0 ? not_implemented("--rootless=true", err) : 0;
	case OPT_PID_FILE:
		o->pid_file = value;
		return 0;
	case OPT_CONSOLE_SOCKET:
		o->console_socket = value;
		return 0;
	case OPT_NO_PIVOT:
		return not_implemented("--no-pivot", err);
	case OPT_NO_NEW_KEYRING:
		return not_implemented("--no-new-keyring", err);
	case OPT_PRESERVE_FDS:
		return str_parse_u32(value, &o->preserve_fds) < 0 || o->preserve_fds > 1024
			       ? error_set(err, ERROR_INVALID, 0, "--preserve-fds '%s'", value)
			       : 0;
	case OPT_KEEP:
		o->keep = true;
		return 0;
	case 'b':
		o->bundle = value;
		return 0;
	case 'd':
		o->detach = true;
		return 0;
	case 'f':
		o->force = true;
		return 0;
	case 'a':
		o->all = true;
		return 0;
	case 'v':
		o->version = true;
		return 0;
	case 'h':
		o->help = true;
		return 0;
	default:
		return error_set(err, ERROR_INVALID, 0, "see vessel-runtime --help");
	}
}

static int parse(struct options *o, int argc, char *argv[], const char *shorts,
		 const struct option *longs, struct error *err)
{
	int id, r;

	while ((id = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		r = set_option(o, id, optarg, err);
		if (r < 0)
			return r;
	}
	return optind;
}

static int parse_command(struct options *o, const struct command *c, int argc, char *argv[],
			 struct error *err)
{
	size_t max = strcmp(c->name, "kill") == 0 ? 2 : 1;
	int r;

	/* Flags may follow the id, as runc's users write them: "delete ID --force". */
	optind = 1;
	while ((r = parse(o, argc, argv, c->short_options, c->long_options, err)) >= 0 &&
	       r < argc) {
		if (o->arg_count == max)
			return error_set(err, ERROR_INVALID, 0, "usage: vessel-runtime %s %s",
					 c->name, c->usage);
		o->args[o->arg_count++] = argv[r];
		argv += r;
		argc -= r;
		optind = 1;
	}
	if (r >= 0 && o->arg_count == 0)
		return error_set(err, ERROR_INVALID, 0, "usage: vessel-runtime %s %s", c->name,
				 c->usage);
	return r < 0 ? r : 0;
}

static void print_help(void)
{
	printf("usage: vessel-runtime [--root DIR] [--log FILE] [--log-format text|json] [--debug] "
	       "COMMAND\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  %s %s\n", commands[i].name, commands[i].usage);
}

/* containerd reads the last line of --log and looks for "level" and "msg". */
static void report(const struct options *o, const struct error *err)
{
	autostrbuf struct strbuf line = STRBUF_INIT(64 << 10);
	char now[CLOCK_RFC3339_SIZE];
	autoclose int fd = -EBADF;
	struct json_writer w;

	(void)fprintf(stderr, "vessel-runtime: %s\n", error_msg(err));
	if (!o->log)
		return;
	clock_format_rfc3339(clock_realtime_ns(), now);
	if (str_eq(o->log_format, "json")) {
		json_writer_init(&w, &line);
		jw_object(&w);
		jw_kstring(&w, "level", "error");
		jw_kstring(&w, "msg", error_msg(err));
		jw_kstring(&w, "time", now);
		jw_object_end(&w);
		strbuf_addc(&line, '\n');
	} else {
		strbuf_addf(&line, "time=\"%s\" level=error msg=\"%s\"\n", now, error_msg(err));
	}
	fd = open(o->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd >= 0)
		(void)fd_write_full(fd, line.s, line.len); /* stderr has it already */
}

static const struct command *find_command(const char *name, struct error *err)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	(void)error_set(err, ERROR_INVALID, 0, "unknown command '%s'; see vessel-runtime --help",
			name ? name : "");
	return NULL;
}

static int run(struct options *o, int argc, char *argv[], int *ret_code, struct error *err)
{
	const struct command *c;
	int n = parse(o, argc, argv, "+vh", global_options, err), r;

	if (n < 0)
		return n;
	if (o->help || o->version) {
		if (o->help)
			print_help();
		else
			printf("vessel-runtime version " VESSEL_VERSION "\nspec: " SPEC_VERSION
			       "\n");
		return 0;
	}
	c = find_command(argv[n], err);
	if (!c)
		return -EINVAL;
	r = parse_command(o, c, argc - n, argv + n, err);
	if (r < 0)
		return r;
	if (c->executes) {
		r = self_reexec(argv, err);
		if (r < 0)
			return r;
	}
	log_set_level(o->debug ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN);
	return c->run(o, ret_code, err);
}

int main(int argc, char *argv[])
{
	struct options o = {.root = DEFAULT_ROOT};
	autoerror struct error err = {0};
	int code = 0;

	log_set_name("vessel-runtime");
	if (run(&o, argc, argv, &code, &err) < 0) {
		report(&o, &err);
		return EXIT_FAILURE_;
	}
	return code;
}
