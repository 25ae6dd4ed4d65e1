/* One table of all options; parsing and the help text are made from it. */
#include "bin/runtime/options.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "bin/runtime/commands.h"

enum option_kind {
	KIND_FLAG,
	KIND_VALUE,
	KIND_LIST,   /* a value that may be repeated */
	KIND_NUMBER, /* 0 or more */
};

struct option_row {
	const char *name;
	char letter; /* 0: none */
	enum option_kind kind;
	const char *commands; /* NULL: global; else its commands, with a blank behind each */
	const char *help;     /* NULL: not shown */
};

#define CREATE "create run "
#define CRIU   "checkpoint restore "

static const struct option_row rows[OPT_COUNT] = {
	[OPT_ROOT] = {"root", 0, KIND_VALUE, NULL,
		      "directory of the containers' states; it should be on a tmpfs (default: "
		      "/run/vessel-runtime, or $XDG_RUNTIME_DIR/vessel-runtime)"},
	[OPT_LOG] = {"log", 0, KIND_VALUE, NULL, "file that errors and warnings are written to"},
	[OPT_LOG_FORMAT] = {"log-format", 0, KIND_VALUE, NULL, "'text' (default) or 'json'"},
	[OPT_DEBUG] = {"debug", 0, KIND_FLAG, NULL, "log more"},
	[OPT_CRIU] = {"criu", 0, KIND_VALUE, NULL, "the criu program (default: \"criu\" in $PATH)"},
	[OPT_SYSTEMD_CGROUP] = {"systemd-cgroup", 0, KIND_FLAG, NULL,
				"make cgroups through systemd; cgroupsPath is slice:prefix:name"},
	[OPT_ROOTLESS] = {"rootless", 0, KIND_VALUE, NULL,
			  "go on without cgroups: 'true', 'false' or 'auto' (default)"},
	[OPT_VERSION] = {"version", 'v', KIND_FLAG, NULL, "print the version"},
	[OPT_HELP] = {"help", 'h', KIND_FLAG, NULL, "print this"},

	[OPT_BUNDLE] = {"bundle", 'b', KIND_VALUE, CREATE "restore spec ",
			"directory of config.json (default: the working directory)"},
	[OPT_CONSOLE_SOCKET] = {"console-socket", 0, KIND_VALUE, CREATE "restore exec ",
				"AF_UNIX socket that the terminal's master is sent to"},
	[OPT_PIDFD_SOCKET] = {"pidfd-socket", 0, KIND_VALUE, CREATE "exec ",
			      "AF_UNIX socket that a pidfd of the process is sent to"},
	[OPT_PID_FILE] = {"pid-file", 0, KIND_VALUE, CREATE "restore exec ",
			  "file that the process's pid is written to"},
	[OPT_DETACH] = {"detach", 'd', KIND_FLAG, "run restore exec ", "do not wait for the end"},
	[OPT_PRESERVE_FDS] = {"preserve-fds", 0, KIND_NUMBER, CREATE "exec ",
			      "pass on N descriptors more (stdio + $LISTEN_FDS + N in total)"},
	[OPT_NO_PIVOT] =
		{"no-pivot", 0, KIND_FLAG, CREATE "restore ",
		 "move the root's mount instead of pivot_root(2), for a root on a ramdisk"},
	[OPT_NO_NEW_KEYRING] = {"no-new-keyring", 0, KIND_FLAG, CREATE,
				"keep the caller's session keyring"},
	[OPT_NO_SUBREAPER] = {"no-subreaper", 0, KIND_FLAG, "run restore exec ",
			      "do not adopt the container's orphans"},
	[OPT_KEEP] = {"keep", 0, KIND_FLAG, "run ", "do not delete the container at its end"},
	[OPT_FORMAT] = {"format", 'f', KIND_VALUE, "list ps ", "'table' (default) or 'json'"},
	[OPT_FORCE] = {"force", 'f', KIND_FLAG, "delete ", "kill it first if it is running"},
	[OPT_ALL] = {"all", 'a', KIND_FLAG, "kill ", "signal all its processes"},
	[OPT_QUIET] = {"quiet", 'q', KIND_FLAG, "list ", "print only the ids"},

	[OPT_CWD] = {"cwd", 0, KIND_VALUE, "exec ", "working directory in the container"},
	[OPT_ENV] = {"env", 'e', KIND_LIST, "exec ", "environment variable to add"},
	[OPT_TTY] = {"tty", 't', KIND_FLAG, "exec ", "give it a terminal"},
	[OPT_USER] = {"user", 'u', KIND_VALUE, "exec ", "UID[:GID]"},
	[OPT_ADDITIONAL_GIDS] = {"additional-gids", 'g', KIND_LIST, "exec ", "groups to add"},
	[OPT_PROCESS] = {"process", 'p', KIND_VALUE, "exec ", "file with the process object"},
	[OPT_PROCESS_LABEL] = {"process-label", 0, KIND_VALUE, "exec ", "SELinux label"},
	[OPT_APPARMOR] = {"apparmor", 0, KIND_VALUE, "exec ", "AppArmor profile"},
	[OPT_NO_NEW_PRIVS] = {"no-new-privs", 0, KIND_FLAG, "exec ", "set no_new_privs"},
	[OPT_CAP] = {"cap", 'c', KIND_LIST, "exec ", "capability to add"},
	[OPT_CGROUP] = {"cgroup", 0, KIND_LIST, "exec ",
			"existing cgroup below the container's: [CONTROLLER[,...]:]PATH"},
	[OPT_IGNORE_PAUSED] = {"ignore-paused", 0, KIND_FLAG, "exec ",
			       "also in a paused container: it runs once that is resumed"},

	[OPT_ROOTLESS_SPEC] = {"rootless", 0, KIND_FLAG, "spec ", "for an ordinary user"},

	[OPT_INTERVAL] = {"interval", 0, KIND_VALUE, "events ", "time between statistics (5s)"},
	[OPT_STATS] = {"stats", 0, KIND_FLAG, "events ", "print the statistics once"},

	[OPT_RESOURCES] = {"resources", 'r', KIND_VALUE, "update ",
			   "file with a linux.resources object, '-': standard input; "
			   "the other options are ignored"},
	[OPT_BLKIO_WEIGHT] = {"blkio-weight", 0, KIND_NUMBER, "update ", "10 to 1000"},
	[OPT_CPU_PERIOD] = {"cpu-period", 0, KIND_VALUE, "update ", "microseconds"},
	[OPT_CPU_QUOTA] = {"cpu-quota", 0, KIND_VALUE, "update ", "microseconds a period"},
	[OPT_CPU_BURST] = {"cpu-burst", 0, KIND_VALUE, "update ", "microseconds"},
	[OPT_CPU_SHARE] = {"cpu-share", 0, KIND_VALUE, "update ", "weight of cpu time"},
	[OPT_CPU_RT_PERIOD] = {"cpu-rt-period", 0, KIND_VALUE, "update ", "microseconds"},
	[OPT_CPU_RT_RUNTIME] = {"cpu-rt-runtime", 0, KIND_VALUE, "update ", "microseconds"},
	[OPT_CPU_IDLE] = {"cpu-idle", 0, KIND_VALUE, "update ", "1: SCHED_IDLE, 0: not"},
	[OPT_CPUSET_CPUS] = {"cpuset-cpus", 0, KIND_VALUE, "update ", "cpus to run on"},
	[OPT_CPUSET_MEMS] = {"cpuset-mems", 0, KIND_VALUE, "update ", "memory nodes"},
	[OPT_KERNEL_MEMORY] = {"kernel-memory", 0, KIND_VALUE, "update ", NULL},
	[OPT_KERNEL_MEMORY_TCP] = {"kernel-memory-tcp", 0, KIND_VALUE, "update ", NULL},
	[OPT_MEMORY] = {"memory", 0, KIND_VALUE, "update ",
			"bytes, or with k, m, g; -1: unlimited"},
	[OPT_MEMORY_RESERVATION] = {"memory-reservation", 0, KIND_VALUE, "update ", "soft limit"},
	[OPT_MEMORY_SWAP] = {"memory-swap", 0, KIND_VALUE, "update ", "memory and swap together"},
	[OPT_PIDS_LIMIT] = {"pids-limit", 0, KIND_VALUE, "update ", "most processes"},
	[OPT_L3_CACHE_SCHEMA] = {"l3-cache-schema", 0, KIND_VALUE, "update ", "Intel RDT/CAT"},
	[OPT_MEM_BW_SCHEMA] = {"mem-bw-schema", 0, KIND_VALUE, "update ", "Intel RDT/MBA"},

	[OPT_IMAGE_PATH] = {"image-path", 0, KIND_VALUE, CRIU, "directory of the images"},
	[OPT_WORK_PATH] = {"work-path", 0, KIND_VALUE, CRIU, "directory of criu's logs"},
	[OPT_PARENT_PATH] = {"parent-path", 0, KIND_VALUE, "checkpoint ",
			     "images of a pre-dump, relative to --image-path"},
	[OPT_LEAVE_RUNNING] = {"leave-running", 0, KIND_FLAG, "checkpoint ",
			       "do not end the container"},
	[OPT_TCP_ESTABLISHED] = {"tcp-established", 0, KIND_FLAG, CRIU, "allow open connections"},
	[OPT_TCP_SKIP_IN_FLIGHT] = {"tcp-skip-in-flight", 0, KIND_FLAG, "checkpoint ",
				    "leave out connections that are being made"},
	[OPT_LINK_REMAP] = {"link-remap", 0, KIND_FLAG, "checkpoint ",
			    "allow open files that have been removed"},
	[OPT_EXT_UNIX_SK] = {"ext-unix-sk", 0, KIND_FLAG, CRIU, "allow sockets to the outside"},
	[OPT_SHELL_JOB] = {"shell-job", 0, KIND_FLAG, CRIU, "allow a terminal of the outside"},
	[OPT_LAZY_PAGES] = {"lazy-pages", 0, KIND_FLAG, CRIU, "transfer memory on demand"},
	[OPT_STATUS_FD] = {"status-fd", 0, KIND_VALUE, "checkpoint ",
			   "where criu writes a byte once lazy pages are served"},
	[OPT_PAGE_SERVER] = {"page-server", 0, KIND_VALUE, "checkpoint ", "ADDRESS:PORT"},
	[OPT_FILE_LOCKS] = {"file-locks", 0, KIND_FLAG, CRIU, "handle file locks"},
	[OPT_PRE_DUMP] = {"pre-dump", 0, KIND_FLAG, "checkpoint ",
			  "only the memory; the container runs on"},
	[OPT_MANAGE_CGROUPS_MODE] = {"manage-cgroups-mode", 0, KIND_VALUE, CRIU,
				     "'soft' (default), 'full', 'strict' or 'ignore'"},
	[OPT_EMPTY_NS] = {"empty-ns", 0, KIND_LIST, CRIU,
			  "make this namespace without restoring what is in it"},
	[OPT_AUTO_DEDUP] = {"auto-dedup", 0, KIND_FLAG, CRIU,
			    "free memory images as they are read"},
	[OPT_LSM_PROFILE] = {"lsm-profile", 0, KIND_VALUE, "restore ", "TYPE:NAME"},
	[OPT_LSM_MOUNT_CONTEXT] = {"lsm-mount-context", 0, KIND_VALUE, "restore ",
				   "SELinux context of mounts"},
};

