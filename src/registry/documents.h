/* registry/documents.h - manifests, configs and tags of a registry, in the helper: fetched, checked, chosen from. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/sha256.h"
#include "registry/session.h"

struct document {
	char digest[DIGEST_STRING_SIZE]; /* of the text */
	const char *type;                /* media type */
	const char *text;                /* NUL-terminated UTF-8 */
	size_t len;
};

struct documents_args {
	const char *reference;                   /* a tag or a digest */
	const char *os, *architecture, *variant; /* what to choose; variant may be NULL */
	bool no_choice;                          /* an index is left as it is */
};

#define DOCUMENTS_INNER_MAX 3 /* indexes in indexes */

struct documents {
	struct document top;                        /* what the reference names */
	struct document inner[DOCUMENTS_INNER_MAX]; /* indexes on the way down */
	size_t n_inner;
	struct document manifest; /* chosen from an index; text NULL: `top` is it */
	struct document config;   /* text NULL: not an image, or not chosen */
};

/* Tries the session's endpoints in turn and leaves the one that answered in use.  Everything lives in `a`. */
int documents_resolve(struct session *s, const struct documents_args *args, struct arena *a,
		      struct documents *ret, struct session_failure *failure, struct error *err);
/* All tags of the repository, page by page. */
int documents_tags(struct session *s, struct strv *ret, struct session_failure *failure,
		   struct error *err);
/* /v1/search?QUERY of the first endpoint that answers; the text lives in `a`. */
int documents_search(struct session *s, const char *query, struct arena *a, const char **ret,
		     struct error *err);
/* Use the first endpoint that is one: for requests that begin with no document. */
int documents_connect(struct session *s, struct error *err);
