/* GET /system/df: what takes how much of the disk. */
#include <string.h>

#include "api/api_priv.h"
#include "api/encode.h"
#include "api/handlers.h"
#include "api/image_config.h"
#include "api/platform.h"
#include "api/volumes.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/volume.h"
#include "store/store.h"

#define NS_PER_S 1000000000LL

struct usage {
	char id[65];
	char image_id[DIGEST_STRING_SIZE];
	int64_t rw, root;
};

struct volume_size {
	char *name; /* owned */
	int64_t size;
};

enum df_type { DF_CONTAINER, DF_IMAGE, DF_VOLUME, DF_BUILD_CACHE, DF_TYPE_COUNT };
static const char *const type_names[] = {"container", "image", "volume", "build-cache"};
_Static_assert(ARRAY_SIZE(type_names) == DF_TYPE_COUNT, "a name for each type");

struct df {
	struct api_call *c;
	struct usage *containers; /* owned */
	size_t n;
	struct volume_size *volumes; /* owned */
	size_t n_volumes;
	struct store_image_list images;
	bool wanted[DF_TYPE_COUNT];
	struct json_writer *w;
};

static void df_done(struct df *d)
{
	free(d->containers);
	for (size_t i = 0; i < d->n_volumes; i++)
		free(d->volumes[i].name);
	free(d->volumes);
	store_image_list_done(&d->images);
}

static void collect_volumes(struct df *d)
{
	const struct volumes *all = engine_volumes(d->c->engine);

	d->volumes = xnew0n(struct volume_size, all->n + 1);
	for (; d->n_volumes < all->n; d->n_volumes++)
		d->volumes[d->n_volumes].name = xstrdup(all->v[d->n_volumes]->name);
}

static int collect(void *data, struct error *err)
{
	struct df *d = data;
	struct container *const *list = engine_containers(d->c->engine, &d->n);

	(void)err;
	d->containers = xnew0n(struct usage, d->n);
	for (size_t i = 0; i < d->n; i++) {
		(void)str_copy(d->containers[i].id, sizeof(d->containers[i].id), list[i]->id);
		(void)str_copy(d->containers[i].image_id, sizeof(d->containers[i].image_id),
			       list[i]->image_id);
	}
	collect_volumes(d);
	return 0;
}

static int64_t layer_uses(const struct df *d, const char *chain_id)
{
	int64_t uses = 0;

	for (size_t i = 0; i < d->images.n; i++)
		for (size_t j = 0; j < d->images.v[i].n_layers; j++)
			uses += str_eq(d->images.v[i].layers[j].chain_id, chain_id);
	return uses;
}

static int64_t shared_size(const struct df *d, const struct store_image *img)
{
	int64_t size = 0;

	for (size_t i = 0; i < img->n_layers; i++)
		if (layer_uses(d, img->layers[i].chain_id) > 1)
			size += img->layers[i].size;
	return size;
}

static void write_image(const struct df *d, const struct store_image *img)
{
	autoarena struct arena *a = arena_new();
	struct json_writer *w = d->w;
	int64_t containers = 0;

	for (size_t i = 0; i < d->n; i++)
		containers += strcmp(d->containers[i].image_id, img->id) == 0;
	jw_object(w);
	jw_kint(w, "Containers", containers);
	jw_kint(w, "Created", img->created_ns / NS_PER_S);
	jw_kstring(w, "Id", img->id);
	jw_kvalue(w, "Labels", json_get(json_get(image_config_parse(a, img), "config"), "Labels"));
	jw_kstring(w, "ParentId", img->parent);
	image_write_names(w, img);
	jw_kint(w, "SharedSize", shared_size(d, img));
	jw_kint(w, "Size", img->size);
	if (d->c->version < 144)
		jw_kint(w, "VirtualSize", img->size);
	jw_object_end(w);
}

/* [loop] Those that are still there. */
static int write_containers(void *data, struct error *err)
{
	struct df *d = data;

	(void)err;
	jw_karray(d->w, "Containers");
	for (size_t i = 0; i < d->n; i++) {
		const struct encode_args args = {.engine = d->c->engine,
						 .version = d->c->version,
						 .size_rw = d->containers[i].rw,
						 .size_root = d->containers[i].root,
						 .now_ns = clock_realtime_ns()};
		struct container *c;

		if (engine_container_get(d->c->engine, d->containers[i].id, &c, NULL) == 0)
			encode_container_summary(&args, c, d->w);
	}
	jw_array_end(d->w);
	return 0;
}

