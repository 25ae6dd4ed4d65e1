/* vessel-runtime: an OCI runtime with runc's command line, on the library in runtime/. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "bin/runtime/commands.h"
#include "bin/runtime/report.h"
#include "linux/descriptors.h"
#include "linux/rootless.h"
#include "linux/self.h"
#include "oci/runtime_spec.h"
#include "runtime/rootless.h"

#define EXIT_NO_COMMAND   3
#define EXIT_ERROR        1
#define EXIT_EXEC_FAILURE 255

static int command_help(const struct options *o, int *ret_code, struct error *err);

/* clang-format off */
const struct command commands[] = {
	{"checkpoint", command_checkpoint, 1, 1, "<container-id>", "checkpoint a running container", .error_code = EXIT_ERROR},
	{"create", command_create, 1, 1, "<container-id>", "create a container", .executes = true, .failed = "create failed", .error_code = EXIT_ERROR},
	{"delete", command_delete, 1, 1, "<container-id>", "delete what a container holds, often one that was detached from", .error_code = EXIT_ERROR},
	{"events", command_events, 1, 1, "<container-id>", "print OOM kills and statistics", .error_code = EXIT_ERROR},
	{"exec", command_exec, 1, ~0U, "<container-id> <command> [arguments...]", "run another program in a container", .executes = true, .ends_options = true, .failed = "exec failed", .error_code = EXIT_EXEC_FAILURE},
	{"features", command_features, 0, 0, "", "print what this runtime can do", .error_code = EXIT_ERROR},
	{"kill", command_kill, 1, 2, "<container-id> [signal]", "send a signal (default: SIGTERM) to a container's process 1", .error_code = EXIT_ERROR},
	{"list", command_list, 0, 0, "", "list the containers below --root", .error_code = EXIT_ERROR},
	{"pause", command_pause, 1, 1, "<container-id>", "suspend all processes of a container", .error_code = EXIT_ERROR},
	{"ps", command_ps, 1, ~0U, "<container-id> [ps options]", "list the processes of a container", .ends_options = true, .error_code = EXIT_ERROR},
	{"restore", command_restore, 1, 1, "<container-id>", "restore a container from a checkpoint", .executes = true, .error_code = EXIT_ERROR},
	{"resume", command_resume, 1, 1, "<container-id>", "let a paused container go on", .error_code = EXIT_ERROR},
	{"run", command_run, 1, 1, "<container-id>", "create and start a container", .executes = true, .failed = "run failed", .error_code = EXIT_ERROR},
	{"spec", command_spec, 0, 0, "", "make a config.json to start from", .error_code = EXIT_ERROR},
	{"start", command_start, 1, 1, "<container-id>", "start the program of a created container", .error_code = EXIT_ERROR},
	{"state", command_state, 1, 1, "<container-id>", "print the state of a container", .error_code = EXIT_ERROR},
	{"update", command_update, 1, 1, "<container-id>", "change the limits of a container", .error_code = EXIT_ERROR},
};
/* clang-format on */
const size_t command_count = ARRAY_SIZE(commands);

static const struct command help_command = {
	"help", command_help, 0, 1, "[command]", "help", .error_code = EXIT_NO_COMMAND};

const struct command *command_find(const char *name)
{
	if (strcmp(name, "help") == 0 || strcmp(name, "h") == 0)
		return &help_command;
	for (size_t i = 0; i < command_count; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int command_help(const struct options *o, int *ret_code, struct error *err)
{
	const struct command *c = o->arg_count ? command_find(o->args[0]) : NULL;

	(void)ret_code;
	if (o->arg_count && !c)
		return error_set(err, ERROR_NOT_FOUND, 0, "No help topic for '%s'", o->args[0]);
	options_print_help(stdout, c);
	return 0;
}

static int set_rootless(const char *word, struct error *err)
{
	static const struct {
		const char *word;
		enum rootless value;
	} words[] = {
		{"auto", ROOTLESS_AUTO}, {"", ROOTLESS_AUTO},       {"true", ROOTLESS_TRUE},
		{"1", ROOTLESS_TRUE},    {"false", ROOTLESS_FALSE}, {"0", ROOTLESS_FALSE},
	};

	for (size_t i = 0; word && i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].word, word) == 0) {
			rootless_set(words[i].value);
			return 0;
		}
	return word ? error_set(err, ERROR_INVALID, 0, "invalid rootless: %s", word) : 0;
}

static int check_globals(const struct options *o, struct error *err)
{
	const char *format = o->value[OPT_LOG_FORMAT];

	if (format && strcmp(format, "text") != 0 && strcmp(format, "json") != 0)
		return error_set(err, ERROR_INVALID, 0, "invalid log-format: %s", format);
	return set_rootless(o->value[OPT_ROOTLESS], err);
}

/* Nothing is made when --root names the place: whoever did that has one. */
static int choose_root(struct options *o, struct error *err)
{
	if (o->value[OPT_ROOT])
		return 0;
	o->value[OPT_ROOT] = rootless_state_root(); /* as long as the process */
	return rootless_make_state_root(o->value[OPT_ROOT], err);
}

static int run(struct options *o, char *argv[], int *ret_code, struct error *err)
{
	const struct command *c = o->command;
	int r = check_globals(o, err);

	if (r < 0)
		return r;
	if (options_has(o, OPT_VERSION)) {
		printf("vessel-runtime version " VESSEL_VERSION "\nspec: " OCI_SPEC_VERSION "\n");
		return 0;
	}
	if (!c || options_has(o, OPT_HELP)) {
		options_print_help(stdout, c);
		return 0;
	}
	r = choose_root(o, err);
	if (r < 0)
		return r;
	if (c->executes) {
		r = self_reexec(argv, err);
		if (r < 0)
			return r;
	}
	/* What is passed on to the container is unmarked again; nothing else of our caller's reaches it,
	 * hooks, or the programs that we run. */
	r = descriptors_cloexec(-EBADF, 3, err);
	if (r == 0)
		r = c->run(o, ret_code, err);
	return r < 0 && c->failed ? error_wrap(err, r, "%s", c->failed) : r;
}

static int usage_error(const struct options *o, const struct error *err)
{
	if (err->kind != ERROR_NOT_FOUND) {
		(void)fprintf(stderr, "Incorrect Usage: %s\n\n", error_msg(err));
		options_print_help(stderr, o->command);
	}
	report_error(err);
	return err->kind == ERROR_NOT_FOUND ? EXIT_NO_COMMAND : EXIT_ERROR;
}

int main(int argc, char *argv[])
{
	/* before anything of ours is open, but for what we have from ourselves */
	unsigned inherited = descriptors_inherited(self_find_mount());
	autooptions struct options o = {0};
	autoerror struct error err = {0};
	int code = 0, r;

	r = options_parse(&o, argc, argv, &err);
	o.inherited_fds = inherited;
	report_init(&o);
	if (r < 0)
		return usage_error(&o, &err);
	if (run(&o, argv, &code, &err) == 0)
		return fflush(stdout) == 0 ? code : EXIT_ERROR;
	report_error(&err);
	return o.command ? o.command->error_code : EXIT_ERROR;
}
