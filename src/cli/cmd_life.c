/* stop, kill, restart, pause, unpause, rm, rename, wait, ps, port, inspect. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/template.h"
#include "cli/cli.h"
#include "cli/inspect.h"
#include "cli/output.h"

#define EXIT_BAD_TEMPLATE 64 /* inspect, as Docker's */

/* One request for each argument; the argument is printed when it went well.  `missing_ok`: what is not
 * there is told and forgiven. */
static int for_each_but(struct cli *cli, const struct invocation *in, const char *method,
			const char *suffix, bool missing_ok)
{
	autoerror struct error err = {0};
	int failed = 0;

	for (int i = 0; i < in->parsed.arg_count; i++) {
		const char *name = in->parsed.args[i];
		const char *path = cli_path(cli, "/containers/%s%s", cli_escape(cli, name), suffix);

		if (cli_json(cli, method, path, NULL, NULL, &err) < 0) {
			if (!missing_ok || err.kind != ERROR_NOT_FOUND)
				failed = 1;
			cli_complain(&err);
		} else {
			printf("%s\n", name);
		}
	}
	return failed;
}

static int for_each(struct cli *cli, const struct invocation *in, const char *method,
		    const char *suffix)
{
	return for_each_but(cli, in, method, suffix, false);
}

struct stop_options {
	int timeout;
	const char *signal;
};

static const struct flag stop_flags[] = {
	FLAG(struct stop_options, "signal", 's', FLAG_STRING, signal,
	     "Signal to send to the container"),
	FLAG(struct stop_options, "timeout", 't', FLAG_INT, timeout,
	     "Seconds to wait before killing the container"),
	{.name = "time", /* as it was called */
	 .type = FLAG_INT,
	 .offset = offsetof(struct stop_options, timeout),
	 .help = "Seconds to wait before killing the container",
	 .hidden = true},
	{0},
};

static int stop_or_restart(struct cli *cli, const struct invocation *in, const char *verb)
{
	const struct stop_options *o = in->options;
	autostrbuf struct strbuf suffix = STRBUF_INIT(1024);

	strbuf_addf(&suffix, "/%s?", verb);
	if (flags_changed(stop_flags, &in->parsed, "timeout") ||
	    flags_changed(stop_flags, &in->parsed, "time"))
		strbuf_addf(&suffix, "t=%d&", o->timeout);
	if (o->signal)
		strbuf_addf(&suffix, "signal=%s", cli_escape(cli, o->signal));
	return for_each(cli, in, "POST", suffix.s);
}

static int cmd_stop(struct cli *cli, const struct invocation *in, struct error *err)
{
	(void)err;
	return stop_or_restart(cli, in, "stop");
}

static int cmd_restart(struct cli *cli, const struct invocation *in, struct error *err)
{
	(void)err;
	return stop_or_restart(cli, in, "restart");
}

struct kill_options {
	const char *signal;
};

static const struct flag kill_flags[] = {
	FLAG(struct kill_options, "signal", 's', FLAG_STRING, signal,
	     "Signal to send to the container"),
	{0},
};

static int cmd_kill(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct kill_options *o = in->options;

	(void)err;
	return for_each(cli, in, "POST",
			cli_path(cli, "/kill?signal=%s", cli_escape(cli, o->signal ?: "KILL")));
}

static int cmd_pause(struct cli *cli, const struct invocation *in, struct error *err)
{
	(void)err;
	return for_each(cli, in, "POST", "/pause");
}

static int cmd_unpause(struct cli *cli, const struct invocation *in, struct error *err)
{
	(void)err;
	return for_each(cli, in, "POST", "/unpause");
}

struct rm_options {
	bool force, volumes, link;
};

static const struct flag rm_flags[] = {
	FLAG(struct rm_options, "force", 'f', FLAG_BOOL, force,
	     "Force the removal of a running container (uses SIGKILL)"),
	FLAG(struct rm_options, "link", 'l', FLAG_BOOL, link, "Remove the specified link"),
	FLAG(struct rm_options, "volumes", 'v', FLAG_BOOL, volumes,
	     "Remove anonymous volumes associated with the container"),
	{0},
};

static int cmd_rm(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct rm_options *o = in->options;

	(void)err;
	return for_each_but(cli, in, "DELETE",
			    cli_path(cli, "?force=%d&v=%d&link=%d", o->force, o->volumes, o->link),
			    o->force);
}

