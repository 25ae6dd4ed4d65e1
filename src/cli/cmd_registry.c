/* pull, push, login, logout, search. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/credentials.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/pull.h"
#include "http/client.h"
#include "oci/image_ref.h"

#define SECRET_MAX ((size_t)65536)

/* pull, push -------------------------------------------------------------------------------- */

/* A request with our credentials, and its stream of progress. */
static int transfer(struct cli *cli, const char *image, const char *path,
		    const struct progress_args *args, struct error *err)
{
	struct http_header header = {.name = "X-Registry-Auth"};
	struct http_client_request req = {.method = "POST", .headers = &header, .n_headers = 1};
	autohttp_response struct http_response *response = NULL;
	int r = credentials_header(cli, image, &header.value, err);

	if (r >= 0)
		r = cli_send(cli, &req, path, &response, err);
	return r < 0 ? r : progress_show(cli, response, args, err);
}

int pull_image(struct cli *cli, const struct pull_args *args, struct error *err)
{
	const struct progress_args progress = {.out = args->out, .quiet = args->quiet};
	autoimage_ref struct image_ref ref = {0};
	autofree char *name = NULL;
	int r = image_ref_parse(args->image, &ref, err);

	if (r < 0)
		return r;
	if (args->all_tags && (ref.tag || ref.digest))
		return error_set(err, ERROR_INVALID, 0, "tag can't be used with --all-tags/-a");
	if (!args->all_tags && !ref.tag && !ref.digest) {
		image_ref_default_tag(&ref);
		if (!args->quiet && args->says_tag)
			(void)fprintf(args->out, "Using default tag: %s\n", ref.tag);
	}
	name = image_ref_name(&ref);
	return transfer(cli, args->image,
			cli_path(cli, "/images/create?fromImage=%s&tag=%s&platform=%s",
				 cli_escape(cli, name),
				 ref.digest ? cli_escape(cli, ref.digest)
				 : ref.tag  ? cli_escape(cli, ref.tag)
					    : "",
				 args->platform ? cli_escape(cli, args->platform) : ""),
			&progress, err);
}

struct transfer_options {
	const char *platform;
	bool all_tags, quiet, disable_content_trust;
};

static const struct flag pull_flags[] = {
	FLAG(struct transfer_options, "all-tags", 'a', FLAG_BOOL, all_tags,
	     "Download all tagged images in the repository"),
	FLAG(struct transfer_options, "disable-content-trust", 0, FLAG_BOOL, disable_content_trust,
	     "Skip image verification (default true)"),
	FLAG(struct transfer_options, "platform", 0, FLAG_STRING, platform,
	     "Set platform if server is multi-platform capable"),
	FLAG(struct transfer_options, "quiet", 'q', FLAG_BOOL, quiet, "Suppress verbose output"),
	{0},
};

static int check_trust(const struct flag *flags, const struct invocation *in, struct error *err)
{
	const struct transfer_options *o = in->options;

	if (flags_changed(flags, &in->parsed, "disable-content-trust") && !o->disable_content_trust)
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				 "--disable-content-trust=false: Docker Content Trust is not "
				 "implemented");
	return 0;
}

static int cmd_pull(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct transfer_options *o = in->options;
	const struct pull_args args = {
		.image = in->parsed.args[0],
		.platform = o->platform,
		.all_tags = o->all_tags,
		.quiet = o->quiet,
		.says_tag = true,
		.out = stdout,
	};
	autoimage_ref struct image_ref ref = {0};
	autofree char *full = NULL;
	int r = check_trust(pull_flags, in, err);

	if (r >= 0)
		r = pull_image(cli, &args, err);
	if (r < 0)
		return r;
	r = image_ref_parse(args.image, &ref, err);
	if (r >= 0 && !o->all_tags)
		image_ref_default_tag(&ref);
	full = r >= 0 ? image_ref_format(&ref) : NULL;
	if (full)
		printf("%s\n", full);
	return r < 0 ? r : 0;
}

