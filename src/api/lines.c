/* Lines of JSON. */
#include "api/lines.h"

#include "base/log.h"

void lines_send(struct http_request *req, struct api_json *j)
{
	strbuf_adds(&j->out, "\r\n");
	if (!http_is_started(req))
		(void)http_start(req, 200, API_TYPE_JSON);
	(void)http_write(req, j->out.s, j->out.len);
}

void lines_member(struct http_request *req, const char *key, const char *value)
{
	autojson struct api_json j = {0};

	api_json_init(&j);
	jw_object(&j.w);
	jw_kstring(&j.w, key, value);
	jw_object_end(&j.w);
	lines_send(req, &j);
}

int lines_end(struct api_call *c, int r, struct error *err)
{
	autojson struct api_json j = {0};

	if (r < 0 && !http_is_started(c->req))
		return r; /* a status of its own */
	if (r < 0) {
		api_json_init(&j);
		jw_object(&j.w);
		jw_kobject(&j.w, "errorDetail");
		jw_kstring(&j.w, "message", error_msg(err));
		jw_object_end(&j.w);
		jw_kstring(&j.w, "error", error_msg(err));
		jw_object_end(&j.w);
		lines_send(c->req, &j);
		log_error("%s: %s", http_request_raw_path(c->req), error_msg(err));
	}
	if (!http_is_started(c->req))
		(void)http_start(c->req, 200, API_TYPE_JSON);
	(void)http_end(c->req);
	return 0;
}
