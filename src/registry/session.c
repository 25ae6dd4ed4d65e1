/* Requests to a registry, with what it wants in Authorization. */
#include "registry/session.h"

#include <string.h>
#include <time.h>

#include "registry/failure.h"
#include "registry/session_priv.h"

#define RETRY_FIRST_MS    200
#define RETRY_MAX_MS      10000
#define RETRY_AFTER_MAX_S 60
#define DEFAULT_ATTEMPTS  6
#define DEFAULT_PIECE     ((int64_t)64 << 20)
#define DEFAULT_STALL_S   60
#define PING_MAX          65536

static const char *copy(struct arena *a, const struct json *obj, const char *key)
{
	const char *s = json_get_string(obj, key);

	return s && s[0] ? arena_strdup(a, s) : NULL;
}

/* A registry's own authorities are trusted beside the system's. */
static void add_system_ca(struct session *s, const char *system_ca, struct transfer_tls *tls)
{
	if (tls->ca && system_ca)
		tls->ca = arena_printf(s->arena, "%s\n%s", tls->ca, system_ca);
}

static void copy_endpoints(struct session *s, const struct json *list, const char *system_ca)
{
	s->endpoints = arena_new0n(s->arena, struct session_endpoint, json_count(list) + 1);
	for (size_t i = 0; i < json_count(list); i++) {
		const struct json *from = json_at(list, i);
		struct session_endpoint *to = &s->endpoints[s->n_endpoints++];

		to->url = copy(s->arena, from, "url");
		to->url = to->url ? to->url : "";
		to->is_mirror = json_get_bool(from, "mirror");
		to->tls.skip_verify = json_get_bool(from, "skip_verify");
		to->tls.ca = copy(s->arena, from, "ca");
		to->tls.cert = copy(s->arena, from, "cert");
		to->tls.key = copy(s->arena, from, "key");
		add_system_ca(s, system_ca, &to->tls);
	}
}

/* A positive number of vesseld's environment. */
static int64_t tunable(const char *name, int64_t fallback)
{
	const char *value = getenv(name);
	int64_t n;

	return value && str_parse_i64(value, &n) == 0 && n > 0 ? n : fallback;
}

int session_open(const struct json *open, const char *system_ca, struct session **ret,
		 struct error *err)
{
	struct session *s = xnew0(struct session);
	const struct json *auth = json_get(open, "auth");
	struct transfers_args args = {.user_agent = json_get_string(open, "user_agent"),
				      .system_ca = system_ca};

	(void)err;
	s->arena = arena_new();
	s->repository = copy(s->arena, open, "repository");
	s->actions = copy(s->arena, open, "actions");
	s->auth.username = copy(s->arena, auth, "username");
	s->auth.password = copy(s->arena, auth, "password");
	s->auth.identity_token = copy(s->arena, auth, "identitytoken");
	s->auth.registry_token = copy(s->arena, auth, "registrytoken");
	copy_endpoints(s, json_get(open, "endpoints"), system_ca);
	s->attempts = (int)json_get_int(open, "attempts");
	s->attempts = s->attempts > 0 ? s->attempts : DEFAULT_ATTEMPTS;
	args.stall_s = tunable("VESSEL_REGISTRY_STALL_S", DEFAULT_STALL_S);
	s->piece = tunable("VESSEL_REGISTRY_PIECE", DEFAULT_PIECE);
	args.user_agent = args.user_agent ? args.user_agent : "vessel";
	s->transfers = transfers_new(&args);
	(void)pthread_mutex_init(&s->lock, NULL);
	*ret = s;
	return 0;
}

struct session *session_free(struct session *s)
{
	if (!s)
		return NULL;
	session_forget_tokens(s);
	(void)transfers_free(s->transfers);
	(void)pthread_mutex_destroy(&s->lock);
	(void)arena_free(s->arena);
	free(s);
	return NULL;
}

size_t session_endpoint_count(const struct session *s)
{
	return s->n_endpoints;
}

const char *session_repository(const struct session *s)
{
	return s->repository ? s->repository : "";
}

const char *session_url(const struct session *s)
{
	return s->endpoint->url;
}

int64_t session_piece(const struct session *s)
{
	return s->piece;
}

int session_attempts(const struct session *s)
{
	return s->attempts;
}

void session_request_done(struct session_request *r)
{
	strv_done(&r->headers);
}

static void add_challenges(struct session *s, const struct transfer_response *answer,
			   struct challenges *ret)
{
	const char *value;

	*ret = (struct challenges){0};
	(void)pthread_mutex_lock(&s->lock); /* the arena */
	for (size_t i = 0; (value = transfer_header(answer, "www-authenticate", i)); i++)
		(void)challenges_parse(s->arena, value, ret, NULL); /* others may be usable */
	(void)pthread_mutex_unlock(&s->lock);
}

