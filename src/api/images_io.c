/* Images in and out: load, import, save; and why pull is not.
 *
 * Progress goes out as one JSON object a line.  Until the first line an error is a status of its
 * own; after it, it is the last line.
 */
#include <string.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "api/image_config.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store.h"

/* Lines of progress.  A client that stops listening does not stop the work. */
static void send_line(struct http_request *req, struct api_json *j)
{
	strbuf_adds(&j->out, "\r\n");
	if (!http_is_started(req))
		(void)http_start(req, 200, API_TYPE_JSON);
	(void)http_write(req, j->out.s, j->out.len);
}

static void send_member(struct http_request *req, const char *key, const char *value)
{
	autojson struct api_json j = {0};

	api_json_init(&j);
	jw_object(&j.w);
	jw_kstring(&j.w, key, value);
	jw_object_end(&j.w);
	send_line(req, &j);
}

static void report(void *data, const char *id, const char *status, uint64_t current, uint64_t total)
{
	autojson struct api_json j = {0};

	api_json_init(&j);
	jw_object(&j.w);
	jw_kstring(&j.w, "status", status);
	jw_kobject(&j.w, "progressDetail");
	jw_kuint(&j.w, "current", current);
	if (total > 0)
		jw_kuint(&j.w, "total", total);
	jw_object_end(&j.w);
	jw_kstring(&j.w, "id", id);
	jw_object_end(&j.w);
	send_line(data, &j);
}

static void message(void *data, const char *text)
{
	send_member(data, "stream", text);
}

/* The end of a stream of lines: `r` with *why, or all is well. */
static int end_lines(struct api_call *c, int r, struct error *err)
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
		send_line(c->req, &j);
		log_error("%s: %s", http_request_raw_path(c->req), error_msg(err));
	}
	if (!http_is_started(c->req))
		(void)http_start(c->req, 200, API_TYPE_JSON);
	(void)http_end(c->req);
	return 0;
}

int images_load(struct api_call *c, struct error *err)
{
	autostore_loaded_list struct store_loaded_list loaded = {0};
	const struct stream_reader in = api_body_reader(c);
	const struct store_progress progress = {
		.report = api_query_bool_default(c, "quiet", true) ? NULL : report,
		.message = message,
		.data = c->req,
	};
	int r = store_load(engine_store(c->engine), &in, &progress, &loaded, err);

	for (size_t i = 0; r >= 0 && i < loaded.n; i++) {
		const struct store_loaded *l = &loaded.v[i];
		autofree char *line = l->name ? xasprintf("Loaded image: %s\n", l->name)
					      : xasprintf("Loaded image ID: %s\n", l->id);

		send_member(c->req, "stream", line);
		image_emit(c, "load", l->id, l->name ? l->name : l->id);
	}
	return end_lines(c, r, err);
}

static int import(struct api_call *c, struct error *err)
{
	const struct stream_reader in = api_body_reader(c);
	const char *repo = api_query(c, "repo"), *message_text = api_query(c, "message"),
		   *platform = api_query(c, "platform");
	struct store_import_args args = {
		.in = &in,
		.name = *repo ? image_reference(c, repo, api_query(c, "tag")) : NULL,
		.message = *message_text ? message_text : NULL,
		.changes = api_query_all(c, "changes"),
		.platform = *platform ? platform : NULL,
	};
	char id[DIGEST_STRING_SIZE];
	int r;

	r = store_import(engine_store(c->engine), &args, id, err);
	if (r >= 0) {
		send_member(c->req, "status", id);
		image_emit(c, "import", id, args.name ? image_familiar(args.name) : id);
	}
	return end_lines(c, r, err);
}

int images_create(struct api_call *c, struct error *err)
{
	const char *from_image = api_query(c, "fromImage"), *from = api_query(c, "fromSrc");

	if (*from_image)
		return error_set(
			err, ERROR_NOT_IMPLEMENTED, 0,
			"pulling images is not implemented: load '%s' from an archive "
			"instead",
			image_familiar(image_reference(c, from_image, api_query(c, "tag"))));
	if (strcmp(from, "-") == 0)
		return import(c, err);
	if (*from)
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				 "importing from '%s' is not implemented: send the archive instead",
				 from);
	return error_set(err, ERROR_INVALID, 0, "one of fromImage and fromSrc is needed");
}

static int save(struct api_call *c, const char *const *refs, size_t n, struct error *err)
{
	const struct stream_writer out = api_tar_writer(c);
	int r = store_save(engine_store(c->engine), refs, n, &out, err);

	if (r < 0)
		return r; /* a started answer is broken off: the client sees that it is cut */
	for (size_t i = 0; i < n; i++)
		image_emit(c, "save", image_id_of(c, refs[i]), image_familiar(refs[i]));
	(void)http_end(c->req);
	return 0;
}

int images_save_one(struct api_call *c, struct error *err)
{
	return save(c, c->params, 1, err);
}

int images_save(struct api_call *c, struct error *err)
{
	const char *const *refs = api_query_all(c, "names");
	size_t n = 0;

	while (refs[n])
		n++;
	if (n == 0)
		return error_set(err, ERROR_INVALID, 0, "no names were given");
	return save(c, refs, n, err);
}