/* -- parsing ------------------------------------------------------------------------------- */

static bool names_command(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; *p; p += strcspn(p, " ") + 1)
		if (strncmp(p, name, n) == 0 && p[n] == ' ')
			return true;
	return false;
}

/* Of the command, or with NULL global; --help is everybody's. */
static bool applies(const struct option_row *row, const struct command *command)
{
	if (!row->commands)
		return !command || row == &rows[OPT_HELP];
	return command && names_command(row->commands, command->name);
}

static bool is_named(const struct option_row *row, const char *name, size_t len)
{
	return (len == 1 && row->letter == name[0]) ||
	       (strncmp(row->name, name, len) == 0 && row->name[len] == '\0');
}

static int find_option(const struct command *command, const char *name, size_t len)
{
	for (int i = 0; i < OPT_COUNT; i++)
		if (applies(&rows[i], command) && is_named(&rows[i], name, len))
			return i;
	return -1;
}

static int check_value(const struct option_row *row, const char *value, struct error *err)
{
	uint32_t number;

	if (row->kind == KIND_FLAG && units_parse_bool(value) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid boolean value \"%s\" for -%s: parse error", value,
				 row->name);
	if (row->kind == KIND_NUMBER && str_parse_u32(value, &number) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid value \"%s\" for flag -%s: parse error", value,
				 row->name);
	return 0;
}

