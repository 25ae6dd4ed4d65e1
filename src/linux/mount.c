/* Mounts by file descriptors: options to attributes, and overlay on every kernel back to 5.15. */
#include "linux/mount.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/sys.h"

enum option_kind {
	OPTION_ATTR,
	OPTION_PROPAGATION,
	OPTION_BIND,
	OPTION_IGNORED,
	OPTION_UNSUPPORTED
};

static const struct option {
	const char *name;
	enum option_kind kind;
	uint64_t set, clear;
	bool recursive;
} option_table[] = {
	{"ro", OPTION_ATTR, MOUNT_ATTR_RDONLY, 0, false},
	{"rw", OPTION_ATTR, 0, MOUNT_ATTR_RDONLY, false},
	{"nosuid", OPTION_ATTR, MOUNT_ATTR_NOSUID, 0, false},
	{"suid", OPTION_ATTR, 0, MOUNT_ATTR_NOSUID, false},
	{"nodev", OPTION_ATTR, MOUNT_ATTR_NODEV, 0, false},
	{"dev", OPTION_ATTR, 0, MOUNT_ATTR_NODEV, false},
	{"noexec", OPTION_ATTR, MOUNT_ATTR_NOEXEC, 0, false},
	{"exec", OPTION_ATTR, 0, MOUNT_ATTR_NOEXEC, false},
	{"noatime", OPTION_ATTR, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, false},
	{"atime", OPTION_ATTR, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, false},
	{"relatime", OPTION_ATTR, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, false},
	{"norelatime", OPTION_ATTR, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, false},
	{"strictatime", OPTION_ATTR, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, false},
	{"nostrictatime", OPTION_ATTR, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, false},
	{"nodiratime", OPTION_ATTR, MOUNT_ATTR_NODIRATIME, 0, false},
	{"diratime", OPTION_ATTR, 0, MOUNT_ATTR_NODIRATIME, false},
	{"nosymfollow", OPTION_ATTR, MOUNT_ATTR_NOSYMFOLLOW, 0, false},
	{"symfollow", OPTION_ATTR, 0, MOUNT_ATTR_NOSYMFOLLOW, false},
	{"rro", OPTION_ATTR, MOUNT_ATTR_RDONLY, 0, true},
	{"rrw", OPTION_ATTR, 0, MOUNT_ATTR_RDONLY, true},
	{"rnosuid", OPTION_ATTR, MOUNT_ATTR_NOSUID, 0, true},
	{"rsuid", OPTION_ATTR, 0, MOUNT_ATTR_NOSUID, true},
	{"rnodev", OPTION_ATTR, MOUNT_ATTR_NODEV, 0, true},
	{"rdev", OPTION_ATTR, 0, MOUNT_ATTR_NODEV, true},
	{"rnoexec", OPTION_ATTR, MOUNT_ATTR_NOEXEC, 0, true},
	{"rexec", OPTION_ATTR, 0, MOUNT_ATTR_NOEXEC, true},
	{"rnoatime", OPTION_ATTR, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, true},
	{"ratime", OPTION_ATTR, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, true},
	{"rrelatime", OPTION_ATTR, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, true},
	{"rnorelatime", OPTION_ATTR, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, true},
	{"rstrictatime", OPTION_ATTR, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, true},
	{"rnostrictatime", OPTION_ATTR, MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, true},
	{"rnodiratime", OPTION_ATTR, MOUNT_ATTR_NODIRATIME, 0, true},
	{"rdiratime", OPTION_ATTR, 0, MOUNT_ATTR_NODIRATIME, true},
	{"rnosymfollow", OPTION_ATTR, MOUNT_ATTR_NOSYMFOLLOW, 0, true},
	{"rsymfollow", OPTION_ATTR, 0, MOUNT_ATTR_NOSYMFOLLOW, true},
	{"private", OPTION_PROPAGATION, MS_PRIVATE, 0, false},
	{"slave", OPTION_PROPAGATION, MS_SLAVE, 0, false},
	{"shared", OPTION_PROPAGATION, MS_SHARED, 0, false},
	{"unbindable", OPTION_PROPAGATION, MS_UNBINDABLE, 0, false},
	{"rprivate", OPTION_PROPAGATION, MS_PRIVATE, 0, true},
	{"rslave", OPTION_PROPAGATION, MS_SLAVE, 0, true},
	{"rshared", OPTION_PROPAGATION, MS_SHARED, 0, true},
	{"runbindable", OPTION_PROPAGATION, MS_UNBINDABLE, 0, true},
	{"bind", OPTION_BIND, 0, 0, false},
	{"rbind", OPTION_BIND, 0, 0, true},
	{"defaults", OPTION_IGNORED, 0, 0, false},
	{"async", OPTION_IGNORED, 0, 0, false},
	{"loud", OPTION_IGNORED, 0, 0, false},
	{"silent", OPTION_IGNORED, 0, 0, false},
	{"nomand", OPTION_IGNORED, 0, 0, false},
	{"nolazytime", OPTION_IGNORED, 0, 0, false},
	{"noiversion", OPTION_IGNORED, 0, 0, false},
	{"tmpcopyup", OPTION_UNSUPPORTED, 0, 0, false},
	{"idmap", OPTION_UNSUPPORTED, 0, 0, false},
	{"ridmap", OPTION_UNSUPPORTED, 0, 0, false},
	{"remount", OPTION_UNSUPPORTED, 0, 0, false},
};

