/* Volumes: there are none yet, and that is what is said. */
#include "api/api_priv.h"
#include "api/filters.h"
#include "api/handlers.h"

int volumes_list(struct api_call *c, struct error *err)
{
	static const char answer[] = "{\"Volumes\":[],\"Warnings\":null}\n";
	static const char *const keys[] = {"dangling", "driver", "label", "name", NULL};
	struct filters f;
	int r = filters_parse(http_request_arena(c->req), http_query(c->req, "filters"), keys, &f,
			      err);

	if (r < 0)
		return r;
	http_respond(c->req, 200, API_TYPE_JSON, answer, sizeof(answer) - 1);
	return 0;
}

int volumes_none(struct api_call *c, struct error *err)
{
	return error_set(err, ERROR_NOT_FOUND, 0, "get %s: no such volume", c->params[0]);
}
