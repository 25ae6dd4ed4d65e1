/* version, info, events. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/template.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "http/client.h"

struct format_options {
	const char *format, *since, *until;
	struct strv filter;
};

static const struct flag format_flags[] = {
	FLAG(struct format_options, "format", 'f', FLAG_STRING, format,
	     "Format output using a custom template: 'json' or TEMPLATE"),
	{0},
};

/* Version ----------------------------------------------------------------------------------- */

static void line(const char *name, const char *value)
{
	if (!str_empty(value))
		printf(" %-18s%s\n", name, value);
}

static void print_server(const struct json *server)
{
	const struct json *component;

	printf("\nServer: %s\n Engine:\n",
	       json_get_string(json_get(server, "Platform"), "Name") ?: "");
	line(" Version:", json_get_string(server, "Version"));
	printf("  %-17s%s (minimum version %s)\n",
	       "API version:", json_get_string(server, "ApiVersion") ?: "",
	       json_get_string(server, "MinAPIVersion") ?: "");
	line(" Built:", json_get_string(server, "BuildTime"));
	printf("  %-17s%s/%s\n", "OS/Arch:", json_get_string(server, "Os") ?: "",
	       json_get_string(server, "Arch") ?: "");
	line(" Kernel:", json_get_string(server, "KernelVersion"));
	json_array_foreach(component, json_get(server, "Components")) {
		const char *name = json_get_string(component, "Name");

		if (str_eq(name, "Engine"))
			continue;
		printf(" %s:\n", name);
		line(" Version:", json_get_string(component, "Version"));
	}
}

static int version_format(struct cli *cli, const char *format, const struct json *server,
			  struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(1 << 20);
	const struct json *document;
	struct json_writer w;
	int r;

	json_writer_init(&w, &b);
	jw_object(&w);
	jw_kobject(&w, "Client");
	jw_kstring(&w, "Version", VESSEL_VERSION);
	jw_kstring(&w, "ApiVersion", cli->api_version);
	jw_kstring(&w, "Os", "linux");
	jw_object_end(&w);
	jw_kvalue(&w, "Server", server);
	jw_object_end(&w);
	r = json_parse(cli->arena, b.s, b.len, &document, err);
	return r < 0 ? r : output_documents(cli, &document, 1, format, err);
}

static int cmd_version(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct format_options *o = in->options;
	const struct json *server = NULL;
	int r = cli_json(cli, "GET", "/version", NULL, &server, err);

	if (o->format)
		return r < 0 ? r : version_format(cli, o->format, server, err);
	printf("Client: vessel\n");
	line("Version:", VESSEL_VERSION);
	line("API version:", cli->api_version[0] ? cli->api_version : CLI_API_VERSION);
	line("OS/Arch:", "linux/amd64");
	if (r < 0)
		return r;
	print_server(server);
	return 0;
}

/* Info -------------------------------------------------------------------------------------- */

static void info_value(const char *label, const struct json *v)
{
	autostrbuf struct strbuf b = STRBUF_INIT(65536);
	struct json_writer w;

	if (json_is_null(v))
		return;
	if (json_type(v) == JSON_STRING) {
		printf(" %s: %s\n", label, json_string(v) ?: "");
		return;
	}
	json_writer_init(&w, &b);
	jw_value(&w, v);
	printf(" %s: %s\n", label, b.s);
}

static void info_list(const char *label, const struct json *v)
{
	const struct json *item;

	if (!json_count(v))
		return;
	printf(" %s:", label);
	json_array_foreach(item, v)
		printf(" %s", json_string(item) ?: "");
	(void)putchar('\n');
}

