/* Containers: create, inspect, prune. */
#include <stdio.h>
#include <string.h>

#include "api/api_priv.h"
#include "api/emit.h"
#include "api/encode.h"
#include "api/filters.h"
#include "api/handlers.h"
#include "api/platform.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/store.h"

int containers_create(struct api_call *c, struct error *err)
{
	struct engine_create_args args = {.api_version = c->version};
	struct engine_created created = {0};
	autojson struct api_json j = {0};
	const char *name = api_query(c, "name"), *platform = api_query(c, "platform");
	int r = api_body(c, &args.body, err);

	if (r < 0)
		return r;
	if (json_type(args.body) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0,
				 "config cannot be empty in order to create a container");
	if (*name == '/')
		name++;
	args.name = *name ? name : NULL;
	args.platform = *platform ? platform : NULL;
	r = engine_create(c->engine, &args, &created, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	jw_object(&j.w);
	jw_kstring(&j.w, "Id", created.id);
	jw_karray(&j.w, "Warnings");
	for (size_t i = 0; i < created.warnings.n; i++)
		jw_string(&j.w, created.warnings.v[i]);
	jw_array_end(&j.w);
	jw_object_end(&j.w);
	strv_done(&created.warnings);
	return api_answer_json(c, 201, &j.out, err);
}

struct inspect {
	struct api_call *c;
	char id[65];
	struct encode_args args;
	struct json_writer *w;
};

static int look_up(void *data, struct error *err)
{
	struct inspect *in = data;
	struct container *c;
	int r = engine_container_get(in->c->engine, in->c->params[0], &c, err);

	if (r == 0)
		(void)str_copy(in->id, sizeof(in->id), c->id);
	return r;
}

static int encode(void *data, struct error *err)
{
	struct inspect *in = data;
	struct container *c;
	int r = engine_container_get(in->c->engine, in->id, &c, err);

	if (r == 0)
		encode_container_inspect(&in->args, c, in->w);
	return r;
}

static int64_t layers_size(struct store *s, const char *image_id)
{
	autostore_image struct store_image img = {0};

	return store_image_get(s, image_id, &img, NULL) == 0 ? img.size : 0;
}

int containers_inspect(struct api_call *c, struct error *err)
{
	autostore_snapshot struct store_snapshot snap = {0};
	struct store *store = engine_store(c->engine);
	autojson struct api_json j = {0};
	struct inspect in = {
		.c = c,
		.args = {.engine = c->engine,
			 .version = c->version,
			 .size_rw = -1,
			 .now_ns = clock_realtime_ns()},
		.w = &j.w,
	};
	int r;

	engine_settle(c->engine, c->params[0]);
	r = api_on_loop(c, look_up, &in, err);
	if (r < 0)
		return r;
	/* It may be gone by now; what is left to say is said without. */
	if (store_snapshot_get(store, in.id, &snap, NULL) == 0)
		in.args.snap = &snap;
	if (in.args.snap && api_query_bool(c, "size")) {
		in.args.size_rw = platform_tree_size(snap.upper);
		in.args.size_root = in.args.size_rw + layers_size(store, snap.image_id);
	}
	api_json_init(&j);
	r = api_on_loop(c, encode, &in, err);
	return r < 0 ? r : api_answer_json(c, 200, &j.out, err);
}

struct prune {
	struct api_call *c;
	struct filters filters;
	int64_t until_ns;
	struct strv ids;
};

static int collect_stopped(void *data, struct error *err)
{
	struct prune *p = data;
	size_t n;
	struct container *const *list = engine_containers(p->c->engine, &n);

	(void)err;
	for (size_t i = 0; i < n; i++) {
		const struct container *c = list[i];
		const struct filter *without = filters_get(&p->filters, "label!");
		bool keep = c->state.status != CONTAINER_CREATED &&
			    c->state.status != CONTAINER_EXITED &&
			    c->state.status != CONTAINER_DEAD;

		keep |= c->created_at > p->until_ns;
		keep |= !filters_match_labels(&p->filters, "label", c->spec->config.labels);
		keep |= without &&
			filters_match_labels(&p->filters, "label!", c->spec->config.labels);
		if (!keep)
			strv_add(&p->ids, c->id);
	}
	return 0;
}

int containers_prune(struct api_call *c, struct error *err)
{
	static const char *const keys[] = {"label", "label!", "until", NULL};
	struct prune p = {.c = c};
	autojson struct api_json j = {0};
	autostrv struct strv gone = {0};
	int64_t reclaimed = 0;
	int r = filters_parse(http_request_arena(c->req), http_query(c->req, "filters"), keys,
			      &p.filters, err);

	if (r == 0)
		r = filters_until(&p.filters, &p.until_ns, err);
	if (r == 0)
		r = api_on_loop(c, collect_stopped, &p, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < p.ids.n; i++) {
		autostore_snapshot struct store_snapshot snap = {0};
		int64_t size = 0;

		if (store_snapshot_get(engine_store(c->engine), p.ids.v[i], &snap, NULL) == 0)
			size = platform_tree_size(snap.upper);
		/* One that has been started or removed meanwhile is none of ours. */
		if (engine_remove(c->engine, p.ids.v[i], 0, NULL) < 0)
			continue;
		strv_add(&gone, p.ids.v[i]);
		reclaimed += size;
	}
	strv_done(&p.ids);
	api_json_init(&j);
	jw_object(&j.w);
	api_json_names(&j.w, "ContainersDeleted", &gone);
	jw_kint(&j.w, "SpaceReclaimed", reclaimed);
	jw_object_end(&j.w);
	api_emit_prune(c, "container", reclaimed);
	return api_answer_json(c, 200, &j.out, err);
}
