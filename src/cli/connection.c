/* The connection to the engine: addresses, TLS, version negotiation, requests, errors.
 *
 * The first request is sent in this program's own version; an engine that knows only older ones says
 * so, and is asked again.  A ping to find out first would cost every command a round trip.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "http/address.h"
#include "http/client.h"
#include "http/tls.h"
#include "http/url.h"

const char *cli_config_directory(struct cli *cli)
{
	const char *directory = cli->config ? cli->config : getenv("DOCKER_CONFIG");

	return !str_empty(directory) ? directory
				     : arena_printf(cli->arena, "%s/.docker", getenv("HOME") ?: "");
}

static const char *tls_file(struct cli *cli, const char *given, const char *name)
{
	const char *directory = getenv("DOCKER_CERT_PATH");

	if (given)
		return given;
	if (!directory)
		directory = arena_printf(cli->arena, "%s/.docker", getenv("HOME") ?: "");
	return arena_printf(cli->arena, "%s/%s", directory, name);
}

static int make_tls(struct cli *cli, struct tls **ret, struct error *err)
{
	struct tls_args args = {
		.ca = tls_file(cli, cli->tlscacert, "ca.pem"),
		.cert = tls_file(cli, cli->tlscert, "cert.pem"),
		.key = tls_file(cli, cli->tlskey, "key.pem"),
		.verify = cli->tlsverify,
	};

	if (!cli->tlsverify && !cli->tlscacert)
		args.ca = NULL;
	if (!cli->tlscert && access(args.cert, R_OK) < 0)
		args.cert = args.key = NULL;
	return tls_new_client(&args, ret, err);
}

/* "1.51" as 151; 0 if it is no version */
static unsigned version_number(const char *s)
{
	unsigned major, minor;

	return s && sscanf(s, "%u.%u", &major, &minor) == 2 ? major * 100 + minor : 0;
}

/* Without a word from the engine: its own client's version, or the one asked for. */
static void assume_version(struct cli *cli)
{
	const char *wanted = getenv("DOCKER_API_VERSION");

	(void)str_copy(cli->api_version, sizeof(cli->api_version),
		       str_empty(wanted) ? CLI_API_VERSION : wanted);
}

/* An engine names its newest version with every answer: speak that from now on, if it is older. */
static bool step_back(struct cli *cli, const struct http_response *response)
{
	const char *theirs = http_response_header(response, "Api-Version");

	if (!str_empty(getenv("DOCKER_API_VERSION")) || version_number(theirs) == 0 ||
	    version_number(theirs) >= version_number(cli->api_version))
		return false;
	(void)str_copy(cli->api_version, sizeof(cli->api_version), theirs);
	return true;
}

static int send_request(struct cli *cli, const struct http_client_request *req,
			struct http_response **ret, struct error *err)
{
	autoerror struct error why = {0};
	int r = http_client_send(cli->http, req, ret, &why);

	if (r < 0 && why.kind == ERROR_UNAVAILABLE)
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "Cannot connect to the vessel daemon at %s. Is vesseld running?",
				 cli->host);
	return r < 0 ? error_move(err, &why, r) : 0;
}

static int negotiate(struct cli *cli, struct error *err)
{
	struct http_client_request req = {.method = "HEAD", .target = "/_ping"};
	autohttp_response struct http_response *response = NULL;
	int r;

	assume_version(cli);
	r = send_request(cli, &req, &response, err);
	if (r >= 0)
		(void)step_back(cli, response);
	return r;
}

static int open_client(struct cli *cli, struct error *err)
{
	autohttp_address struct http_address address = {0};
	autotls struct tls *tls = NULL;
	struct http_client_args args = {.address = &address};
	int r;

	if (cli->http)
		return 0;
	r = http_address_parse(cli->host, cli->tls || cli->tlsverify, &address, err);
	if (r >= 0 && cli->run && address.kind == HTTP_ADDRESS_TCP)
		r = cli->run("vessel-remote", cli->argv, err);
	if (r < 0)
		return r;
	if ((cli->tls || cli->tlsverify) && address.kind == HTTP_ADDRESS_TCP) {
		r = make_tls(cli, &tls, err);
		if (r < 0)
			return r;
		args.tls = tls;
	}
	return http_client_new(&args, &cli->http, err);
}

const char *cli_escape(struct cli *cli, const char *s)
{
	autostrbuf struct strbuf b = STRBUF_INIT(CLI_RESPONSE_MAX);

	url_encode(&b, s);
	return arena_strndup(cli->arena, b.s, b.len);
}

char *cli_path(struct cli *cli, const char *fmt, ...)
{
	autofree char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	return arena_strdup(cli->arena, s);
}

static enum error_kind kind_of_status(int status)
{
	static const struct {
		int status;
		enum error_kind kind;
	} kinds[] = {
		{400, ERROR_INVALID},     {401, ERROR_UNAUTHORIZED}, {403, ERROR_FORBIDDEN},
		{404, ERROR_NOT_FOUND},   {409, ERROR_CONFLICT},     {501, ERROR_NOT_IMPLEMENTED},
		{503, ERROR_UNAVAILABLE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].status == status)
			return kinds[i].kind;
	return ERROR_INTERNAL;
}

static int response_error(struct cli *cli, struct http_response *response, struct error *err)
{
	int status = http_response_status(response);
	autofree char *text = NULL;
	const struct json *body = NULL;
	const char *message = NULL;
	size_t len = 0;

	if (http_response_read_all(response, 1 << 20, &text, &len, NULL) == 0 &&
	    json_parse(cli->arena, text, len, &body, NULL) == 0)
		message = json_get_string(body, "message");
	if (!message)
		message = len ? text : http_response_reason(response);
	return error_set(err, kind_of_status(status), 0, "Error response from daemon: %s", message);
}

