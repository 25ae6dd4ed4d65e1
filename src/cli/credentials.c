/* Credentials for registries. */
#include "cli/credentials.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "oci/image_ref.h"

#define CONFIG_FILE    "config.json"
#define CONFIG_MAX     ((size_t)16 << 20)
#define HELPER_MAX     ((size_t)1 << 20)
#define TOKEN_USER     "<token>" /* a helper's name for an identity token */
#define HELPER_UNKNOWN "credentials not found in native keychain"

const char *credentials_server(const char *domain)
{
	return str_eq(domain, "docker.io") || str_eq(domain, "index.docker.io") ? CREDENTIALS_HUB
										: domain;
}

/* ---- the file ---- */

static int read_config(struct cli *cli, const struct json **ret, struct error *err)
{
	const char *path = arena_printf(cli->arena, "%s/" CONFIG_FILE, cli_config_directory(cli));
	autofree char *text = NULL;
	autoerror struct error why = {0};
	size_t len = 0;
	int r = file_read(AT_FDCWD, path, CONFIG_MAX, &text, &len, &why);

	if (r == -ENOENT || (r >= 0 && len == 0)) {
		*ret = NULL;
		return 0;
	}
	if (r >= 0)
		r = json_parse(cli->arena, text, len, ret, &why);
	return r < 0 ? error_set(err, ERROR_INVALID, 0, "error loading config file: %s: %s", path,
				 error_msg(&why))
		     : 0;
}

/* "https://host/v1/" -> "host": how people write a server in different ways. */
static char *bare(const char *server)
{
	const char *scheme = strstr(server, "://");

	server = scheme ? scheme + 3 : server;
	return xstrndup(server, strcspn(server, "/"));
}

static const struct json *find_auth(const struct json *auths, const char *server)
{
	autofree char *wanted = bare(server);

	for (size_t i = 0; i < json_count(auths); i++)
		if (str_eq(json_key_at(auths, i), server))
			return json_value_at(auths, i);
	for (size_t i = 0; i < json_count(auths); i++) {
		autofree char *key = bare(json_key_at(auths, i));

		if (str_eq(key, wanted))
			return json_value_at(auths, i);
	}
	return NULL;
}

static int decode_auth(struct cli *cli, const struct json *entry, struct credentials *ret,
		       struct error *err)
{
	autostrbuf struct strbuf pair = STRBUF_INIT(HELPER_MAX);
	const char *auth = json_get_string(entry, "auth"),
		   *token = json_get_string(entry, "identitytoken");
	char *colon;

	if (!str_empty(token))
		ret->identity_token = token;
	if (str_empty(auth)) {
		ret->username = json_get_string(entry, "username");
		ret->password = json_get_string(entry, "password");
		return 0;
	}
	if (base64_decode(auth, strlen(auth), &pair) < 0 || !(colon = strchr(pair.s, ':')))
		return error_set(err, ERROR_INVALID, 0, "invalid auth configuration file");
	ret->username = arena_strndup(cli->arena, pair.s, (size_t)(colon - pair.s));
	ret->password = arena_strdup(cli->arena, colon + 1);
	return 0;
}

/* The member "auths" anew: `server` with these credentials, or without any. */
static void write_auths(struct json_writer *w, const struct json *auths, const char *server,
			const struct credentials *c)
{
	jw_kobject(w, "auths");
	for (size_t i = 0; i < json_count(auths); i++)
		if (!str_eq(json_key_at(auths, i), server))
			jw_kvalue(w, json_key_at(auths, i), json_value_at(auths, i));
	if (c) {
		autofree char *pair = xasprintf("%s:%s", c->username ? c->username : "",
						c->password ? c->password : "");
		autostrbuf struct strbuf b = STRBUF_INIT(HELPER_MAX);

		jw_kobject(w, server);
		if (c->identity_token) /* the password is not kept then */
			pair[strlen(c->username ? c->username : "") + 1] = '\0';
		base64_encode(pair, strlen(pair), &b);
		jw_kstring(w, "auth", b.s);
		if (c->identity_token)
			jw_kstring(w, "identitytoken", c->identity_token);
		jw_object_end(w);
	}
	jw_object_end(w);
}

static int write_config(struct cli *cli, const char *server, const struct credentials *c,
			struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(CONFIG_MAX);
	const char *directory = cli_config_directory(cli);
	autoclose int dir = -EBADF;
	const struct json *doc;
	struct json_writer w;
	int r = read_config(cli, &doc, err);

	if (r < 0)
		return r;
	json_writer_init(&w, &b);
	w.pretty_indent = 4;
	jw_object(&w);
	write_auths(&w, json_get(doc, "auths"), server, c);
	for (size_t i = 0; i < json_count(doc); i++)
		if (!str_eq(json_key_at(doc, i), "auths"))
			jw_kvalue(&w, json_key_at(doc, i), json_value_at(doc, i));
	jw_object_end(&w);
	r = file_mkdir_p(AT_FDCWD, directory, 0700, err);
	if (r < 0)
		return r;
	dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", directory);
	return file_write_atomic(dir, CONFIG_FILE, b.s, b.len, 0600, FILE_SYNC, err);
}

/* ---- helpers ---- */

/* The helper in charge of a server; NULL: the file itself is. */
static const char *find_helper(struct cli *cli, const struct json *doc, const char *server)
{
	const struct json *helpers = json_get(doc, "credHelpers");
	const char *name = json_string(find_auth(helpers, server));

	name = name ? name : json_get_string(doc, "credsStore");
	return str_empty(name) ? NULL : arena_printf(cli->arena, "docker-credential-%s", name);
}

