/* Images: the list. */
#include <string.h>

#include "api/api_priv.h"
#include "api/handlers.h"
#include "api/image_config.h"
#include "api/images_filter.h"
#include "base/arena.h"
#include "base/mem.h"
#include "store/store.h"

#define NS_PER_S 1000000000LL

/* [loop] How many containers were made from each image. */
struct uses {
	struct api_call *c;
	const struct store_image_list *images;
	int64_t *count; /* owned; one an image */
};

static int count_uses(void *data, struct error *err)
{
	struct uses *u = data;
	size_t n;
	struct container *const *list = engine_containers(u->c->engine, &n);

	(void)err;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < u->images->n; j++)
			u->count[j] += strcmp(u->images->v[j].id, list[i]->image_id) == 0;
	return 0;
}

/* Layers that another image has too. */
static int64_t shared_size(const struct store_image_list *images, const struct store_image *img)
{
	int64_t size = 0;

	for (size_t i = 0; i < img->n_layers; i++) {
		unsigned uses = 0;

		for (size_t k = 0; k < images->n && uses < 2; k++)
			for (size_t l = 0; l < images->v[k].n_layers && uses < 2; l++)
				uses += str_eq(images->v[k].layers[l].chain_id,
					       img->layers[i].chain_id);
		size += uses > 1 ? img->layers[i].size : 0;
	}
	return size;
}

static bool has_children(const struct store_image_list *images, const char *id)
{
	for (size_t i = 0; i < images->n; i++)
		if (str_eq(images->v[i].parent, id))
			return true;
	return false;
}

/* Those without a name are hidden while another one is made of them. */
static bool is_shown(struct api_call *c, const struct images_filter *q,
		     const struct store_image_list *images, const struct store_image *img)
{
	bool named = img->repo_tags.n > 0 || img->repo_digests.n > 0;

	if (!images_filter_match(q, img))
		return false;
	if (q->dangling_asked && q->dangling != (img->repo_tags.n == 0))
		return false;
	return named || api_query_bool(c, "all") || !has_children(images, img->id);
}

struct summary {
	struct api_call *c;
	const struct store_image_list *images;
	bool shared, manifests;
	struct json_writer *w;
};

static void write_names(const struct summary *s, const struct store_image *img)
{
	bool old = s->c->version < 143;

	if (!old || (img->repo_tags.n > 0 && img->repo_digests.n > 0)) {
		image_write_names(s->w, img);
		return;
	}
	jw_karray(s->w, "RepoTags");
	for (size_t i = 0; i < img->repo_tags.n; i++)
		jw_string(s->w, img->repo_tags.v[i]);
	if (img->repo_tags.n == 0)
		jw_string(s->w, "<none>:<none>");
	jw_array_end(s->w);
	jw_karray(s->w, "RepoDigests");
	for (size_t i = 0; i < img->repo_digests.n; i++)
		jw_string(s->w, img->repo_digests.v[i]);
	if (img->repo_digests.n == 0 && img->repo_tags.n == 0)
		jw_string(s->w, "<none>@<none>");
	jw_array_end(s->w);
}

static int write_summary(const struct summary *s, const struct store_image *img, int64_t containers,
			 struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct json_writer *w = s->w;
	const struct json *labels =
		json_get(json_get(image_config_parse(a, img), "config"), "Labels");
	int r = 0;

	jw_object(w);
	jw_kstring(w, "Id", img->id);
	jw_kstring(w, "ParentId", img->parent);
	write_names(s, img);
	jw_kint(w, "Created", img->created_ns / NS_PER_S);
	jw_kint(w, "Size", img->size);
	jw_kint(w, "SharedSize", s->shared ? shared_size(s->images, img) : -1);
	if (s->c->version < 144)
		jw_kint(w, "VirtualSize", img->size);
	jw_kvalue(w, "Labels", labels);
	jw_kint(w, "Containers", s->c->version >= 151 ? containers : -1);
	if (s->manifests)
		r = image_write_manifests(s->c, img, w, err);
	jw_object_end(w);
	return r;
}

int images_list(struct api_call *c, struct error *err)
{
	autostore_image_list struct store_image_list images = {0};
	autofree int64_t *count = NULL;
	autojson struct api_json j = {0};
	struct images_filter q = {0};
	struct uses uses = {.c = c, .images = &images};
	const struct summary summary = {
		.c = c,
		.images = &images,
		.shared = c->version >= 142 && api_query_bool(c, "shared-size"),
		.manifests = c->version >= 147 && api_query_bool(c, "manifests"),
		.w = &j.w};
	int r = images_filter_parse(c, false, &q, err);

	if (r == 0)
		r = store_image_list(engine_store(c->engine), &images, err);
	if (r < 0)
		return r;
	uses.count = count = xnew0n(int64_t, images.n);
	r = api_on_loop(c, count_uses, &uses, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	jw_array(&j.w);
	for (size_t i = 0; i < images.n && r >= 0; i++) {
		if (!is_shown(c, &q, &images, &images.v[i]))
			continue;
		images_filter_names(&q, &images.v[i]);
		r = write_summary(&summary, &images.v[i], count[i], err);
	}
	jw_array_end(&j.w);
	return r < 0 ? r : api_answer_json(c, 200, &j.out, err);
}
