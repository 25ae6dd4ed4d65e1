/* linux/mount.h - mounts made from file descriptors: fsopen, open_tree, mount_setattr, move_mount.
 *
 * A mount is created detached, gets its attributes, and is attached onto an fd that was resolved
 * beforehand; no path is ever looked up twice.  mount_setattr(2), mount(8) for the option names.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

/* A mount's option strings, sorted by who takes them. */
struct mount_options {
	uint64_t attr_set, attr_clr;         /* MOUNT_ATTR_*, of this mount */
	uint64_t rec_attr_set, rec_attr_clr; /* of this mount and all below */
	uint64_t propagation;                /* MS_PRIVATE, ...; 0: leave */
	bool propagation_recursive;
	bool bind, bind_recursive;
	const char *const *all; /* borrowed: the options; file_system[i] tells whose they are */
	size_t count;
	uint64_t file_system[4]; /* bitmap: option i goes to the file system */
};
#define MOUNT_OPTIONS_MAX ((size_t)256)

/* ERROR_INVALID for contradictions and too many, ERROR_NOT_IMPLEMENTED for known but unsupported
 * ones ("tmpcopyup", "idmap").  What is not known here belongs to the file system. */
int mount_options_parse(const char *const *options, size_t count, struct mount_options *ret,
			struct error *err);

/* A detached mount of a new file system instance; `source` may be NULL.  Returns the fd. */
int mount_new(const char *fstype, const char *source, const struct mount_options *options,
	      struct error *err);
/* A detached copy of what is at dirfd/path ("" with AT_EMPTY_PATH semantics: dirfd itself), with
 * all mounts below if recursive.  Returns the fd. */
int mount_clone(int dirfd, const char *path, bool recursive, struct error *err);
/* Apply attributes and propagation to a (detached or attached) mount. */
int mount_apply(int mount_fd, const struct mount_options *options, struct error *err);
/* Make one mount read-only, with all below it if recursive. */
int mount_set_readonly(int mount_fd, bool recursive, struct error *err);
/* Attach a detached mount onto the directory or file that target_fd refers to.  `what` is for the
 * error message. */
int mount_attach(int mount_fd, int target_fd, const char *what, struct error *err);
/* Change the propagation (MS_SLAVE, ...) of all mounts of this namespace. */
int mount_set_propagation(const char *path, uint64_t propagation, bool recursive,
			  struct error *err);

struct mount_overlay {
	const char *const *lower; /* topmost first, absolute host paths */
	size_t lower_count;
	const char *upper, *work; /* both NULL: read-only */
};
/* A detached overlay mount.  Paths too long for fsconfig(2), and kernels without lowerdir+ (before
 * 6.7), are served through /proc/self/fd.  A single lower directory without an upper one becomes a
 * read-only bind.  Returns the fd. */
int mount_new_overlay(const struct mount_overlay *overlay, struct error *err);
/* The same for a container in a user namespace (Linux 6.13): the layers belong to the host's users
 * and are shown through userns_fd's id mappings, so that they need not be copied.  Made in the
 * namespaces of the caller, who is root on the host; `upper` and `work` share a parent directory. */
int mount_new_overlay_idmapped(const struct mount_overlay *overlay, int userns_fd,
			       struct error *err);