static const struct flag push_flags[] = {
	FLAG(struct transfer_options, "all-tags", 'a', FLAG_BOOL, all_tags,
	     "Push all tags of an image to the repository"),
	FLAG(struct transfer_options, "disable-content-trust", 0, FLAG_BOOL, disable_content_trust,
	     "Skip image signing (default true)"),
	FLAG(struct transfer_options, "platform", 0, FLAG_STRING, platform,
	     "Push a platform-specific manifest as a single-platform image to the registry"),
	FLAG(struct transfer_options, "quiet", 'q', FLAG_BOOL, quiet, "Suppress verbose output"),
	{0},
};

static int cmd_push(struct cli *cli, const struct invocation *in, struct error *err)
{
	const struct transfer_options *o = in->options;
	const struct progress_args progress = {.out = stdout, .quiet = o->quiet};
	const char *image = in->parsed.args[0];
	autoimage_ref struct image_ref ref = {0};
	autofree char *name = NULL, *full = NULL;
	int r = check_trust(push_flags, in, err);

	if (r >= 0)
		r = image_ref_parse(image, &ref, err);
	if (r < 0)
		return r;
	if (ref.digest)
		return error_set(err, ERROR_INVALID, 0, "cannot push a digest reference");
	if (o->all_tags && ref.tag)
		return error_set(err, ERROR_INVALID, 0, "tag can't be used with --all-tags/-a");
	if (!o->all_tags && !ref.tag) {
		image_ref_default_tag(&ref);
		if (!o->quiet)
			printf("Using default tag: %s\n", ref.tag);
	}
	name = image_ref_name(&ref);
	r = transfer(cli, image,
		     cli_path(cli, "/images/%s/push?tag=%s%s", cli_escape(cli, name),
			      ref.tag ? cli_escape(cli, ref.tag) : "",
			      cli_platform(cli, o->platform)),
		     &progress, err);
	full = image_ref_format(&ref);
	if (r >= 0 && o->quiet)
		printf("%s\n", full);
	return r;
}

/* login, logout ----------------------------------------------------------------------------- */

struct login_options {
	const char *username, *password;
	bool password_stdin;
};

static const struct flag login_flags[] = {
	FLAG(struct login_options, "password", 'p', FLAG_STRING, password,
	     "Password or Personal Access Token (PAT)"),
	FLAG(struct login_options, "password-stdin", 0, FLAG_BOOL, password_stdin,
	     "Take the Password or Personal Access Token (PAT) from stdin"),
	FLAG(struct login_options, "username", 'u', FLAG_STRING, username, "Username"),
	{0},
};

/* A line from the terminal; without echo for secrets. */
static char *ask(const char *prompt, bool is_secret)
{
	struct termios saved, silent;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	(void)fputs(prompt, stdout);
	(void)fflush(stdout);
	if (is_secret && tcgetattr(STDIN_FILENO, &saved) == 0) {
		silent = saved;
		silent.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	}
	n = getline(&line, &cap, stdin);
	if (is_secret) {
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
		(void)fputc('\n', stdout);
	}
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		line[--n] = '\0';
	return line;
}

static int read_stdin(struct cli *cli, const char **ret, struct error *err)
{
	autofree char *buf = xcalloc(1, SECRET_MAX + 1);
	int n = fd_read_full(STDIN_FILENO, buf, SECRET_MAX);

	if (n < 0)
		return error_set(err, ERROR_INTERNAL, -n, "read the password");
	buf[strcspn(buf, "\r\n")] = '\0';
	*ret = arena_strdup(cli->arena, buf);
	return 0;
}

static int ask_for_rest(struct cli *cli, struct credentials *c, struct error *err)
{
	if ((str_empty(c->username) || str_empty(c->password)) && !isatty(STDIN_FILENO))
		return error_set(err, ERROR_INVALID, 0,
				 "cannot perform an interactive login from a non-TTY device");
	if (str_empty(c->username)) {
		autofree char *line = ask("Username: ", false);

		c->username = arena_strdup(cli->arena, line ? line : "");
	}
	if (str_empty(c->username))
		return error_set(err, ERROR_INVALID, 0, "username is required");
	if (str_empty(c->password)) {
		autofree char *line = ask("Password: ", true);

		c->password = arena_strdup(cli->arena, line ? line : "");
	}
	return str_empty(c->password) ? error_set(err, ERROR_INVALID, 0, "password is required")
				      : 0;
}

