/* GET /containers/json: which containers, in which order, with what size. */
#include <stdlib.h>
#include <string.h>

#include "api/api_priv.h"
#include "api/encode.h"
#include "api/filters.h"
#include "api/handlers.h"
#include "api/platform.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/endpoint.h"
#include "engine/health.h"
#include "engine/volume.h"
#include "network/network.h"
#include "network/ports.h"
#include "store/store.h"

struct size {
	char id[65], image_id[DIGEST_STRING_SIZE];
	int64_t rw, root;
};

struct list {
	struct api_call *c;
	struct filters filters;
	bool all, with_size;
	int64_t limit; /* <= 0: none */
	/* Images that the ancestor filter names, resolved on a worker. */
	struct strv ancestors;
	struct size *sizes; /* owned */
	size_t size_count;
	struct json_writer *w;
};

static const char *const keys[] = {
	"ancestor", "before", "expose",  "exited",  "health", "id",     "isolation", "is-task",
	"label",    "name",   "network", "publish", "since",  "status", "volume",    NULL,
};

static bool match_ancestor(const struct list *l, const struct container *c)
{
	if (!filters_get(&l->filters, "ancestor"))
		return true;
	for (size_t i = 0; i < l->ancestors.n; i++)
		if (strcmp(l->ancestors.v[i], c->image_id) == 0)
			return true;
	return false;
}

static bool match_name(const struct list *l, const struct container *c)
{
	autofree char *slashed = xasprintf("/%s", c->name);

	/* With and without the slash, which "^/name$" counts on. */
	return filters_match_pattern(&l->filters, "name", c->name) ||
	       filters_match_pattern(&l->filters, "name", slashed);
}

static bool match_network(const struct list *l, const struct container *c)
{
	const struct filter *f = filters_get(&l->filters, "network");
	const struct network_manager *nm = engine_network(l->c->engine);

	for (size_t i = 0; f && i < f->n; i++) {
		const struct network *net = network_find(nm, f->values[i]);

		if (!net)
			continue;
		if (endpoints_config(l->c->engine, c->spec, net->id))
			return true;
	}
	return !f;
}

static bool match_exited(const struct list *l, const struct container *c)
{
	const struct filter *f = filters_get(&l->filters, "exited");
	int64_t code;

	for (size_t i = 0; f && i < f->n; i++)
		if (c->state.status == CONTAINER_EXITED && c->state.started_at != 0 &&
		    str_parse_i64(f->values[i], &code) == 0 && code == c->state.exit_code)
			return true;
	return !f;
}

/* "80", "80/tcp", "80-90/udp" */
static bool match_port(const struct filter *f, const char *key)
{
	autoarena struct arena *a = arena_new();
	uint16_t port, first, last;
	uint8_t proto, want;

	if (ports_key_parse(key, &port, &proto, NULL) < 0)
		return false;
	for (size_t i = 0; i < f->n; i++) {
		const char *v = f->values[i], *dash = strchr(v, '-'), *slash = strchr(v, '/');
		const char *from =
			dash ? arena_printf(a, "%.*s%s", (int)(dash - v), v, slash ? slash : "")
			     : v;

		if (ports_key_parse(from, &first, &want, NULL) < 0)
			continue;
		last = first;
		if (dash && ports_key_parse(dash + 1, &last, &want, NULL) < 0)
			continue;
		if (want == proto && port >= first && port <= last)
			return true;
	}
	return false;
}

static bool match_ports(const struct list *l, const char *filter, const struct json *ports)
{
	const struct filter *f = filters_get(&l->filters, filter);

	for (size_t i = 0; f && i < json_count(ports); i++)
		if (match_port(f, json_key_at(ports, i)))
			return true;
	return !f;
}

static bool match_volume(const struct list *l, const struct container *c)
{
	const struct host_config *h = &c->spec->host;
	const struct config_mount *mounts = h->mounts.v;
	autoarena struct arena *a = arena_new();
	struct config_bind b;

	if (!filters_get(&l->filters, "volume"))
		return true;
	for (size_t i = 0; i < c->spec->point_count; i++)
		if (filters_match(&l->filters, "volume", c->spec->points[i].target) ||
		    filters_match(&l->filters, "volume", c->spec->points[i].volume))
			return true;
	for (size_t i = 0; i < h->binds.n; i++)
		if (config_bind_parse(a, h->binds.v[i], &b, NULL) == 0 &&
		    (filters_match(&l->filters, "volume", b.target) ||
		     filters_match(&l->filters, "volume", b.source)))
			return true;
	for (size_t i = 0; i < h->mounts.n; i++)
		if (filters_match(&l->filters, "volume", mounts[i].target) ||
		    filters_match(&l->filters, "volume", mounts[i].source))
			return true;
	return false;
}

static bool is_shown(const struct list *l, const struct container *c)
{
	const struct filters *f = &l->filters;
	const char *health = health_status_name(c->health ? c->health->status : HEALTH_NONE);
	enum container_status s = c->state.status;

	if (!l->all && l->limit <= 0 && s != CONTAINER_RUNNING && s != CONTAINER_PAUSED &&
	    s != CONTAINER_RESTARTING)
		return false;
	return filters_match_prefix(f, "id", c->id) && match_name(l, c) &&
	       filters_match(f, "status", container_status_name(s)) &&
	       filters_match(f, "health", health) && filters_match(f, "is-task", "false") &&
	       filters_match_labels(f, "label", c->spec->config.labels) && match_ancestor(l, c) &&
	       match_network(l, c) && match_exited(l, c) && match_volume(l, c) &&
	       match_ports(l, "expose", c->spec->config.exposed_ports) &&
	       match_ports(l, "publish", c->spec->host.port_bindings);
}