static const struct option *option_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(option_table); i++)
		if (strcmp(option_table[i].name, name) == 0)
			return &option_table[i];
	return NULL;
}

/* A later option beats an earlier one. */
static void option_set(const struct option *o, uint64_t *set, uint64_t *clear)
{
	*set = (*set & ~o->clear) | o->set;
	*clear = (*clear & ~(o->set & ~(uint64_t)MOUNT_ATTR__ATIME)) | o->clear;
}

int mount_options_parse(const char *const *options, size_t count, struct mount_options *ret,
			struct error *err)
{
	struct mount_options parsed = {.all = options, .count = count};

	if (count > MOUNT_OPTIONS_MAX)
		return error_set(err, ERROR_INVALID, E2BIG, "mount options");
	for (size_t i = 0; i < count; i++) {
		const struct option *o = option_find(options[i]);

		if (!o) {
			parsed.file_system[i / 64] |= (uint64_t)1 << i % 64;
			continue;
		}
		switch (o->kind) {
		case OPTION_ATTR:
			if (o->recursive)
				option_set(o, &parsed.rec_attr_set, &parsed.rec_attr_clr);
			else
				option_set(o, &parsed.attr_set, &parsed.attr_clr);
			break;
		case OPTION_PROPAGATION:
			parsed.propagation = o->set;
			parsed.propagation_recursive = o->recursive;
			break;
		case OPTION_BIND:
			parsed.bind = true;
			parsed.bind_recursive = o->recursive;
			break;
		case OPTION_IGNORED:
			break;
		case OPTION_UNSUPPORTED:
			return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
					 "mount option '%s' is not implemented", o->name);
		}
	}
	*ret = parsed;
	return 0;
}

static bool option_is_fs(const struct mount_options *options, size_t i)
{
	return options->file_system[i / 64] & (uint64_t)1 << i % 64;
}

/* What the kernel wrote into the fs context's log beats the bare errno: "e tmpfs: Bad value". */
static int context_error(int fs_fd, int errnum, const char *what, struct error *err)
{
	char log[256];
	ssize_t n = read(fs_fd, log, sizeof(log) - 1);

	if (n > 2) {
		log[n] = '\0';
		log[strcspn(log, "\n")] = '\0';
		return error_set(err, errnum == EINVAL ? ERROR_INVALID : ERROR_INTERNAL, errnum,
				 "%s: %s", what, log + 2);
	}
	return error_set(err, errnum == EINVAL ? ERROR_INVALID : ERROR_INTERNAL, errnum, "%s",
			 what);
}

static int set_option(int fs_fd, const char *fstype, const char *option, struct error *err)
{
	const char *value = strchr(option, '=');
	autofree char *key = value ? xstrndup(option, (size_t)(value - option)) : xstrdup(option);
	int r = value ? sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, key, value + 1, 0)
		      : sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FLAG, key, NULL, 0);

	if (r < 0) {
		int errnum = errno;
		autofree char *what = xasprintf("mount option '%s' of %s", option, fstype);

		return context_error(fs_fd, errnum, what, err);
	}
	return 0;
}

int mount_new(const char *fstype, const char *source, const struct mount_options *options,
	      struct error *err)
{
	static const struct mount_options none;
	autoclose int fs_fd = sys_fsopen(fstype, FSOPEN_CLOEXEC);
	uint64_t attr;
	int mount_fd, r;

