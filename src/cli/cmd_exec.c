/* exec and logs: looking into a container. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/container_options.h"
#include "cli/stream.h"
#include "http/client.h"

#define BODY_MAX (1 << 20)

struct exec_options {
	bool detach, interactive, tty, privileged;
	struct strv env, env_file;
	const char *user, *workdir, *detach_keys;
};

static const struct flag exec_flags[] = {
	FLAG(struct exec_options, "detach", 'd', FLAG_BOOL, detach,
	     "Detached mode: run in the background"),
	FLAG(struct exec_options, "detach-keys", 0, FLAG_STRING, detach_keys,
	     "Override the key sequence for detaching a container"),
	FLAG_CHECKED(struct exec_options, "env", 'e', FLAG_LIST, env, container_check_env,
		     "Set environment variables"),
	FLAG(struct exec_options, "env-file", 0, FLAG_LIST, env_file,
	     "Read in a file of environment variables"),
	FLAG(struct exec_options, "interactive", 'i', FLAG_BOOL, interactive,
	     "Keep STDIN open even if not attached"),
	FLAG(struct exec_options, "privileged", 0, FLAG_BOOL, privileged,
	     "Give extended privileges to the command"),
	FLAG(struct exec_options, "tty", 't', FLAG_BOOL, tty, "Allocate a pseudo-TTY"),
	FLAG(struct exec_options, "user", 'u', FLAG_STRING, user,
	     "Username or UID (format: \"<name|uid>[:<group|gid>]\")"),
	FLAG(struct exec_options, "workdir", 'w', FLAG_STRING, workdir,
	     "Working directory inside the container"),
	{0},
};

static int exec_body(const struct exec_options *o, const struct flags_parsed *parsed,
		     struct strbuf *out, struct error *err)
{
	struct json_writer w;
	int r;

	json_writer_init(&w, out);
	jw_object(&w);
	jw_kbool(&w, "AttachStdin", o->interactive && !o->detach);
	jw_kbool(&w, "AttachStdout", !o->detach);
	jw_kbool(&w, "AttachStderr", !o->detach);
	jw_kbool(&w, "Tty", o->tty);
	jw_kbool(&w, "Detach", o->detach);
	jw_kbool(&w, "Privileged", o->privileged);
	jw_kstring(&w, "User", o->user ? o->user : "");
	jw_kstring(&w, "WorkingDir", o->workdir ? o->workdir : "");
	jw_kstring(&w, "DetachKeys", o->detach_keys ? o->detach_keys : "");
	r = container_write_env(&o->env_file, &o->env, &w, err);
	if (r < 0)
		return r;
	jw_karray(&w, "Cmd");
	for (int i = 1; i < parsed->arg_count; i++)
		jw_string(&w, parsed->args[i]);
	jw_array_end(&w);
	jw_object_end(&w);
	r = strbuf_error(out);
	return r < 0 ? error_set(err, ERROR_INVALID, -r, "exec's configuration") : 0;
}

static int exec_attached(struct cli *cli, const struct exec_options *o, const char *id,
			 struct error *err)
{
	autostrbuf struct strbuf body = STRBUF_INIT(BODY_MAX);
	struct http_client_raw raw = {.fd = -EBADF};
	struct stream stream = {.raw = &raw,
				.tty = o->tty,
				.send_stdin = o->interactive,
				.detach_keys = o->detach_keys,
				.resize_path = cli_path(cli, "/exec/%s/resize", id)};
	enum stream_end end = STREAM_EOF;
	const struct json *document;
	struct json_writer w;
	int r;

	json_writer_init(&w, &body);
	jw_object(&w);
	jw_kbool(&w, "Detach", false);
	jw_kbool(&w, "Tty", o->tty);
	if (o->tty)
		stream_write_size(&w);
	jw_object_end(&w);
	r = stream_open(cli, cli_path(cli, "/exec/%s/start", id), &body, &raw, err);
	if (r < 0)
		return r;
	if (o->tty)
		stream_resize(cli, stream.resize_path);
	r = stream_run(cli, &stream, &end, err);
	if (r < 0 || end == STREAM_DETACHED)
		return r;
	r = cli_json(cli, "GET", cli_path(cli, "/exec/%s/json", id), NULL, &document, err);
	return r < 0 ? r : (int)json_get_int(document, "ExitCode");
}

static int exec_exit_code(const struct error *err)
{
	const char *msg = error_msg(err);

	if (strstr(msg, "executable file not found") || strstr(msg, "no such file or directory"))
		return 127;
	return strstr(msg, "permission denied") ? 126 : 1;
}

static int cmd_exec(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct exec_options *o = in->options;
	autostrbuf struct strbuf body = STRBUF_INIT(BODY_MAX);
	const struct json *answer;
	const char *id;
	int r;

	if (o->tty && o->interactive && !o->detach && !isatty(STDIN_FILENO))
		return error_set(err, ERROR_INVALID, 0, "the input device is not a TTY");
	r = exec_body(o, &in->parsed, &body, err);
	if (r < 0)
		return r;
	r = cli_json(cli, "POST",
		     cli_path(cli, "/containers/%s/exec", cli_escape(cli, in->parsed.args[0])),
		     &body, &answer, err);
	if (r < 0)
		return r;
	id = json_get_string(answer, "Id");
	if (!id)
		return error_set(err, ERROR_INTERNAL, 0, "exec ID empty");
	if (o->detach) {
		strbuf_reset(&body);
		strbuf_adds(&body, "{\"Detach\":true}");
		r = cli_json(cli, "POST", cli_path(cli, "/exec/%s/start", id), &body, NULL, err);
	} else {
		r = exec_attached(cli, o, id, err);
	}
	if (r < 0) {
		int code = exec_exit_code(err);

		cli_complain(err);
		return code;
	}
	return r;
}

/* Logs -------------------------------------------------------------------------------------- */

