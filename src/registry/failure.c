/* Refusals: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes */
#include "registry/failure.h"

#include <string.h>

#include "base/arena.h"
#include "base/json.h"
#include "registry/challenge.h"

#define ERRORS_MAX 8
#define TEXT_MAX   4096

static const struct {
	long status;
	const char *text;
} reasons[] = {
	{400, "Bad Request"},        {401, "Unauthorized"},
	{403, "Forbidden"},          {404, "Not Found"},
	{405, "Method Not Allowed"}, {406, "Not Acceptable"},
	{408, "Request Timeout"},    {416, "Requested Range Not Satisfiable"},
	{429, "Too Many Requests"},  {500, "Internal Server Error"},
	{502, "Bad Gateway"},        {503, "Service Unavailable"},
	{504, "Gateway Timeout"},
};

static const char *reason(long status)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "";
}

static enum error_kind kind_of(long status)
{
	if (status == 401)
		return ERROR_UNAUTHORIZED;
	if (status == 403)
		return ERROR_FORBIDDEN;
	if (status == 404)
		return ERROR_NOT_FOUND;
	return status >= 500 || status == 429 ? ERROR_UNAVAILABLE : ERROR_INTERNAL;
}

/* "MANIFEST_UNKNOWN" -> "manifest unknown: " */
static void add_code(struct strbuf *b, const char *code)
{
	for (const char *p = code; *p; p++)
		strbuf_addc(b, *p == '_' ? ' ' : *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p);
	strbuf_adds(b, ": ");
}

/* False if there is none that could be shown. */
static bool read_errors(const struct transfer_response *answer, struct session_failure *failure,
			struct strbuf *text)
{
	autoarena struct arena *a = arena_new();
	const struct json *doc = NULL, *errors;

	if (json_parse(a, answer->body.s, answer->body.len, &doc, NULL) < 0)
		return false;
	errors = json_get(doc, "errors");
	for (size_t i = 0; i < json_count(errors) && i < ERRORS_MAX; i++) {
		const struct json *one = json_at(errors, i);
		const char *code = json_get_string(one, "code"),
			   *message = json_get_string(one, "message");

		if (!code)
			continue;
		if (text->len == 0)
			(void)str_copy(failure->code, sizeof(failure->code), code);
		else
			strbuf_addc(text, '\n');
		add_code(text, code);
		strbuf_adds(text, message && message[0] ? message : reason(answer->status));
	}
	if (text->len == 0 && json_get_string(doc, "details")) { /* token servers */
		strbuf_adds(text, json_get_string(doc, "details"));
	}
	return text->len > 0 && strbuf_error(text) == 0;
}

/* A token that is good, but not for this: RFC 6750, section 3.1.  Docker's words for it. */
static bool is_denied(const struct transfer_response *answer)
{
	autoarena struct arena *a = arena_new();
	struct challenges found = {0};
	const struct challenge *c;
	const char *header;

	for (size_t i = 0; (header = transfer_header(answer, "www-authenticate", i)); i++)
		(void)challenges_parse(a, header, &found, NULL);
	c = challenges_find(&found, "bearer");
	return c && str_eq(challenge_get(c, "error"), "insufficient_scope");
}

int failure_of_answer(const struct transfer_response *answer, const char *url,
		      struct session_failure *failure, struct error *err)
{
	autostrbuf struct strbuf text = STRBUF_INIT(TEXT_MAX);
	long status = answer->status;
	bool has_text = read_errors(answer, failure, &text);

	if (status == 401 && is_denied(answer)) {
		(void)str_copy(failure->code, sizeof(failure->code), "DENIED");
		return error_set(err, ERROR_FORBIDDEN, 0,
				 "denied: requested access to the resource is denied");
	}
	failure->is_retryable = status == 429 || status == 408 || status >= 500;
	if (has_text)
		return error_set(err, kind_of(status), 0, "%s", text.s);
	if (status == 429)
		return error_set(err, kind_of(status), 0, "toomanyrequests: %.500s",
				 utf8_valid(answer->body.s, answer->body.len) && answer->body.len
					 ? answer->body.s
					 : reason(status));
	return error_set(err, kind_of(status), 0, "%s: received unexpected HTTP status: %ld %s",
			 url, status, reason(status));
}
