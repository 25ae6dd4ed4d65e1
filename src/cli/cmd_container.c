/* create, run, start, attach: containers made, started and watched. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/container_options.h"
#include "cli/pull.h"
#include "cli/stream.h"
#include "http/client.h"
#include "oci/image_ref.h"

#define BODY_MAX (4 << 20)

/* Another connection to the same engine, for a request that waits. */
static struct cli second_connection(const struct cli *cli)
{
	struct cli other = *cli;

	other.http = NULL;
	return other;
}

/* Create ------------------------------------------------------------------------------------ */

static int write_cidfile(const char *path, const char *id, struct error *err)
{
	autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	if (fd < 0 || fd_write_full(fd, id, strlen(id)) < 0)
		return error_set(err, ERROR_INVALID, errno, "container ID file '%s'", path);
	return 0;
}

static int check_pull(const struct container_options *o, struct error *err)
{
	if (str_empty(o->pull) || strcmp(o->pull, "missing") == 0 ||
	    strcmp(o->pull, "never") == 0 || strcmp(o->pull, "always") == 0)
		return 0;
	return error_set(
		err, ERROR_INVALID, 0,
		"invalid pull option: '%s': must be one of \"always\", \"missing\" or \"never\"",
		o->pull);
}

static int fetch(struct cli *cli, const struct container_options *o, const char *image,
		 struct error *err)
{
	const struct pull_args args = {
		.image = image, .platform = o->platform, .quiet = o->quiet, .out = stderr};

	return pull_image(cli, &args, err);
}

/* The engine knows no such image: it is fetched, and the request made again. */
static int create_fetching(struct cli *cli, const struct invocation *in, const char *path,
			   const struct strbuf *body, const struct json **ret, struct error *err)
{
	const struct container_options *o = in->options;
	const char *image = in->parsed.args[0];
	autoimage_ref struct image_ref ref = {0};
	autofree char *familiar = NULL;
	int r = 0;

	if (str_eq(o->pull, "always"))
		r = fetch(cli, o, image, err);
	if (r >= 0)
		r = cli_json(cli, "POST", path, body, ret, err);
	if (r >= 0 || str_eq(o->pull, "always") || str_eq(o->pull, "never") || !err ||
	    err->kind != ERROR_NOT_FOUND || !strstr(error_msg(err), "No such image: ") ||
	    image_ref_parse(image, &ref, NULL) < 0)
		return r;
	image_ref_default_tag(&ref);
	familiar = image_ref_familiar(&ref);
	if (!o->quiet)
		(void)fprintf(stderr, "Unable to find image '%s' locally\n", familiar);
	error_done(err);
	*err = (struct error){0};
	r = fetch(cli, o, image, err);
	return r < 0 ? r : cli_json(cli, "POST", path, body, ret, err);
}

/* The client's own part: what it finds wrong is the caller's mistake. */
static int prepare(struct cli *cli, const struct invocation *in, struct strbuf *body,
		   struct error *err)
{
	const struct container_options *o = in->options;
	int r = check_pull(o, err);

	return r < 0 ? r
		     : container_options_body(cli, o, &in->parsed, in->command->flags, body, err);
}

static int create(struct cli *cli, const struct invocation *in, const struct strbuf *body,
		  const char **ret_id, struct error *err)
{
	const struct container_options *o = in->options;
	const struct json *answer, *warning;
	const char *path;
	int r;

	if (o->cidfile && access(o->cidfile, F_OK) == 0)
		return error_set(err, ERROR_INVALID, 0,
				 "container ID file found, make sure the other container isn't "
				 "running or delete %s",
				 o->cidfile);
	path = cli_path(cli, "/containers/create?name=%s&platform=%s",
			o->name ? cli_escape(cli, o->name) : "",
			o->platform ? cli_escape(cli, o->platform) : "");
	r = create_fetching(cli, in, path, body, &answer, err);
	if (r < 0)
		return r;
	json_array_foreach(warning, json_get(answer, "Warnings"))
		(void)fprintf(stderr, "WARNING: %s\n", json_string(warning));
	*ret_id = json_get_string(answer, "Id");
	if (!*ret_id)
		return error_set(err, ERROR_INTERNAL, 0, "the engine answered without an Id");
	return o->cidfile ? write_cidfile(o->cidfile, *ret_id, err) : 0;
}

