/* From a request line to a handler. */
#include "api/router.h"

#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

/* clang-format off */
const struct api_route api_routes[] = {
	{"GET",    "/_ping",                     system_ping,          API_LOOP},
	{"HEAD",   "/_ping",                     system_ping,          API_LOOP},
	{"GET",    "/version",                   system_version,       API_LOOP},
	{"GET",    "/info",                      system_info,          API_WORKER},
	{"GET",    "/events",                    events_stream,        API_LOOP},
	{"GET",    "/system/df",                 system_df,            API_WORKER},
	{"POST",   "/vessel/fsck",               system_fsck,          API_WORKER},
	{"POST",   "/vessel/import-docker",      system_import_docker, API_WORKER},
	{"POST",   "/auth",                      registry_auth,        API_WORKER_BUFFERED},

	{"GET",    "/containers/json",           containers_list,      API_LOOP},
	{"POST",   "/containers/create",         containers_create,    API_WORKER_BUFFERED},
	{"POST",   "/containers/prune",          containers_prune,     API_WORKER},
	{"GET",    "/containers/{}/json",        containers_inspect,   API_WORKER},
	{"GET",    "/containers/{}/top",         containers_top,       API_WORKER},
	{"GET",    "/containers/{}/logs",        containers_logs,      API_WORKER},
	{"GET",    "/containers/{}/changes",     containers_changes,   API_WORKER},
	{"GET",    "/containers/{}/export",      containers_export,    API_WORKER},
	{"GET",    "/containers/{}/stats",       containers_stats,     API_WORKER},
	{"GET",    "/containers/{}/attach/ws",   containers_attach_ws, API_WORKER},
	{"GET",    "/containers/{}/archive",     containers_archive_get, API_WORKER},
	{"HEAD",   "/containers/{}/archive",     containers_archive_head, API_WORKER},
	{"PUT",    "/containers/{}/archive",     containers_archive_put, API_WORKER},
	{"POST",   "/containers/{}/start",       containers_start,     API_WORKER_BUFFERED},
	{"POST",   "/containers/{}/stop",        containers_stop,      API_WORKER},
	{"POST",   "/containers/{}/restart",     containers_restart,   API_WORKER},
	{"POST",   "/containers/{}/kill",        containers_kill,      API_WORKER},
	{"POST",   "/containers/{}/pause",       containers_pause,     API_WORKER},
	{"POST",   "/containers/{}/unpause",     containers_unpause,   API_WORKER},
	{"POST",   "/containers/{}/rename",      containers_rename,    API_WORKER},
	{"POST",   "/containers/{}/resize",      containers_resize,    API_WORKER},
	{"POST",   "/containers/{}/update",      containers_update,    API_WORKER_BUFFERED},
	{"POST",   "/containers/{}/wait",        containers_wait,      API_WORKER},
	{"POST",   "/containers/{}/attach",      containers_attach,    API_WORKER},
	{"POST",   "/containers/{}/exec",        exec_create_handler,  API_WORKER_BUFFERED},
	{"DELETE", "/containers/{*}",            containers_remove,    API_WORKER},

	{"GET",    "/exec/{}/json",              exec_inspect_handler, API_LOOP},
	{"POST",   "/exec/{}/start",             exec_start_handler,   API_WORKER_BUFFERED},
	{"POST",   "/exec/{}/resize",            exec_resize_handler,  API_WORKER},

	{"GET",    "/images/json",               images_list,          API_WORKER},
	{"GET",    "/images/search",             images_search,        API_WORKER},
	{"GET",    "/images/get",                images_save,          API_WORKER},
	{"POST",   "/images/load",               images_load,          API_WORKER},
	{"POST",   "/images/create",             images_create,        API_WORKER},
	{"POST",   "/images/prune",              images_prune,         API_WORKER},
	{"GET",    "/images/{*}/get",            images_save_one,      API_WORKER},
	{"GET",    "/images/{*}/json",           images_inspect,       API_WORKER},
	{"GET",    "/images/{*}/history",        images_history,       API_WORKER},
	{"POST",   "/images/{*}/push",           images_push,          API_WORKER},
	{"POST",   "/images/{*}/tag",            images_tag,           API_WORKER},
	{"DELETE", "/images/{*}",                images_remove,        API_WORKER},
	{"POST",   "/commit",                    images_commit,        API_WORKER_BUFFERED},
	{"POST",   "/build",                     NULL,                 API_LOOP},
	{"POST",   "/build/prune",               system_build_prune,   API_LOOP},
	{"POST",   "/build/cancel",              NULL,                 API_LOOP},
	{"GET",    "/distribution/{*}/json",     distribution_inspect, API_WORKER},

	{"GET",    "/networks",                  networks_list,        API_LOOP},
	{"GET",    "/networks/",                 networks_list,        API_LOOP},
	{"POST",   "/networks/create",           networks_create,      API_WORKER_BUFFERED},
	{"POST",   "/networks/prune",            networks_prune,       API_WORKER},
	{"POST",   "/networks/{}/connect",       networks_connect,     API_WORKER_BUFFERED},
	{"POST",   "/networks/{}/disconnect",    networks_disconnect,  API_WORKER_BUFFERED},
	{"GET",    "/networks/{*}",              networks_inspect,     API_LOOP},
	{"DELETE", "/networks/{*}",              networks_remove,      API_WORKER},

	{"GET",    "/volumes",                   volumes_list,         API_LOOP},
	{"POST",   "/volumes/create",            volumes_create,       API_WORKER_BUFFERED},
	{"POST",   "/volumes/prune",             volumes_prune,        API_WORKER},
	{"GET",    "/volumes/{*}",               volumes_inspect,      API_LOOP},
	{"DELETE", "/volumes/{*}",               volumes_delete,       API_WORKER},
	{"PUT",    "/volumes/{*}",               volumes_update,       API_LOOP},

	{"GET",    "/plugins",                   system_plugins,       API_LOOP},
	{"GET",    "/plugins/privileges",        NULL,                 API_LOOP},
	{"POST",   "/plugins/pull",              NULL,                 API_LOOP},
	{"POST",   "/plugins/create",            NULL,                 API_LOOP},
	{"GET",    "/plugins/{*}/json",          system_no_plugin,     API_LOOP},
	{"DELETE", "/plugins/{*}",               system_no_plugin,     API_LOOP},
	{"POST",   "/plugins/{*}/enable",        system_no_plugin,     API_LOOP},
	{"POST",   "/plugins/{*}/disable",       system_no_plugin,     API_LOOP},
	{"POST",   "/plugins/{*}/upgrade",       system_no_plugin,     API_LOOP},
	{"POST",   "/plugins/{*}/push",          system_no_plugin,     API_LOOP},
	{"POST",   "/plugins/{*}/set",           system_no_plugin,     API_LOOP},

	{"POST",   "/swarm/init",                NULL,                 API_LOOP},
	{"POST",   "/swarm/join",                NULL,                 API_LOOP},
	{"GET",    "/swarm",                     system_no_swarm,      API_LOOP},
	{"GET",    "/swarm/unlockkey",           system_no_swarm,      API_LOOP},
	{"POST",   "/swarm/leave",               system_not_in_swarm,  API_LOOP},
	{"POST",   "/swarm/{}",                  system_no_swarm,      API_LOOP},
	{"GET",    "/nodes",                     system_no_swarm,      API_LOOP},
	{"GET",    "/nodes/{*}",                 system_no_swarm,      API_LOOP},
	{"DELETE", "/nodes/{*}",                 system_no_swarm,      API_LOOP},
	{"POST",   "/nodes/{*}",                 system_no_swarm,      API_LOOP},
	{"GET",    "/services",                  system_no_swarm,      API_LOOP},
	{"GET",    "/services/{*}",              system_no_swarm,      API_LOOP},
	{"DELETE", "/services/{*}",              system_no_swarm,      API_LOOP},
	{"POST",   "/services/{*}",              system_no_swarm,      API_LOOP},
	{"GET",    "/tasks",                     system_no_swarm,      API_LOOP},
	{"GET",    "/tasks/{*}",                 system_no_swarm,      API_LOOP},
	{"GET",    "/secrets",                   system_no_swarm,      API_LOOP},
	{"GET",    "/secrets/{*}",               system_no_swarm,      API_LOOP},
	{"DELETE", "/secrets/{*}",               system_no_swarm,      API_LOOP},
	{"POST",   "/secrets/{*}",               system_no_swarm,      API_LOOP},
	{"GET",    "/configs",                   system_no_swarm,      API_LOOP},
	{"GET",    "/configs/{*}",               system_no_swarm,      API_LOOP},
	{"DELETE", "/configs/{*}",               system_no_swarm,      API_LOOP},
	{"POST",   "/configs/{*}",               system_no_swarm,      API_LOOP},
	/* /session and /grpc are left out: a client that gets 404 there does without BuildKit. */
};
/* clang-format on */
const size_t api_route_count = sizeof(api_routes) / sizeof(api_routes[0]);