static int cmd_rename(struct cli *cli, const struct invocation *in, struct error *err)
{
	int r = cli_json(cli, "POST",
			 cli_path(cli, "/containers/%s/rename?name=%s",
				  cli_escape(cli, in->parsed.args[0]),
				  cli_escape(cli, in->parsed.args[1])),
			 NULL, NULL, err);

	if (r < 0) {
		cli_complain(err);
		(void)fprintf(stderr, "Error: failed to rename container named %s\n",
			      in->parsed.args[0]);
		return 1;
	}
	return 0;
}

static int cmd_wait(struct cli *cli, const struct invocation *in, struct error *err)
{
	int failed = 0;

	for (int i = 0; i < in->parsed.arg_count; i++) {
		const struct json *answer;

		if (cli_json(cli, "POST",
			     cli_path(cli, "/containers/%s/wait",
				      cli_escape(cli, in->parsed.args[i])),
			     NULL, &answer, err) < 0) {
			cli_complain(err);
			failed = 1;
		} else {
			printf("%lld\n", (long long)json_get_int(answer, "StatusCode"));
		}
	}
	return failed;
}

static int cmd_port(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct json *document, *bindings, *binding;
	const char *key, *name = in->parsed.args[0];
	const char *wanted = in->parsed.arg_count > 1 ? in->parsed.args[1] : NULL;
	bool found = false;
	int r = cli_json(cli, "GET", cli_path(cli, "/containers/%s/json", cli_escape(cli, name)),
			 NULL, &document, err);

	if (r < 0)
		return r;
	if (wanted && !strchr(wanted, '/'))
		wanted = arena_printf(cli->arena, "%s/tcp", wanted);
	json_object_foreach(key, bindings,
			    json_get(json_get(document, "NetworkSettings"), "Ports")) {
		if (wanted && strcmp(wanted, key) != 0)
			continue;
		json_array_foreach(binding, bindings) {
			const char *ip = json_get_string(binding, "HostIp") ?: "";
			bool v6 = strchr(ip, ':') != NULL;

			found = true;
			if (!wanted)
				printf("%s -> ", key);
			printf(v6 ? "[%s]:%s\n" : "%s:%s\n", ip,
			       json_get_string(binding, "HostPort"));
		}
	}
	if (wanted && !found)
		return error_set(err, ERROR_NOT_FOUND, 0,
				 "Error: No public port '%s' published for %s", in->parsed.args[1],
				 name);
	return 0;
}

/* ps ---------------------------------------------------------------------------------------- */

struct ps_options {
	bool all, latest, no_trunc, quiet, size;
	int last;
	struct strv filter;
	const char *format;
};

static const struct flag ps_flags[] = {
	FLAG(struct ps_options, "all", 'a', FLAG_BOOL, all,
	     "Show all containers (default shows just running)"),
	FLAG_CHECKED(struct ps_options, "filter", 'f', FLAG_LIST, filter, cli_check_filter,
		     "Filter output based on conditions provided"),
	FLAG(struct ps_options, "format", 0, FLAG_STRING, format,
	     "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or "
	     "TEMPLATE"),
	FLAG(struct ps_options, "last", 'n', FLAG_INT, last, "Show n last created containers"),
	FLAG(struct ps_options, "latest", 'l', FLAG_BOOL, latest,
	     "Show the latest created container"),
	FLAG(struct ps_options, "no-trunc", 0, FLAG_BOOL, no_trunc, "Don't truncate output"),
	FLAG(struct ps_options, "quiet", 'q', FLAG_BOOL, quiet, "Only display container IDs"),
	FLAG(struct ps_options, "size", 's', FLAG_BOOL, size, "Display total file sizes"),
	{0},
};

static const struct output_column ps_columns[] = {
	{"ID", "CONTAINER ID"},    {"Image", "IMAGE"},
	{"Command", "COMMAND"},    {"CreatedAt", "CREATED AT"},
	{"RunningFor", "CREATED"}, {"Ports", "PORTS"},
	{"State", "STATE"},        {"Status", "STATUS"},
	{"Size", "SIZE"},          {"Names", "NAMES"},
	{"Labels", "LABELS"},      {"Mounts", "MOUNTS"},
	{"Networks", "NETWORKS"},  {"LocalVolumes", "LOCAL VOLUMES"},
	{"Platform", "PLATFORM"},  {0},
};

/* "0.0.0.0:80->8080/tcp, 9000/udp" */
static void ps_ports(const struct json *ports, struct json_writer *w)
{
	autostrbuf struct strbuf b = STRBUF_INIT(65536);
	const struct json *port;

	json_array_foreach(port, ports) {
		const char *ip = json_get_string(port, "IP");

		if (b.len)
			strbuf_adds(&b, ", ");
		if (json_get_int(port, "PublicPort"))
			strbuf_addf(&b, ip && strchr(ip, ':') ? "[%s]:%lld->" : "%s:%lld->",
				    ip ?: "", (long long)json_get_int(port, "PublicPort"));
		strbuf_addf(&b, "%lld/%s", (long long)json_get_int(port, "PrivatePort"),
			    json_get_string(port, "Type") ?: "tcp");
	}
	jw_kstring(w, "Ports", b.s);
}

