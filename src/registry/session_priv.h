/* registry/session_priv.h - what the session's files share. */
#pragma once

#include <pthread.h>

#include "base/arena.h"
#include "registry/challenge.h"
#include "registry/session.h"

struct session_endpoint {
	const char *url; /* without a slash behind */
	bool is_mirror, is_known;
	struct transfer_tls tls;
	struct challenges challenges; /* of GET /v2/ */
};

struct session_token {
	char *key, *value;  /* owned: what it is for, and it */
	int64_t expires_ms; /* CLOCK_MONOTONIC */
};

struct session {
	struct arena *arena;              /* owned: all strings */
	const char *repository, *actions; /* may be NULL */
	struct session_endpoint *endpoints, *endpoint;
	size_t n_endpoints;
	struct {
		const char *username, *password, *identity_token, *registry_token;
	} auth;
	int attempts;
	int64_t piece;                /* bytes */
	struct transfers *transfers;  /* owned */
	pthread_mutex_t lock;         /* arena and tokens */
	struct session_token *tokens; /* owned */
	size_t n_tokens, cap_tokens;
};

/* The value of Authorization, NULL: none is asked for.  Fetches a token if there is none.  `scope`: more
 * than the session's own, or NULL. */
int session_authorize(struct session *s, const struct challenges *challenges, const char *scope,
		      char **ret, struct error *err);
/* After a 401 with these challenges: forget the token.  False if another attempt is in vain. */
bool session_refresh(struct session *s, const struct challenges *challenges, const char *scope);
void session_forget_tokens(struct session *s);
