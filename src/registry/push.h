/* registry/push.h - an image goes from the store to a registry. */
#pragma once

#include "registry/pull.h"

struct registry_pushed {
	char digest[DIGEST_STRING_SIZE]; /* of the manifest */
	size_t size;                     /* its bytes */
};
/* [worker] The image with exactly this ID, under the reference's tag.  Reports the layers' lines. */
int registry_push(const struct registry_args *args, const struct image_ref *ref,
		  const char *image_id, struct registry_pushed *ret, struct error *err);
