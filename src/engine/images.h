/* engine/images.h - images made of containers: commit. */
#pragma once

#include <stdbool.h>

#include "base/json.h"
#include "base/sha256.h"

struct container;
struct engine;
struct error;
struct shim_client;

struct engine_commit_args {
	const char *ref;
	const char *name;             /* of the image, normalised by the store; NULL: none */
	const char *author, *comment; /* NULL: none */
	const struct json *config;    /* Docker's Config; NULL or null: the container's own */
	const char *const *changes;   /* Dockerfile instructions, NULL-terminated; may be NULL */
	bool pause;                   /* while its files are read, if it runs */
};
/* [worker] What the container has changed becomes a layer on its image.  ERROR_CONFLICT for one that
 * is being removed, ERROR_INVALID for what the changes say. */
int engine_commit(struct engine *e, const struct engine_commit_args *args,
		  char ret_id[static DIGEST_STRING_SIZE], struct error *err);

/* [before the loop runs] A daemon that died in a commit has left its container frozen: let it go on.
 * True if it did. */
bool engine_commit_recover(const struct container *c, struct shim_client *shim);