/* before, since: the time of another container's creation. */
static int reference_time(const struct list *l, const char *key, int64_t *ret, struct error *err)
{
	const struct filter *f = filters_get(&l->filters, key);
	struct container *c;

	for (size_t i = 0; f && i < f->n; i++) {
		int r = engine_container_get(l->c->engine, f->values[i], &c, err);

		if (r < 0)
			return r;
		*ret = c->created_at;
	}
	return 0;
}

static const struct size *size_of(const struct list *l, const char *id)
{
	for (size_t i = 0; i < l->size_count; i++)
		if (strcmp(l->sizes[i].id, id) == 0)
			return &l->sizes[i];
	return NULL;
}

/* Call fn for each container that is asked for, newest first. */
static int each(struct list *l, void (*fn)(struct list *l, const struct container *c),
		struct error *err)
{
	int64_t before = INT64_MAX, since = INT64_MIN, left;
	size_t n;
	struct container *const *all;
	int r = reference_time(l, "before", &before, err);

	if (r == 0)
		r = reference_time(l, "since", &since, err);
	if (r < 0)
		return r;
	all = engine_containers(l->c->engine, &n);
	left = l->limit > 0 ? l->limit : INT64_MAX;
	for (size_t i = 0; i < n && left > 0; i++) {
		if (all[i]->created_at >= before || all[i]->created_at <= since ||
		    !is_shown(l, all[i]))
			continue;
		fn(l, all[i]);
		left--;
	}
	return 0;
}

static void write_one(struct list *l, const struct container *c)
{
	const struct size *size = size_of(l, c->id);
	const struct encode_args args = {
		.engine = l->c->engine,
		.version = l->c->version,
		.size_rw = size ? size->rw : -1,
		.size_root = size ? size->root : 0,
		.now_ns = clock_realtime_ns(),
	};

	encode_container_summary(&args, c, l->w);
}

static void note_id(struct list *l, const struct container *c)
{
	struct size *s;

	l->sizes = xrealloc(l->sizes, l->size_count + 1, sizeof(*l->sizes));
	s = &l->sizes[l->size_count++];
	*s = (struct size){0};
	(void)str_copy(s->id, sizeof(s->id), c->id);
	(void)str_copy(s->image_id, sizeof(s->image_id), c->image_id);
}

static int write_list(void *data, struct error *err)
{
	struct list *l = data;
	int r;

	jw_array(l->w);
	r = each(l, write_one, err);
	jw_array_end(l->w);
	return r;
}

static int note_ids(void *data, struct error *err)
{
	return each(data, note_id, err);
}

static int parse(struct api_call *c, struct list *l, struct error *err)
{
	const struct filter *status;
	bool is_task;
	int r;

	l->c = c;
	l->all = api_query_bool(c, "all");
	l->with_size = api_query_bool(c, "size");
	r = api_query_int(c, "limit", &l->limit, err);
	if (r == 0)
		r = filters_parse(http_request_arena(c->req), http_query(c->req, "filters"), keys,
				  &l->filters, err);
	if (r == 0)
		r = filters_bool(&l->filters, "is-task", false, &is_task, err);
	if (r < 0)
		return r;
	status = filters_get(&l->filters, "status");
	for (size_t i = 0; status && i < status->n; i++) {
		unsigned s = 0;

		while (s < CONTAINER_STATUS_COUNT &&
		       strcmp(container_status_name((enum container_status)s), status->values[i]) !=
			       0)
			s++;
		if (s == CONTAINER_STATUS_COUNT)
			return error_set(err, ERROR_INVALID, 0, "invalid filter 'status=%s'",
					 status->values[i]);
		l->all = true;
	}
	return 0;
}

static int answer(struct api_call *c, struct list *l, struct error *err)
{
	autojson struct api_json j = {0};
	int r;

	api_json_init(&j);
	l->w = &j.w;
	r = api_on_loop(c, write_list, l, err);
	return r < 0 ? r : api_answer_json(c, 200, &j.out, err);
}

/* Sizes and images are on the disk. */
static int list_on_worker(struct api_call *c, struct error *err)
{
	struct store *store = engine_store(c->engine);
	struct list l = {0};
	const struct filter *f;
	int r = parse(c, &l, err);

	if (r < 0)
		return r;
	f = filters_get(&l.filters, "ancestor");
	for (size_t i = 0; f && i < f->n; i++) {
		autostore_image struct store_image img = {0};

		if (store_image_get(store, f->values[i], &img, NULL) == 0)
			strv_add(&l.ancestors, img.id);
	}
	if (l.with_size)
		r = api_on_loop(c, note_ids, &l, err);
	for (size_t i = 0; i < l.size_count; i++) {
		autostore_snapshot struct store_snapshot snap = {0};
		autostore_image struct store_image img = {0};
		struct size *s = &l.sizes[i];

		if (store_snapshot_get(store, s->id, &snap, NULL) == 0)
			s->rw = platform_tree_size(snap.upper);
		s->root = s->rw;
		if (store_image_get(store, s->image_id, &img, NULL) == 0)
			s->root += img.size;
	}
	if (r == 0)
		r = answer(c, &l, err);
	strv_done(&l.ancestors);
	free(l.sizes);
	return r;
}

int containers_list(struct api_call *c, struct error *err)
{
	struct list l = {0};
	int r = parse(c, &l, err);

	if (r < 0)
		return r;
	if (l.with_size || filters_get(&l.filters, "ancestor")) {
		api_to_worker(c, list_on_worker);
		return 0;
	}
	return answer(c, &l, err);
}