static int refused(const char *command, struct error *err)
{
	(void)fprintf(stderr, "vessel: %s\n\nRun 'vessel %s --help' for more information\n",
		      error_msg(err), command);
	error_done(err);
	return CLI_EXIT_REFUSED;
}

static int cmd_create(struct cli *cli, const struct invocation *in, struct error *err)
{
	autostrbuf struct strbuf body = STRBUF_INIT(BODY_MAX);
	const char *id;
	int r;

	if (prepare(cli, in, &body, err) < 0)
		return refused("create", err);
	r = create(cli, in, &body, &id, err);
	if (r < 0)
		return r;
	printf("%s\n", id);
	return 0;
}

/* Run --------------------------------------------------------------------------------------- */

struct waiting {
	struct cli cli;
	struct http_response *response; /* owned: the head has come, the code will */
};

static int wait_begin(struct cli *cli, const char *id, const char *condition, struct waiting *w,
		      struct error *err)
{
	struct http_client_request req = {.method = "POST"};

	*w = (struct waiting){.cli = second_connection(cli)};
	return cli_send(&w->cli, &req,
			cli_path(cli, "/containers/%s/wait?condition=%s", id, condition),
			&w->response, err);
}

static int wait_end(struct waiting *w, int *ret_code, struct error *err)
{
	autofree char *text = NULL;
	const struct json *answer;
	const char *problem;
	size_t len = 0;
	int r = http_response_read_all(w->response, 65536, &text, &len, err);

	if (r == 0)
		r = json_parse(w->cli.arena, text, len, &answer, err);
	if (r < 0)
		return error_wrap(err, r, "error waiting for container");
	problem = json_get_string(json_get(answer, "Error"), "Message");
	if (problem)
		(void)fprintf(stderr, "%s\n", problem);
	*ret_code = (int)json_get_int(answer, "StatusCode");
	return 0;
}

static void wait_done(struct waiting *w)
{
	(void)http_response_free(w->response);
	if (w->cli.arena)
		(void)http_client_free(w->cli.http);
}
#define autowaiting __attribute__((cleanup(wait_done)))

/* What start's failure means to the caller's shell. */
static int start_exit_code(const struct error *err)
{
	static const struct {
		const char *words;
		int code;
	} known[] = {
		{"executable file not found", 127},
		{"no such file or directory", 127},
		{"permission denied", 126},
		{"is a directory", 126},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strstr(error_msg(err), known[i].words))
			return known[i].code;
	return CLI_EXIT_REFUSED;
}

static void remove_quietly(struct cli *cli, const char *id)
{
	(void)cli_json(cli, "DELETE", cli_path(cli, "/containers/%s?v=1&force=1", id), NULL, NULL,
		       NULL);
}

static int start(struct cli *cli, const char *id, struct error *err)
{
	return cli_json(cli, "POST", cli_path(cli, "/containers/%s/start", id), NULL, NULL, err);
}

static int run_detached(struct cli *cli, const struct container_options *o, const char *id,
			struct error *err)
{
	if (start(cli, id, err) < 0) {
		int code = start_exit_code(err);

		printf("%s\n", id); /* as Docker's: the container is there, unless --rm */
		(void)fflush(stdout);
		if (o->rm)
			remove_quietly(cli, id);
		(void)refused("run", err);
		return code;
	}
	printf("%s\n", id);
	return 0;
}

static int attach_open(struct cli *cli, const char *id, struct container_streams s,
		       const char *keys, struct http_client_raw *raw, struct error *err)
{
	return stream_open(
		cli,
		cli_path(
			cli,
			"/containers/%s/attach?stream=1&stdin=%d&stdout=%d&stderr=%d&detachKeys=%s",
			id, s.in, s.out, s.errs, keys ? cli_escape(cli, keys) : ""),
		NULL, raw, err);
}

