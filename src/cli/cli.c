/* Finding the command, global flags, help, exit codes. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/address.h"
#include "http/client.h"

static const struct command *const tables[] = {
	container_commands, exec_commands,    life_commands,     update_commands, image_commands,
	system_commands,    network_commands, volume_commands,   cp_commands,     files_commands,
	prune_commands,     df_commands,      registry_commands, stats_commands,
};

struct global_options {
	struct cli cli;
	const char *log_level, *context;
	bool version, debug;
};

static const struct flag global_flags[] = {
	FLAG(struct global_options, "config", 0, FLAG_STRING, cli.config,
	     "Location of client config files (default \"~/.docker\")"),
	FLAG(struct global_options, "host", 'H', FLAG_STRING, cli.host,
	     "Daemon socket to connect to"),
	FLAG(struct global_options, "tls", 0, FLAG_BOOL, cli.tls,
	     "Use TLS; implied by --tlsverify"),
	FLAG(struct global_options, "tlsverify", 0, FLAG_BOOL, cli.tlsverify,
	     "Use TLS and verify the remote"),
	FLAG(struct global_options, "tlscacert", 0, FLAG_STRING, cli.tlscacert,
	     "Trust certs signed only by this CA (default \"~/.docker/ca.pem\")"),
	FLAG(struct global_options, "tlscert", 0, FLAG_STRING, cli.tlscert,
	     "Path to TLS certificate file (default \"~/.docker/cert.pem\")"),
	FLAG(struct global_options, "tlskey", 0, FLAG_STRING, cli.tlskey,
	     "Path to TLS key file (default \"~/.docker/key.pem\")"),
	FLAG(struct global_options, "version", 'v', FLAG_BOOL, version,
	     "Print version information and quit"),
	{0},
};

typedef void (*command_fn)(const struct command *c, void *data);

static void each_command(command_fn fn, void *data)
{
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
		for (const struct command *c = tables[t]; c->name; c++)
			fn(c, data);
}

static const struct command *find(const char *group, const char *name)
{
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
		for (const struct command *c = tables[t]; c->name; c++)
			if (strcmp(c->name, name) == 0 &&
			    (group ? str_eq(c->group, group) : !c->group_only))
				return c;
	return NULL;
}

static bool is_group(const char *name)
{
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
		for (const struct command *c = tables[t]; c->name; c++)
			if (str_eq(c->group, name))
				return true;
	return false;
}

/* Help -------------------------------------------------------------------------------------- */

struct listing {
	const char *group; /* only this group's; NULL: what is on top */
};

static void list_command(const struct command *c, void *data)
{
	const struct listing *l = data;

	if (l->group ? str_eq(c->group, l->group) : !c->group_only)
		printf("  %-11s %s\n", c->name, c->help);
}

static void print_group_help(const char *group)
{
	struct listing l = {group};

	if (group)
		printf("\nUsage:  vessel %s COMMAND\n\nCommands:\n", group);
	else
		printf("Usage:  vessel [OPTIONS] COMMAND\n\nContainers in C.\n\nCommands:\n");
	each_command(list_command, &l);
	if (!group) {
		autostrbuf struct strbuf b = STRBUF_INIT(65536);

		flags_usage(global_flags, &b);
		printf("\nManagement Commands:\n  container, image, network, system, "
		       "volume\n\nGlobal "
		       "Options:\n%s",
		       b.s);
	}
	printf("\nRun 'vessel%s%s COMMAND --help' for more information on a command.\n",
	       group ? " " : "", group ? group : "");
}

static void print_usage(FILE *out, const struct command *c, const char *group)
{
	(void)fprintf(out, "Usage:  vessel %s%s%s%s%s\n", group ? group : "", group ? " " : "",
		      c->name, c->usage[0] ? " " : "", c->usage);
}

static void print_help(const struct command *c, const char *group)
{
	autostrbuf struct strbuf b = STRBUF_INIT(65536);

	print_usage(stdout, c, group);
	printf("\n%s\n", c->help);
	if (c->flags && c->flags[0].name) {
		flags_usage(c->flags, &b);
		printf("\nOptions:\n%s", b.s);
	}
}

/* Running ----------------------------------------------------------------------------------- */

static int bad_usage(const struct command *c, const char *group, struct error *err)
{
	int code = err->kind == ERROR_CONFLICT ? 1 : CLI_EXIT_REFUSED;

	(void)fprintf(stderr, "%s\n\n", error_msg(err));
	print_usage(stderr, c, group);
	(void)fprintf(stderr, "\n%s 'vessel %s%s%s --help' for more information\n",
		      c->min_args > 0 && c->max_args < 0 && err->kind == ERROR_CONFLICT ? "See"
											: "Run",
		      group ? group : "", group ? " " : "", c->name);
	error_done(err);
	return code;
}