static void ps_command(struct cli *cli, const char *command, bool full, struct json_writer *w)
{
	autostrbuf struct strbuf b = STRBUF_INIT(1 << 20);

	if (!full && strlen(command) > 20)
		command = arena_printf(cli->arena, "%.19s\xe2\x80\xa6", command);
	output_quote(command, &b);
	jw_kstring(w, "Command", b.s);
}

static void ps_names(const struct json *names, struct json_writer *w)
{
	autostrbuf struct strbuf b = STRBUF_INIT(65536);
	const struct json *name;

	json_array_foreach(name, names) {
		const char *s = json_string(name) ?: "";

		strbuf_addf(&b, "%s%s", b.len ? "," : "", s + (s[0] == '/'));
	}
	jw_kstring(w, "Names", b.s);
}

/* Keys (and values) of an object, or one member of each element, joined by commas. */
static void ps_joined(const char *field, const struct json *v, const char *member,
		      struct json_writer *w)
{
	autostrbuf struct strbuf b = STRBUF_INIT(65536);

	for (size_t i = 0; i < json_count(v); i++) {
		if (b.len)
			strbuf_addc(&b, ',');
		if (json_type(v) == JSON_ARRAY)
			strbuf_adds(&b, json_get_string(json_at(v, i), member) ?: "");
		else if (member)
			strbuf_addf(&b, "%s=%s", json_key_at(v, i),
				    json_string(json_value_at(v, i)) ?: "");
		else
			strbuf_adds(&b, json_key_at(v, i));
	}
	jw_kstring(w, field, b.s);
}

static void ps_size(const struct json *c, struct json_writer *w)
{
	autostrbuf struct strbuf b = STRBUF_INIT(128);

	output_size((double)json_get_int(c, "SizeRw"), 3, &b);
	if (json_get_int(c, "SizeRootFs") > 0) {
		strbuf_adds(&b, " (virtual ");
		output_size((double)json_get_int(c, "SizeRootFs"), 3, &b);
		strbuf_adds(&b, ")");
	}
	jw_kstring(w, "Size", b.s);
}

static void ps_row(struct cli *cli, const struct ps_options *o, const struct json *c,
		   struct json_writer *w)
{
	const char *image = json_get_string(c, "Image") ?: "";

	if (str_has_prefix(image, "sha256:"))
		image = output_short_id(cli, image, o->no_trunc);
	jw_object(w);
	jw_kstring(w, "ID", output_short_id(cli, json_get_string(c, "Id"), o->no_trunc));
	jw_kstring(w, "Image", image);
	ps_command(cli, json_get_string(c, "Command") ?: "", o->no_trunc, w);
	output_age(json_get_int(c, "Created"), "RunningFor", w);
	ps_ports(json_get(c, "Ports"), w);
	jw_kstring(w, "State", json_get_string(c, "State"));
	jw_kstring(w, "Status", json_get_string(c, "Status"));
	ps_size(c, w);
	ps_names(json_get(c, "Names"), w);
	ps_joined("Labels", json_get(c, "Labels"), "", w);
	ps_joined("Mounts", json_get(c, "Mounts"), "Source", w);
	ps_joined("Networks", json_get(json_get(c, "NetworkSettings"), "Networks"), NULL, w);
	jw_kstring(w, "LocalVolumes", "0");
	jw_key(w, "Platform");
	jw_null(w);
	jw_kvalue(w, "Label", json_get(c, "Labels"));
	jw_object_end(w);
}

static int cmd_ps(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct ps_options *o = in->options;
	autostrbuf struct strbuf b = STRBUF_INIT(CLI_RESPONSE_MAX);
	bool size = o->size || (o->format && strstr(o->format, ".Size"));
	struct output_list list = {
		.columns = ps_columns,
		.default_format = o->quiet ? "{{.ID}}"
				  : size   ? "table "
					     "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{."
					     "Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}"
					   : "table "
					     "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{."
					     "Status}}\t{{.Ports}}\t{{.Names}}",
		.format = o->quiet ? NULL : o->format,
	};
	const struct json *containers, *c, *rows;
	int limit = o->latest ? 1 : o->last;
	struct json_writer w;
	const char *filters = "";
	int r = cli_filters(cli, &o->filter, &filters, err);

	if (r == 0)
		r = cli_json(cli, "GET",
			     cli_path(cli, "/containers/json?all=%d&limit=%d&size=%d&filters=%s",
				      o->all || limit > 0, limit > 0 ? limit : 0, size, filters),
			     NULL, &containers, err);
	if (r < 0)
		return r;
	json_writer_init(&w, &b);
	jw_array(&w);
	json_array_foreach(c, containers)
		ps_row(cli, o, c, &w);
	jw_array_end(&w);
	r = json_parse(cli->arena, b.s, b.len, &rows, err);
	return r < 0 ? r : output_list(cli, &list, rows, err);
}

