/* engine/volume.h - anonymous volumes: what an image's VOLUME asks for.
 *
 * One directory a container and path, data-root/volumes/<name>/_data, whose name is made from both, so
 * that it is found again without a row.  At first use the image's content at that path is copied into
 * it, in tmp/, and moved into place whole.
 */
#pragma once

#include "base/error.h"
#include "engine/container.h"
#include "engine/oci_spec.h"

struct engine;

struct volume_binds {
	struct oci_bind *v; /* owned, strings too */
	size_t n, cap;
};
void volume_binds_add(struct volume_binds *b, const char *source, const char *destination,
		      bool read_only);
void volume_binds_done(struct volume_binds *b);
#define autovolumes __attribute__((cleanup(volume_binds_done)))

/* 64 hex digits. */
void volume_name(const char *container_id, const char *destination, char ret[static 65]);
/* Is something else mounted where the image wants a volume? */
bool volume_is_replaced(const struct container_spec *s, const char *destination);
/* [worker, with the operation] */
int volumes_prepare(struct engine *e, const struct container *c, const struct rootfs_dirs *rootfs,
		    struct volume_binds *ret, struct error *err);
int volumes_remove(struct engine *e, const struct container *c, struct error *err);
