/* Credentials and tokens: https://distribution.github.io/distribution/spec/auth/token/ */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "http/url.h"
#include "registry/failure.h"
#include "registry/session_priv.h"

#define TOKEN_ANSWER_MAX ((size_t)1 << 20)
#define TOKEN_MIN_S      60 /* what a token without "expires_in" lives, says the specification */
#define TOKEN_MARGIN_S   10
#define CLIENT_ID        "docker"

/* ---- the cache ---- */

static void token_done(struct session_token *t)
{
	free(t->key);
	free(t->value);
}

void session_forget_tokens(struct session *s)
{
	for (size_t i = 0; i < s->n_tokens; i++)
		token_done(&s->tokens[i]);
	free(s->tokens);
	s->tokens = NULL;
	s->n_tokens = s->cap_tokens = 0;
}

static char *find_token(struct session *s, const char *key)
{
	int64_t now = clock_monotonic_ns() / 1000000;
	char *value = NULL;

	(void)pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n_tokens && !value; i++)
		if (str_eq(s->tokens[i].key, key) && s->tokens[i].expires_ms > now)
			value = xstrdup(s->tokens[i].value);
	(void)pthread_mutex_unlock(&s->lock);
	return value;
}

static bool drop_token(struct session *s, const char *key)
{
	bool found = false;

	(void)pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n_tokens; i++)
		if (str_eq(s->tokens[i].key, key)) {
			token_done(&s->tokens[i]);
			s->tokens[i--] = s->tokens[--s->n_tokens];
			found = true;
		}
	(void)pthread_mutex_unlock(&s->lock);
	return found;
}

static void keep_token(struct session *s, const char *key, const char *value, int64_t lives_s)
{
	int64_t now = clock_monotonic_ns() / 1000000;

	lives_s = lives_s > 0 && lives_s < INT32_MAX ? lives_s : TOKEN_MIN_S;
	lives_s = lives_s > 2 * TOKEN_MARGIN_S ? lives_s - TOKEN_MARGIN_S : lives_s;
	(void)drop_token(s, key);
	(void)pthread_mutex_lock(&s->lock);
	xgrow(s->tokens, s->n_tokens, s->cap_tokens);
	s->tokens[s->n_tokens++] = (struct session_token){
		.key = xstrdup(key), .value = xstrdup(value), .expires_ms = now + lives_s * 1000};
	(void)pthread_mutex_unlock(&s->lock);
}

/* ---- asking for one ---- */

static char *basic(const char *username, const char *password)
{
	autofree char *pair = xasprintf("%s:%s", username, password ? password : "");
	autostrbuf struct strbuf b = STRBUF_INIT(65536);

	strbuf_adds(&b, "Basic ");
	base64_encode(pair, strlen(pair), &b);
	return strbuf_take(&b);
}

static bool has_password(const struct session *s)
{
	return s->auth.username && s->auth.password;
}

static void add_param(struct strbuf *b, const char *name, const char *value)
{
	if (!value)
		return;
	if (b->len > 0 && !strchr("?&", b->s[b->len - 1]))
		strbuf_addc(b, '&');
	strbuf_addf(b, "%s=", name);
	url_encode(b, value);
}

struct token_request {
	const struct challenge *challenge; /* borrowed */
	const char *own, *more;            /* scopes; may be NULL */
	bool wants_refresh;                /* a login */
};

/* The session's scope, or the challenge's if the session has no repository. */
static void add_scopes(struct strbuf *b, const struct token_request *t)
{
	add_param(b, "scope", t->own ? t->own : challenge_get(t->challenge, "scope"));
	add_param(b, "scope", t->more);
}

static char *own_scope(const struct session *s)
{
	return s->repository ? xasprintf("repository:%s:%s", s->repository,
					 s->actions ? s->actions : "pull")
			     : NULL;
}

static void get_request(const struct session *s, const struct token_request *t, struct strbuf *url,
			struct strv *headers)
{
	const char *realm = challenge_get(t->challenge, "realm");

