/* images, load, save, import, tag, rmi, history. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "http/client.h"
#include "oci/image_ref.h"

/* Uploads and progress ---------------------------------------------------------------------- */

/* One line of a progress stream: {"stream":...}, {"status":...} or an error in band. */
static int show_progress(const struct json *line, void *data, struct error *err)
{
	const char *text = json_get_string(line, "stream"),
		   *problem = json_get_string(line, "error");
	const bool *quiet = data;

	if (problem)
		return error_set(err, ERROR_INTERNAL, 0, "%s", problem);
	if (text)
		(void)fputs(text, stdout);
	else if (!*quiet && (text = json_get_string(line, "status")))
		printf("%s\n", text);
	return 0;
}

static int upload(struct cli *cli, const char *path, int fd, bool quiet, struct error *err)
{
	struct http_response *response = NULL;
	int r = cli_upload(cli, "POST", path, fd, &response, err);

	if (r < 0)
		return r;
	r = cli_each_line(response, show_progress, &quiet, err);
	(void)http_response_free(response);
	return r;
}

static int open_input(const char *path, struct error *err)
{
	int fd;

	if (!path || strcmp(path, "-") == 0)
		return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? error_set(err, ERROR_NOT_FOUND, errno, "open %s", path) : fd;
}

struct archive_options {
	const char *input, *output, *message, *platform;
	struct strv change;
	bool quiet;
};

static const struct flag load_flags[] = {
	FLAG(struct archive_options, "input", 'i', FLAG_STRING, input,
	     "Read from tar archive file, instead of STDIN"),
	FLAG(struct archive_options, "platform", 0, FLAG_STRING, platform,
	     "Load only the given platform"),
	FLAG(struct archive_options, "quiet", 'q', FLAG_BOOL, quiet, "Suppress the load output"),
	{0},
};

static int cmd_load(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct archive_options *o = in->options;
	autoclose int fd = open_input(o->input, err);
	bool quiet = o->quiet || !isatty(STDOUT_FILENO);

	if (fd < 0)
		return fd;
	if (!o->input && isatty(fd))
		return error_set(err, ERROR_INVALID, 0,
				 "requested load from stdin, but stdin is empty");
	return upload(
		cli,
		cli_path(cli, "/images/load?quiet=%d%s", quiet, cli_platform(cli, o->platform)), fd,
		quiet, err);
}

static const struct flag import_flags[] = {
	FLAG(struct archive_options, "change", 'c', FLAG_LIST, change,
	     "Apply Dockerfile instruction to the created image"),
	FLAG(struct archive_options, "message", 'm', FLAG_STRING, message,
	     "Set commit message for imported image"),
	FLAG(struct archive_options, "platform", 0, FLAG_STRING, platform, "Set platform"),
	{0},
};

static int cmd_import(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct archive_options *o = in->options;
	autostrbuf struct strbuf path = STRBUF_INIT(1 << 20);
	autoclose int fd = -EBADF;

	if (strstr(in->parsed.args[0], "://"))
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				 "import from a URL: not implemented yet");
	fd = open_input(in->parsed.args[0], err);
	if (fd < 0)
		return fd;
	strbuf_addf(&path, "/images/create?fromSrc=-&repo=%s&message=%s&platform=%s",
		    in->parsed.arg_count > 1 ? cli_escape(cli, in->parsed.args[1]) : "",
		    o->message ? cli_escape(cli, o->message) : "",
		    o->platform ? cli_escape(cli, o->platform) : "");
	for (size_t i = 0; i < o->change.n; i++)
		strbuf_addf(&path, "&changes=%s", cli_escape(cli, o->change.v[i]));
	return upload(cli, path.s, fd, false, err);
}

static const struct flag save_flags[] = {
	FLAG(struct archive_options, "output", 'o', FLAG_STRING, output,
	     "Write to a file, instead of STDOUT"),
	FLAG(struct archive_options, "platform", 0, FLAG_STRING, platform,
	     "Save only the given platform"),
	{0},
};

static int cmd_save(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct archive_options *o = in->options;
	autostrbuf struct strbuf path = STRBUF_INIT(1 << 20);

	if (!o->output && isatty(STDOUT_FILENO))
		return error_set(
			err, ERROR_INVALID, 0,
			"cowardly refusing to save to a terminal. Use the -o flag or redirect");
	strbuf_adds(&path, "/images/get?");
	for (int i = 0; i < in->parsed.arg_count; i++)
		strbuf_addf(&path, "%snames=%s", i ? "&" : "", cli_escape(cli, in->parsed.args[i]));
	strbuf_adds(&path, cli_platform(cli, o->platform));
	return cli_download(cli, path.s, o->output, err);
}

