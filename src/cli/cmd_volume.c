/* volume: create, inspect, ls, prune, rm. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/inspect.h"
#include "cli/objects.h"
#include "cli/output.h"

struct volume_options {
	const char *driver, *name, *format;
	struct strv label, opt, filter;
	bool quiet, force, all;
};

static const struct flag create_flags[] = {
	FLAG(struct volume_options, "driver", 'd', FLAG_STRING, driver,
	     "Specify volume driver name (default \"local\")"),
	FLAG(struct volume_options, "label", 0, FLAG_LIST, label, "Set metadata for a volume"),
	FLAG(struct volume_options, "opt", 'o', FLAG_LIST, opt, "Set driver specific options"),
	{.name = "name",
	 .type = FLAG_STRING,
	 .offset = offsetof(struct volume_options, name),
	 .help = "Specify volume name",
	 .hidden = true},
	{0},
};

static int cmd_create(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct volume_options *o = in->options;
	autostrbuf struct strbuf body = STRBUF_INIT(CLI_RESPONSE_MAX);
	const char *name = in->parsed.arg_count > 0 ? in->parsed.args[0] : o->name;
	const struct json *answer;
	struct json_writer w;
	int r;

	if (in->parsed.arg_count > 0 && o->name)
		return error_set(err, ERROR_INVALID, 0,
				 "conflicting options: cannot specify a volume-name through both "
				 "--name and as a positional arg");
	json_writer_init(&w, &body);
	jw_object(&w);
	jw_kstring(&w, "Name", name ? name : "");
	jw_kstring(&w, "Driver", o->driver ? o->driver : "local");
	objects_map(&w, "DriverOpts", &o->opt);
	objects_map(&w, "Labels", &o->label);
	jw_object_end(&w);
	r = cli_json(cli, "POST", "/volumes/create", &body, &answer, err);
	if (r >= 0)
		printf("%s\n", json_get_string(answer, "Name"));
	return r < 0 ? r : 0;
}

static int cmd_inspect(struct cli *cli, const struct invocation *in, struct error *err)
{
	return inspect_objects(cli, in, "volume", err);
}

static const struct output_column ls_columns[] = {
	{"Availability", "AVAILABILITY"},
	{"Driver", "DRIVER"},
	{"Group", "GROUP"},
	{"Labels", "LABELS"},
	{"Links", "LINKS"},
	{"Mountpoint", "MOUNTPOINT"},
	{"Name", "VOLUME NAME"},
	{"Scope", "SCOPE"},
	{"Size", "SIZE"},
	{"Status", "STATUS"},
	{0},
};

static const struct flag ls_flags[] = {
	FLAG_CHECKED(struct volume_options, "filter", 'f', FLAG_LIST, filter, cli_check_filter,
		     "Provide filter values (e.g. \"dangling=true\")"),
	FLAG(struct volume_options, "format", 0, FLAG_STRING, format,
	     "Format output using a custom template"),
	FLAG(struct volume_options, "quiet", 'q', FLAG_BOOL, quiet, "Only display volume names"),
	{0},
};

static void write_row(struct cli *cli, const struct json *v, struct json_writer *w)
{
	static const char *const unknown[] = {"Availability", "Group", "Links", "Size", "Status"};
	static const char *const plain[] = {"Driver", "Mountpoint", "Name", "Scope"};

	jw_object(w);
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		jw_kstring(w, unknown[i], "N/A");
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		jw_kstring(w, plain[i], json_get_string(v, plain[i]));
	jw_kstring(w, "Labels", objects_labels(cli, json_get(v, "Labels")));
	jw_object_end(w);
}

static int cmd_ls(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct volume_options *o = in->options;
	autostrbuf struct strbuf b = STRBUF_INIT(CLI_RESPONSE_MAX);
	struct output_list list = {.columns = ls_columns,
				   .default_format =
					   o->quiet ? "{{.Name}}" : "table {{.Driver}}\t{{.Name}}",
				   .format = o->quiet ? NULL : o->format};
	const struct json *answer, *volumes, *rows;
	const char *filters = "";
	struct json_writer w;
	const size_t *order;
	int r = cli_filters(cli, &o->filter, &filters, err);

	r = r < 0 ? r
		  : cli_json(cli, "GET", cli_path(cli, "/volumes?filters=%s", filters), NULL,
			     &answer, err);
	if (r < 0)
		return r;
	volumes = json_get(answer, "Volumes");
	order = objects_sorted(cli, volumes, "Name");
	json_writer_init(&w, &b);
	jw_array(&w);
	for (size_t i = 0; i < json_count(volumes); i++)
		write_row(cli, json_at(volumes, order[i]), &w);
	jw_array_end(&w);
	r = json_parse(cli->arena, b.s, b.len, &rows, err);
	return r < 0 ? r : output_list(cli, &list, rows, err);
}

static const struct flag rm_flags[] = {
	FLAG(struct volume_options, "force", 'f', FLAG_BOOL, force,
	     "Force the removal of one or more volumes"),
	{0},
};

static int cmd_rm(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct volume_options *o = in->options;
	const struct objects_removal how = {
		.path = "/volumes", .query = o->force ? "?force=1" : "", .force = o->force};

	return objects_remove(cli, in, &how, err);
}

static const struct flag prune_flags[] = {
	FLAG(struct volume_options, "all", 'a', FLAG_BOOL, all,
	     "Remove all unused volumes, not just anonymous ones"),
	FLAG_CHECKED(struct volume_options, "filter", 0, FLAG_LIST, filter, cli_check_filter,
		     "Provide filter values (e.g. \"label=<label>\")"),
	FLAG(struct volume_options, "force", 'f', FLAG_BOOL, force,
	     "Do not prompt for confirmation"),
	{0},
};

static int cmd_prune(struct cli *cli, const struct invocation *in, struct error *err)
{
	struct volume_options *o = in->options;
	autostrbuf struct strbuf size = STRBUF_INIT(64);
	const struct json *answer, *v;
	const char *filters = "";
	int r;

	if (!o->force &&
	    !objects_confirm(
		    o->all ? "This will remove all local volumes not used by at least one "
			     "container."
			   : "This will remove anonymous local volumes not used by at least one "
			     "container."))
		return error_set(err, ERROR_INVALID, 0, "volume prune has been cancelled");
	if (o->all)
		strv_add(&o->filter, "all=1");
	r = cli_filters(cli, &o->filter, &filters, err);
	r = r < 0 ? r
		  : cli_json(cli, "POST", cli_path(cli, "/volumes/prune?filters=%s", filters), NULL,
			     &answer, err);
	if (r < 0)
		return r;
	if (json_count(json_get(answer, "VolumesDeleted")) > 0) {
		printf("Deleted Volumes:\n");
		json_array_foreach(v, json_get(answer, "VolumesDeleted"))
			printf("%s\n", json_string(v));
		printf("\n");
	}
	output_size((double)json_get_int(answer, "SpaceReclaimed"), 4, &size);
	printf("Total reclaimed space: %s\n", size.s);
	return 0;
}

#define VOLUME(name_, run_, flags_, options_, usage_, min_, max_, help_)                   \
	{                                                                                  \
		.name = (name_), .group = "volume", .group_only = true, .usage = (usage_), \
		.help = (help_), .flags = (flags_), .options_size = sizeof(options_),      \
		.min_args = (min_), .max_args = (max_), .run = (run_)                      \
	}

const struct command volume_commands[] = {
	VOLUME("create", cmd_create, create_flags, struct volume_options, "[OPTIONS] [VOLUME]", 0,
	       1, "Create a volume"),
	VOLUME("inspect", cmd_inspect, inspect_format_flags, struct inspect_options,
	       "[OPTIONS] VOLUME [VOLUME...]", 1, -1,
	       "Display detailed information on one or more volumes"),
	VOLUME("ls", cmd_ls, ls_flags, struct volume_options, "[OPTIONS]", 0, 0, "List volumes"),
	VOLUME("list", cmd_ls, ls_flags, struct volume_options, "[OPTIONS]", 0, 0, "List volumes"),
	VOLUME("prune", cmd_prune, prune_flags, struct volume_options, "[OPTIONS]", 0, 0,
	       "Remove unused local volumes"),
	VOLUME("rm", cmd_rm, rm_flags, struct volume_options, "[OPTIONS] VOLUME [VOLUME...]", 1, -1,
	       "Remove one or more volumes"),
	VOLUME("remove", cmd_rm, rm_flags, struct volume_options, "[OPTIONS] VOLUME [VOLUME...]", 1,
	       -1, "Remove one or more volumes"),
	{0},
};