static char *find_program(const char *name)
{
	const char *path = getenv("PATH");

	for (const char *p = path ? path : "/usr/local/bin:/usr/bin:/bin"; *p;) {
		size_t len = strcspn(p, ":");
		autofree char *full = xasprintf("%.*s/%s", (int)len, p, name);

		if (len > 0 && access(full, X_OK) == 0)
			return TAKE_PTR(full);
		p += len + (p[len] == ':');
	}
	return NULL;
}

static int run_helper(const char *name, const char *verb, const char *input, char **ret_output,
		      struct error *err)
{
	autofree char *path = find_program(name), *output = NULL;
	const char *const argv[] = {name, verb, NULL};
	autoclose int in = fd_memfd("credentials", input, strlen(input), err);
	const struct spawn_fd fds[] = {{in, STDIN_FILENO}, {STDERR_FILENO, STDERR_FILENO}};
	const struct spawn_args args = {
		.path = path, .argv = argv, .fds = fds, .fd_count = ARRAY_SIZE(fds)};
	int status = 0, r;

	if (in < 0)
		return in;
	if (!path)
		return error_set(err, ERROR_NOT_FOUND, 0,
				 "error getting credentials - err: exec: \"%s\": executable file "
				 "not found in $PATH",
				 name);
	r = spawn_run(&args, HELPER_MAX, &output, &status, err);
	if (r < 0)
		return r;
	if (status != 0 && !strstr(output, HELPER_UNKNOWN))
		return error_set(err, ERROR_INTERNAL, 0,
				 "error %s credentials - err: exit status %d, out: `%.*s`", verb,
				 status, (int)strcspn(output, "\n"), output);
	*ret_output = status ? xstrdup("{}") : TAKE_PTR(output);
	return 0;
}

static int helper_get(struct cli *cli, const char *helper, const char *server,
		      struct credentials *ret, struct error *err)
{
	autofree char *output = NULL;
	const struct json *doc;
	const char *username, *secret;
	int r = run_helper(helper, "get", server, &output, err);

	if (r >= 0)
		r = json_parse(cli->arena, output, strlen(output), &doc, err);
	if (r < 0)
		return r;
	username = json_get_string(doc, "Username");
	secret = json_get_string(doc, "Secret");
	if (str_eq(username, TOKEN_USER)) {
		ret->identity_token = secret;
	} else if (!str_empty(username)) {
		ret->username = username;
		ret->password = secret;
	}
	return 0;
}

static int helper_store(const char *helper, const char *server, const struct credentials *c,
			struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(HELPER_MAX);
	autofree char *output = NULL;
	struct json_writer w;

	json_writer_init(&w, &b);
	jw_object(&w);
	jw_kstring(&w, "ServerURL", server);
	jw_kstring(&w, "Username", c->identity_token ? TOKEN_USER : c->username);
	jw_kstring(&w, "Secret", c->identity_token ? c->identity_token : c->password);
	jw_object_end(&w);
	return run_helper(helper, "store", b.s, &output, err);
}

/* ---- both ---- */

int credentials_get(struct cli *cli, const char *server, struct credentials *ret, struct error *err)
{
	const struct json *doc;
	const char *helper;
	int r = read_config(cli, &doc, err);

	*ret = (struct credentials){0};
	if (r < 0)
		return r;
	helper = find_helper(cli, doc, server);
	return helper ? helper_get(cli, helper, server, ret, err)
		      : decode_auth(cli, find_auth(json_get(doc, "auths"), server), ret, err);
}

int credentials_store(struct cli *cli, const char *server, const struct credentials *c,
		      const char **ret_where, struct error *err)
{
	const struct json *doc;
	const char *helper;
	int r = read_config(cli, &doc, err);

	if (r < 0)
		return r;
	helper = find_helper(cli, doc, server);
	*ret_where = NULL;
	if (helper)
		return helper_store(helper, server, c, err);
	*ret_where = arena_printf(cli->arena, "%s/" CONFIG_FILE, cli_config_directory(cli));
	return write_config(cli, server, c, err);
}

int credentials_erase(struct cli *cli, const char *server, struct error *err)
{
	autofree char *output = NULL;
	const struct json *doc;
	const char *helper;
	int r = read_config(cli, &doc, err);

	if (r < 0)
		return r;
	helper = find_helper(cli, doc, server);
	if (helper)
		return run_helper(helper, "erase", server, &output, err);
	return json_get(doc, "auths") ? write_config(cli, server, NULL, err) : 0;
}

int credentials_header(struct cli *cli, const char *image, const char **ret, struct error *err)
{
	autostrbuf struct strbuf json = STRBUF_INIT(HELPER_MAX), b = STRBUF_INIT(2 * HELPER_MAX);
	autoimage_ref struct image_ref ref = {0};
	struct credentials c;
	struct json_writer w;
	int r = image_ref_parse(image, &ref, err);

	if (r >= 0)
		r = credentials_get(cli, credentials_server(ref.domain), &c, err);
	if (r < 0)
		return r;
	json_writer_init(&w, &json);
	jw_object(&w);
	if (c.username)
		jw_kstring(&w, "username", c.username);
	if (c.password)
		jw_kstring(&w, "password", c.password);
	if (c.identity_token)
		jw_kstring(&w, "identitytoken", c.identity_token);
	jw_kstring(&w, "serveraddress", credentials_server(ref.domain));
	jw_object_end(&w);
	base64_encode(json.s, json.len, &b);
	for (char *p = b.s; *p; p++) /* the URL's alphabet */
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	*ret = arena_strdup(cli->arena, b.s);
	return 0;
}
