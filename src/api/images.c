/* Images: list, inspect, history, tag, remove, prune. */
#include <string.h>

#include "api/api_priv.h"
#include "api/encode.h"
#include "api/filters.h"
#include "api/handlers.h"
#include "api/image_config.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/mem.h"
#include "store/store.h"

#define NS_PER_S 1000000000LL

static void write_strv(struct json_writer *w, const char *key, const struct strv *v)
{
	jw_karray(w, key);
	for (size_t i = 0; i < v->n; i++)
		jw_string(w, v->v[i]);
	jw_array_end(w);
}

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

static void write_summary(struct api_call *c, const struct store_image *img, int64_t containers,
			  struct json_writer *w)
{
	autoarena struct arena *a = arena_new();
	const struct json *labels =
		json_get(json_get(image_config_parse(a, img), "config"), "Labels");

	jw_object(w);
	jw_kstring(w, "Id", img->id);
	jw_kstring(w, "ParentId", img->parent);
	image_write_names(w, img);
	jw_kint(w, "Created", img->created_ns / NS_PER_S);
	jw_kint(w, "Size", img->size);
	jw_kint(w, "SharedSize", -1);
	if (c->version < 144)
		jw_kint(w, "VirtualSize", img->size);
	jw_kvalue(w, "Labels", labels);
	jw_kint(w, "Containers", c->version >= 151 ? containers : -1);
	jw_object_end(w);
}

/* "name", "name:tag" or a pattern with * and ? in either. */
static bool glob(const char *pattern, const char *s)
{
	for (; *pattern; pattern++, s++) {
		if (*pattern == '*') {
			for (; *s && *s != '/'; s++)
				if (glob(pattern + 1, s))
					return true;
			return glob(pattern + 1, s);
		}
		if (*s == '\0' || (*pattern != '?' && *pattern != *s))
			return false;
	}
	return *s == '\0';
}

static bool match_name(const struct filter *x, const char *name)
{
	const char *colon = strrchr(name, ':');
	autofree char *repository = xstrndup(name, colon ? (size_t)(colon - name) : strlen(name));

	for (size_t i = 0; i < x->n; i++)
		if (glob(x->values[i], name) || glob(x->values[i], repository))
			return true;
	return false;
}

static bool match_reference(const struct filters *f, const struct store_image *img)
{
	const struct filter *x = filters_get(f, "reference");

	for (size_t i = 0; x && i < img->repo_tags.n; i++)
		if (match_name(x, img->repo_tags.v[i]))
			return true;
	return !x;
}

/* Names that were not asked for are not shown either. */
static void keep_asked_names(const struct filters *f, struct strv *names)
{
	const struct filter *x = filters_get(f, "reference");
	size_t n = 0;

	for (size_t i = 0; x && i < names->n; i++) {
		if (match_name(x, names->v[i]))
			names->v[n++] = names->v[i];
		else
			free(names->v[i]);
	}
	names->n = x ? n : names->n;
}

struct image_query {
	struct filters filters;
	bool dangling_asked, dangling;
	int64_t before_ns, since_ns, until_ns;
};

static bool is_shown(const struct image_query *q, const struct store_image *img)
{
	autoarena struct arena *a = arena_new();
	const struct json *labels =
		json_get(json_get(image_config_parse(a, img), "config"), "Labels");
	bool is_dangling = img->repo_tags.n == 0;

	if (q->dangling_asked && q->dangling != is_dangling)
		return false;
	return img->created_ns < q->before_ns && img->created_ns > q->since_ns &&
	       img->created_ns < q->until_ns &&
	       filters_match_labels(&q->filters, "label", labels) &&
	       match_reference(&q->filters, img);
}

static int image_time(struct api_call *c, const struct filters *f, const char *key, int64_t *ret,
		      struct error *err)
{
	const struct filter *x = filters_get(f, key);
	autostore_image struct store_image img = {0};
	int r;

	if (!x)
		return 0;
	if (strcmp(key, "until") == 0)
		return clock_parse_rfc3339(x->values[0], ret) == 0
			       ? 0
			       : api_parse_timestamp(x->values[0], ret, err);
	r = store_image_get(engine_store(c->engine), x->values[0], &img, err);
	if (r == 0)
		*ret = img.created_ns;
	return r;
}

static int parse_query(struct api_call *c, struct image_query *q, struct error *err)
{
	static const char *const keys[] = {"before", "dangling", "label", "reference",
					   "since",  "until",    NULL};
	int r = filters_parse(http_request_arena(c->req), http_query(c->req, "filters"), keys,
			      &q->filters, err);

	q->before_ns = q->until_ns = INT64_MAX;
	q->since_ns = INT64_MIN;
	if (r == 0)
		r = filters_bool(&q->filters, "dangling", false, &q->dangling, err);
	if (r == 0)
		r = image_time(c, &q->filters, "before", &q->before_ns, err);
	if (r == 0)
		r = image_time(c, &q->filters, "since", &q->since_ns, err);
	if (r == 0)
		r = image_time(c, &q->filters, "until", &q->until_ns, err);
	q->dangling_asked = filters_get(&q->filters, "dangling");
	return r;
}

int images_list(struct api_call *c, struct error *err)
{
	autostore_image_list struct store_image_list images = {0};
	autofree int64_t *count = NULL;
	autojson struct api_json j = {0};
	struct image_query q = {0};
	struct uses uses = {.c = c, .images = &images};
	int r = parse_query(c, &q, err);

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
	for (size_t i = 0; i < images.n; i++) {
		if (!is_shown(&q, &images.v[i]))
			continue;
		keep_asked_names(&q.filters, &images.v[i].repo_tags);
		write_summary(c, &images.v[i], count[i], &j.w);
	}
	jw_array_end(&j.w);
	return api_answer_json(c, 200, &j.out, err);
}

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