static int cmd_info(struct cli *cli, const struct invocation *in, struct error *err)
{
	static const struct {
		const char *label, *field;
	} rows[] = {
		{"Containers", "Containers"},
		{" Running", "ContainersRunning"},
		{" Paused", "ContainersPaused"},
		{" Stopped", "ContainersStopped"},
		{"Images", "Images"},
		{"Server Version", "ServerVersion"},
		{"Storage Driver", "Driver"},
		{"Logging Driver", "LoggingDriver"},
		{"Cgroup Driver", "CgroupDriver"},
		{"Cgroup Version", "CgroupVersion"},
		{"Default Runtime", "DefaultRuntime"},
		{"Init Binary", "InitBinary"},
		{"Kernel Version", "KernelVersion"},
		{"Operating System", "OperatingSystem"},
		{"OSType", "OSType"},
		{"Architecture", "Architecture"},
		{"CPUs", "NCPU"},
		{"Name", "Name"},
		{"ID", "ID"},
		{"Docker Root Dir", "DockerRootDir"},
		{"Debug Mode", "Debug"},
	};
	const struct format_options *o = in->options;
	const struct json *info, *warning;
	autostrbuf struct strbuf memory = STRBUF_INIT(64);
	int r = cli_json(cli, "GET", "/info", NULL, &info, err);

	if (r < 0)
		return r;
	if (o->format)
		return output_documents(cli, &info, 1, o->format, err);
	printf("Client: vessel\n Version:    " VESSEL_VERSION "\n\nServer:\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		info_value(rows[i].label, json_get(info, rows[i].field));
	strbuf_addf(&memory, "%.4gGiB", json_double(json_get(info, "MemTotal")) / (1 << 30));
	printf(" Total Memory: %s\n", memory.s);
	info_list("Security Options", json_get(info, "SecurityOptions"));
	json_array_foreach(warning, json_get(info, "Warnings"))
		(void)fprintf(stderr, "%s\n", json_string(warning));
	return 0;
}

/* Events ------------------------------------------------------------------------------------ */

static const struct flag events_flags[] = {
	FLAG_CHECKED(struct format_options, "filter", 'f', FLAG_LIST, filter, cli_check_filter,
		     "Filter output based on conditions provided"),
	FLAG(struct format_options, "format", 0, FLAG_STRING, format,
	     "Format output using a custom template: 'json' or TEMPLATE"),
	FLAG(struct format_options, "since", 0, FLAG_STRING, since,
	     "Show all events created since timestamp (seconds)"),
	FLAG(struct format_options, "until", 0, FLAG_STRING, until,
	     "Stream events until this timestamp (seconds)"),
	{0},
};

/* "2025-01-02T03:04:05.000000006Z container start ID (name=web, ...)" */
static void print_event(const struct json *event)
{
	const struct json *actor = json_get(event, "Actor");
	const struct json *attributes = json_get(actor, "Attributes"), *value;
	char text[CLOCK_RFC3339_SIZE];
	const char *key;
	bool any = false;

	clock_format_rfc3339_fixed(json_get_int(event, "timeNano"), text);
	printf("%s %s %s %s", text, json_get_string(event, "Type") ?: "",
	       json_get_string(event, "Action") ?: "", json_get_string(actor, "ID") ?: "");
	json_object_foreach(key, value, attributes) {
		printf("%s%s=%s", any ? ", " : " (", key, json_string(value) ?: "");
		any = true;
	}
	printf(any ? ")\n" : "\n");
	(void)fflush(stdout);
}

struct event_output {
	struct cli *cli;
	const char *format; /* or NULL */
};

static int show_event(const struct json *event, void *data, struct error *err)
{
	const struct event_output *out = data;

	if (out->format)
		return output_documents(out->cli, &event, 1, out->format, err);
	print_event(event);
	return 0;
}

static int cmd_events(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct format_options *o = in->options;
	struct http_client_request req = {.method = "GET"};
	struct http_response *response = NULL;
	struct event_output out = {cli, o->format};
	const char *filters = "";
	int r = cli_filters(cli, &o->filter, &filters, err);

	if (r < 0)
		return r;
	r = cli_send(cli, &req,
		     cli_path(cli, "/events?filters=%s&since=%s&until=%s", filters,
			      o->since ? cli_escape(cli, o->since) : "",
			      o->until ? cli_escape(cli, o->until) : ""),
		     &response, err);
	if (r < 0)
		return r;
	r = cli_each_line(response, show_event, &out, err);
	(void)http_response_free(response);
	return r;
}

struct import_options {
	const char *root;
};

static const struct flag import_flags[] = {
	FLAG(struct import_options, "root", 0, FLAG_STRING, root,
	     "Docker's data root on the engine's host (default /var/lib/docker)"),
	{0},
};

static int show_import(const struct json *line, void *data, struct error *err)
{
	const char *problem = json_get_string(line, "error"),
		   *text = json_get_string(line, "stream");

	(void)data;
	if (problem)
		return error_set(err, ERROR_INTERNAL, 0, "%s", problem);
	if (text)
		(void)fputs(text, stdout);
	return 0;
}

static int cmd_import_docker(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct import_options *o = in->options;
	struct http_client_request req = {.method = "POST"};
	struct http_response *response = NULL;
	const char *root = o->root ? cli_escape(cli, o->root) : "";
	int r = cli_send(cli, &req, cli_path(cli, "/vessel/import-docker?root=%s", root), &response,
			 err);

	r = r < 0 ? r : cli_each_line(response, show_import, NULL, err);
	(void)http_response_free(response);
	return r;
}

const struct command system_commands[] = {
	{.name = "version",
	 .usage = "[OPTIONS]",
	 .help = "Show the vessel version information",
	 .flags = format_flags,
	 .options_size = sizeof(struct format_options),
	 .run = cmd_version},
	{.name = "info",
	 .group = "system",
	 .usage = "[OPTIONS]",
	 .help = "Display system-wide information",
	 .flags = format_flags,
	 .options_size = sizeof(struct format_options),
	 .run = cmd_info},
	{.name = "import-docker",
	 .group = "system",
	 .group_only = true,
	 .usage = "[OPTIONS]",
	 .help = "Bring over the images and volumes of a Docker engine on this host",
	 .flags = import_flags,
	 .options_size = sizeof(struct import_options),
	 .run = cmd_import_docker},
	{.name = "events",
	 .group = "system",
	 .usage = "[OPTIONS]",
	 .help = "Get real time events from the server",
	 .flags = events_flags,
	 .options_size = sizeof(struct format_options),
	 .run = cmd_events},
	{0},
};