struct logs_options {
	bool follow, timestamps, details;
	const char *tail, *since, *until;
};

static const struct flag logs_flags[] = {
	FLAG(struct logs_options, "details", 0, FLAG_BOOL, details,
	     "Show extra details provided to logs"),
	FLAG(struct logs_options, "follow", 'f', FLAG_BOOL, follow, "Follow log output"),
	FLAG(struct logs_options, "since", 0, FLAG_STRING, since,
	     "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. "
	     "\"42m\")"),
	FLAG(struct logs_options, "tail", 'n', FLAG_STRING, tail,
	     "Number of lines to show from the end of the logs (default \"all\")"),
	FLAG(struct logs_options, "timestamps", 't', FLAG_BOOL, timestamps, "Show timestamps"),
	FLAG(struct logs_options, "until", 0, FLAG_STRING, until,
	     "Show logs before a timestamp or relative (e.g. \"42m\")"),
	{0},
};

/* A duration before now, RFC 3339 with or without time and zone, or seconds: as sec.nsec. */
static int parse_moment(struct cli *cli, const char *s, const char **ret, struct error *err)
{
	static const char *const completions[] = {"", "Z", ":00Z", ":00:00Z", "T00:00:00Z"};
	int64_t ns;

	if (!s) {
		*ret = "";
		return 0;
	}
	if (strspn(s, "0123456789.") == strlen(s) && *s) {
		*ret = s;
		return 0;
	}
	if (flags_parse_duration(s, &ns) == 0) {
		ns = clock_realtime_ns() - ns;
	} else {
		size_t i;

		for (i = 0; i < ARRAY_SIZE(completions); i++)
			if (clock_parse_rfc3339(arena_printf(cli->arena, "%s%s", s, completions[i]),
						&ns) == 0)
				break;
		if (i == ARRAY_SIZE(completions))
			return error_set(err, ERROR_INVALID, 0, "invalid time '%s'", s);
	}
	*ret = arena_printf(cli->arena, "%lld.%09lld", (long long)(ns / 1000000000),
			    (long long)(ns % 1000000000));
	return 0;
}

static int copy_logs(struct http_response *response, bool tty, struct error *err)
{
	static char buf[65536];
	struct stream_demux demux = {.have = 0};

	for (;;) {
		ssize_t n = http_response_read(response, buf, sizeof(buf), err);
		int r;

		if (n <= 0)
			return (int)n;
		if (tty)
			r = fd_write_full(STDOUT_FILENO, buf, (size_t)n);
		else
			r = stream_demux(&demux, buf, (size_t)n, err);
		if (r < 0)
			return tty ? error_set(err, ERROR_INTERNAL, -r, "write output") : r;
	}
}

static int cmd_logs(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct logs_options *o = in->options;
	struct http_client_request req = {.method = "GET"};
	struct http_response *response = NULL;
	const struct json *document;
	const char *since, *until, *name = cli_escape(cli, in->parsed.args[0]);
	int r = parse_moment(cli, o->since, &since, err);

	if (r == 0)
		r = parse_moment(cli, o->until, &until, err);
	if (r == 0)
		r = cli_json(cli, "GET", cli_path(cli, "/containers/%s/json", name), NULL,
			     &document, err);
	if (r == 0)
		r = cli_send(cli, &req,
			     cli_path(cli,
				      "/containers/%s/"
				      "logs?stdout=1&stderr=1&follow=%d&timestamps=%d&details=%d&"
				      "tail=%s&since=%s&until=%s",
				      name, o->follow, o->timestamps, o->details,
				      o->tail ? cli_escape(cli, o->tail) : "all", since, until),
			     &response, err);
	if (r < 0)
		return r;
	r = copy_logs(response, json_get_bool(json_get(document, "Config"), "Tty"), err);
	(void)http_response_free(response);
	return r;
}

const struct command exec_commands[] = {
	{.name = "exec",
	 .group = "container",
	 .stop_at_argument = true,
	 .usage = "[OPTIONS] CONTAINER COMMAND [ARG...]",
	 .help = "Execute a command in a running container",
	 .flags = exec_flags,
	 .options_size = sizeof(struct exec_options),
	 .min_args = 2,
	 .max_args = -1,
	 .run = cmd_exec},
	{.name = "logs",
	 .group = "container",
	 .usage = "[OPTIONS] CONTAINER",
	 .help = "Fetch the logs of a container",
	 .flags = logs_flags,
	 .options_size = sizeof(struct logs_options),
	 .min_args = 1,
	 .max_args = 1,
	 .run = cmd_logs},
	{0},
};