static int take_option(struct options *o, int id, const char *value, struct error *err)
{
	const struct option_row *row = &rows[id];
	int r = check_value(row, value, err);

	if (r < 0)
		return r;
	if (row->kind == KIND_FLAG)
		o->value[id] = units_parse_bool(value) ? "true" : NULL;
	else
		o->value[id] = value;
	o->given[o->given_count++] = (struct option_given){(enum option_id)id, value};
	return 0;
}

static bool is_option(const char *arg)
{
	return arg[0] == '-' && arg[1] != '\0';
}

/* argv[*at] is an option: take it, with its value; *at is then the next argument. */
static int parse_option(struct options *o, char *argv[], int *at, struct error *err)
{
	const char *name = argv[*at] + (argv[*at][1] == '-' ? 2 : 1);
	size_t len = strcspn(name, "=");
	const char *value = name[len] == '=' ? name + len + 1 : NULL;
	int id = find_option(o->command, name, len);

	if (id < 0)
		return error_set(err, ERROR_INVALID, 0, "flag provided but not defined: -%.*s",
				 (int)len, name);
	(*at)++;
	if (!value && rows[id].kind == KIND_FLAG)
		value = "true";
	else if (!value && argv[*at])
		value = argv[(*at)++];
	if (!value)
		return error_set(err, ERROR_INVALID, 0, "flag needs an argument: -%.*s", (int)len,
				 name);
	return take_option(o, id, value, err);
}

