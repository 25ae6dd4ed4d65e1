/* api/registry.h - what handlers that speak with registries have in common. */
#pragma once

#include "api/api_priv.h"
#include "registry/pull.h"

struct registry_call {
	struct registry_args args;
	struct registry_auth auth; /* strings live in the request's arena */
	struct registry_progress progress;
	struct registry_config config; /* of now: a reload does not change it */
};
/* Credentials from X-Registry-Auth, progress as lines to the client.  `ret` must not move. */
int registry_call_init(struct api_call *c, struct registry_call *ret, struct error *err);
/* The value of such a header: URL-safe base64 of a JSON object; "" and NULL: none.  ERROR_INVALID. */
int registry_auth_decode(struct arena *a, const char *header, struct registry_auth *ret,
			 struct error *err);
