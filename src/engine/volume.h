/* engine/volume.h - volumes: what users make of them, and what containers mount.
 *
 * A volume's row comes before its directory and goes after it.  A row without a directory is an empty
 * volume; a directory without a row (from before there were rows) becomes a volume at the next start.
 */
#pragma once

#include "base/error.h"
#include "engine/container.h"
#include "engine/oci_spec.h"
#include "volume/volume.h"

struct engine;

/* ---- volumes ---------------------------------------------------------------------------------- */

/* [loop] Borrowed until the handler returns. */
const struct volumes *engine_volumes(struct engine *e);
/* [loop] ERROR_NOT_FOUND: "get NAME: no such volume". */
int engine_volume_get(struct engine *e, const char *name, const struct volume **ret,
		      struct error *err);
/* [loop] The i-th container that mounts it; NULL behind the last. */
const struct container *engine_volume_user(struct engine *e, const char *name, size_t i);

struct volume_request {
	const char *name;                    /* "" or NULL: an anonymous one */
	const struct json *labels, *options; /* objects or NULL */
};
/* [worker] One that is there already stays as it is.  ret_name: malloc'd. */
int engine_volume_create(struct engine *e, const struct volume_request *q, char **ret_name,
			 struct error *err);
/* [worker] ERROR_CONFLICT while a container, running or not, mounts it. */
int engine_volume_remove(struct engine *e, const char *name, struct error *err);

/* [before the loop runs] */
void volumes_restore(struct engine *e, const struct strv *rows);

/* ---- what containers mount --------------------------------------------------------------------- */

struct volume_binds {
	struct oci_bind *v; /* owned, strings too */
	size_t n, cap;
	struct strv places; /* where parts of volumes are mounted until the container is made */
};
void volume_binds_add(struct volume_binds *b, const char *source, const char *destination,
		      bool read_only);
/* Give a detached mount a path until the container has it: at a place in its runtime directory.  The
 * path is the list's. */
int volume_binds_place(struct engine *e, const char *id, struct volume_binds *b, int mount_fd,
		       const char **ret_path, struct error *err);
void volume_binds_done(struct volume_binds *b);
#define autovolumes __attribute__((cleanup(volume_binds_done)))

/* The paths in the container where volumes, bind mounts and tmpfs are mounted, until fn says true:
 * whether it has. */
typedef bool (*volume_target_fn)(void *data, const char *target);
bool volume_any_target(const struct container_spec *s, volume_target_fn fn, void *data);

/* [worker] Resolve the mount points of a container that is being created. */
int volumes_resolve(struct engine *e, const char *id, struct container_spec *s, struct error *err);
/* [worker] Make the volumes that are not there yet: behind the container's row, so that what a killed
 * daemon leaves belongs to somebody. */
int volumes_make(struct engine *e, const struct container_spec *s, struct error *err);
/* [worker, with the operation] What a start mounts: made, filled and mounted where it is due. */
int volumes_prepare(struct engine *e, const struct container *c, const struct rootfs_dirs *rootfs,
		    struct volume_binds *ret, struct error *err);
/* [worker] What a daemon that died may have left mounted in a runtime directory. */
void volume_places_clean(struct engine *e, const char *id);
/* [worker] After its exit: unmount what nobody uses any more. */
void volumes_unmount(struct engine *e, const struct container *c);
/* [worker] Its anonymous ones, unless others mount them too. */
int volumes_remove(struct engine *e, const struct container *c, struct error *err);