static int run_attached(struct cli *cli, const struct invocation *in, const char *id,
			struct error *err)
{
	const struct container_options *o = in->options;
	struct container_streams streams = container_options_streams(o);
	struct http_client_raw raw = {.fd = -EBADF};
	autowaiting struct waiting waiting = {0};
	bool proxy = !flags_changed(in->command->flags, &in->parsed, "sig-proxy") || o->sig_proxy;
	struct stream stream = {
		.raw = &raw,
		.tty = o->tty,
		.send_stdin = streams.in,
		.detach_keys = o->detach_keys,
		.resize_path = cli_path(cli, "/containers/%s/resize", id),
		.kill_path = proxy && !o->tty ? cli_path(cli, "/containers/%s/kill", id) : NULL};
	enum stream_end end = STREAM_EOF;
	int code = 0, r;

	stream_hold_signals();
	r = attach_open(cli, id, streams, o->detach_keys, &raw, err);
	if (r == 0)
		r = wait_begin(cli, id, o->rm ? "removed" : "next-exit", &waiting, err);
	if (r < 0)
		return r;
	if (start(cli, id, err) < 0) {
		code = start_exit_code(err);
		fd_close(&raw.fd);
		if (o->rm)
			remove_quietly(cli, id);
		(void)refused("run", err);
		return code;
	}
	if (o->tty)
		stream_resize(cli, stream.resize_path);
	r = stream_run(cli, &stream, &end, err);
	if (r < 0 || end == STREAM_DETACHED)
		return r;
	r = wait_end(&waiting, &code, err);
	return r < 0 ? r : code;
}

static int cmd_run(struct cli *cli, const struct invocation *in, struct error *err)
{
	struct container_options *o = in->options;
	autostrbuf struct strbuf body = STRBUF_INIT(BODY_MAX);
	struct container_streams streams;
	const char *id;
	int r;

	if (o->detach && o->attach.n)
		return error_set(err, ERROR_INVALID, 0,
				 "conflicting options: cannot specify both --attach and --detach");
	if (o->tty && !o->detach && container_options_streams(o).in && !isatty(STDIN_FILENO))
		return error_set(err, ERROR_INVALID, 0, "the input device is not a TTY");
	if (prepare(cli, in, &body, err) < 0 || create(cli, in, &body, &id, err) < 0)
		return refused("run", err);
	streams = container_options_streams(o);
	if (o->detach || (!streams.in && !streams.out && !streams.errs))
		return run_detached(cli, o, id, err);
	r = run_attached(cli, in, id, err);
	return r < 0 ? refused("run", err) : r;
}

/* Attach and start -a ----------------------------------------------------------------------- */

struct attach_options {
	bool attach, interactive, no_stdin, sig_proxy;
	const char *detach_keys;
};

static const struct flag attach_flags[] = {
	FLAG(struct attach_options, "detach-keys", 0, FLAG_STRING, detach_keys,
	     "Override the key sequence for detaching a container"),
	FLAG(struct attach_options, "no-stdin", 0, FLAG_BOOL, no_stdin, "Do not attach STDIN"),
	FLAG(struct attach_options, "sig-proxy", 0, FLAG_BOOL, sig_proxy,
	     "Proxy all received signals to the process (default true)"),
	{0},
};

static const struct flag start_flags[] = {
	FLAG(struct attach_options, "attach", 'a', FLAG_BOOL, attach,
	     "Attach STDOUT/STDERR and forward signals"),
	FLAG(struct attach_options, "detach-keys", 0, FLAG_STRING, detach_keys,
	     "Override the key sequence for detaching a container"),
	FLAG(struct attach_options, "interactive", 'i', FLAG_BOOL, interactive,
	     "Attach container's STDIN"),
	{0},
};

