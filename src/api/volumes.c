/* Volumes: the anonymous ones, which live and die with their containers. */
#include <string.h>

#include "api/api_priv.h"
#include "api/encode.h"
#include "api/filters.h"
#include "api/handlers.h"
#include "base/arena.h"
#include "base/mem.h"
#include "engine/volume.h"

struct volume {
	const struct container *container;
	char name[65];
};

/* The next volume behind *container, *index in order; false behind the last. */
static bool next_volume(struct engine *e, size_t *container, size_t *index, struct volume *ret)
{
	size_t n;
	struct container *const *list = engine_containers(e, &n);

	for (; *container < n; (*container)++, *index = 0) {
		const struct container *c = list[*container];
		const struct json *volumes = c->spec->config.volumes;

		while (*index < json_count(volumes)) {
			const char *destination = json_key_at(volumes, (*index)++);

			if (volume_is_replaced(c->spec, destination))
				continue;
			ret->container = c;
			volume_name(c->id, destination, ret->name);
			return true;
		}
	}
	return false;
}

static void write_volume(struct api_call *c, const struct volume *v, struct json_writer *w)
{
	jw_object(w);
	encode_time(w, "CreatedAt", v->container->created_at);
	jw_kstring(w, "Driver", "local");
	jw_kobject(w, "Labels");
	jw_kstring(w, "com.docker.volume.anonymous", "");
	jw_object_end(w);
	jw_key(w, "Mountpoint");
	jw_stringf(w, "%s/volumes/%s/_data", engine_get_args(c->engine)->data_root, v->name);
	jw_kstring(w, "Name", v->name);
	jw_knull(w, "Options");
	jw_kstring(w, "Scope", "local");
	jw_object_end(w);
}

static bool has_labels(const struct filters *f)
{
	const struct filter *x = filters_get(f, "label");

	for (size_t i = 0; x && i < x->n; i++)
		if (strcmp(x->values[i], "com.docker.volume.anonymous") != 0 &&
		    strcmp(x->values[i], "com.docker.volume.anonymous=") != 0)
			return false;
	return true;
}

int volumes_list(struct api_call *c, struct error *err)
{
	static const char *const keys[] = {"dangling", "driver", "label", "name", NULL};
	autojson struct api_json j = {0};
	size_t container = 0, index = 0;
	struct filters f;
	struct volume v;
	bool dangling;
	int r = filters_parse(http_request_arena(c->req), http_query(c->req, "filters"), keys, &f,
			      err);

	if (r == 0)
		r = filters_bool(&f, "dangling", false, &dangling, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	jw_object(&j.w);
	jw_karray(&j.w, "Volumes");
	/* Each belongs to a container: none is dangling. */
	while (!dangling && next_volume(c->engine, &container, &index, &v))
		if (filters_match(&f, "driver", "local") && has_labels(&f) &&
		    filters_match_pattern(&f, "name", v.name))
			write_volume(c, &v, &j.w);
	jw_array_end(&j.w);
	jw_knull(&j.w, "Warnings");
	jw_object_end(&j.w);
	return api_answer_json(c, 200, &j.out, err);
}

static int find(struct api_call *c, struct volume *ret, struct error *err)
{
	size_t container = 0, index = 0;

	while (next_volume(c->engine, &container, &index, ret))
		if (strcmp(ret->name, c->params[0]) == 0)
			return 0;
	return error_set(err, ERROR_NOT_FOUND, 0, "get %s: no such volume", c->params[0]);
}

int volumes_inspect(struct api_call *c, struct error *err)
{
	autojson struct api_json j = {0};
	struct volume v;
	int r = find(c, &v, err);

	if (r < 0)
		return r;
	api_json_init(&j);
	write_volume(c, &v, &j.w);
	return api_answer_json(c, 200, &j.out, err);
}

int volumes_delete(struct api_call *c, struct error *err)
{
	struct volume v;
	int r = find(c, &v, api_query_bool(c, "force") ? NULL : err);

	if (r < 0)
		return api_query_bool(c, "force") ? api_answer_empty(c, 204) : r;
	return error_set(err, ERROR_CONFLICT, 0, "remove %s: volume is in use - [%s]", v.name,
			 v.container->id);
}
