/* registry/pull.h - an image comes from a registry into the store. */
#pragma once

#include "base/error.h"
#include "base/pool.h"
#include "base/sha256.h"
#include "oci/image_ref.h"
#include "registry/config.h"

struct store;

/* Who is asking, as X-Registry-Auth has it; all may be NULL. */
struct registry_auth {
	const char *username, *password, *identity_token, *registry_token, *server;
};

/* What a client is told; `id` may be NULL.  All on the calling thread. */
struct registry_progress {
	/* current < 0: a state without a measure */
	void (*report)(void *data, const char *id, const char *status, int64_t current,
		       int64_t total);
	void *data;
};

struct registry_args {
	struct store *store; /* borrowed, as all here */
	struct pool *pool;
	const struct registry_config *config;
	const struct registry_auth *auth;
	const struct registry_progress *progress;
	const char *user_agent;
	int client_fd; /* its hanging up ends everything; -1: none */
};

struct registry_pulled {
	char id[DIGEST_STRING_SIZE];
	char digest[DIGEST_STRING_SIZE]; /* of what the reference named */
	bool is_new;
};

/* [worker] `ref` has a tag or a digest.  platform: "linux/arm64/v8", or NULL: this machine's.  Reports
 * all but the last line.  Errors have Docker's texts. */
int registry_pull(const struct registry_args *args, const struct image_ref *ref,
		  const char *platform, struct registry_pulled *ret, struct error *err);
/* The repository's tags. */
int registry_tags(const struct registry_args *args, const struct image_ref *ref, struct strv *ret,
		  struct error *err);