static void write_image(struct api_call *c, const struct store_image *img, struct json_writer *w)
{
	autoarena struct arena *a = arena_new();
	const struct json *config = image_config_parse(a, img), *history;

	history = json_get(config, "history");
	jw_object(w);
	jw_kstring(w, "Id", img->id);
	image_write_names(w, img);
	jw_kstring(w, "Parent", img->parent);
	jw_kstring(w, "Comment",
		   or_empty(json_get_string(json_at(history, json_count(history) - 1), "comment")));
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
	jw_object_end(w);
}

int images_inspect(struct api_call *c, struct error *err)
{
	autostore_image struct store_image img = {0};
	autojson struct api_json j = {0};
	int r = store_image_get(engine_store(c->engine), c->params[0], &img, err);

	if (r < 0)
		return r;
	api_json_init(&j);
	write_image(c, &img, &j.w);
	return api_answer_json(c, 200, &j.out, err);
}

/* Newest first; only the entries that made a layer have a size. */
int images_history(struct api_call *c, struct error *err)
{
	autostore_image struct store_image img = {0};
	autojson struct api_json j = {0};
	autoarena struct arena *a = arena_new();
	const struct json *history;
	struct json_writer *w = &j.w;
	int r = store_image_get(engine_store(c->engine), c->params[0], &img, err);
	size_t layer = img.n_layers, n;

	if (r < 0)
		return r;
	history = json_get(image_config_parse(a, &img), "history");
	api_json_init(&j);
	jw_array(w);
	n = json_count(history);
	for (size_t i = n; i-- > 0;) {
		const struct json *h = json_at(history, i);
		const char *created = json_get_string(h, "created");
		int64_t ns = 0, size = 0;

		if (created)
			(void)clock_parse_rfc3339(created, &ns);
		if (!json_get_bool(h, "empty_layer") && layer > 0)
			size = img.layers[--layer].size;
		jw_object(w);
		jw_kstring(w, "Id", i == n - 1 ? img.id : "<missing>");
		jw_kint(w, "Created", ns / NS_PER_S);
		jw_kstring(w, "CreatedBy", or_empty(json_get_string(h, "created_by")));
		if (i == n - 1 && img.repo_tags.n > 0)
			write_strv(w, "Tags", &img.repo_tags);
		else
			jw_knull(w, "Tags");
		jw_kint(w, "Size", size);
		jw_kstring(w, "Comment", or_empty(json_get_string(h, "comment")));
		jw_object_end(w);
	}
	jw_array_end(w);
	return api_answer_json(c, 200, &j.out, err);
}

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
	r = store_image_tag(engine_store(c->engine), c->params[0], target, err);
	if (r < 0)
		return r;
	image_emit(c, "tag", image_id_of(c, target), image_familiar(target));
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

/* The image's own deletion comes before those of its layers, which are no events. */
static void write_removed(struct api_call *c, const char *id, const struct store_removed_list *list,
			  struct json_writer *w)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct store_removed *x = &list->v[i];

		jw_object(w);
		jw_kstring(w, x->deleted ? "Deleted" : "Untagged", x->name);
		jw_object_end(w);
		if (!x->deleted || strcmp(x->name, id) == 0)
			image_emit(c, x->deleted ? "delete" : "untag", id, x->name);
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
	const char *id = image_id_of(c, c->params[0]);
	int r = api_on_loop(c, collect_running, &run, err);

	if (r == 0)
		r = store_image_remove(engine_store(c->engine), &args, &removed, err);
	strv_done(&run.ids);
	if (r < 0)
		return r;
	api_json_init(&j);
	jw_array(&j.w);
	write_removed(c, id, &removed, &j.w);
	jw_array_end(&j.w);
	return api_answer_json(c, 200, &j.out, err);
}

/* Remove what nobody uses: images without a name, or all. */
static void prune(struct api_call *c, const struct image_query *q, bool all, struct json_writer *w,
		  const struct store_image_list *images)
{
	struct store *store = engine_store(c->engine);
	int64_t reclaimed = 0;

	jw_object(w);
	jw_karray(w, "ImagesDeleted");
	for (size_t i = 0; i < images->n; i++) {
		const struct store_image *img = &images->v[i];
		autostore_removed_list struct store_removed_list removed = {0};
		autostrv struct strv users = {0};
		struct store_remove_args args = {.ref = img->id, .force = all};

		if ((!all && img->repo_tags.n > 0) || !is_shown(q, img) ||
		    store_image_users(store, img->id, &users, NULL) < 0 || users.n > 0)
			continue;
		/* One that has found a user meanwhile stays. */
		if (store_image_remove(store, &args, &removed, NULL) < 0)
			continue;
		crash_point(CRASH_PRUNE_SOME);
		write_removed(c, img->id, &removed, w);
		reclaimed += img->size;
	}
	jw_array_end(w);
	jw_kint(w, "SpaceReclaimed", reclaimed);
	jw_object_end(w);
}

int images_prune(struct api_call *c, struct error *err)
{
	autostore_image_list struct store_image_list images = {0};
	autojson struct api_json j = {0};
	struct image_query q = {0};
	int r = parse_query(c, &q, err);
	bool all;

	if (r == 0)
		r = store_image_list(engine_store(c->engine), &images, err);
	if (r < 0)
		return r;
	/* "Only dangling ones?" is the question here, not a property to match. */
	all = q.dangling_asked && !q.dangling;
	q.dangling_asked = false;
	api_json_init(&j);
	prune(c, &q, all, &j.w, &images);
	return api_answer_json(c, 200, &j.out, err);
}