static int write_volumes(void *data, struct error *err)
{
	const struct df *d = data;
	const struct volume *v;

	(void)err;
	jw_karray(d->w, "Volumes");
	for (size_t i = 0; i < d->n_volumes; i++) {
		struct volume_usage usage = {.size = d->volumes[i].size};

		if (engine_volume_get(d->c->engine, d->volumes[i].name, &v, NULL) < 0)
			continue; /* gone by now */
		usage.refs = volume_refs(d->c, v);
		volume_write(d->c, v, &usage, d->w);
	}
	jw_array_end(d->w);
	return 0;
}

static void measure(struct df *d)
{
	struct store *store = engine_store(d->c->engine);

	for (size_t i = 0; d->wanted[DF_CONTAINER] && i < d->n; i++) {
		autostore_snapshot struct store_snapshot snap = {0};
		struct usage *u = &d->containers[i];

		if (store_snapshot_get(store, u->id, &snap, NULL) == 0)
			u->rw = platform_tree_size(snap.upper);
		u->root = u->rw;
		for (size_t j = 0; j < d->images.n; j++)
			if (strcmp(d->images.v[j].id, u->image_id) == 0)
				u->root += d->images.v[j].size;
	}
	for (size_t i = 0; d->wanted[DF_VOLUME] && i < d->n_volumes; i++) {
		autofree char *path =
			xasprintf("%s/volumes/%s/_data", engine_get_args(d->c->engine)->data_root,
				  d->volumes[i].name);

		d->volumes[i].size = platform_tree_size(path);
	}
}

static void write_null(struct df *d, const char *key, bool wanted)
{
	if (!wanted)
		jw_knull(d->w, key);
}

static int answer(struct df *d, struct error *err)
{
	autojson struct api_json j = {0};

	api_json_init(&j);
	d->w = &j.w;
	jw_object(d->w);
	jw_kint(d->w, "LayersSize",
		d->wanted[DF_IMAGE] ? store_layers_usage(engine_store(d->c->engine)) : 0);
	write_null(d, "Images", d->wanted[DF_IMAGE]);
	if (d->wanted[DF_IMAGE]) {
		jw_karray(d->w, "Images");
		for (size_t i = 0; i < d->images.n; i++)
			write_image(d, &d->images.v[i]);
		jw_array_end(d->w);
	}
	write_null(d, "Containers", d->wanted[DF_CONTAINER]);
	if (d->wanted[DF_CONTAINER])
		(void)api_on_loop(d->c, write_containers, d, err);
	write_null(d, "Volumes", d->wanted[DF_VOLUME]);
	if (d->wanted[DF_VOLUME])
		(void)api_on_loop(d->c, write_volumes, d, err);
	write_null(d, "BuildCache", d->wanted[DF_BUILD_CACHE]);
	if (d->wanted[DF_BUILD_CACHE]) {
		jw_karray(d->w, "BuildCache");
		jw_array_end(d->w);
	}
	if (d->c->version < 142)
		jw_kint(d->w, "BuilderSize", 0);
	jw_object_end(d->w);
	return api_answer_json(d->c, 200, &j.out, err);
}

/* `type`, any number of times, from 1.42 on; none: all. */
static int parse_types(struct df *d, struct error *err)
{
	const char *const *types = api_query_all(d->c, "type");
	bool all = d->c->version < 142 || !types[0];

	for (size_t i = 0; i < DF_TYPE_COUNT; i++)
		d->wanted[i] = all;
	for (; !all && *types; types++) {
		size_t i = 0;

		while (i < DF_TYPE_COUNT && !str_eq(type_names[i], *types))
			i++;
		if (i == DF_TYPE_COUNT)
			return error_set(err, ERROR_INVALID, 0, "unknown object type: %s", *types);
		d->wanted[i] = true;
	}
	return 0;
}

int system_df(struct api_call *c, struct error *err)
{
	struct df d = {.c = c};
	int r = parse_types(&d, err);

	r = r < 0 ? r : store_image_list(engine_store(c->engine), &d.images, err);
	if (r == 0)
		r = api_on_loop(c, collect, &d, err);
	if (r == 0) {
		measure(&d);
		r = answer(&d, err);
	}
	df_done(&d);
	return r;
}