/* Names ------------------------------------------------------------------------------------- */

static int cmd_tag(struct cli *cli, const struct invocation *in, struct error *err)
{
	const char *target = in->parsed.args[1], *slash = strrchr(target, '/');
	const char *colon = strchr(slash ? slash : target, ':');
	const char *repo =
		colon ? arena_strndup(cli->arena, target, (size_t)(colon - target)) : target;

	autoimage_ref struct image_ref ref = {0};
	autoerror struct error why = {0};

	if (image_ref_parse(target, &ref, &why) < 0)
		return error_set(
			err, ERROR_INVALID, 0,
			"Error parsing reference: \"%s\" is not a valid repository/tag: %s", target,
			error_msg(&why));
	return cli_json(cli, "POST",
			cli_path(cli, "/images/%s/tag?repo=%s&tag=%s",
				 cli_escape(cli, in->parsed.args[0]), cli_escape(cli, repo),
				 colon ? cli_escape(cli, colon + 1) : ""),
			NULL, NULL, err);
}

struct rmi_options {
	bool force, no_prune;
	struct strv platforms;
};

static const struct flag rmi_flags[] = {
	FLAG(struct rmi_options, "force", 'f', FLAG_BOOL, force, "Force removal of the image"),
	FLAG(struct rmi_options, "no-prune", 0, FLAG_BOOL, no_prune,
	     "Do not delete untagged parents"),
	FLAG(struct rmi_options, "platform", 0, FLAG_CSV, platforms,
	     "Remove only this platform of the image: 'os[/arch[/variant]]'"),
	{0},
};

static int cmd_rmi(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct rmi_options *o = in->options;
	autostrbuf struct strbuf query = STRBUF_INIT(CLI_LINE_MAX);
	int failed = 0;

	strbuf_addf(&query, "force=%d&noprune=%d", o->force, o->no_prune);
	for (size_t i = 0; i < o->platforms.n; i++)
		strbuf_addf(&query, "&platforms=%s",
			    cli_platform(cli, o->platforms.v[i]) + strlen("&platform="));
	if (strbuf_error(&query) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "--platform");

	for (int i = 0; i < in->parsed.arg_count; i++) {
		const struct json *answer, *item;
		const char *path = cli_path(cli, "/images/%s?%s",
					    cli_escape(cli, in->parsed.args[i]), query.s);

		if (cli_json(cli, "DELETE", path, NULL, &answer, err) < 0) {
			if (!o->force || err->kind != ERROR_NOT_FOUND)
				failed = 1;
			cli_complain(err);
			continue;
		}
		json_array_foreach(item, answer) {
			const char *untagged = json_get_string(item, "Untagged");

			printf("%s: %s\n", untagged ? "Untagged" : "Deleted",
			       untagged ? untagged : json_get_string(item, "Deleted"));
		}
	}
	return failed;
}

/* Lists ------------------------------------------------------------------------------------- */

struct list_options {
	bool all, digests, no_trunc, quiet, human;
	struct strv filter;
	const char *format, *platform;
};

static const struct flag images_flags[] = {
	FLAG(struct list_options, "all", 'a', FLAG_BOOL, all, "Show all images"),
	FLAG(struct list_options, "digests", 0, FLAG_BOOL, digests, "Show digests"),
	FLAG_CHECKED(struct list_options, "filter", 'f', FLAG_LIST, filter, cli_check_filter,
		     "Filter output based on conditions provided"),
	FLAG(struct list_options, "format", 0, FLAG_STRING, format,
	     "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or "
	     "TEMPLATE"),
	FLAG(struct list_options, "no-trunc", 0, FLAG_BOOL, no_trunc, "Don't truncate output"),
	FLAG(struct list_options, "quiet", 'q', FLAG_BOOL, quiet, "Only show image IDs"),
	{0},
};

static const struct output_column images_columns[] = {
	{"Repository", "REPOSITORY"},
	{"Tag", "TAG"},
	{"Digest", "DIGEST"},
	{"ID", "IMAGE ID"},
	{"CreatedSince", "CREATED"},
	{"CreatedAt", "CREATED AT"},
	{"Size", "SIZE"},
	{"VirtualSize", "SIZE"},
	{"Containers", "CONTAINERS"},
	{"SharedSize", "SHARED SIZE"},
	{"UniqueSize", "UNIQUE SIZE"},
	{0},
};

