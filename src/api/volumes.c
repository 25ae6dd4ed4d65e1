/* Volumes: create, list, inspect, remove, prune. */
#include "api/volumes.h"

#include <string.h>

#include "api/api_priv.h"
#include "api/emit.h"
#include "api/encode.h"
#include "api/filters.h"
#include "api/handlers.h"
#include "api/platform.h"
#include "base/arena.h"
#include "base/mem.h"
#include "engine/volume.h"

void volume_write(const struct api_call *c, const struct volume *v,
		  const struct volume_usage *usage, struct json_writer *w)
{
	jw_object(w);
	encode_time(w, "CreatedAt", v->created_ns / 1000000000 * 1000000000);
	jw_kstring(w, "Driver", VOLUME_DRIVER);
	if (v->labels.keys.n > 0)
		volume_map_write(w, "Labels", &v->labels);
	else
		jw_knull(w, "Labels");
	jw_key(w, "Mountpoint");
	jw_stringf(w, "%s/volumes/%s/_data", engine_get_args(c->engine)->data_root, v->name);
	jw_kstring(w, "Name", v->name);
	if (v->options.keys.n > 0)
		volume_map_write(w, "Options", &v->options);
	else
		jw_knull(w, "Options");
	jw_kstring(w, "Scope", "local");
	if (usage) {
		jw_kobject(w, "UsageData");
		jw_kint(w, "RefCount", usage->refs);
		jw_kint(w, "Size", usage->size);
		jw_object_end(w);
	}
	jw_object_end(w);
}

int64_t volume_refs(const struct api_call *c, const struct volume *v)
{
	int64_t n = 0;

	while (engine_volume_user(c->engine, v->name, (size_t)n))
		n++;
	return n;
}

static bool has_label(const struct volume *v, const char *want)
{
	autofree char *key = xstrndup(want, strcspn(want, "="));
	const char *value = volume_map_get(&v->labels, key);

	return value && (want[strlen(key)] == '\0' || strcmp(value, want + strlen(key) + 1) == 0);
}

static bool has_labels(const struct volume *v, const struct filters *f)
{
	const struct filter *with = filters_get(f, "label"), *without = filters_get(f, "label!");
	bool all = without != NULL;

	for (size_t i = 0; with && i < with->n; i++)
		if (!has_label(v, with->values[i]))
			return false;
	for (size_t i = 0; without && i < without->n; i++)
		all &= has_label(v, without->values[i]);
	return !all;
}

static bool is_shown(const struct api_call *c, const struct volume *v, const struct filters *f,
		     const bool *dangling)
{
	if (dangling && *dangling != !engine_volume_user(c->engine, v->name, 0))
		return false;
	return filters_match(f, "driver", VOLUME_DRIVER) && has_labels(v, f) &&
	       filters_match_pattern(f, "name", v->name);
}

int volumes_list(struct api_call *c, struct error *err)
{
	static const char *const keys[] = {"dangling", "driver", "label", "name", NULL};
	const struct volumes *all = engine_volumes(c->engine);
	autojson struct api_json j = {0};
	struct filters f;
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
	for (size_t i = 0; i < all->n; i++)
		if (is_shown(c, all->v[i], &f, filters_get(&f, "dangling") ? &dangling : NULL))
			volume_write(c, all->v[i], NULL, &j.w);
	jw_array_end(&j.w);
	jw_knull(&j.w, "Warnings");
	jw_object_end(&j.w);
	return api_answer_json(c, 200, &j.out, err);
}

int volumes_inspect(struct api_call *c, struct error *err)
{
	autojson struct api_json j = {0};
	const struct volume *v;
	int r = engine_volume_get(c->engine, c->params[0], &v, err);

	if (r < 0)
		return r;
	api_json_init(&j);
	volume_write(c, v, NULL, &j.w);
	return api_answer_json(c, 200, &j.out, err);
}

struct created {
	struct api_call *c;
	const char *name;
	struct json_writer *w;
};

static int write_created(void *data, struct error *err)
{
	const struct created *x = data;
	const struct volume *v;
	int r = engine_volume_get(x->c->engine, x->name, &v, err);

	if (r >= 0)
		volume_write(x->c, v, NULL, x->w);
	return r;
}