/* inspect ----------------------------------------------------------------------------------- */

const struct flag inspect_format_flags[] = {
	FLAG(struct inspect_options, "format", 'f', FLAG_STRING, format,
	     "Format output using a custom template: 'json' or TEMPLATE"),
	{0},
};

static const struct flag inspect_flags[] = {
	FLAG(struct inspect_options, "format", 'f', FLAG_STRING, format,
	     "Format output using a custom template: 'json' or TEMPLATE"),
	FLAG(struct inspect_options, "size", 's', FLAG_BOOL, size,
	     "Display total file sizes if the type is container"),
	FLAG(struct inspect_options, "type", 0, FLAG_STRING, type,
	     "Only inspect objects of the given type"),
	{0},
};

static const struct flag container_inspect_flags[] = {
	FLAG(struct inspect_options, "format", 'f', FLAG_STRING, format,
	     "Format output using a custom template: 'json' or TEMPLATE"),
	FLAG(struct inspect_options, "size", 's', FLAG_BOOL, size, "Display total file sizes"),
	{0},
};

static const struct flag image_inspect_flags[] = {
	FLAG(struct inspect_options, "format", 'f', FLAG_STRING, format,
	     "Format output using a custom template: 'json' or TEMPLATE"),
	FLAG(struct inspect_options, "platform", 0, FLAG_STRING, platform,
	     "Inspect this platform of the image: 'os[/arch[/variant]]'"),
	{0},
};

static const struct {
	const char *type, *path;
} inspect_types[] = {
	{"container", "/containers/%s/json"},
	{"image", "/images/%s/json"},
	{"network", "/networks/%s"},
	{"volume", "/volumes/%s"},
};

static const char *inspect_query(struct cli *cli, const char *type, const struct inspect_options *o)
{
	if (o->size && strcmp(type, "container") == 0)
		return "?size=1";
	if (o->verbose && strcmp(type, "network") == 0)
		return "?verbose=true";
	if (o->platform && strcmp(type, "image") == 0)
		return arena_printf(cli->arena, "?%s", cli_platform(cli, o->platform) + 1);
	return "";
}

/* The first type that knows the name; without --type nothing but "not found" goes on to the next. */
static int inspect_one(struct cli *cli, const char *name, const struct inspect_options *o,
		       const struct json **ret, struct error *err)
{
	const char *type = o->type;
	bool known = false;

	for (size_t i = 0; i < ARRAY_SIZE(inspect_types); i++) {
		const char *prefix = inspect_types[i].path;
		size_t len = strcspn(prefix, "%");
		int r;

		if (type && strcmp(type, inspect_types[i].type) != 0)
			continue;
		known = true;
		r = cli_json(cli, "GET",
			     cli_path(cli, "%.*s%s%s%s", (int)len, prefix, cli_escape(cli, name),
				      prefix + len + 2,
				      inspect_query(cli, inspect_types[i].type, o)),
			     NULL, ret, err);
		if (r == 0 || type ||
		    (err->kind != ERROR_NOT_FOUND && err->kind != ERROR_NOT_IMPLEMENTED))
			return r;
	}
	if (!known)
		return error_set(err, ERROR_INVALID, 0, "\"%s\" is not a valid value for --type",
				 type);
	return error_set(err, ERROR_NOT_FOUND, 0, "Error: No such object: %s", name);
}

int inspect_objects(struct cli *cli, const struct invocation *in, const char *type,
		    struct error *err)
{
	struct inspect_options *o = in->options;
	size_t n = 0, count = (size_t)in->parsed.arg_count;
	const struct json **documents = arena_alloc(cli->arena, count * sizeof(*documents));
	autostrv struct strv problems = {0};
	const struct template *unused;
	int r;

