/* commit, diff, export: what is in containers. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "http/client.h"

/* Commit ------------------------------------------------------------------------------------ */

struct commit_options {
	const char *author, *message;
	struct strv change;
	bool pause;
};

static const struct flag commit_flags[] = {
	FLAG(struct commit_options, "author", 'a', FLAG_STRING, author,
	     "Author (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")"),
	FLAG(struct commit_options, "change", 'c', FLAG_LIST, change,
	     "Apply Dockerfile instruction to the created image"),
	FLAG(struct commit_options, "message", 'm', FLAG_STRING, message, "Commit message"),
	FLAG(struct commit_options, "pause", 'p', FLAG_BOOL, pause,
	     "Pause container during commit (default true)"),
	{0},
};

static int cmd_commit(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct commit_options *o = in->options;
	const char *name = in->parsed.arg_count > 1 ? in->parsed.args[1] : "";
	const char *slash = strrchr(name, '/'), *colon = strchr(slash ? slash : name, ':');
	const char *repo = colon ? arena_strndup(cli->arena, name, (size_t)(colon - name)) : name;
	autostrbuf struct strbuf path = STRBUF_INIT(1 << 20);
	const struct json *answer;
	int r;

	strbuf_addf(&path, "/commit?container=%s&repo=%s&tag=%s&author=%s&comment=%s&pause=%d",
		    cli_escape(cli, in->parsed.args[0]), cli_escape(cli, repo),
		    colon ? cli_escape(cli, colon + 1) : "",
		    o->author ? cli_escape(cli, o->author) : "",
		    o->message ? cli_escape(cli, o->message) : "",
		    o->pause || !flags_changed(commit_flags, &in->parsed, "pause"));
	for (size_t i = 0; i < o->change.n; i++)
		strbuf_addf(&path, "&changes=%s", cli_escape(cli, o->change.v[i]));
	r = cli_json(cli, "POST", path.s, NULL, &answer, err);
	if (r == 0)
		printf("%s\n", json_get_string(answer, "Id") ?: "");
	return r;
}

/* Diff -------------------------------------------------------------------------------------- */

static int cmd_diff(struct cli *cli, const struct invocation *in, struct error *err)
{
	static const char kinds[] = "CAD";
	const struct json *changes, *change;
	int r = cli_json(
		cli, "GET",
		cli_path(cli, "/containers/%s/changes", cli_escape(cli, in->parsed.args[0])), NULL,
		&changes, err);

	if (r < 0)
		return r;
	json_array_foreach(change, changes) {
		int64_t kind = json_get_int(change, "Kind");

		printf("%c %s\n", kind >= 0 && kind < 3 ? kinds[kind] : '?',
		       json_get_string(change, "Path") ?: "");
	}
	return 0;
}

/* Export ------------------------------------------------------------------------------------ */

struct export_options {
	const char *output;
};

static const struct flag export_flags[] = {
	FLAG(struct export_options, "output", 'o', FLAG_STRING, output,
	     "Write to a file, instead of STDOUT"),
	{0},
};

static int cmd_export(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct export_options *o = in->options;

	if (!o->output && isatty(STDOUT_FILENO))
		return error_set(
			err, ERROR_INVALID, 0,
			"cowardly refusing to save to a terminal. Use the -o flag or redirect");
	return cli_download(
		cli, cli_path(cli, "/containers/%s/export", cli_escape(cli, in->parsed.args[0])),
		o->output, err);
}

const struct command files_commands[] = {
	{.name = "commit",
	 .group = "container",
	 .usage = "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
	 .help = "Create a new image from a container's changes",
	 .flags = commit_flags,
	 .options_size = sizeof(struct commit_options),
	 .min_args = 1,
	 .max_args = 2,
	 .run = cmd_commit},
	{.name = "diff",
	 .group = "container",
	 .usage = "CONTAINER",
	 .help = "Inspect changes to files or directories on a container's filesystem",
	 .min_args = 1,
	 .max_args = 1,
	 .run = cmd_diff},
	{.name = "export",
	 .group = "container",
	 .usage = "[OPTIONS] CONTAINER",
	 .help = "Export a container's filesystem as a tar archive",
	 .flags = export_flags,
	 .options_size = sizeof(struct export_options),
	 .min_args = 1,
	 .max_args = 1,
	 .run = cmd_export},
	{0},
};
