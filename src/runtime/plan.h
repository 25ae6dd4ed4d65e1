/* runtime/plan.h - what has to be mounted and made for a spec, decided before anything is done.
 *
 * Pure: reads nothing of the system.  The list is in order of execution; rootfs.c executes it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "linux/mount.h"
#include "oci/runtime_spec.h"

struct error;

enum plan_mount_kind {
	PLAN_MOUNT_FS,      /* a new file system instance */
	PLAN_MOUNT_BIND,    /* a copy of a host path's mount */
	PLAN_MOUNT_CGROUP,  /* the container's own cgroup */
	PLAN_MOUNT_REMOUNT, /* a change of what is mounted there by then */
};

struct plan_mount {
	enum plan_mount_kind kind;
	const char *destination; /* cleaned, relative to the root: "dev/pts" */
	const char *source;      /* bind: host path, relative to the bundle if not absolute */
	const char *fstype;
	struct mount_options options;
	/* borrowed: options.idmap's, or NULL: the container's */
	const struct json_objects *uid_mappings, *gid_mappings;
	const char *root_label; /* borrowed: SELinux label of the root directory; NULL: none */
	bool no_symlinks;       /* /proc and /sys: the image must not redirect them */
};

struct plan_device {
	const char *path; /* relative to the root, "dev/null" */
	char type;
	unsigned major, minor;
	unsigned mode; /* permission bits */
	unsigned uid, gid;
};

struct plan {
	struct plan_mount *mounts;
	size_t mount_count;
	struct plan_device *devices;
	size_t device_count;
	bool make_dev;         /* /dev is ours to populate: no bind mount of the user's there */
	bool has_devpts;       /* something is mounted at /dev/pts */
	bool has_cgroup;       /* some mount is PLAN_MOUNT_CGROUP */
	bool needs_stage;      /* linux/mount.h, mount_stage() */
	const char *label;     /* borrowed: linux.mountLabel; NULL: none */
	const char *init_path; /* borrowed; NULL: none */
};

/* Where vessel-init is mounted, and run from. */
#define PLAN_INIT_DESTINATION "/sbin/docker-init"

/* Fill *ret from the arena. `init_path`: see runtime_create_args.  ERROR_INVALID, for example for a
 * mount below /proc; ERROR_NOT_IMPLEMENTED. */
int plan_make(struct arena *a, const struct oci_spec *spec, const char *init_path, struct plan *ret,
	      struct error *err);