int session_use(struct session *s, size_t i, struct error *err)
{
	autotransfer_response struct transfer_response answer = {0};
	struct session_endpoint *e = &s->endpoints[i];
	autofree char *url = xasprintf("%s/v2/", e->url);
	const struct transfer_request ping = {
		.method = "GET", .url = url, .tls = &e->tls, .max_body = PING_MAX};
	int r;

	s->endpoint = e;
	if (e->is_known)
		return 0;
	r = transfer_run(s->transfers, &ping, &answer, err);
	if (r < 0)
		return r;
	if (answer.status == 401)
		add_challenges(s, &answer, &e->challenges);
	e->is_known = true;
	return 0;
}

/* ---- requests ---- */

static bool is_accepted(const struct session_request *req, long status)
{
	if (!req->accept)
		return status >= 200 && status <= 299;
	for (const long *p = req->accept; *p; p++)
		if (*p == status)
			return true;
	return false;
}

/* Credentials are for the registry, not for what it points to. */
static bool is_own_url(const struct session *s, const char *url)
{
	size_t len = strlen(s->endpoint->url);

	return strncmp(url, s->endpoint->url, len) == 0 && (url[len] == '/' || url[len] == '?');
}

static int run_once(struct session *s, struct session_request *req, const char *url,
		    const struct challenges *challenges, struct transfer_response *ret,
		    struct error *err)
{
	struct transfer_request http = req->http;
	autostrv struct strv headers = {0};
	autofree char *authorization = NULL;
	int r;

	for (size_t i = 0; i < req->headers.n; i++)
		strv_add(&headers, req->headers.v[i]);
	if (is_own_url(s, url)) {
		r = session_authorize(s, challenges, req->scope, &authorization, err);
		if (r < 0) {
			*ret = (struct transfer_response){0};
			return r;
		}
	}
	if (authorization)
		strv_addf(&headers, "Authorization: %s", authorization);
	http.url = url;
	http.tls = &s->endpoint->tls;
	http.headers = &headers;
	return transfer_run(s->transfers, &http, ret, err);
}

static void fill_failure(struct session_failure *f, const struct transfer_response *answer)
{
	f->status = answer->status;
	f->is_retryable = answer->is_retryable;
	f->retry_after_s = transfer_retry_after(answer);
}

int session_run(struct session *s, struct session_request *req, struct transfer_response *ret,
		struct session_failure *failure, struct error *err)
{
	autofree char *url = strstr(req->http.url, "://")
				     ? xstrdup(req->http.url)
				     : xasprintf("%s%s", s->endpoint->url, req->http.url);
	struct session_failure ignored;
	struct challenges challenges = s->endpoint->challenges;
	int r;

	failure = failure ? failure : &ignored;
	*failure = (struct session_failure){.retry_after_s = -1};
	r = run_once(s, req, url, &challenges, ret, err);
	/* Tokens age, and one endpoint may ask for other things than its /v2/ does. */
	if (r >= 0 && ret->status == 401 && !req->http.read && is_own_url(s, ret->url)) {
		add_challenges(s, ret, &challenges);
		if (session_refresh(s, &challenges, req->scope)) {
			transfer_response_done(ret);
			r = run_once(s, req, url, &challenges, ret, err);
		}
	}
	fill_failure(failure, ret);
	if (r < 0)
		return r;
	return is_accepted(req, ret->status) ? 0 : failure_of_answer(ret, url, failure, err);
}

bool session_wait(const struct session *s, int n, const struct session_failure *failure)
{
	int64_t ms = RETRY_FIRST_MS;
	struct timespec t;

	if (n >= s->attempts || failure->retry_after_s > RETRY_AFTER_MAX_S)
		return false;
	for (int i = 1; i < n && ms < RETRY_MAX_MS; i++)
		ms *= 2;
	if (failure->retry_after_s >= 0)
		ms = failure->retry_after_s * 1000;
	t = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	(void)nanosleep(&t, NULL);
	return true;
}

int session_try(struct session *s, struct session_request *req, struct transfer_response *ret,
		struct session_failure *failure, struct error *err)
{
	struct session_failure ignored;

	failure = failure ? failure : &ignored;
	for (int n = 1;; n++) {
		autoerror struct error why = {0};
		int r = session_run(s, req, ret, failure, &why);

		if (r >= 0)
			return r;
		if (!failure->is_retryable || !session_wait(s, n, failure))
			return error_move(err, &why, r);
		transfer_response_done(ret);
	}
}