static int collect(struct cli *cli, const struct login_options *o, const char *server,
		   struct credentials *ret, struct error *err)
{
	int r = 0;

	if (o->password && o->password_stdin)
		return error_set(err, ERROR_INVALID, 0,
				 "conflicting options: cannot specify both --password and "
				 "--password-stdin");
	if (o->password_stdin && str_empty(o->username))
		return error_set(err, ERROR_INVALID, 0,
				 "the --password-stdin option requires --username to be set");
	if (o->password)
		(void)fputs("WARNING! Using --password via the CLI is insecure. Use "
			    "--password-stdin.\n",
			    stderr);
	if (!o->username && !o->password) {
		r = credentials_get(cli, server, ret, err);
		if (r < 0 || (ret->username && ret->password) || ret->identity_token) {
			if (r >= 0)
				printf("Authenticating with existing credentials...\n");
			return r;
		}
	}
	ret->username = o->username ? o->username : ret->username;
	ret->password = o->password;
	if (o->password_stdin)
		r = read_stdin(cli, &ret->password, err);
	return r < 0 ? r : ask_for_rest(cli, ret, err);
}

static const char *server_of(const struct invocation *in)
{
	const char *server = in->parsed.arg_count ? in->parsed.args[0] : "docker.io";
	const char *scheme = strstr(server, "://");

	return str_eq(server, CREDENTIALS_HUB) ? server
					       : credentials_server(scheme ? scheme + 3 : server);
}

static int cmd_login(struct cli *cli, const struct invocation *in, struct error *err)
{
	autostrbuf struct strbuf body = STRBUF_INIT(4 * SECRET_MAX);
	const char *server = server_of(in), *where = NULL, *token;
	struct credentials c = {0};
	const struct json *answer;
	struct json_writer w;
	int r = collect(cli, in->options, server, &c, err);

	if (r < 0)
		return r;
	json_writer_init(&w, &body);
	jw_object(&w);
	jw_kstring(&w, "username", c.username ? c.username : "");
	if (c.password)
		jw_kstring(&w, "password", c.password);
	if (c.identity_token)
		jw_kstring(&w, "identitytoken", c.identity_token);
	jw_kstring(&w, "serveraddress", server);
	jw_object_end(&w);
	r = cli_json(cli, "POST", "/auth", &body, &answer, err);
	if (r < 0)
		return r;
	token = json_get_string(answer, "IdentityToken");
	if (!str_empty(token))
		c.identity_token = token;
	r = credentials_store(cli, server, &c, &where, err);
	if (r < 0)
		return r;
	if (where)
		(void)fprintf(stderr,
			      "\nWARNING! Your credentials are stored unencrypted in '%s'.\n\n",
			      where);
	printf("%s\n", json_get_string(answer, "Status") ?: "Login Succeeded");
	return 0;
}

static int cmd_logout(struct cli *cli, const struct invocation *in, struct error *err)
{
	const char *server = server_of(in);
	int r;

	printf("Removing login credentials for %s\n", server);
	(void)fflush(stdout);
	r = credentials_erase(cli, server, err);
	return r < 0 ? error_wrap(err, r, "could not erase credentials") : 0;
}

/* search ------------------------------------------------------------------------------------ */

struct search_options {
	struct strv filter;
	const char *format;
	int limit;
	bool no_trunc;
};

static const struct flag search_flags[] = {
	FLAG_CHECKED(struct search_options, "filter", 'f', FLAG_LIST, filter, cli_check_filter,
		     "Filter output based on conditions provided"),
	FLAG(struct search_options, "format", 0, FLAG_STRING, format,
	     "Pretty-print search using a Go template"),
	FLAG(struct search_options, "limit", 0, FLAG_INT, limit, "Max number of search results"),
	FLAG(struct search_options, "no-trunc", 0, FLAG_BOOL, no_trunc, "Don't truncate output"),
	{0},
};