/* ERROR_CONFLICT, which no flag's error is: their number is wrong. */
static int check_args(const struct command *c, const char *group, int n, struct error *err)
{
	const char *gap = group ? " " : "";
	int count = n < c->min_args ? c->min_args : c->max_args;
	const char *plural = count == 1 ? "" : "s";

	group = group ? group : "";
	if (n >= c->min_args && (c->max_args < 0 || n <= c->max_args))
		return 0;
	if (c->max_args == 0)
		return error_set(err, ERROR_CONFLICT, 0,
				 "vessel: 'vessel %s%s%s' accepts no arguments", group, gap,
				 c->name);
	if (c->min_args > 0 && c->max_args > c->min_args)
		return error_set(
			err, ERROR_CONFLICT, 0,
			"vessel: 'vessel %s%s%s' requires at least %d and at most %d arguments",
			group, gap, c->name, c->min_args, c->max_args);
	return error_set(err, ERROR_CONFLICT, 0, "vessel: 'vessel %s%s%s' requires %s%d argument%s",
			 group, gap, c->name,
			 c->min_args == c->max_args ? ""
			 : n < c->min_args          ? "at least "
						    : "at most ",
			 count, plural);
}

static void free_options(const struct command *c, void *options)
{
	for (const struct flag *f = c->flags; f && f->name; f++)
		if (f->type == FLAG_LIST || f->type == FLAG_CSV)
			strv_done((struct strv *)((char *)options + f->offset));
	free(options);
}

static int run_command(struct cli *cli, const struct command *c, const char *group, int argc,
		       char **argv)
{
	static const struct flag no_flags[] = {{0}};
	struct invocation in = {.command = c, .options = xcalloc(1, c->options_size)};
	autoerror struct error err = {0};
	int r = flags_parse(c->flags ? c->flags : no_flags, in.options, argc, argv,
			    c->stop_at_argument, &in.parsed, &err);

	if (r == 0 && in.parsed.help) {
		print_help(c, group);
		free_options(c, in.options);
		return 0;
	}
	if (r == 0)
		r = check_args(c, group, in.parsed.arg_count, &err);
	if (r < 0) {
		free_options(c, in.options);
		return bad_usage(c, group, &err);
	}
	r = c->run(cli, &in, &err);
	if (r < 0) {
		cli_complain(&err);
		r = 1;
	}
	free_options(c, in.options);
	return r;
}

static int dispatch(struct cli *cli, int argc, char **argv)
{
	const char *group = NULL;
	const struct command *c;

	if (is_group(argv[0]) && !find(NULL, argv[0])) {
		group = argv[0];
		argc--, argv++;
		if (argc == 0 || strcmp(argv[0], "--help") == 0) {
			print_group_help(group);
			return 0;
		}
	}
	c = find(group, argv[0]);
	if (!c) {
		(void)fprintf(stderr,
			      "vessel: unknown command: vessel %s%s%s\n\nRun 'vessel --help' for "
			      "more information\n",
			      group ? group : "", group ? " " : "", argv[0]);
		return 1;
	}
	return run_command(cli, c, group, argc - 1, argv + 1);
}

/* A variable that is set to nothing says nothing, as in Docker's client. */
static const char *environment_host(void)
{
	static const char *const names[] = {"VESSEL_HOST", "DOCKER_HOST"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!str_empty(getenv(names[i])))
			return getenv(names[i]);
	return "unix://" HTTP_ADDRESS_DEFAULT_PATH;
}

int cli_main(int argc, char **argv, cli_program_fn run)
{
	struct global_options options = {.cli = {.run = run}};
	autofree char **whole = xnew0n(char *, (size_t)argc + 1); /* parsing reorders argv */
	struct flags_parsed parsed;
	autoerror struct error err = {0};
	int r;

	for (int i = 0; i < argc; i++)
		whole[i] = argv[i];
	options.cli.argv = whole;
	options.cli.host = environment_host();
	options.cli.tlsverify = !str_empty(getenv("DOCKER_TLS_VERIFY"));
	if (flags_parse(global_flags, &options, argc - 1, argv + 1, true, &parsed, &err) < 0) {
		(void)fprintf(stderr, "%s\n\nRun 'vessel --help' for more information\n",
			      error_msg(&err));
		return CLI_EXIT_REFUSED;
	}
	if (options.version) {
		printf("vessel version " VESSEL_VERSION "\n");
		return 0;
	}
	if (parsed.help || parsed.arg_count == 0 || strcmp(parsed.args[0], "help") == 0) {
		print_group_help(NULL);
		return 0;
	}
	options.cli.arena = arena_new();
	r = dispatch(&options.cli, parsed.arg_count, parsed.args);
	(void)http_client_free(options.cli.http);
	(void)arena_free(options.cli.arena);
	return r;
}
