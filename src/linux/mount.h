/* linux/mount.h - mounts made from file descriptors: fsopen, open_tree, mount_setattr, move_mount.
 *
 * A mount is created detached, gets its attributes, and is attached onto an fd that was resolved
 * beforehand; no path is ever looked up twice.  mount_setattr(2), mount(8) for the option names.
 *
 * Where the kernel lacks a call of that API (before Linux 5.12, or behind a filter that answers
 * ENOSYS) the same functions make the mount by mount(2) at a staging place and move it from there;
 * its fd means the same.  Only mount_stage() is the caller's to remember.
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
	bool slave_first,
		slave_first_recursive; /* MS_SLAVE before MS_SHARED: a slave that shares */
	bool bind, bind_recursive;
	bool remount;                /* change what is mounted there already */
	bool copy_up;                /* tmpcopyup: a tmpfs begins with what it covers */
	bool idmap, idmap_recursive; /* owners are mapped */
	/* MS_SYNCHRONOUS, ...: of the file system, as mount(2) and a remount take them */
	unsigned long super_flags, super_clr;
	const char *label;      /* borrowed: SELinux context of a new file system; NULL: none */
	const char *const *all; /* borrowed: the options; file_system[i] tells whose they are */
	size_t count;
	uint64_t file_system[4]; /* bitmap: option i goes to the file system */
};
#define MOUNT_OPTIONS_MAX ((size_t)256)

/* ERROR_INVALID for too many.  What is not known here belongs to the file system. */
int mount_options_parse(const char *const *options, size_t count, struct mount_options *ret,
			struct error *err);
/* The name of the i-th option that is known here; NULL past the last. */
const char *mount_option_name(size_t i);
/* True if any option is for the file system. */
bool mount_options_has_fs(const struct mount_options *options);
/* True if an option for the file system starts with `prefix` ("size="). */
bool mount_options_has_fs_option(const struct mount_options *options, const char *prefix);
/* The attributes that a new file system's mount is born with. */
uint64_t mount_options_attributes(const struct mount_options *options);
/* MS_PRIVATE, ... of "private", "rprivate", ...; false: none of them. */
bool mount_propagation_parse(const char *name, uint64_t *ret, bool *ret_recursive);

/* True where mount(2) has to do; the calls are tried once in a process. */
bool mount_is_legacy(void);
/* True if mount_new() will need a staging place for these options even so: fsconfig(2) takes no
 * value longer than 255 bytes. */
bool mount_options_need_stage(const struct mount_options *options);
/* Prepare the staging place of this process, once, in its own mount namespace: a tmpfs over a directory
 * of the host's procfs that nobody misses. */
int mount_stage(struct error *err);

/* Whether something can be attached below what is attached nowhere (Linux 6.15). */
bool mount_can_fill_detached(void);

/* A detached mount of a new file system instance; `source` may be NULL.  Returns the fd. */
int mount_new(const char *fstype, const char *source, const struct mount_options *options,
	      struct error *err);
/* A detached copy of what is at dirfd/path ("" with AT_EMPTY_PATH semantics: dirfd itself), with
 * all mounts below if recursive.  Returns the fd. */
int mount_clone(int dirfd, const char *path, bool recursive, struct error *err);
/* Apply attributes and propagation to a (detached or attached) mount. */
int mount_apply(int mount_fd, const struct mount_options *options, struct error *err);
/* Change what is mounted already: `mount_fd` is its root.  With options->bind the mount's
 * attributes only, else the file system's flags and options too. */
int mount_reconfigure(int mount_fd, const struct mount_options *options, struct error *err);
/* Make one mount read-only, with all below it if recursive. */
int mount_set_readonly(int mount_fd, bool recursive, struct error *err);
/* Show owners through a user namespace's id mappings (Linux 5.12; `what` is for the message).
 * ERROR_UNAVAILABLE where the kernel or the file system cannot. */
int mount_set_idmap(int mount_fd, int userns_fd, bool recursive, const char *what,
		    struct error *err);
/* Attach a detached mount onto the directory or file that target_fd refers to.  `what` is for the
 * error message. */
int mount_attach(int mount_fd, int target_fd, const char *what, struct error *err);
/* The same onto a directory of dirfd by its name, which nobody else can reach. */
int mount_attach_at(int mount_fd, int dirfd, const char *name, struct error *err);
/* Change the propagation (MS_SLAVE, ...) of all mounts of this namespace. */
int mount_set_propagation(const char *path, uint64_t propagation, bool recursive,
			  struct error *err);

/* A detached read-only mount of the EROFS image in the regular file index_fd, with its data in the regular
 * file data_fd (Linux 6.12, on file systems that have a page cache of their own: not tmpfs).
 * ERROR_UNAVAILABLE where the kernel or the file system cannot.  Returns the fd. */
int mount_new_erofs(int index_fd, int data_fd, struct error *err);

struct mount_overlay {
	const char *const *lower; /* topmost first, host paths */
	size_t lower_count;
	const char *upper, *work;            /* both NULL: read-only */
	const char *label;                   /* SELinux context; NULL: none */
	const struct mount_options *options; /* what else it is told; NULL: what an image's needs */
	/* made in a user namespace: its marks are attributes that anybody may set (Linux 5.11) */
	bool user_xattr;
	/* idmapped: the caller has threads, so rather ERROR_UNAVAILABLE than a process of its own, which
	 * kernels before Linux 6.13 need for several layers */
	bool no_process;
};
/* A detached overlay mount of up to 127 layers, more from Linux 6.7 on.  What a layer's name cannot
 * be given as (long names, ',' and ':') is given as /proc/self/fd/N.  A single lower directory
 * without an upper one becomes a read-only bind, unless there are options.  Before Linux 6.7 the
 * work directory's mount must not be shared.  Returns the fd. */
int mount_new_overlay(const struct mount_overlay *overlay, struct error *err);
/* The same for a container in a user namespace (Linux 5.19): the layers belong to the host's users
 * and are shown through userns_fd's id mappings, so that they need not be copied.  Made in the
 * namespaces of the caller, who is root on the host; `upper` and `work` share a parent directory. */
int mount_new_overlay_idmapped(const struct mount_overlay *overlay, int userns_fd,
			       struct error *err);
/* An overlay as a configuration's options describe it ("lowerdir=a:b", "upperdir=c", ...). */
int mount_new_overlay_options(const struct mount_options *options, struct error *err);