static const struct output_column search_columns[] = {
	{"Name", "NAME"},           {"Description", "DESCRIPTION"}, {"StarCount", "STARS"},
	{"IsOfficial", "OFFICIAL"}, {"IsAutomated", "AUTOMATED"},   {0},
};

static void search_row(struct cli *cli, const struct search_options *o, const struct json *found,
		       struct json_writer *w)
{
	char *text = arena_strdup(cli->arena, json_get_string(found, "description") ?: "");

	for (char *p = text; *p; p++)
		*p = *p == '\n' || *p == '\r' ? ' ' : *p;
	if (!o->no_trunc && strlen(text) > 45) {
		size_t n = 44;

		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
		text = arena_printf(cli->arena, "%.*s\xe2\x80\xa6", (int)n, text);
	}
	jw_object(w);
	jw_kstring(w, "Name", json_get_string(found, "name"));
	jw_kstring(w, "Description", text);
	jw_key(w, "StarCount");
	jw_stringf(w, "%lld", (long long)json_get_int(found, "star_count"));
	jw_kstring(w, "IsOfficial", json_get_bool(found, "is_official") ? "[OK]" : "");
	jw_kstring(w, "IsAutomated", json_get_bool(found, "is_automated") ? "[OK]" : "");
	jw_object_end(w);
}

static int cmd_search(struct cli *cli, const struct invocation *in, struct error *err)
{
	struct search_options *o = in->options;
	autostrbuf struct strbuf b = STRBUF_INIT(CLI_RESPONSE_MAX);
	const struct output_list list = {
		.columns = search_columns,
		.default_format =
			"table {{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}",
		.format = o->format,
	};
	const struct json *found, *one, *rows;
	const char *filters = "", *limit;
	struct json_writer w;
	int r = cli_filters(cli, &o->filter, &filters, err);

	if (r < 0)
		return r;
	limit = flags_changed(search_flags, &in->parsed, "limit")
			? arena_printf(cli->arena, "&limit=%d", o->limit)
			: "";
	r = cli_json(cli, "GET",
		     cli_path(cli, "/images/search?term=%s&filters=%s%s",
			      cli_escape(cli, in->parsed.args[0]), filters, limit),
		     NULL, &found, err);
	if (r < 0)
		return r;
	json_writer_init(&w, &b);
	jw_array(&w);
	json_array_foreach(one, found)
		search_row(cli, o, one, &w);
	jw_array_end(&w);
	r = json_parse(cli->arena, b.s, b.len, &rows, err);
	return r < 0 ? r : output_list(cli, &list, rows, err);
}

const struct command registry_commands[] = {
	{.name = "pull",
	 .group = "image",
	 .usage = "[OPTIONS] NAME[:TAG|@DIGEST]",
	 .help = "Download an image from a registry",
	 .flags = pull_flags,
	 .options_size = sizeof(struct transfer_options),
	 .min_args = 1,
	 .max_args = 1,
	 .run = cmd_pull},
	{.name = "push",
	 .group = "image",
	 .usage = "[OPTIONS] NAME[:TAG]",
	 .help = "Upload an image to a registry",
	 .flags = push_flags,
	 .options_size = sizeof(struct transfer_options),
	 .min_args = 1,
	 .max_args = 1,
	 .run = cmd_push},
	{.name = "login",
	 .usage = "[OPTIONS] [SERVER]",
	 .help = "Authenticate to a registry",
	 .flags = login_flags,
	 .options_size = sizeof(struct login_options),
	 .max_args = 1,
	 .run = cmd_login},
	{.name = "logout",
	 .usage = "[SERVER]",
	 .help = "Log out from a registry",
	 .max_args = 1,
	 .run = cmd_logout},
	{.name = "search",
	 .usage = "[OPTIONS] TERM",
	 .help = "Search Docker Hub for images",
	 .flags = search_flags,
	 .options_size = sizeof(struct search_options),
	 .min_args = 1,
	 .max_args = 1,
	 .run = cmd_search},
	{0},
};