	if (!options)
		options = &none;
	if (fs_fd < 0)
		return error_set(err, errno == ENODEV ? ERROR_INVALID : ERROR_INTERNAL, errno,
				 "open file system type '%s'", fstype);
	if (!str_empty(source))
		(void)sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "source", source,
				   0); /* without a source the mount itself tells */
	for (size_t i = 0; i < options->count; i++) {
		if (!option_is_fs(options, i))
			continue;
		r = set_option(fs_fd, fstype, options->all[i], err);
		if (r < 0)
			return r;
	}
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_CREATE, NULL, NULL, 0) < 0) {
		int errnum = errno;
		autofree char *what = xasprintf("create %s", fstype);

		return context_error(fs_fd, errnum, what, err);
	}
	attr = options->attr_set | options->rec_attr_set;
	mount_fd = sys_fsmount(fs_fd, FSMOUNT_CLOEXEC, (unsigned)attr);
	if (mount_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "mount %s", fstype);
	return mount_fd;
}

int mount_clone(int dirfd, const char *path, bool recursive, struct error *err)
{
	int fd = sys_open_tree(dirfd, path,
			       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
				       (path[0] == '\0' ? AT_EMPTY_PATH : 0U) |
				       (recursive ? AT_RECURSIVE : 0U));

	if (fd < 0)
		return error_set(err, errno == ENOENT ? ERROR_INVALID : ERROR_INTERNAL, errno,
				 "clone mount '%s'", path);
	return fd;
}

static int set_attributes(int fd, uint64_t set, uint64_t clear, bool recursive, struct error *err)
{
	struct sys_mount_attr attr = {.attr_set = set, .attr_clr = clear};

	if (!set && !clear)
		return 0;
	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U), &attr) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set mount attributes");
	return 0;
}

int mount_apply(int mount_fd, const struct mount_options *options, struct error *err)
{
	int r = set_attributes(mount_fd, options->attr_set, options->attr_clr, false, err);

	if (r < 0)
		return r;
	r = set_attributes(mount_fd, options->rec_attr_set, options->rec_attr_clr, true, err);
	if (r < 0)
		return r;
	if (options->propagation) {
		struct sys_mount_attr attr = {.propagation = options->propagation};

		if (sys_mount_setattr(mount_fd, "",
				      AT_EMPTY_PATH |
					      (options->propagation_recursive ? AT_RECURSIVE : 0U),
				      &attr) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "set mount propagation");
	}
	return 0;
}

int mount_set_readonly(int mount_fd, bool recursive, struct error *err)
{
	return set_attributes(mount_fd, MOUNT_ATTR_RDONLY, 0, recursive, err);
}

int mount_attach(int mount_fd, int target_fd, const char *what, struct error *err)
{
	if (sys_move_mount(mount_fd, "", target_fd, "",
			   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "attach mount at '%s'", what);
	return 0;
}

int mount_set_propagation(const char *path, uint64_t propagation, bool recursive, struct error *err)
{
	struct sys_mount_attr attr = {.propagation = propagation};

	if (sys_mount_setattr(AT_FDCWD, path, recursive ? AT_RECURSIVE : 0U, &attr) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set the propagation of '%s'", path);
	return 0;
}

/* -- overlay ------------------------------------------------------------------------------ */

#define FSCONFIG_STRING_MAX ((size_t)255) /* bytes, without the NUL: fsconfig(2) */
#define PROC_FD_PATH_SIZE   ((size_t)32)

/* A name for `path` that fsconfig takes: itself, or a magic link to an fd that stays open in
 * *ret_fd until the file system exists. */
static int overlay_path(const char *path, char link[static PROC_FD_PATH_SIZE], int *ret_fd,
			const char **ret, struct error *err)
{
	if (strlen(path) <= FSCONFIG_STRING_MAX) {
		*ret = path;
		return 0;
	}
	*ret_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open layer '%s'", path);
	(void)snprintf(link, PROC_FD_PATH_SIZE, "/proc/self/fd/%d", *ret_fd);
	*ret = link;
	return 0;
}

static int overlay_add(int fs_fd, const char *key, const char *path, int *fd, struct error *err)
{
	char link[PROC_FD_PATH_SIZE];
	const char *name = NULL;
	int r = overlay_path(path, link, fd, &name, err);

	if (r < 0)
		return r;
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, key, name, 0) < 0) {
		int errnum = errno;
		autofree char *what = NULL;

		if (errnum == EINVAL && strcmp(key, "lowerdir+") == 0 && access(path, F_OK) == 0)
			return -EOPNOTSUPP; /* the caller tries the old way; err stays empty */
		what = xasprintf("overlay %s '%s'", key, path);
		return context_error(fs_fd, errnum, what, err);
	}
	return 0;
}