int volumes_create(struct api_call *c, struct error *err)
{
	autojson struct api_json j = {0};
	autofree char *name = NULL;
	struct volume_request q;
	const struct json *body;
	const char *driver;
	int r = api_body(c, &body, err);

	if (r < 0)
		return r;
	if (json_type(body) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid JSON: got EOF while reading request body");
	if (!json_is_null(json_get(body, "ClusterVolumeSpec")))
		return system_no_swarm(c, err);
	driver = json_get_string(body, "Driver");
	if (driver && *driver && strcmp(driver, "default") != 0 &&
	    strcmp(driver, VOLUME_DRIVER) != 0)
		return error_set(err, ERROR_NOT_FOUND, 0,
				 "create %s: error looking up volume plugin %s: plugin \"%s\" not "
				 "found",
				 json_get_string(body, "Name") ?: "", driver, driver);
	q = (struct volume_request){.name = json_get_string(body, "Name"),
				    .labels = json_get(body, "Labels"),
				    .options = json_get(body, "DriverOpts")};
	r = engine_volume_create(c->engine, &q, &name, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	r = api_on_loop(c, write_created, &(struct created){c, name, &j.w}, err);
	return r < 0 ? r : api_answer_json(c, 201, &j.out, err);
}

/* There are cluster volumes in a swarm only. */
int volumes_update(struct api_call *c, struct error *err)
{
	(void)c;
	return error_set(err, ERROR_UNAVAILABLE, 0,
			 "volume update only valid for cluster volumes, but swarm is unavailable");
}

int volumes_delete(struct api_call *c, struct error *err)
{
	autoerror struct error why = {0};
	int r = engine_volume_remove(c->engine, c->params[0], &why);

	if (r < 0 && !(why.kind == ERROR_NOT_FOUND && api_query_bool(c, "force")))
		return error_move(err, &why, r);
	return api_answer_empty(c, 204);
}

struct prune {
	struct api_call *c;
	struct filters filters;
	bool all;          /* named ones too */
	struct strv names; /* owned */
};

static int collect(void *data, struct error *err)
{
	struct prune *p = data;
	const struct volumes *all = engine_volumes(p->c->engine);

	(void)err;
	for (size_t i = 0; i < all->n; i++) {
		const struct volume *v = all->v[i];

		if (!engine_volume_user(p->c->engine, v->name, 0) &&
		    (p->all || volume_is_anonymous(v)) && has_labels(v, &p->filters))
			strv_add(&p->names, v->name);
	}
	return 0;
}

int volumes_prune(struct api_call *c, struct error *err)
{
	static const char *const keys[] = {"all", "label", "label!", NULL};
	struct prune p = {.c = c};
	autojson struct api_json j = {0};
	int64_t reclaimed = 0;
	int r = filters_parse(http_request_arena(c->req), http_query(c->req, "filters"), keys,
			      &p.filters, err);

	/* Before 1.42 all was what it did. */
	if (r == 0)
		r = filters_bool(&p.filters, "all", c->version < 142, &p.all, err);
	if (r == 0)
		r = api_on_loop(c, collect, &p, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	jw_object(&j.w);
	jw_karray(&j.w, "VolumesDeleted");
	for (size_t i = 0; i < p.names.n; i++) {
		autofree char *dir = xasprintf("%s/volumes/%s/_data",
					       engine_get_args(c->engine)->data_root, p.names.v[i]);
		int64_t size = platform_tree_size(dir);

		/* One that has been put to use meanwhile is none of ours. */
		if (engine_volume_remove(c->engine, p.names.v[i], NULL) < 0)
			continue;
		jw_string(&j.w, p.names.v[i]);
		reclaimed += size;
	}
	strv_done(&p.names);
	jw_array_end(&j.w);
	jw_kint(&j.w, "SpaceReclaimed", reclaimed);
	jw_object_end(&j.w);
	api_emit_prune(c, "volume", reclaimed);
	return api_answer_json(c, 200, &j.out, err);
}
