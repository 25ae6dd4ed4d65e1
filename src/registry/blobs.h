/* registry/blobs.h - a registry's blobs, in the helper: down into a pipe, up from one. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "registry/session.h"

struct blob_args {
	const char *digest;
	int64_t size;
	int64_t offset; /* bytes that the receiver has */
	int fd;         /* borrowed: a pipe */
	/* Before another attempt; may be NULL. */
	void (*retry)(void *data, int64_t seconds);
	void *data;
};

/* Writes bytes `offset` to `size` to the pipe, in as many attempts as it takes.  Never more than
 * `size`; whether they are the right ones is the receiver's to find out. */
int blob_download(struct session *s, const struct blob_args *args, struct session_failure *failure,
		  struct error *err);