/* Attach to container `name`; started by us when `with_start`. */
static int watch(struct cli *cli, const char *name, const struct attach_options *o, bool proxy,
		 bool with_start, struct error *err)
{
	struct http_client_raw raw = {.fd = -EBADF};
	autowaiting struct waiting waiting = {0};
	const struct json *document, *config;
	enum stream_end end = STREAM_EOF;
	struct container_streams streams = {.out = true, .errs = true};
	struct stream stream;
	int code = 0, r;

	r = cli_json(cli, "GET", cli_path(cli, "/containers/%s/json", cli_escape(cli, name)), NULL,
		     &document, err);
	if (r < 0)
		return r;
	if (!with_start && !json_get_bool(json_get(document, "State"), "Running"))
		return error_set(err, ERROR_INVALID, 0,
				 "You cannot attach to a stopped container, start it first");
	if (!with_start && json_get_bool(json_get(document, "State"), "Paused"))
		return error_set(err, ERROR_INVALID, 0,
				 "You cannot attach to a paused container, unpause it first");
	config = json_get(document, "Config");
	streams.in =
		(with_start ? o->interactive : !o->no_stdin) && json_get_bool(config, "OpenStdin");
	name = json_get_string(document, "Id");
	stream = (struct stream){
		.raw = &raw,
		.tty = json_get_bool(config, "Tty"),
		.send_stdin = streams.in,
		.detach_keys = o->detach_keys,
		.resize_path = cli_path(cli, "/containers/%s/resize", name),
		.kill_path = proxy && !json_get_bool(config, "Tty")
				     ? cli_path(cli, "/containers/%s/kill", name)
				     : NULL,
	};
	stream_hold_signals();
	r = attach_open(cli, name, streams, o->detach_keys, &raw, err);
	if (r == 0)
		r = wait_begin(cli, name, with_start ? "next-exit" : "not-running", &waiting, err);
	if (r == 0 && with_start)
		r = start(cli, name, err);
	if (r < 0) {
		fd_close(&raw.fd);
		return r;
	}
	if (stream.tty)
		stream_resize(cli, stream.resize_path);
	r = stream_run(cli, &stream, &end, err);
	if (r < 0 || end == STREAM_DETACHED)
		return r;
	r = wait_end(&waiting, &code, err);
	return r < 0 ? r : code;
}

static int cmd_attach(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct attach_options *o = in->options;
	bool proxy = !flags_changed(attach_flags, &in->parsed, "sig-proxy") || o->sig_proxy;

	return watch(cli, in->parsed.args[0], o, proxy, false, err);
}

static int cmd_start(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct attach_options *o = in->options;
	autostrbuf struct strbuf failed = STRBUF_INIT(1 << 20);

	if (o->attach || o->interactive) {
		if (in->parsed.arg_count > 1)
			return error_set(err, ERROR_INVALID, 0,
					 "you cannot start and attach multiple containers at once");
		return watch(cli, in->parsed.args[0], o, true, true, err);
	}
	for (int i = 0; i < in->parsed.arg_count; i++) {
		if (start(cli, cli_escape(cli, in->parsed.args[i]), err) < 0) {
			cli_complain(err);
			strbuf_addf(&failed, "%s%s", failed.len ? ", " : "", in->parsed.args[i]);
		} else {
			printf("%s\n", in->parsed.args[i]);
		}
	}
	if (failed.len)
		return error_set(err, ERROR_CONFLICT, 0, "Error: failed to start containers: %s",
				 failed.s);
	return 0;
}

const struct command container_commands[] = {
	{.name = "run",
	 .group = "container",
	 .stop_at_argument = true,
	 .usage = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	 .help = "Create and run a new container from an image",
	 .flags = container_run_flags,
	 .options_size = sizeof(struct container_options),
	 .min_args = 1,
	 .max_args = -1,
	 .run = cmd_run},
	{.name = "create",
	 .group = "container",
	 .stop_at_argument = true,
	 .usage = "[OPTIONS] IMAGE [COMMAND] [ARG...]",
	 .help = "Create a new container",
	 .flags = container_flags,
	 .options_size = sizeof(struct container_options),
	 .min_args = 1,
	 .max_args = -1,
	 .run = cmd_create},
	{.name = "start",
	 .group = "container",
	 .usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	 .help = "Start one or more stopped containers",
	 .flags = start_flags,
	 .options_size = sizeof(struct attach_options),
	 .min_args = 1,
	 .max_args = -1,
	 .run = cmd_start},
	{.name = "attach",
	 .group = "container",
	 .usage = "[OPTIONS] CONTAINER",
	 .help = "Attach local standard input, output, and error streams to a running container",
	 .flags = attach_flags,
	 .options_size = sizeof(struct attach_options),
	 .min_args = 1,
	 .max_args = 1,
	 .run = cmd_attach},
	{0},
};