static int check_args(const struct options *o, const char *program, struct error *err)
{
	const struct command *c = o->command;
	const char *how = c->min_args == c->max_args ? "exactly" : "a minimum of";

	if (o->arg_count < c->min_args)
		return error_set(err, ERROR_INVALID, 0, "%s: \"%s\" requires %s %u argument(s)",
				 program, c->name, how, c->min_args);
	if (o->arg_count > c->max_args)
		return error_set(err, ERROR_INVALID, 0, "%s: \"%s\" requires %s %u argument(s)",
				 program, c->name,
				 c->min_args == c->max_args ? how : "a maximum of", c->max_args);
	return 0;
}

static int parse_command(struct options *o, char *argv[], int at, struct error *err)
{
	bool options_end = false;
	int r;

	while (argv[at]) {
		if (!options_end && strcmp(argv[at], "--") == 0) {
			options_end = true;
			at++;
		} else if (options_end || !is_option(argv[at])) {
			o->args[o->arg_count++] = argv[at++];
			options_end = options_end || o->command->ends_options;
		} else {
			r = parse_option(o, argv, &at, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int options_parse(struct options *o, int argc, char *argv[], struct error *err)
{
	const struct command *command;
	int at = 1, r;

	o->given = xnew0n(struct option_given, (size_t)argc + 1);
	o->args = xnew0n(char *, (size_t)argc + 1);
	while (argc > 0 && argv[at] && is_option(argv[at]) && strcmp(argv[at], "--") != 0) {
		r = parse_option(o, argv, &at, err);
		if (r < 0)
			return r;
	}
	if (argc == 0 || !argv[at] || options_has(o, OPT_HELP) || options_has(o, OPT_VERSION))
		return 0;
	command = command_find(argv[at]);
	if (!command)
		return error_set(err, ERROR_NOT_FOUND, 0, "No help topic for '%s'", argv[at]);
	o->command = command;
	r = parse_command(o, argv, at + 1, err);
	if (r < 0 || options_has(o, OPT_HELP))
		return r;
	return check_args(o, str_basename(argv[0]), err);
}

void options_done(struct options *o)
{
	free(o->given);
	free(o->args);
}

bool options_has(const struct options *o, enum option_id id)
{
	return o->value[id];
}

const char *options_next(const struct options *o, enum option_id id, size_t *pos)
{
	while (*pos < o->given_count) {
		const struct option_given *g = &o->given[(*pos)++];

		if (g->id == id)
			return g->value;
	}
	return NULL;
}

unsigned options_count(const struct options *o, enum option_id id)
{
	uint32_t n = 0;

	if (o->value[id])
		(void)str_parse_u32(o->value[id], &n); /* checked when it was parsed */
	return n;
}

int options_check_fds(const struct options *o, unsigned n, struct error *err)
{
	if (n <= o->inherited_fds)
		return 0;
	return error_set(err, ERROR_INVALID, 0,
			 "--preserve-fds: %u are to be passed on, but descriptor %u is not open", n,
			 3 + o->inherited_fds);
}

const char *options_name(enum option_id id)
{
	return rows[id].name;
}

/* -- help ---------------------------------------------------------------------------------- */

static void print_rows(FILE *to, const struct command *command)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct option_row *row = &rows[i];
		char text[64];

		if (!applies(row, command) || !row->help || (command && !row->commands))
			continue;
		if (row->letter)
			(void)snprintf(text, sizeof(text), "--%s%s, -%c", row->name,
				       row->kind == KIND_FLAG ? "" : " value", row->letter);
		else
			(void)snprintf(text, sizeof(text), "--%s%s", row->name,
				       row->kind == KIND_FLAG ? "" : " value");
		(void)fprintf(to, "   %-32s %s\n", text, row->help);
	}
}

void options_print_help(FILE *to, const struct command *command)
{
	if (command) {
		(void)fprintf(to,
			      "NAME:\n   vessel-runtime %s - %s\n\n"
			      "USAGE:\n   vessel-runtime %s [command options] %s\n\nOPTIONS:\n",
			      command->name, command->summary, command->name, command->arguments);
		print_rows(to, command);
		return;
	}
	(void)fprintf(to, "NAME:\n   vessel-runtime - Open Container Initiative runtime\n\n"
			  "USAGE:\n   vessel-runtime [global options] command [command options] "
			  "[arguments...]\n\nCOMMANDS:\n");
	for (size_t i = 0; i < command_count; i++)
		(void)fprintf(to, "   %-12s %s\n", commands[i].name, commands[i].summary);
	(void)fprintf(to, "   %-12s %s\n\nGLOBAL OPTIONS:\n", "help",
		      "print this, or what there is to say of one command");
	print_rows(to, NULL);
}
