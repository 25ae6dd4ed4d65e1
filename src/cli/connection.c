/* The connection to the engine: addresses, TLS, version negotiation, requests, errors. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "http/address.h"
#include "http/client.h"
#include "http/tls.h"

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

static int negotiate(struct cli *cli, struct error *err)
{
	struct http_client_request req = {.method = "HEAD", .target = "/_ping"};
	autohttp_response struct http_response *response = NULL;
	const char *theirs, *wanted = getenv("DOCKER_API_VERSION");
	int r = http_client_send(cli->http, &req, &response, err);

	if (r < 0)
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "Cannot connect to the vessel daemon at %s. Is vesseld running?",
				 cli->host);
	theirs = http_response_header(response, "Api-Version");
	if (!str_empty(wanted))
		(void)str_copy(cli->api_version, sizeof(cli->api_version), wanted);
	else if (version_number(theirs) && version_number(theirs) < version_number(CLI_API_VERSION))
		(void)str_copy(cli->api_version, sizeof(cli->api_version), theirs);
	else
		(void)str_copy(cli->api_version, sizeof(cli->api_version), CLI_API_VERSION);
	return 0;
}

int cli_connect(struct cli *cli, struct error *err)
{
	autohttp_address struct http_address address = {0};
	autotls struct tls *tls = NULL;
	struct http_client_args args = {.address = &address};
	int r;

	if (cli->http)
		return 0;
	r = http_address_parse(cli->host, cli->tls || cli->tlsverify, &address, err);
	if (r < 0)
		return r;
	if ((cli->tls || cli->tlsverify) && address.kind == HTTP_ADDRESS_TCP) {
		r = make_tls(cli, &tls, err);
		if (r < 0)
			return r;
		args.tls = tls;
	}
	r = http_client_new(&args, &cli->http, err);
	return r < 0 ? r : negotiate(cli, err);
}

const char *cli_escape(struct cli *cli, const char *s)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~";
	char *out = arena_alloc(cli->arena, 3 * strlen(s) + 1), *p = out;

	for (; *s; s++) {
		if (strchr(plain, *s)) {
			*p++ = *s;
		} else {
			*p++ = '%';
			hex_encode(s, 1, p);
			p += 2;
		}
	}
	*p = '\0';
	return out;
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

int cli_send(struct cli *cli, struct http_client_request *req, const char *path,
	     struct http_response **ret, struct error *err)
{
	autohttp_response struct http_response *response = NULL;
	int status, r = cli_connect(cli, err);

	if (r < 0)
		return r;
	req->target = arena_printf(cli->arena, "/v%s%s", cli->api_version, path);
	r = http_client_send(cli->http, req, &response, err);
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

void cli_complain(struct error *err)
{
	(void)fprintf(stderr, "%s\n", error_msg(err));
	error_done(err);
}
