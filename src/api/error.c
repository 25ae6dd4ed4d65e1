/* Errors as HTTP: the one table of kinds to status, and the one shape of a body. */
#include <assert.h>
#include <string.h>

#include "api/api_priv.h"
#include "base/log.h"
#include "base/mem.h"

static const int statuses[] = {
	[ERROR_INTERNAL] = 500,    [ERROR_INVALID] = 400,      [ERROR_NOT_FOUND] = 404,
	[ERROR_CONFLICT] = 409,    [ERROR_FORBIDDEN] = 403,    [ERROR_UNAUTHORIZED] = 401,
	[ERROR_UNAVAILABLE] = 503, [ERROR_NOT_MODIFIED] = 304, [ERROR_NOT_IMPLEMENTED] = 501,
};
static_assert(ARRAY_SIZE(statuses) == ERROR_KIND_COUNT, "a status for each kind");

int api_status(enum error_kind kind)
{
	assert(kind < ERROR_KIND_COUNT);
	return statuses[kind];
}

void api_answer_message(struct http_request *req, int status, const char *msg)
{
	autojson struct api_json j = {0};

	if (status == 304) {
		http_respond(req, status, NULL, NULL, 0);
		return;
	}
	api_json_init(&j);
	jw_object(&j.w);
	jw_kstring(&j.w, "message", msg);
	jw_object_end(&j.w);
	strbuf_addc(&j.out, '\n');
	http_respond(req, status, API_TYPE_JSON, j.out.s, j.out.len);
}

void api_answer_error(struct http_request *req, const struct error *err)
{
	int status = api_status(err->kind);

	if (status >= 500 && status != 501)
		log_error("%s %s: %s", http_request_method(req), http_request_raw_path(req),
			  error_msg(err));
	else
		log_debug("%s %s: %d %s", http_request_method(req), http_request_raw_path(req),
			  status, error_msg(err));
	api_answer_message(req, status, error_msg(err));
}