	if (o->format && template_parse(cli->arena, o->format, &unused, err) < 0) {
		cli_complain(err);
		return EXIT_BAD_TEMPLATE;
	}
	o->type = type ? type : o->type;
	for (size_t i = 0; i < count; i++) {
		if (inspect_one(cli, in->parsed.args[i], o, &documents[n], err) == 0) {
			n++;
			continue;
		}
		strv_add(&problems, error_msg(err));
		error_done(err);
	}
	r = n || !o->format ? output_documents(cli, documents, n, o->format, err) : 0;
	(void)fflush(stdout); /* before what stderr is told */
	for (size_t i = 0; i < problems.n; i++)
		(void)fprintf(stderr, "%s\n", problems.v[i]);
	return r < 0 ? r : problems.n > 0;
}

static int cmd_inspect(struct cli *cli, const struct invocation *in, struct error *err)
{
	return inspect_objects(cli, in, NULL, err);
}

static int cmd_container_inspect(struct cli *cli, const struct invocation *in, struct error *err)
{
	return inspect_objects(cli, in, "container", err);
}

static int cmd_image_inspect(struct cli *cli, const struct invocation *in, struct error *err)
{
	return inspect_objects(cli, in, "image", err);
}

#define SIMPLE(name_, run_, help_)                                                          \
	{                                                                                   \
		.name = (name_), .group = "container", .usage = "CONTAINER [CONTAINER...]", \
		.help = (help_), .min_args = 1, .max_args = -1, .run = (run_)               \
	}
#define WITH_FLAGS(name_, run_, flags_, type_, usage_, help_)                                    \
	{                                                                                        \
		.name = (name_), .group = "container", .usage = (usage_), .help = (help_),       \
		.flags = (flags_), .options_size = sizeof(type_), .min_args = 1, .max_args = -1, \
		.run = (run_)                                                                    \
	}
#define MANY "[OPTIONS] CONTAINER [CONTAINER...]"

const struct command life_commands[] = {
	WITH_FLAGS("stop", cmd_stop, stop_flags, struct stop_options, MANY,
		   "Stop one or more running containers"),
	WITH_FLAGS("restart", cmd_restart, stop_flags, struct stop_options, MANY,
		   "Restart one or more containers"),
	WITH_FLAGS("kill", cmd_kill, kill_flags, struct kill_options, MANY,
		   "Kill one or more running containers"),
	WITH_FLAGS("rm", cmd_rm, rm_flags, struct rm_options, MANY,
		   "Remove one or more containers"),
	SIMPLE("pause", cmd_pause, "Pause all processes within one or more containers"),
	SIMPLE("unpause", cmd_unpause, "Unpause all processes within one or more containers"),
	SIMPLE("wait", cmd_wait,
	       "Block until one or more containers stop, then print their exit codes"),
	{.name = "rename",
	 .group = "container",
	 .usage = "CONTAINER NEW_NAME",
	 .help = "Rename a container",
	 .min_args = 2,
	 .max_args = 2,
	 .run = cmd_rename},
	{.name = "port",
	 .group = "container",
	 .usage = "CONTAINER [PRIVATE_PORT[/PROTO]]",
	 .help = "List port mappings or a specific mapping for the container",
	 .min_args = 1,
	 .max_args = 2,
	 .run = cmd_port},
	{.name = "ps",
	 .group = "container",
	 .usage = "[OPTIONS]",
	 .help = "List containers",
	 .flags = ps_flags,
	 .options_size = sizeof(struct ps_options),
	 .run = cmd_ps},
	{.name = "ls",
	 .group = "container",
	 .group_only = true,
	 .usage = "[OPTIONS]",
	 .help = "List containers",
	 .flags = ps_flags,
	 .options_size = sizeof(struct ps_options),
	 .run = cmd_ps},
	{.name = "inspect",
	 .usage = "[OPTIONS] NAME|ID [NAME|ID...]",
	 .help = "Return low-level information on objects",
	 .flags = inspect_flags,
	 .options_size = sizeof(struct inspect_options),
	 .min_args = 1,
	 .max_args = -1,
	 .run = cmd_inspect},
	{.name = "inspect",
	 .group = "container",
	 .group_only = true,
	 .usage = MANY,
	 .help = "Display detailed information on one or more containers",
	 .flags = container_inspect_flags,
	 .options_size = sizeof(struct inspect_options),
	 .min_args = 1,
	 .max_args = -1,
	 .run = cmd_container_inspect},
	{.name = "inspect",
	 .group = "image",
	 .group_only = true,
	 .usage = "[OPTIONS] IMAGE [IMAGE...]",
	 .help = "Display detailed information on one or more images",
	 .flags = image_inspect_flags,
	 .options_size = sizeof(struct inspect_options),
	 .min_args = 1,
	 .max_args = -1,
	 .run = cmd_image_inspect},
	{0},
};
