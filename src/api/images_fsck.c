/* POST /vessel/fsck: the store checked, and mended, beside everything else; a line for each problem. */
#include "api/api_priv.h"
#include "api/handlers.h"
#include "base/log.h"
#include "store/fsck.h"

static void send_line(struct api_call *c, struct api_json *j)
{
	strbuf_addc(&j->out, '\n');
	if (!http_is_started(c->req))
		(void)http_start(c->req, 200, API_TYPE_JSON);
	(void)http_write(c->req, j->out.s, j->out.len);
}

static void report(void *data, const struct fsck_problem *p)
{
	autojson struct api_json j = {0};

	log_warn("fsck: '%s': %s%s", p->path, p->what, p->mended ? " (mended)" : "");
	api_json_init(&j);
	jw_object(&j.w);
	jw_kstring(&j.w, "Path", p->path);
	jw_kstring(&j.w, "Problem", p->what);
	jw_kbool(&j.w, "Mended", p->mended);
	jw_object_end(&j.w);
	send_line(data, &j);
}

int system_fsck(struct api_call *c, struct error *err)
{
	const struct fsck_args args = {.repair = api_query_bool(c, "repair"),
				       .deep = api_query_bool(c, "deep"),
				       .report = report,
				       .data = c};
	struct fsck_result result;
	autojson struct api_json j = {0};
	int r = fsck_run(engine_store(c->engine), &args, &result, err);

	if (r < 0 && !http_is_started(c->req))
		return r;
	api_json_init(&j);
	jw_object(&j.w);
	if (r < 0) {
		jw_kstring(&j.w, "error", error_msg(err));
	} else {
		jw_kuint(&j.w, "Images", result.images);
		jw_kuint(&j.w, "Layers", result.layers);
		jw_kuint(&j.w, "Containers", result.containers);
		jw_kuint(&j.w, "Problems", result.problems);
		jw_kuint(&j.w, "Mended", result.mended);
	}
	jw_object_end(&j.w);
	send_line(c, &j);
	(void)http_end(c->req);
	return 0;
}