static void images_row(struct cli *cli, const struct list_options *o, const struct json *image,
		       const char *reference, struct json_writer *w)
{
	autostrbuf struct strbuf size = STRBUF_INIT(64), full_size = STRBUF_INIT(64);
	const char *colon = strrchr(reference, ':');
	const char *digest = json_string(json_at(json_get(image, "RepoDigests"), 0));

	digest = digest ? strchr(digest, '@') : NULL;
	output_size((double)json_get_int(image, "Size"), 3, &size);
	jw_object(w);
	jw_kstring(w, "Repository",
		   arena_strndup(cli->arena, reference, (size_t)(colon - reference)));
	jw_kstring(w, "Tag", colon + 1);
	jw_kstring(w, "Digest", digest ? digest + 1 : "<none>");
	jw_kstring(w, "ID",
		   o->no_trunc ? json_get_string(image, "Id")
			       : output_short_id(cli, json_get_string(image, "Id"), false));
	output_age(json_get_int(image, "Created"), "CreatedSince", w);
	jw_kstring(w, "Size", size.s);
	output_size((double)json_get_int(image, "Size"), 4, &full_size);
	jw_kstring(w, "VirtualSize", full_size.s);
	jw_key(w, "Containers");
	if (json_get_int(image, "Containers") < 0)
		jw_string(w, "N/A");
	else
		jw_stringf(w, "%lld", (long long)json_get_int(image, "Containers"));
	jw_kstring(w, "SharedSize", "N/A");
	jw_kstring(w, "UniqueSize", "N/A");
	jw_object_end(w);
}

static int cmd_images(struct cli *cli, const struct invocation *in, struct error *err)
{
	struct list_options *o = in->options;
	autostrbuf struct strbuf b = STRBUF_INIT(CLI_RESPONSE_MAX);
	struct output_list list = {
		.columns = images_columns,
		.default_format = o->quiet     ? "{{.ID}}"
				  : o->digests ? "table "
						 "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}"
						 "\t{{.CreatedSince}}\t{{.Size}}"
					       : "table "
						 "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{."
						 "CreatedSince}}\t{{.Size}}",
		.format = o->quiet ? NULL : o->format,
	};
	const struct json *images, *image, *tag, *rows;
	struct json_writer w;
	const char *filters = "";
	int r;

	if (in->parsed.arg_count)
		strv_addf(&o->filter, "reference=%s", in->parsed.args[0]);
	r = cli_filters(cli, &o->filter, &filters, err);
	if (r == 0)
		r = cli_json(cli, "GET",
			     cli_path(cli, "/images/json?all=%d&digests=%d&filters=%s", o->all,
				      o->digests, filters),
			     NULL, &images, err);
	if (r < 0)
		return r;
	json_writer_init(&w, &b);
	jw_array(&w);
	json_array_foreach(image, images) {
		const struct json *tags = json_get(image, "RepoTags");

		json_array_foreach(tag, tags)
			images_row(cli, o, image, json_string(tag), &w);
		if (!json_count(tags))
			images_row(cli, o, image, "<none>:<none>", &w);
	}
	jw_array_end(&w);
	r = json_parse(cli->arena, b.s, b.len, &rows, err);
	return r < 0 ? r : output_list(cli, &list, rows, err);
}

static const struct flag history_flags[] = {
	FLAG(struct list_options, "format", 0, FLAG_STRING, format,
	     "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or "
	     "TEMPLATE"),
	FLAG(struct list_options, "human", 'H', FLAG_BOOL, human,
	     "Print sizes and dates in human readable format (default true)"),
	FLAG(struct list_options, "no-trunc", 0, FLAG_BOOL, no_trunc, "Don't truncate output"),
	FLAG(struct list_options, "platform", 0, FLAG_STRING, platform,
	     "Show history for the given platform"),
	FLAG(struct list_options, "quiet", 'q', FLAG_BOOL, quiet, "Only show image IDs"),
	{0},
};

static const struct output_column history_columns[] = {
	{"ID", "IMAGE"},
	{"CreatedSince", "CREATED"},
	{"CreatedAt", "CREATED AT"},
	{"CreatedBy", "CREATED BY"},
	{"Size", "SIZE"},
	{"Comment", "COMMENT"},
	{0},
};

