/* Starting helpers. */
#include "registry/connect.h"

static void add_env(struct strv *env, const char *const *names, const char *value)
{
	for (; !str_empty(value) && *names; names++)
		strv_addf(env, "%s=%s", *names, value);
}

static int start(const struct registry_args *args, struct remote **ret, struct error *err)
{
	static const char *const http[] = {"HTTP_PROXY", "http_proxy", NULL},
				 *const https[] = {"HTTPS_PROXY", "https_proxy", NULL},
				 *const no[] = {"NO_PROXY", "no_proxy", NULL};
	autostrv struct strv env = {0};
	struct remote_args remote_args = {.client_fd = args->client_fd};

	add_env(&env, http, args->config->http_proxy);
	add_env(&env, https, args->config->https_proxy);
	add_env(&env, no, args->config->no_proxy);
	remote_args.env = (const char *const *)env.v;
	return remote_start(&remote_args, ret, err);
}

static void write_auth(struct json_writer *w, const struct registry_auth *auth)
{
	const struct {
		const char *name, *value;
	} members[] = {
		{"username", auth->username},
		{"password", auth->password},
		{"identitytoken", auth->identity_token},
		{"registrytoken", auth->registry_token},
	};

	jw_kobject(w, "auth");
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (members[i].value)
			jw_kstring(w, members[i].name, members[i].value);
	jw_object_end(w);
}

int registry_connect(const struct registry_args *args, const struct connect_args *to,
		     struct remote **ret, struct error *err)
{
	const struct registry_config *c = args->config;
	autoarena struct arena *a = arena_new();
	autoremote struct remote *remote = NULL;
	struct remote_request req;
	const struct json *ok;
	int r = start(args, &remote, err);

	if (r < 0)
		return r;
	remote_request_init(remote, "open", &req);
	jw_kstring(&req.w, "repository", to->repository);
	jw_kstring(&req.w, "actions", to->actions);
	jw_kstring(&req.w, "user_agent", args->user_agent);
	jw_kint(&req.w, "attempts", c->max_attempts ? c->max_attempts : REGISTRY_ATTEMPTS_DEFAULT);
	if (args->auth)
		write_auth(&req.w, args->auth);
	r = registry_write_endpoints(c, to->domain, to->purpose, &req.w, err);
	if (r < 0) {
		strbuf_done(&req.text);
		return r;
	}
	r = remote_ask(remote, &req, a, &ok, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(remote);
	return 0;
}
