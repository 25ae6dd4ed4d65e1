/* Questions. */
#include "registry/query.h"

#include <string.h>

#include "http/url.h"
#include "registry/connect.h"

#define HUB_DOMAIN "docker.io"

/* "https://index.docker.io/v1/" -> "docker.io", "https://host:5000/x" -> "host:5000" */
static char *server_domain(const char *server)
{
	const char *scheme = server ? strstr(server, "://") : NULL;
	const char *host = scheme ? scheme + 3 : server;
	autofree char *domain = host ? xstrndup(host, strcspn(host, "/")) : NULL;

	if (str_empty(domain) || str_eq(domain, "index.docker.io") ||
	    str_eq(domain, "registry-1.docker.io"))
		return xstrdup(HUB_DOMAIN);
	return TAKE_PTR(domain);
}

int registry_login(const struct registry_args *args, char **ret_token, struct error *err)
{
	autofree char *domain = server_domain(args->auth ? args->auth->server : NULL);
	const struct connect_args to = {
		.domain = domain, .repository = "", .actions = "", .purpose = REGISTRY_PUSH};
	autoarena struct arena *a = arena_new();
	autoremote struct remote *remote = NULL;
	struct remote_request req;
	const struct json *ok;
	const char *token;
	int r = registry_connect(args, &to, &remote, err);

	if (r < 0)
		return r;
	remote_request_init(remote, "login", &req);
	r = remote_ask(remote, &req, a, &ok, err);
	if (r < 0)
		return r;
	token = json_get_string(ok, "token");
	*ret_token = xstrdup(token ? token : "");
	return 0;
}

/* "host:5000/term": the part before the slash, if it looks like a registry. */
static char *split_term(const char *term, const char **ret_rest)
{
	const char *slash = strchr(term, '/');
	size_t len = slash ? (size_t)(slash - term) : 0;
	autofree char *domain = slash ? xstrndup(term, len) : NULL;

	*ret_rest = term;
	if (!domain || (!strpbrk(domain, ".:") && !str_eq(domain, "localhost")))
		return xstrdup(HUB_DOMAIN);
	*ret_rest = slash + 1;
	return str_eq(domain, "index.docker.io") ? xstrdup(HUB_DOMAIN) : TAKE_PTR(domain);
}

int registry_search(const struct registry_args *args, const char *term, int limit, struct arena *a,
		    const struct json **ret, struct error *err)
{
	const char *rest;
	autofree char *domain = split_term(term, &rest);
	const struct connect_args to = {
		.domain = domain, .repository = "", .actions = "", .purpose = REGISTRY_SEARCH};
	autostrbuf struct strbuf query = STRBUF_INIT(65536);
	autoremote struct remote *remote = NULL;
	struct remote_request req;
	const struct json *ok, *text;
	int r = registry_connect(args, &to, &remote, err);

	if (r < 0)
		return r;
	strbuf_adds(&query, "q=");
	url_encode(&query, rest);
	strbuf_addf(&query, "&n=%d", limit);
	remote_request_init(remote, "search", &req);
	jw_kstring(&req.w, "query", query.s);
	r = remote_ask(remote, &req, a, &ok, err);
	if (r < 0)
		return r;
	text = json_get(ok, "text");
	if (!json_string(text))
		return error_set(err, ERROR_INTERNAL, 0, "the index's answer is incomplete");
	r = json_parse(a, json_string(text), json_string_len(text), ret, err);
	return r < 0 ? error_wrap(err, r, "the index's answer") : 0;
}

int registry_inspect(const struct registry_args *args, const struct image_ref *ref, struct arena *a,
		     struct registry_document *ret, struct error *err)
{
	const struct connect_args to = {.domain = ref->domain,
					.repository = ref->path,
					.actions = "pull",
					.purpose = REGISTRY_PULL};
	autoremote struct remote *remote = NULL;
	struct remote_request req;
	const struct json *ok, *text, *config;
	int r = registry_connect(args, &to, &remote, err);

	if (r < 0)
		return r;
	remote_request_init(remote, "resolve", &req);
	jw_kstring(&req.w, "reference", ref->digest ? ref->digest : ref->tag);
	jw_kbool(&req.w, "no_choice", true);
	r = remote_ask(remote, &req, a, &ok, err);
	if (r < 0)
		return r;
	text = json_get(json_get(ok, "top"), "text");
	config = json_get(json_get(ok, "config"), "text");
	if (!json_string(text))
		return error_set(err, ERROR_INTERNAL, 0, "the registry's answer is incomplete");
	*ret = (struct registry_document){
		.type = json_get_string(json_get(ok, "top"), "type"),
		.text = json_string(text),
		.len = json_string_len(text),
		.config = json_string(config),
		.config_len = json_string_len(config),
	};
	sha256_of(ret->text, ret->len, ret->digest);
	return 0;
}
