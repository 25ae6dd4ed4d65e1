/* registry/query.h - what is asked of registries without moving an image: login, search, inspect. */
#pragma once

#include "base/arena.h"
#include "registry/pull.h"

/* All [worker]. */

/* Check args->auth at its server ("https://index.docker.io/v1/", "host:5000"; NULL: docker.io).  The
 * identity token, "" if the server gives none, is the caller's.  ERROR_UNAUTHORIZED. */
int registry_login(const struct registry_args *args, char **ret_token, struct error *err);

/* The index's answer to a term, which may begin with the name of a registry: an object with "results". */
int registry_search(const struct registry_args *args, const char *term, int limit, struct arena *a,
		    const struct json **ret, struct error *err);

struct registry_document {
	char digest[DIGEST_STRING_SIZE];
	const char *type, *text; /* in the arena */
	size_t len;
	const char *config; /* of an image; NULL: of an index, or of something else */
	size_t config_len;
};
/* What a reference stands for. */
int registry_inspect(const struct registry_args *args, const struct image_ref *ref, struct arena *a,
		     struct registry_document *ret, struct error *err);