/* {} takes up to the next slash; {*} up to the last place where the rest of the pattern fits. */
static bool match(struct arena *a, const char *pattern, const char *path, const char **params)
{
	const char *brace = strchr(pattern, '{'), *rest;
	bool greedy;
	size_t n;

	if (!brace)
		return strcmp(pattern, path) == 0;
	n = (size_t)(brace - pattern);
	if (strncmp(pattern, path, n) != 0)
		return false;
	path += n;
	greedy = brace[1] == '*';
	path += *path == '/'; /* "/name" is a container's name as well */
	rest = strchr(brace, '}') + 1;
	n = greedy ? strlen(path) : strcspn(path, "/");
	for (; n > 0; n--) {
		if (match(a, rest, path + n, params + 1)) {
			params[0] = arena_strndup(a, path, n);
			return true;
		}
		if (!greedy)
			return false;
	}
	return false;
}

const struct api_route *router_find(struct arena *a, const char *method, const char *path,
				    const char *params[2])
{
	/* One more than a route has, for match's look-ahead. */
	const char *found[3] = {0};

	for (size_t i = 0; i < api_route_count; i++) {
		const struct api_route *r = &api_routes[i];

		if (strcmp(r->method, method) == 0 && match(a, r->pattern, path, found)) {
			params[0] = found[0];
			params[1] = found[1];
			return r;
		}
	}
	return NULL;
}