	strbuf_adds(url, realm);
	strbuf_addc(url, strchr(realm, '?') ? '&' : '?');
	add_param(url, "service", challenge_get(t->challenge, "service"));
	add_scopes(url, t);
	if (t->wants_refresh) {
		add_param(url, "offline_token", "true");
		add_param(url, "client_id", CLIENT_ID);
	}
	if (has_password(s)) {
		autofree char *value = basic(s->auth.username, s->auth.password);

		add_param(url, "account", s->auth.username);
		strv_addf(headers, "Authorization: %s", value);
	}
}

/* An identity token is an OAuth2 refresh token. */
static void post_body(const struct session *s, const struct token_request *t, struct strbuf *body)
{
	autofree char *scopes = NULL;

	add_param(body, "grant_type", "refresh_token");
	add_param(body, "refresh_token", s->auth.identity_token);
	add_param(body, "service", challenge_get(t->challenge, "service"));
	add_param(body, "client_id", CLIENT_ID);
	scopes = t->own && t->more ? xasprintf("%s %s", t->own, t->more) : NULL;
	add_param(body, "scope", scopes ? scopes : t->own);
}

struct token_answer {
	char *token, *refresh_token; /* owned; refresh_token may be NULL */
	int64_t lives_s;
};

static void token_answer_done(struct token_answer *a)
{
	free(a->token);
	free(a->refresh_token);
}
#define autotoken_answer __attribute__((cleanup(token_answer_done)))

static int read_token(const struct transfer_response *answer, const char *url,
		      struct token_answer *ret, struct error *err)
{
	autoarena struct arena *a = arena_new();
	const struct json *doc = NULL;
	const char *token, *refresh;
	int r = json_parse(a, answer->body.s, answer->body.len, &doc, err);

	if (r < 0)
		return error_wrap(err, r, "unable to decode token response of '%s'", url);
	token = json_get_string(doc, "token");
	token = !str_empty(token) ? token : json_get_string(doc, "access_token");
	refresh = json_get_string(doc, "refresh_token");
	if (str_empty(token))
		return error_set(err, ERROR_UNAUTHORIZED, 0,
				 "authorization server did not include a token in the response");
	if (strpbrk(token, "\r\n"))
		return error_set(err, ERROR_INVALID, 0, "the token of '%s' is no token", url);
	ret->token = xstrdup(token);
	ret->refresh_token = str_empty(refresh) ? NULL : xstrdup(refresh);
	ret->lives_s = json_get_int(doc, "expires_in");
	return 0;
}

static int fetch_token(struct session *s, const struct token_request *t, struct token_answer *ret,
		       struct error *err)
{
	autostrbuf struct strbuf url = STRBUF_INIT(65536), body = STRBUF_INIT(65536);
	const char *realm = challenge_get(t->challenge, "realm");
	bool is_post = s->auth.identity_token && !t->wants_refresh;

	if (!realm || (!str_has_prefix(realm, "https://") && !str_has_prefix(realm, "http://")))
		return error_set(err, ERROR_UNAUTHORIZED, 0,
				 "no realm in the registry's challenge");
	for (int n = 1;; n++) {
		autotransfer_response struct transfer_response answer = {0};
		struct session_failure failure = {.retry_after_s = -1};
		struct transfer_request req = {.method = is_post ? "POST" : "GET",
					       .max_body = TOKEN_ANSWER_MAX,
					       .tls = &s->endpoint->tls};
		autoerror struct error why = {0};
		autostrv struct strv headers = {0};
		int r;

		strbuf_reset(&url);
		strbuf_reset(&body);
		if (is_post) {
			strbuf_adds(&url, realm);
			post_body(s, t, &body);
			strv_add(&headers, "Content-Type: application/x-www-form-urlencoded");
			req.body = body.s;
			req.body_len = body.len;
		} else {
			get_request(s, t, &url, &headers);
		}
		req.url = url.s;
		req.headers = &headers;
		r = transfer_run(s->transfers, &req, &answer, &why);
		failure.is_retryable = answer.is_retryable;
		if (r >= 0 && answer.status == 200)
			return read_token(&answer, realm, ret, err);
		if (r >= 0)
			r = failure_of_answer(&answer, realm, &failure, &why);
		if (!failure.is_retryable || !session_wait(s, n, &failure))
			return error_move(err, &why, r);
	}
}