/* Fixed features: a layer must mean the same to whoever reads it later (diff, commit, export). */
static const char *const overlay_features[] = {"index", "metacopy", "redirect_dir"};

/* Before Linux 6.7: one lowerdir= string of all layers, named by fd to stay within fsconfig's 255
 * bytes (up to some 10 layers) or mount(2)'s page (up to 127). */
static int overlay_legacy_options(const struct mount_overlay *overlay, int *fds,
				  struct strbuf *options, struct error *err)
{
	for (size_t i = 0; i < overlay->lower_count; i++) {
		fds[i] = open(overlay->lower[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fds[i] < 0)
			return error_set(err, ERROR_INTERNAL, errno, "open layer '%s'",
					 overlay->lower[i]);
		strbuf_addf(options, "%s/proc/self/fd/%d", i ? ":" : "lowerdir=", fds[i]);
	}
	if (overlay->upper)
		strbuf_addf(options, ",upperdir=%s,workdir=%s", overlay->upper, overlay->work);
	for (size_t i = 0; i < ARRAY_SIZE(overlay_features); i++)
		strbuf_addf(options, ",%s=off", overlay_features[i]);
	if (strbuf_error(options) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "overlay of %zu layers",
				 overlay->lower_count);
	return 0;
}

/* mount(2) cannot make a detached mount: mount over the work directory (or the topmost layer),
 * whose dentry is in this namespace only for that, clone it, and let the first one go. */
static int overlay_mount_legacy(const struct mount_overlay *overlay, const char *options,
				struct error *err)
{
	const char *at = overlay->work ? overlay->work : overlay->lower[0];
	int fd;

	if (mount("overlay", at, "overlay", 0, options) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "mount overlay");
	fd = mount_clone(AT_FDCWD, at, false, err);
	(void)umount2(at, MNT_DETACH); /* the clone keeps the file system */
	return fd;
}

static int overlay_legacy(const struct mount_overlay *overlay, int *fds, struct error *err)
{
	autostrbuf struct strbuf options = STRBUF_INIT(4095);
	int r = overlay_legacy_options(overlay, fds, &options, err);

	if (r < 0)
		return r;
	return overlay_mount_legacy(overlay, options.s, err);
}

static void overlay_set_features(int fs_fd)
{
	(void)sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "source", "overlay", 0); /* a label */
	for (size_t i = 0; i < ARRAY_SIZE(overlay_features); i++)
		(void)sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, overlay_features[i], "off",
				   0); /* kernels that lack one have it off */
}

static int overlay_create(const struct mount_overlay *overlay, int *fds, struct error *err)
{
	autoclose int fs_fd = sys_fsopen("overlay", FSOPEN_CLOEXEC);
	size_t n = overlay->lower_count;
	int fd, r;

	if (fs_fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "open file system type 'overlay'");
	overlay_set_features(fs_fd);
	for (size_t i = 0; i < n; i++) {
		r = overlay_add(fs_fd, "lowerdir+", overlay->lower[i], &fds[i], err);
		if (r < 0)
			return r;
	}
	if (overlay->upper) {
		r = overlay_add(fs_fd, "upperdir", overlay->upper, &fds[n], err);
		if (r < 0)
			return r;
		r = overlay_add(fs_fd, "workdir", overlay->work, &fds[n + 1], err);
		if (r < 0)
			return r;
	}
	/* Before Linux 6.5 overlay keeps whatever it is given until here; its own reason for EINVAL, if it
	 * has another, comes from the old way again. */
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_CREATE, NULL, NULL, 0) < 0)
		return errno == EINVAL ? -EOPNOTSUPP
				       : context_error(fs_fd, errno, "create overlay", err);
	fd = sys_fsmount(fs_fd, FSMOUNT_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "mount overlay");
	return fd;
}

int mount_new_overlay(const struct mount_overlay *overlay, struct error *err)
{
	size_t n = overlay->lower_count + 2;
	autofree int *fds = NULL;
	int r;

	if (overlay->lower_count == 0 || !overlay->upper != !overlay->work)
		return error_set(err, ERROR_INVALID, 0, "overlay without layers");
	if (overlay->lower_count == 1 && !overlay->upper) {
		autoclose int fd = mount_clone(AT_FDCWD, overlay->lower[0], false, err);

		if (fd < 0)
			return fd;
		r = mount_set_readonly(fd, false, err);
		return r < 0 ? r : TAKE_FD(fd);
	}

	fds = xnew0n(int, n);
	for (size_t i = 0; i < n; i++)
		fds[i] = -EBADF;
	r = overlay_create(overlay, fds, err);
	if (r == -EOPNOTSUPP) {
		for (size_t i = 0; i < n; i++)
			fd_close(&fds[i]);
		r = overlay_legacy(overlay, fds, err);
	}
	for (size_t i = 0; i < n; i++)
		fd_close(&fds[i]);
	return r;
}

