/* oci/image_ref.h - image names: the grammar of the distribution project's references.
 *
 *     [domain[:port]/]path[:tag][@digest]
 *
 * Normalised names carry their defaults ("docker.io/library/busybox"), familiar ones leave them out
 * ("busybox").  https://github.com/distribution/reference
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

#define IMAGE_REF_MAX_NAME 255 /* bytes of domain/path */
#define IMAGE_REF_MAX_TAG  128

struct image_ref {
	char *domain; /* owned: "docker.io" */
	char *path;   /* owned: "library/busybox" */
	char *tag;    /* owned; NULL: none */
	char *digest; /* owned: "sha256:..."; NULL: none */
};
void image_ref_done(struct image_ref *ref);
#define autoimage_ref __attribute__((cleanup(image_ref_done)))

/* A familiar or full name.  ERROR_INVALID with the reference library's texts ("invalid reference
 * format"), which clients show. */
int image_ref_parse(const char *s, struct image_ref *ret, struct error *err);

/* "latest", unless there is a tag or a digest. */
void image_ref_default_tag(struct image_ref *ref);

/* All are owned by the caller. */
char *image_ref_name(const struct image_ref *ref);          /* docker.io/library/busybox */
char *image_ref_format(const struct image_ref *ref);        /* with tag and digest */
char *image_ref_familiar_name(const struct image_ref *ref); /* busybox */
char *image_ref_familiar(const struct image_ref *ref);      /* with tag and digest */

bool image_ref_tag_is_valid(const char *tag);
