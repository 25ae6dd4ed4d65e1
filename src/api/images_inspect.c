/* Images: inspect and history. */
#include <string.h>

#include "api/api_priv.h"
#include "api/encode.h"
#include "api/handlers.h"
#include "api/image_config.h"
#include "api/images_filter.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/store.h"

#define NS_PER_S 1000000000LL

static void write_rootfs(const struct store_image *img, struct json_writer *w)
{
	jw_kobject(w, "RootFS");
	jw_kstring(w, "Type", "layers");
	jw_karray(w, "Layers");
	for (size_t i = 0; i < img->n_layers; i++)
		jw_string(w, img->layers[i].diff_id);
	jw_array_end(w);
	jw_object_end(w);
}

static void write_some(struct json_writer *w, const char *key, const char *s)
{
	if (!str_empty(s))
		jw_kstring(w, key, s);
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* Until 1.45 there was the configuration of the container that an image was made of. docker-compose 1
 * looks for it in every answer, of the newest version as well: without it, it recreates nothing. */
static void write_container_config(const struct api_call *c, const struct json *config,
				   struct json_writer *w)
{
	const char *agent = http_request_header(c->req, "User-Agent");

	if (c->version >= 145 && !(agent && str_has_prefix(agent, "docker-compose/1.")))
		return;
	jw_kstring(w, "Container", "");
	if (json_type(config) == JSON_OBJECT) {
		jw_kvalue(w, "ContainerConfig", config);
	} else {
		jw_kobject(w, "ContainerConfig");
		jw_object_end(w);
	}
}

static int write_image(struct api_call *c, const struct store_image *img, bool manifests,
		       struct json_writer *w, struct error *err)
{
	autoarena struct arena *a = arena_new();
	const struct json *config = image_config_parse(a, img), *history;
	const char *comment;
	int r = 0;

	history = json_get(config, "history");
	jw_object(w);
	jw_kstring(w, "Id", img->id);
	image_write_names(w, img);
	jw_kstring(w, "Parent", img->parent);
	comment = json_get_string(config, "comment");
	if (str_empty(comment) && json_count(history) > 0)
		comment = json_get_string(json_at(history, json_count(history) - 1), "comment");
	jw_kstring(w, "Comment", or_empty(comment));
	if (img->created_ns != 0 || c->version < 144)
		encode_time(w, "Created", img->created_ns);
	jw_kstring(w, "DockerVersion", or_empty(json_get_string(config, "docker_version")));
	jw_kstring(w, "Author", or_empty(json_get_string(config, "author")));
	write_container_config(c, json_get(config, "config"), w);
	image_config_answer(json_get(config, "config"), c->version, w);
	jw_kstring(w, "Architecture", or_empty(json_get_string(config, "architecture")));
	write_some(w, "Variant", json_get_string(config, "variant"));
	jw_kstring(w, "Os", or_empty(json_get_string(config, "os")));
	write_some(w, "OsVersion", json_get_string(config, "os.version"));
	jw_kint(w, "Size", img->size);
	if (c->version < 144)
		jw_kint(w, "VirtualSize", img->size);
	jw_kobject(w, "GraphDriver");
	jw_knull(w, "Data");
	jw_kstring(w, "Name", "overlay2");
	jw_object_end(w);
	write_rootfs(img, w);
	jw_kobject(w, "Metadata");
	encode_time(w, "LastTagTime", img->tagged_ns);
	jw_object_end(w);
	if (manifests)
		r = image_write_manifests(c, img, w, err);
	jw_object_end(w);
	return r;
}

int images_inspect(struct api_call *c, struct error *err)
{
	autostore_image struct store_image img = {0};
	autojson struct api_json j = {0};
	bool manifests = c->version >= 148 && api_query_bool(c, "manifests");
	int r = store_image_get(engine_store(c->engine), c->params[0], &img, err);

	if (manifests && *api_query(c, "platform"))
		return error_set(err, ERROR_INVALID, 0,
				 "conflicting options: manifests and platform options cannot both "
				 "be set");
	r = r < 0 ? r : images_platform_check(c, c->params[0], &img, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	r = write_image(c, &img, manifests, &j.w, err);
	return r < 0 ? r : api_answer_json(c, 200, &j.out, err);
}

/* An entry's ID and names are those of the image that ended with it, if that is here. */
static void write_identity(struct store *s, struct store_image *img, struct json_writer *w)
{
	char parent[DIGEST_STRING_SIZE];

	jw_kstring(w, "Id", img->id[0] ? img->id : "<missing>");
	jw_key(w, "Tags");
	if (img->repo_tags.n == 0) {
		jw_null(w);
	} else {
		jw_array(w);
		for (size_t i = 0; i < img->repo_tags.n; i++)
			jw_string(w, img->repo_tags.v[i]);
		jw_array_end(w);
	}
	memcpy(parent, img->parent, sizeof(parent));
	store_image_done(img);
	if (parent[0])
		(void)store_image_get(s, parent, img, NULL); /* gone: the rest is missing */
}

/* Newest first; only the entries that made a layer have a size. */
int images_history(struct api_call *c, struct error *err)
{
	autostore_image struct store_image img = {0}, ancestor = {0};
	struct store *s = engine_store(c->engine);
	autojson struct api_json j = {0};
	autoarena struct arena *a = arena_new();
	const struct json *history;
	struct json_writer *w = &j.w;
	int r = store_image_get(s, c->params[0], &img, err);
	size_t layer = img.n_layers;

	r = r < 0 ? r : images_platform_check(c, c->params[0], &img, err);
	r = r < 0 ? r : store_image_get(s, img.id, &ancestor, err);
	if (r < 0)
		return r;
	history = json_get(image_config_parse(a, &img), "history");
	api_json_init(&j);
	jw_array(w);
	for (size_t i = json_count(history); i-- > 0;) {
		const struct json *h = json_at(history, i);
		const char *created = json_get_string(h, "created");
		int64_t ns = 0, size = 0;

		if (created)
			(void)clock_parse_rfc3339(created, &ns);
		if (!json_get_bool(h, "empty_layer") && layer > 0)
			size = img.layers[--layer].size;
		jw_object(w);
		write_identity(s, &ancestor, w);
		jw_kint(w, "Created", ns / NS_PER_S);
		jw_kstring(w, "CreatedBy", or_empty(json_get_string(h, "created_by")));
		jw_kint(w, "Size", size);
		jw_kstring(w, "Comment", or_empty(json_get_string(h, "comment")));
		jw_object_end(w);
	}
	jw_array_end(w);
	return api_answer_json(c, 200, &j.out, err);
}
