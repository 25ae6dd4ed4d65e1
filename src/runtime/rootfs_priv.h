/* runtime/rootfs_priv.h - between the files that make a container's root file system and mounts. */
#pragma once

#include "runtime/setup_priv.h"

/* An fd of a mount's destination, made if missing: a directory, or a file if `directory` is false.
 * Refuses what leads into /proc. */
int rootfs_open_destination(struct setup *s, const struct plan_mount *m, bool directory,
			    struct error *err);
/* rootfsPropagation as MS_*: 0 if nothing is said. */
uint64_t rootfs_propagation(const struct setup *s, bool *ret_recursive);
/* rootfs_cgroup.c: mounts of type cgroup and cgroup2. */
int rootfs_mount_cgroup(struct setup *s, const struct plan_mount *m, struct error *err);
/* rootfs_overlay.c: a detached mount of layers shown through the spec's id mappings. */
int rootfs_new_mapped_overlay(int proc_fd, const struct oci_spec *spec,
			      const struct runtime_rootfs *rootfs, struct error *err);
/* rootfs_copyup.c: all that is in the directory from_fd into to_fd, with owners, modes, times and
 * attributes. */
int rootfs_copy_up(int from_fd, int to_fd, struct error *err);