static int cmd_history(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct list_options *o = in->options;
	autostrbuf struct strbuf b = STRBUF_INIT(CLI_RESPONSE_MAX);
	bool human = !flags_changed(history_flags, &in->parsed, "human") || o->human;
	struct output_list list = {
		.columns = history_columns,
		.default_format = o->quiet ? "{{.ID}}"
					   : "table "
					     "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}"
					     "\t{{.Comment}}",
		.format = o->quiet ? NULL : o->format,
	};
	const struct json *layers, *layer, *rows;
	struct json_writer w;
	int r = cli_json(cli, "GET",
			 cli_path(cli, "/images/%s/history?%s", cli_escape(cli, in->parsed.args[0]),
				  cli_platform(cli, o->platform)),
			 NULL, &layers, err);

	if (r < 0)
		return r;
	json_writer_init(&w, &b);
	jw_array(&w);
	json_array_foreach(layer, layers) {
		autostrbuf struct strbuf size = STRBUF_INIT(64);
		const char *by = json_get_string(layer, "CreatedBy") ?: "";

		if (human)
			output_size((double)json_get_int(layer, "Size"), 3, &size);
		else
			strbuf_addf(&size, "%lld", (long long)json_get_int(layer, "Size"));
		if (!o->no_trunc && strlen(by) > 45)
			by = arena_printf(cli->arena, "%.44s\xe2\x80\xa6", by);
		jw_object(&w);
		jw_kstring(&w, "ID",
			   output_short_id(cli, json_get_string(layer, "Id"), o->no_trunc));
		output_age(json_get_int(layer, "Created"), "CreatedSince", &w);
		jw_kstring(&w, "CreatedBy", by);
		jw_kstring(&w, "Size", size.s);
		jw_kstring(&w, "Comment", json_get_string(layer, "Comment"));
		jw_object_end(&w);
	}
	jw_array_end(&w);
	r = json_parse(cli->arena, b.s, b.len, &rows, err);
	return r < 0 ? r : output_list(cli, &list, rows, err);
}

#define IMAGE(name_, run_, flags_, type_, usage_, min_, max_, help_)                   \
	{                                                                              \
		.name = (name_), .group = "image", .usage = (usage_), .help = (help_), \
		.flags = (flags_), .options_size = sizeof(type_), .min_args = (min_),  \
		.max_args = (max_), .run = (run_)                                      \
	}

const struct command image_commands[] = {
	IMAGE("images", cmd_images, images_flags, struct list_options,
	      "[OPTIONS] [REPOSITORY[:TAG]]", 0, 1, "List images"),
	{.name = "ls",
	 .group = "image",
	 .group_only = true,
	 .usage = "[OPTIONS] [REPOSITORY[:TAG]]",
	 .help = "List images",
	 .flags = images_flags,
	 .options_size = sizeof(struct list_options),
	 .max_args = 1,
	 .run = cmd_images},
	IMAGE("load", cmd_load, load_flags, struct archive_options, "[OPTIONS]", 0, 0,
	      "Load an image from a tar archive or STDIN"),
	IMAGE("import", cmd_import, import_flags, struct archive_options,
	      "[OPTIONS] file|- [REPOSITORY[:TAG]]", 1, 2,
	      "Import the contents from a tarball to create a filesystem image"),
	IMAGE("save", cmd_save, save_flags, struct archive_options, "[OPTIONS] IMAGE [IMAGE...]", 1,
	      -1, "Save one or more images to a tar archive (streamed to STDOUT by default)"),
	IMAGE("history", cmd_history, history_flags, struct list_options, "[OPTIONS] IMAGE", 1, 1,
	      "Show the history of an image"),
	{.name = "tag",
	 .group = "image",
	 .usage = "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
	 .help = "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
	 .min_args = 2,
	 .max_args = 2,
	 .run = cmd_tag},
	{.name = "rmi",
	 .usage = "[OPTIONS] IMAGE [IMAGE...]",
	 .help = "Remove one or more images",
	 .flags = rmi_flags,
	 .options_size = sizeof(struct rmi_options),
	 .min_args = 1,
	 .max_args = -1,
	 .run = cmd_rmi},
	{.name = "rm",
	 .group = "image",
	 .group_only = true,
	 .usage = "[OPTIONS] IMAGE [IMAGE...]",
	 .help = "Remove one or more images",
	 .flags = rmi_flags,
	 .options_size = sizeof(struct rmi_options),
	 .min_args = 1,
	 .max_args = -1,
	 .run = cmd_rmi},
	{0},
};
