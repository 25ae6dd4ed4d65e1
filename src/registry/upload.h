/* registry/upload.h - a registry is given blobs and manifests, in the helper. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "registry/session.h"

struct upload_args {
	const char *digest;
	int64_t size;
	int fd; /* borrowed: a file with the bytes; -1: only look whether it is there */
	const struct json *mounts; /* array: repositories that may have it */
	void (*progress)(void *data, int64_t sent);
	void (*retry)(void *data, int64_t seconds);
	void *data;
};

enum upload_outcome { UPLOAD_DONE, UPLOAD_EXISTS, UPLOAD_MOUNTED, UPLOAD_MISSING };

/* Is it there, may it be mounted, else send it: as one body, or above a size in pieces, going on
 * where a broken connection left off.  *ret_from: the repository it was mounted from, borrowed. */
int upload_blob(struct session *s, const struct upload_args *args, enum upload_outcome *ret,
		const char **ret_from, struct session_failure *failure, struct error *err);

struct upload_manifest {
	const char *reference, *type, *text;
	size_t len;
};
int upload_manifest(struct session *s, const struct upload_manifest *m,
		    struct session_failure *failure, struct error *err);