static int send_versioned(struct cli *cli, struct http_client_request *req, const char *path,
			  struct http_response **ret, struct error *err)
{
	req->target = arena_printf(cli->arena, "/v%s%s", cli->api_version, path);
	return send_request(cli, req, ret, err);
}

int cli_send(struct cli *cli, struct http_client_request *req, const char *path,
	     struct http_response **ret, struct error *err)
{
	autohttp_response struct http_response *response = NULL;
	bool is_first;
	int status, r = open_client(cli, err);

	if (r < 0)
		return r;
	is_first = cli->api_version[0] == '\0';
	if (is_first && req->read_body)
		r = negotiate(cli, err); /* it could not be sent again */
	else if (is_first)
		assume_version(cli);
	if (r >= 0)
		r = send_versioned(cli, req, path, &response, err);
	if (r >= 0 && is_first && http_response_status(response) == 400 &&
	    step_back(cli, response)) {
		response = http_response_free(response);
		r = send_versioned(cli, req, path, &response, err);
	}
	if (r < 0)
		return r;
	status = http_response_status(response);
	if (status >= 300 && status != 304)
		return response_error(cli, response, err);
	*ret = TAKE_PTR(response);
	return 0;
}

int cli_json(struct cli *cli, const char *method, const char *path, const struct strbuf *body,
	     const struct json **ret, struct error *err)
{
	struct http_client_request req = {.method = method};
	autohttp_response struct http_response *response = NULL;
	autofree char *text = NULL;
	size_t len = 0;
	int r;

	if (body) {
		req.body = body->s;
		req.body_len = body->len;
		req.content_type = "application/json";
	}
	r = cli_send(cli, &req, path, &response, err);
	if (r < 0)
		return r;
	r = http_response_read_all(response, CLI_RESPONSE_MAX, &text, &len, err);
	if (r < 0 || !ret)
		return r;
	return json_parse(cli->arena, text, len, ret, err);
}

int cli_filters(struct cli *cli, const struct strv *filters, const char **ret, struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(1 << 20);
	struct json_writer w;

	json_writer_init(&w, &b);
	jw_object(&w);
	for (size_t i = 0; i < filters->n; i++) {
		const char *item = filters->v[i];
		size_t len = strcspn(item, "=") + 1;
		bool first = true;

		if (!item[len - 1])
			return error_set(err, ERROR_INVALID, 0,
					 "invalid argument \"%s\" for \"-f, --filter\" flag: "
					 "invalid filter '%s' (should be key=value)",
					 item, item);
		for (size_t j = 0; j < i; j++)
			first &= strncmp(filters->v[j], item, len) != 0;
		if (!first)
			continue;
		jw_karray(&w, arena_strndup(cli->arena, item, len - 1));
		for (size_t j = i; j < filters->n; j++)
			if (strncmp(filters->v[j], item, len) == 0)
				jw_string(&w, filters->v[j] + len);
		jw_array_end(&w);
	}
	jw_object_end(&w);
	*ret = cli_escape(cli, b.s);
	return 0;
}

const char *cli_platform(struct cli *cli, const char *platform)
{
	autostrbuf struct strbuf b = STRBUF_INIT(CLI_RESPONSE_MAX);
	const char *os = "linux", *arch = platform, *variant = NULL;
	struct json_writer w;
	char *slash;

	if (!platform)
		return "";
	arch = arena_strdup(cli->arena, platform);
	slash = strchr(arch, '/');
	if (slash) {
		*slash = '\0';
		os = arch;
		arch = slash + 1;
		slash = strchr(arch, '/');
	}
	if (slash) {
		*slash = '\0';
		variant = slash + 1;
	}
	json_writer_init(&w, &b);
	jw_object(&w);
	jw_kstring(&w, "architecture",
		   str_eq(arch, "x86_64")    ? "amd64"
		   : str_eq(arch, "aarch64") ? "arm64"
					     : arch);
	jw_kstring(&w, "os", os);
	if (variant)
		jw_kstring(&w, "variant", variant);
	jw_object_end(&w);
	return arena_printf(cli->arena, "&platform=%s", cli_escape(cli, b.s));
}

int cli_check_filter(const char *value, struct error *err)
{
	if (!strchr(value, '='))
		return error_set(err, ERROR_INVALID, 0,
				 "bad format of filter (expected name=value)");
	return 0;
}

static int take_lines(struct strbuf *b, cli_line_fn fn, void *data, struct error *err)
{
	char *end;

	while ((end = memchr(b->s, '\n', b->len))) {
		autoarena struct arena *arena = arena_new();
		const struct json *line;
		size_t len = (size_t)(end - b->s);
		int r = 0;

		if (len > 1) /* more than a carriage return */
			r = json_parse(arena, b->s, len, &line, err);
		if (r == 0 && len > 1)
			r = fn(line, data, err);
		if (r < 0)
			return r;
		strbuf_drop(b, len + 1);
	}
	return 0;
}

int cli_each_line(struct http_response *response, cli_line_fn fn, void *data, struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(CLI_LINE_MAX);
	char buf[16384];
	ssize_t n;

	while ((n = http_response_read(response, buf, sizeof(buf), err)) > 0) {
		int r;

		strbuf_add(&b, buf, (size_t)n);
		if (strbuf_error(&b) < 0)
			return error_set(err, ERROR_INVALID, E2BIG, "line of the engine's answer");
		r = take_lines(&b, fn, data, err);
		if (r < 0)
			return r;
	}
	return (int)n;
}

void cli_complain(struct error *err)
{
	(void)fprintf(stderr, "%s\n", error_msg(err));
	error_done(err);
}
