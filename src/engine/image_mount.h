/* engine/image_mount.h - images that a container mounts beside its own: --mount type=image.
 *
 * Read-only; held by the container's snapshot from create to its removal, by the number that they have
 * among its mounts, beginning with 1.
 */
#pragma once

#include "engine/container.h"
#include "engine/volume.h"

struct engine;
struct remap;

/* [worker] Images named by the container's mounts are held from here on; its snapshot is there.
 * ERROR_INVALID: no such image (to clients a 404 would mean that the container's own is missing). */
int image_mounts_hold(struct engine *e, const struct container *c, struct error *err);
/* [worker, with the operation] They, or what is at their subpaths, at places of `binds`, shown through
 * the container's id mappings (remap NULL: none). */
int image_mounts_prepare(struct engine *e, const struct container *c, const struct remap *remap,
			 struct volume_binds *binds, struct error *err);
