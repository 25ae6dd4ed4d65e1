/* Networks: create, remove, prune; containers that join and leave. */
#include <string.h>

#include "api/api_priv.h"
#include "api/emit.h"
#include "api/filters.h"
#include "api/handlers.h"
#include "api/networks.h"
#include "base/arena.h"
#include "base/clock.h"
#include "engine/network.h"
#include "network/network.h"

/* A body that must be there. */
static int body_of(struct api_call *c, const struct json **ret, struct error *err)
{
	int r = api_body(c, ret, err);

	if (r >= 0 && json_type(*ret) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid JSON: got EOF while reading "
				 "request body");
	return r;
}

int networks_create(struct api_call *c, struct error *err)
{
	autojson struct api_json j = {0};
	const struct json *body;
	char id[65];
	int r = body_of(c, &body, err);

	r = r < 0 ? r : engine_network_create(c->engine, body, id, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	jw_object(&j.w);
	jw_kstring(&j.w, "Id", id);
	jw_kstring(&j.w, "Warning", "");
	jw_object_end(&j.w);
	return api_answer_json(c, 201, &j.out, err);
}

int networks_remove(struct api_call *c, struct error *err)
{
	int r = engine_network_remove(c->engine, c->params[0], err);

	return r < 0 ? r : api_answer_empty(c, 204);
}

struct prune {
	struct filters filters;
	int64_t until_ns; /* INT64_MAX: any */
};

static bool is_wanted(const struct network *n, void *data)
{
	const struct prune *p = data;
	const struct filter *with = filters_get(&p->filters, "label");
	const struct filter *without = filters_get(&p->filters, "label!");
	bool all = without != NULL;

	for (size_t i = 0; with && i < with->n; i++)
		if (!network_has_label(n, with->values[i]))
			return false;
	for (size_t i = 0; without && i < without->n; i++)
		all &= network_has_label(n, without->values[i]);
	return !all && n->created_ns < p->until_ns;
}

int networks_prune(struct api_call *c, struct error *err)
{
	static const char *const keys[] = {"label", "label!", "until", NULL};
	struct prune p = {.until_ns = INT64_MAX};
	autojson struct api_json j = {0};
	autostrv struct strv names = {0};
	int r = filters_parse(http_request_arena(c->req), http_query(c->req, "filters"), keys,
			      &p.filters, err);

	r = r < 0 ? r : filters_until(&p.filters, &p.until_ns, err);
	r = r < 0 ? r : engine_network_prune(c->engine, is_wanted, &p, &names, err);
	if (r < 0)
		return r;
	api_json_init(&j);
	jw_object(&j.w);
	api_json_names(&j.w, "NetworksDeleted", &names);
	jw_object_end(&j.w);
	api_emit_prune(c, "network", 0);
	return api_answer_json(c, 200, &j.out, err);
}

/* The body, and the container that it names. */
static int container_of(struct api_call *c, const struct json **ret_body, const char **ret,
			struct error *err)
{
	int r = body_of(c, ret_body, err);

	if (r < 0)
		return r;
	*ret = json_get_string(*ret_body, "Container");
	*ret = *ret ? *ret : "";
	return 0;
}

int networks_connect(struct api_call *c, struct error *err)
{
	const struct json *body;
	const char *container;
	int r = container_of(c, &body, &container, err);

	if (r >= 0)
		r = engine_network_connect(c->engine, c->params[0], container,
					   json_get(body, "EndpointConfig"), err);
	return r < 0 ? r : api_answer_empty(c, 200);
}

int networks_disconnect(struct api_call *c, struct error *err)
{
	const struct json *body;
	const char *container;
	int r = container_of(c, &body, &container, err);

	if (r >= 0)
		r = engine_network_disconnect(c->engine, c->params[0], container,
					      json_get_bool(body, "Force"), err);
	return r < 0 ? r : api_answer_empty(c, 200);
}
