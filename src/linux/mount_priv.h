/* linux/mount_priv.h - between the files of linux/mount: options, the new API, mount(2), overlay. */
#pragma once

#include "linux/mount.h"

#define FSCONFIG_STRING_MAX ((size_t)255)  /* bytes, without the NUL: fsconfig(2) */
#define MOUNT_DATA_MAX      ((size_t)4095) /* mount(2) copies a page */
#define FD_PATH_SIZE        ((size_t)32)

enum mount_option_kind {
	OPTION_ATTR,
	OPTION_PROPAGATION,
	OPTION_BIND,
	OPTION_REMOUNT,
	OPTION_COPY_UP,
	OPTION_IDMAP,
	OPTION_SUPER,      /* a flag of the file system; its name is fsconfig's too */
	OPTION_SUPER_SOFT, /* the same, and file systems without that switch do not mind */
	OPTION_IGNORED,    /* says what is so anyway, or concerns the kernel's log */
};

struct mount_option {
	const char *name;
	enum mount_option_kind kind;
	uint64_t set, clear;
	bool recursive;
};
/* NULL: the file system's. */
const struct mount_option *mount_option_find(const char *name);

/* Each option that goes to the file system; what is joined by commas outside of quotes is several. */
typedef int (*mount_option_fn)(void *data, const char *option, struct error *err);
int mount_options_each(const struct mount_options *options, mount_option_fn fn, void *data,
		       struct error *err);

/* "/proc/self/fd/N" in `buf`. */
const char *mount_fd_path(int fd, char buf[static FD_PATH_SIZE]);

int mount_fsconfig(int fs_fd, const char *fstype, const char *option, struct error *err);
int mount_context_error(int fs_fd, int errnum, const char *what, struct error *err);

/* mount_legacy.c: the same by mount(2). */
bool legacy_has_stage(void);
int legacy_new(const char *fstype, const char *source, const struct mount_options *options,
	       struct error *err);
/* By ready-made flags (MS_*) and data. */
int legacy_mount(const char *fstype, const char *source, unsigned long flags, const char *data,
		 struct error *err);
int legacy_clone(int dirfd, const char *path, bool recursive, struct error *err);
int legacy_set_attributes(int mount_fd, uint64_t set, uint64_t clear, bool recursive,
			  struct error *err);
int legacy_reconfigure(int mount_fd, const struct mount_options *options, struct error *err);

/* mount_overlay_idmap.c: mount_new_overlay_idmapped() for kernels that take layers by path only. */
int overlay_idmapped_by_path(const struct mount_overlay *overlay, int userns_fd, struct error *err);