/* -- overlay for user namespaces ----------------------------------------------------------- */

static int clone_idmapped(const char *path, int userns_fd, struct error *err)
{
	struct sys_mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP,
				      .userns_fd = (uint64_t)userns_fd};
	autoclose int fd = mount_clone(AT_FDCWD, path, false, err);

	if (fd < 0)
		return fd;
	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH, &attr) < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "map the owners of '%s'", path);
	return TAKE_FD(fd);
}

static int overlay_set_fd(int fs_fd, const char *key, int fd, struct error *err)
{
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FD, key, NULL, fd) < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno,
				 "overlay %s by descriptor (needs Linux 6.13)", key);
	return 0;
}

/* The kernel wants both below one mount: that of their parent.  *ret_parent is to stay open. */
static int overlay_set_upper(int fs_fd, const struct mount_overlay *overlay, int userns_fd,
			     int *ret_parent, struct error *err)
{
	const char *upper = str_basename(overlay->upper), *work = str_basename(overlay->work);
	autofree char *parent = xstrndup(overlay->upper, (size_t)(upper - overlay->upper));
	autoclose int upper_fd = -EBADF, work_fd = -EBADF;
	int r;

	if (strlen(parent) != (size_t)(work - overlay->work) ||
	    strncmp(parent, overlay->work, strlen(parent)) != 0)
		return error_set(err, ERROR_INVALID, 0, "'%s' and '%s' are not side by side",
				 overlay->upper, overlay->work);
	*ret_parent = clone_idmapped(parent, userns_fd, err);
	if (*ret_parent < 0)
		return *ret_parent;
	upper_fd = openat(*ret_parent, upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
	work_fd = openat(*ret_parent, work, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (upper_fd < 0 || work_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", overlay->upper);
	r = overlay_set_fd(fs_fd, "upperdir", upper_fd, err);
	return r < 0 ? r : overlay_set_fd(fs_fd, "workdir", work_fd, err);
}

/* `fds`: room for the layers and the upper one's parent.  A detached mount goes with its fd, so they
 * are open until the file system exists. */
static int overlay_create_idmapped(const struct mount_overlay *overlay, int userns_fd, int *fds,
				   struct error *err)
{
	autoclose int fs_fd = sys_fsopen("overlay", FSOPEN_CLOEXEC);
	size_t n = overlay->lower_count;
	int fd, r;

	if (fs_fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, errno, "open file system type 'overlay'");
	overlay_set_features(fs_fd);
	for (size_t i = 0; i < n; i++) {
		fds[i] = clone_idmapped(overlay->lower[i], userns_fd, err);
		r = fds[i] < 0 ? fds[i] : overlay_set_fd(fs_fd, "lowerdir+", fds[i], err);
		if (r < 0)
			return r;
	}
	r = overlay->upper ? overlay_set_upper(fs_fd, overlay, userns_fd, &fds[n], err) : 0;
	if (r < 0)
		return r;
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_CREATE, NULL, NULL, 0) < 0)
		return context_error(fs_fd, errno, "create overlay", err);
	fd = sys_fsmount(fs_fd, FSMOUNT_CLOEXEC, 0);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "mount overlay");
	return fd;
}

int mount_new_overlay_idmapped(const struct mount_overlay *overlay, int userns_fd,
			       struct error *err)
{
	size_t n = overlay->lower_count + 1;
	autofree int *fds = NULL;
	int r;

	if (overlay->lower_count == 0 || !overlay->upper != !overlay->work)
		return error_set(err, ERROR_INVALID, 0, "overlay without layers");
	if (overlay->lower_count == 1 && !overlay->upper) {
		autoclose int lower = clone_idmapped(overlay->lower[0], userns_fd, err);

		r = lower < 0 ? lower : mount_set_readonly(lower, false, err);
		return r < 0 ? r : TAKE_FD(lower);
	}
	fds = xnew0n(int, n);
	for (size_t i = 0; i < n; i++)
		fds[i] = -EBADF;
	r = overlay_create_idmapped(overlay, userns_fd, fds, err);
	for (size_t i = 0; i < n; i++)
		fd_close(&fds[i]);
	return r;
}
