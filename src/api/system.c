/* /_ping, /version, and the answers to what this engine does not have: plugins, swarm. */
#include <string.h>
#include <sys/utsname.h>

#include "api/api.h"
#include "api/api_priv.h"
#include "api/filters.h"
#include "api/handlers.h"
#include "api/platform.h"
#include "engine/settings.h"
#include "oci/image_spec.h"

int system_ping(struct api_call *c, struct error *err)
{
	(void)err;
	http_set_header(c->req, "Builder-Version", "1");
	http_set_header(c->req, "Swarm", "inactive");
	http_set_header(c->req, "Cache-Control", "no-cache, no-store, must-revalidate");
	http_set_header(c->req, "Pragma", "no-cache");
	if (strcmp(http_request_method(c->req), "HEAD") == 0)
		http_respond(c->req, 200, "text/plain; charset=utf-8", "", 0);
	else
		http_respond(c->req, 200, "text/plain; charset=utf-8", "OK", 2);
	return 0;
}

static void write_engine_component(const struct api_call *c, const struct utsname *u,
				   struct json_writer *w)
{
	jw_object(w);
	jw_kstring(w, "Name", "Engine");
	jw_kstring(w, "Version", API_ENGINE_VERSION);
	jw_kobject(w, "Details");
	jw_kstring(w, "ApiVersion", "1.51");
	jw_kstring(w, "Arch", image_native_architecture());
	jw_kstring(w, "BuildTime", "");
	jw_kstring(w, "Experimental", engine_settings(c->engine)->experimental ? "true" : "false");
	jw_kstring(w, "GitCommit", "");
	jw_kstring(w, "GoVersion", "");
	jw_kstring(w, "KernelVersion", u->release);
	jw_kstring(w, "MinAPIVersion", "1.24");
	jw_kstring(w, "Os", "linux");
	jw_object_end(w);
	jw_object_end(w);
}

int system_version(struct api_call *c, struct error *err)
{
	autojson struct api_json j = {0};
	struct json_writer *w = &j.w;
	struct utsname u;

	(void)uname(&u);
	api_json_init(&j);
	jw_object(w);
	jw_kobject(w, "Platform");
	jw_kstring(w, "Name", "vessel");
	jw_object_end(w);
	jw_karray(w, "Components");
	write_engine_component(c, &u, w);
	jw_object(w);
	jw_kstring(w, "Name", "vessel");
	jw_kstring(w, "Version", VESSEL_VERSION);
	jw_object_end(w);
	jw_array_end(w);
	jw_kstring(w, "Version", API_ENGINE_VERSION);
	jw_kstring(w, "ApiVersion", "1.51");
	jw_kstring(w, "MinAPIVersion", "1.24");
	jw_kstring(w, "GitCommit", "");
	jw_kstring(w, "GoVersion", "");
	jw_kstring(w, "Os", "linux");
	jw_kstring(w, "Arch", image_native_architecture());
	jw_kstring(w, "KernelVersion", u.release);
	if (engine_settings(c->engine)->experimental)
		jw_kbool(w, "Experimental", true);
	jw_kstring(w, "BuildTime", "");
	jw_object_end(w);
	return api_answer_json(c, 200, &j.out, err);
}

int system_plugins(struct api_call *c, struct error *err)
{
	static const char *const keys[] = {"capability", "enabled", NULL};
	struct filters f;
	int r = filters_parse(http_request_arena(c->req), http_query(c->req, "filters"), keys, &f,
			      err);

	if (r < 0)
		return r;
	http_respond(c->req, 200, API_TYPE_JSON, "[]\n", 3);
	return 0;
}

int system_no_plugin(struct api_call *c, struct error *err)
{
	(void)c;
	return error_set(err, ERROR_NOT_FOUND, 0, "plugin \"%s\" not found", c->params[0]);
}

/* Of a builder's cache, which there is none of: `docker system prune` asks for it as well. */
int system_build_prune(struct api_call *c, struct error *err)
{
	static const char body[] = "{\"CachesDeleted\":null,\"SpaceReclaimed\":0}\n";

	(void)err;
	http_respond(c->req, 200, API_TYPE_JSON, body, sizeof(body) - 1);
	return 0;
}

int system_not_in_swarm(struct api_call *c, struct error *err)
{
	(void)c;
	return error_set(err, ERROR_UNAVAILABLE, 0, "This node is not part of a swarm");
}

int system_no_swarm(struct api_call *c, struct error *err)
{
	(void)c;
	return error_set(err, ERROR_UNAVAILABLE, 0,
			 "This node is not a swarm manager. Use \"docker swarm init\" or \"docker "
			 "swarm join\" to connect this node to swarm and try again.");
}