int router_version(const char *path, unsigned *ret_version, const char **ret_rest,
		   struct error *err)
{
	size_t n, dot;
	char text[16];
	uint32_t major, minor;

	*ret_version = API_VERSION_MAX;
	*ret_rest = path;
	if (!str_has_prefix(path, "/v") || path[2] < '0' || path[2] > '9')
		return 0;
	n = strspn(path + 2, "0123456789.");
	if (path[2 + n] != '/' || n >= sizeof(text))
		return 0;
	memcpy(text, path + 2, n);
	text[n] = '\0';
	dot = strcspn(text, ".");
	if (text[dot] == '\0')
		return 0;
	text[dot] = '\0';
	if (str_parse_u32(text, &major) < 0 || str_parse_u32(text + dot + 1, &minor) < 0)
		return 0;
	if (major < 1 || (major == 1 && minor < API_VERSION_MIN - 100))
		return error_set(
			err, ERROR_INVALID, 0,
			"client version %u.%u is too old. Minimum supported API version is "
			"1.%d, please upgrade your client to a newer version",
			major, minor, API_VERSION_MIN - 100);
	if (major > 1 || minor > API_VERSION_MAX - 100)
		return error_set(
			err, ERROR_INVALID, 0,
			"client version %u.%u is too new. Maximum supported API version is "
			"1.%d",
			major, minor, API_VERSION_MAX - 100);
	*ret_version = 100 + minor;
	*ret_rest = path + 2 + n;
	return 0;
}