/* ---- the header ---- */

static char *token_key(const struct challenge *c, const char *own, const char *more)
{
	const char *realm = challenge_get(c, "realm"), *service = challenge_get(c, "service");

	return xasprintf("%s\n%s\n%s\n%s", realm ? realm : "", service ? service : "",
			 own ? own : "", more ? more : "");
}

static int bearer(struct session *s, const struct challenge *c, const char *more, char **ret,
		  struct error *err)
{
	autofree char *own = own_scope(s), *key = token_key(c, own, more), *token = NULL;
	const struct token_request t = {.challenge = c, .own = own, .more = more};
	autotoken_answer struct token_answer answer = {0};
	int r;

	token = find_token(s, key);
	if (!token) {
		r = fetch_token(s, &t, &answer, err);
		if (r < 0)
			return r;
		keep_token(s, key, answer.token, answer.lives_s);
		token = TAKE_PTR(answer.token);
	}
	*ret = xasprintf("Bearer %s", token);
	return 0;
}

int session_authorize(struct session *s, const struct challenges *challenges, const char *scope,
		      char **ret, struct error *err)
{
	const struct challenge *c;

	if (challenges->n == 0)
		return 0;
	if (s->auth.registry_token) {
		*ret = xasprintf("Bearer %s", s->auth.registry_token);
		return 0;
	}
	c = challenges_find(challenges, "bearer");
	if (c)
		return bearer(s, c, scope, ret, err);
	if (!challenges_find(challenges, "basic"))
		return error_set(err, ERROR_UNAUTHORIZED, 0,
				 "the registry wants authentication by '%s', which is not known",
				 challenges->v[0].scheme);
	if (!has_password(s))
		/* No 401: older clients of Docker's would ask for a password on the terminal, and
		 * say nothing else without one. */
		return error_set(err, ERROR_INTERNAL, 0, "no basic auth credentials");
	*ret = basic(s->auth.username, s->auth.password);
	return 0;
}

bool session_refresh(struct session *s, const struct challenges *challenges, const char *scope)
{
	const struct challenge *c = challenges_find(challenges, "bearer");
	autofree char *own = own_scope(s), *key = NULL;

	if (s->auth.registry_token)
		return false;
	if (!c) /* the first attempt may not have known that a password is wanted */
		return challenges->n > 0 && s->endpoint->challenges.n == 0;
	key = token_key(c, own, scope);
	(void)drop_token(s, key);
	return true;
}

char *session_basic(const struct session *s)
{
	return has_password(s) ? basic(s->auth.username, s->auth.password) : NULL;
}

int session_login(struct session *s, char **ret_token, struct session_failure *failure,
		  struct error *err)
{
	static const long accept[] = {200, 0};
	autosession_request struct session_request req = {
		.http = {.method = "GET", .url = "/v2/", .max_body = TOKEN_ANSWER_MAX},
		.accept = accept};
	autotransfer_response struct transfer_response answer = {0};
	autotoken_answer struct token_answer token = {0};
	const struct challenge *c = challenges_find(&s->endpoint->challenges, "bearer");
	int r;

	if (c && !s->auth.identity_token) {
		const struct token_request t = {.challenge = c, .wants_refresh = true};

		r = fetch_token(s, &t, &token, err);
		if (r < 0)
			return r;
		*ret_token = token.refresh_token ? TAKE_PTR(token.refresh_token) : xstrdup("");
		return 0;
	}
	r = session_try(s, &req, &answer, failure, err);
	if (r < 0 && failure->status == 401) {
		error_done(err);
		*err = (struct error){0};
		return error_set(err, ERROR_UNAUTHORIZED, 0,
				 "login attempt to %s/v2/ failed with status: 401 Unauthorized",
				 s->endpoint->url);
	}
	if (r < 0)
		return r;
	*ret_token = xstrdup("");
	return 0;
}
