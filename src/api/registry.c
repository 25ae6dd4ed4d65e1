/* Credentials and progress of requests that speak with registries. */
#include "api/registry.h"

#include <string.h>

#include "api/lines.h"
#include "base/arena.h"
#include "engine/settings.h"

#define AUTH_MAX ((size_t)1 << 20) /* bytes, decoded */
#define BAR_SIZE 50

static const char *text(const struct json *doc, const char *key)
{
	const char *s = json_get_string(doc, key);

	return str_empty(s) ? NULL : s;
}

int registry_auth_decode(struct arena *a, const char *header, struct registry_auth *ret,
			 struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(AUTH_MAX);
	autoerror struct error why = {0};
	const struct json *doc = NULL;
	int r;

	*ret = (struct registry_auth){0};
	if (str_empty(header))
		return 0;
	r = base64_decode(header, strlen(header), &b);
	if (r < 0 || strbuf_error(&b) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid X-Registry-Auth header: it is no base64");
	if (b.len == 0)
		return 0;
	r = json_parse(a, b.s, b.len, &doc, &why);
	if (r < 0 || (json_type(doc) != JSON_OBJECT && !json_is_null(doc)))
		return error_set(err, ERROR_INVALID, 0,
				 "invalid X-Registry-Auth header: it is no JSON object");
	*ret = (struct registry_auth){
		.username = text(doc, "username"),
		.password = text(doc, "password"),
		.identity_token = text(doc, "identitytoken"),
		.registry_token = text(doc, "registrytoken"),
		.server = text(doc, "serveraddress"),
	};
	if (!ret->username && text(doc, "auth")) { /* "user:password" once more in base64 */
		autostrbuf struct strbuf pair = STRBUF_INIT(AUTH_MAX);
		const char *auth = text(doc, "auth");
		char *colon;

		if (base64_decode(auth, strlen(auth), &pair) < 0 || !(colon = strchr(pair.s, ':')))
			return error_set(err, ERROR_INVALID, 0, "invalid auth configuration file");
		ret->username = arena_strndup(a, pair.s, (size_t)(colon - pair.s));
		ret->password = arena_strdup(a, colon + 1);
	}
	return 0;
}

/* "[====>    ]  1.2MB/3.4MB", for clients too old to draw it themselves. */
static void write_bar(struct json_writer *w, int64_t current, int64_t total)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	const int64_t values[] = {current, total};
	char text[2][32], bar[BAR_SIZE + 1];
	int done = total > 0 ? (int)(current * BAR_SIZE / total) : 0;

	for (size_t i = 0; i < 2; i++) {
		double v = (double)values[i];
		size_t unit = 0;

		for (; v >= 1000 && unit + 1 < ARRAY_SIZE(units); unit++)
			v /= 1000;
		(void)snprintf(text[i], sizeof(text[i]), "%.4g%s", v, units[unit]);
	}
	done = done > BAR_SIZE ? BAR_SIZE : done;
	memset(bar, ' ', BAR_SIZE);
	memset(bar, '=', (size_t)done);
	if (done < BAR_SIZE)
		bar[done] = '>';
	bar[BAR_SIZE] = '\0';
	jw_key(w, "progress");
	jw_stringf(w, "[%s] %8s/%s", bar, text[0], text[1]);
}

static void report(void *data, const char *id, const char *status, int64_t current, int64_t total)
{
	autojson struct api_json j = {0};

	api_json_init(&j);
	jw_object(&j.w);
	jw_kstring(&j.w, "status", status);
	if (current >= 0) {
		jw_kobject(&j.w, "progressDetail");
		jw_kint(&j.w, "current", current);
		jw_kint(&j.w, "total", total);
		jw_object_end(&j.w);
		write_bar(&j.w, current, total);
	} else if (id && strlen(id) == 12) {
		jw_kobject(&j.w, "progressDetail");
		jw_object_end(&j.w);
	}
	if (id)
		jw_kstring(&j.w, "id", id);
	jw_object_end(&j.w);
	lines_send(data, &j);
}

int registry_call_init(struct api_call *c, struct registry_call *ret, struct error *err)
{
	const struct settings *s = engine_settings(c->engine);
	struct arena *a = http_request_arena(c->req);
	int r = registry_auth_decode(a, http_request_header(c->req, "X-Registry-Auth"), &ret->auth,
				     err);

	if (r < 0)
		return r;
	ret->progress = (struct registry_progress){.report = report, .data = c->req};
	ret->config = (struct registry_config){
		.mirrors = s->registry_mirrors,
		.insecure = s->insecure_registries,
		.http_proxy = s->http_proxy,
		.https_proxy = s->https_proxy,
		.no_proxy = s->no_proxy,
		.max_downloads = s->max_concurrent_downloads,
		.max_uploads = s->max_concurrent_uploads,
		.max_attempts = s->max_download_attempts,
		.trust = s->trust,
	};
	ret->args = (struct registry_args){
		.store = engine_store(c->engine),
		.pool = engine_pool(c->engine),
		.config = &ret->config,
		.auth = &ret->auth,
		.progress = &ret->progress,
		.user_agent = "vessel/" VESSEL_VERSION,
		.client_fd = http_request_fd(c->req),
	};
	return 0;
}
