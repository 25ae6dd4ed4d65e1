/* Images in and out: load, import, save. */
#include <string.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "api/image_config.h"
#include "api/images_filter.h"
#include "api/lines.h"
#include "base/arena.h"
#include "base/mem.h"
#include "store/store.h"

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
	lines_send(data, &j);
}

static void message(void *data, const char *text)
{
	lines_member(data, "stream", text);
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
	struct image_platform platform;
	struct store_load_args args = {.in = &in, .progress = &progress};
	bool given = false;
	int r = c->version >= 148 ? images_platform_parse(c, &platform, &given, err) : 0;

	args.platform = given ? &platform : NULL;
	r = r < 0 ? r : store_load_with(engine_store(c->engine), &args, &loaded, err);

	for (size_t i = 0; r >= 0 && i < loaded.n; i++) {
		const struct store_loaded *l = &loaded.v[i];
		autofree char *line = l->name ? xasprintf("Loaded image: %s\n", l->name)
					      : xasprintf("Loaded image ID: %s\n", l->id);

		lines_member(c->req, "stream", line);
		if (i == 0 ||
		    strcmp(l->id, loaded.v[i - 1].id) != 0) /* once an image, not a name */
			image_emit(c, "load", l->id, l->id, image_labels(c, l->id));
	}
	return lines_end(c, r, err);
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
		const struct json *labels = image_labels(c, id);

		lines_member(c->req, "status", id);
		if (args.name)
			image_emit(c, "tag", id, image_familiar(args.name), labels);
		image_emit(c, "import", id, id, labels);
	}
	return lines_end(c, r, err);
}

int images_create(struct api_call *c, struct error *err)
{
	const char *from_image = api_query(c, "fromImage"), *from = api_query(c, "fromSrc");

	if (*from_image)
		return images_pull(c, err);
	if (strcmp(from, "-") == 0)
		return import(c, err);
	if (*from)
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				 "importing from '%s' is not implemented: send the archive instead",
				 from);
	return error_set(err, ERROR_INVALID, 0, "one of fromImage and fromSrc is needed");
}

/* Once an image, whatever it was called. */
static void emit_saved(struct api_call *c, const char *const *refs, size_t n)
{
	autostrv struct strv ids = {0};

	for (size_t i = 0, k; i < n; i++) {
		const char *id = image_id_of(c, refs[i]);

		for (k = 0; k < ids.n && strcmp(ids.v[k], id) != 0; k++)
			;
		if (k < ids.n)
			continue;
		strv_add(&ids, id);
		image_emit(c, "save", id, id, image_labels(c, id));
	}
}

static int save(struct api_call *c, const char *const *refs, size_t n, struct error *err)
{
	const struct stream_writer out = api_tar_writer(c);
	int r = 0;

	for (size_t i = 0; c->version >= 148 && i < n && r >= 0; i++) {
		autostore_image struct store_image img = {0};

		/* What is not there is save's to say: it may be a repository. */
		if (store_image_get(engine_store(c->engine), refs[i], &img, NULL) >= 0)
			r = images_platform_check(c, refs[i], &img, err);
	}
	r = r < 0 ? r : store_save(engine_store(c->engine), refs, n, &out, err);

	if (r < 0)
		return r; /* a started answer is broken off: the client sees that it is cut */
	emit_saved(c, refs, n);
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
