/* registry/challenge.h - WWW-Authenticate: how a server wants to be spoken to (RFC 7235, section 4.1). */
#pragma once

#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

#define CHALLENGE_MAX        8
#define CHALLENGE_PARAMS_MAX 16
#define CHALLENGE_HEADER_MAX 16384 /* bytes */

struct challenge {
	const char *scheme; /* lower case: "bearer" */
	struct {
		const char *name, *value; /* names in lower case */
	} params[CHALLENGE_PARAMS_MAX];
	size_t n_params;
};

struct challenges {
	struct challenge v[CHALLENGE_MAX];
	size_t n;
};

/* Adds what one header says to *ret; strings live in `a`.  ERROR_INVALID leaves *ret as it was. */
int challenges_parse(struct arena *a, const char *header, struct challenges *ret,
		     struct error *err);
/* NULL if there is none. */
const struct challenge *challenges_find(const struct challenges *c, const char *scheme);
const char *challenge_get(const struct challenge *c, const char *name);
