/* engine/cdi.h - devices by the Container Device Interface: `--device vendor.com/class=name` and --gpus.
 *
 * Specification: Container Device Interface 1.0 (CNCF), JSON or YAML in the directories of the setting
 * cdi-spec-dirs; of two that define a device, the later directory's counts.
 */
#pragma once

#include "base/arena.h"
#include "base/json_decode.h"
#include "engine/config.h"

struct cdi_node {
	const char *path, *host_path, *type, *permissions;
	const int64_t *major, *minor;
	const uint32_t *file_mode, *uid, *gid;
};
struct cdi_mount {
	const char *host_path, *container_path, *type;
	struct json_strings options;
};
struct cdi_hook {
	const char *hook_name, *path;
	struct json_strings args, env;
	const int *timeout;
};
struct cdi_edits {
	struct json_strings env;
	struct json_objects nodes, mounts, hooks; /* struct cdi_node, cdi_mount, cdi_hook */
	const struct json *gids;                  /* array of numbers, or NULL */
};
struct cdi_device {
	const char *name;
	struct cdi_edits edits;
};
struct cdi_spec {
	const char *version, *kind;
	struct json_objects devices; /* struct cdi_device */
	struct cdi_edits edits;      /* of whoever gets one of them */
};
/* From a document in the same arena; ERROR_INVALID names the field. */
int cdi_spec_parse(struct arena *a, const struct json *doc, struct cdi_spec **ret,
		   struct error *err);

struct cdi_result {                 /* in the order in which they are to be made */
	const struct cdi_edits **v; /* in the arena */
	size_t n;
};
/* What DeviceRequests ask for.  Files that are not understood are logged and left out.  Docker's texts:
 * "could not select device driver ..." and "CDI device injection failed: ...". [worker] */
int cdi_collect(struct arena *a, const struct json_strings *dirs, const struct host_config *h,
		struct cdi_result *ret, struct error *err);
