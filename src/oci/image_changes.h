/* oci/image_changes.h - Dockerfile instructions that change an image's config (import, commit).
 *
 * https://docs.docker.com/reference/dockerfile/: CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD
 * STOPSIGNAL USER VOLUME WORKDIR (and SHELL), in shell and JSON form, with substitution of variables
 * that ENV has set.
 */
#pragma once

#include "oci/image_spec.h"

#define IMAGE_CHANGES_MAX 65536 /* bytes of all instructions */

/* Apply NULL-terminated `changes` (may be NULL), each one or more lines, in order.  Everything new lives
 * in the arena.  ERROR_INVALID with Docker's text. */
int image_changes_apply(struct arena *a, struct image_config *config, const char *const *changes,
			struct error *err);
/* What `config` does not say is as in `base`, by Docker's rules for commit: lists and maps are joined by
 * their keys; a command is taken over only with the entry point.  Everything new lives in the arena. */
void image_config_inherit(struct arena *a, struct image_config *config,
			  const struct image_config *base);
