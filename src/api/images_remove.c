/* Images: tag, remove, prune. */
#include <string.h>

#include "api/api_priv.h"
#include "api/emit.h"
#include "api/handlers.h"
#include "api/image_config.h"
#include "api/images_filter.h"
#include "base/arena.h"
#include "base/crash.h"
#include "base/mem.h"
#include "oci/image_ref.h"
#include "store/store.h"

int images_tag(struct api_call *c, struct error *err)
{
	const char *repo = api_query(c, "repo"), *tag = api_query(c, "tag");
	const char *target =
		*tag ? arena_printf(http_request_arena(c->req), "%s:%s", repo, tag) : repo;
	int r;

	if (*repo == '\0')
		return error_set(err, ERROR_INVALID, 0,
				 "repository name must have at least one "
				 "component");
	if (*tag && !image_ref_tag_is_valid(tag))
		return error_set(err, ERROR_INVALID, 0, "invalid tag format");
	r = store_image_tag(engine_store(c->engine), c->params[0], target, err);
	if (r < 0)
		return r;
	image_emit(c, "tag", image_id_of(c, target), image_familiar(target),
		   image_labels(c, target));
	return api_answer_empty(c, 201);
}

/* Which containers run, for the store's conflict texts: taken before, as the store asks on its
 * own thread. */
struct running {
	struct api_call *c;
	struct strv ids;
};

static int collect_running(void *data, struct error *err)
{
	struct running *run = data;
	size_t n;
	struct container *const *list = engine_containers(run->c->engine, &n);

	(void)err;
	for (size_t i = 0; i < n; i++)
		if (list[i]->state.status == CONTAINER_RUNNING ||
		    list[i]->state.status == CONTAINER_PAUSED ||
		    list[i]->state.status == CONTAINER_RESTARTING)
			strv_add(&run->ids, list[i]->id);
	return 0;
}

static bool is_running(void *data, const char *container_id)
{
	const struct running *run = data;

	for (size_t i = 0; i < run->ids.n; i++)
		if (strcmp(run->ids.v[i], container_id) == 0)
			return true;
	return false;
}

struct doomed {
	const char *id;
	const struct json *labels; /* while it is there to be asked */
	bool by_id;
};

/* The image's own deletion comes before those of its layers, which are no events; nor are the digests that go with a
 * tag. */
static void write_removed(struct api_call *c, const struct doomed *image,
			  const struct store_removed_list *list, struct json_writer *w)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct store_removed *x = &list->v[i];

		jw_object(w);
		jw_kstring(w, x->deleted ? "Deleted" : "Untagged", x->name);
		jw_object_end(w);
		if (!x->deleted && (image->by_id || i == 0 || !strchr(x->name, '@')))
			image_emit(c, "untag", image->id, image->id, image->labels);
		if (x->deleted && strcmp(x->name, image->id) == 0)
			image_emit(c, "delete", image->id, image->id, NULL);
	}
}

int images_remove(struct api_call *c, struct error *err)
{
	autostore_removed_list struct store_removed_list removed = {0};
	autojson struct api_json j = {0};
	struct running run = {.c = c};
	const struct store_remove_args args = {
		.ref = c->params[0],
		.force = api_query_bool(c, "force"),
		.no_prune = api_query_bool(c, "noprune"),
		.is_running = is_running,
		.data = &run,
	};
	const char *ref = c->params[0], *id = image_id_of(c, ref);
	const struct doomed image = {
		.id = id,
		.labels = image_labels(c, ref),
		.by_id = str_has_prefix(id, ref) || str_has_prefix(id + strlen("sha256:"), ref),
	};
	int r = c->version >= 150 ? images_platforms_check(c, c->params[0], err) : 0;

	if (r == 0)
		r = api_on_loop(c, collect_running, &run, err);
	if (r == 0)
		r = store_image_remove(engine_store(c->engine), &args, &removed, err);
	strv_done(&run.ids);
	if (r < 0 && removed.n == 0)
		return r;
	api_json_init(&j);
	jw_array(&j.w);
	write_removed(c, &image, &removed, &j.w);
	jw_array_end(&j.w);
	return r < 0 ? r : api_answer_json(c, 200, &j.out, err);
}

/* Layers that went with the image. */
static int64_t freed(const struct store_image *img, const struct store_removed_list *removed)
{
	int64_t size = 0;

	for (size_t i = 0; i < removed->n; i++)
		for (size_t k = 0; removed->v[i].deleted && k < img->n_layers; k++)
			if (str_eq(removed->v[i].name, img->layers[k].chain_id))
				size += img->layers[k].size;
	return size;
}

/* Remove what nobody uses: images without a name, or all. */
static void prune(struct api_call *c, const struct images_filter *q, struct json_writer *w,
		  const struct store_image_list *images)
{
	struct store *store = engine_store(c->engine);
	int64_t reclaimed = 0;
	bool any = false;

	jw_object(w);
	jw_key(w, "ImagesDeleted");
	for (size_t i = 0; i < images->n; i++) {
		const struct store_image *img = &images->v[i];
		autostore_removed_list struct store_removed_list removed = {0};
		autostrv struct strv users = {0};
		struct store_remove_args args = {.ref = img->id, .force = !q->dangling};
		struct doomed image = {.id = img->id};

		if ((q->dangling && img->repo_tags.n > 0) || !images_filter_match(q, img) ||
		    store_image_users(store, img->id, &users, NULL) < 0 || users.n > 0)
			continue;
		image.labels = image_labels(c, img->id);
		/* One that has found a user meanwhile stays. */
		if (store_image_remove(store, &args, &removed, NULL) < 0)
			continue;
		crash_point(CRASH_PRUNE_SOME);
		if (!any)
			jw_array(w);
		any = true;
		write_removed(c, &image, &removed, w);
		reclaimed += freed(img, &removed);
	}
	if (any)
		jw_array_end(w);
	else
		jw_null(w);
	jw_kint(w, "SpaceReclaimed", reclaimed);
	jw_object_end(w);
	api_emit_prune(c, "image", reclaimed);
}

int images_prune(struct api_call *c, struct error *err)
{
	autostore_image_list struct store_image_list images = {0};
	autojson struct api_json j = {0};
	struct images_filter q = {0};
	int r = images_filter_parse(c, true, &q, err);

	if (r == 0)
		r = store_image_list(engine_store(c->engine), &images, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	prune(c, &q, &j.w, &images);
	return api_answer_json(c, 200, &j.out, err);
}
