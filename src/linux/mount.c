/* Mounts by file descriptors: fsopen, open_tree, mount_setattr, move_mount. */
#include "linux/mount.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/mount_priv.h"
#include "linux/sys.h"

/* Each with arguments that it refuses before it looks at anything: what is there says EINVAL.  A
 * filter may answer EPERM as well; we are privileged in our mount namespace, so the call would not. */
static bool is_missing(long result)
{
	return result < 0 && (errno == ENOSYS || errno == EPERM);
}

bool mount_is_legacy(void)
{
	static enum { UNKNOWN, NEW, LEGACY } api; /* found out once */
	const unsigned bad = ~0U;

	if (api == UNKNOWN)
		api = is_missing(syscall(SYS_mount_setattr, -1, "", 0, NULL, 0)) ||
				      is_missing(sys_move_mount(-1, "", -1, "", bad)) ||
				      is_missing(sys_open_tree(-1, "", bad)) ||
				      is_missing(sys_fsopen("", bad)) ||
				      is_missing(sys_fsconfig(-1, 0, NULL, NULL, 0)) ||
				      is_missing(sys_fsmount(-1, bad, 0))
			      ? LEGACY
			      : NEW;
	return api == LEGACY;
}

/* By the version: there is no call that tells without making mounts, whose end is a grace period each. */
bool mount_can_fill_detached(void)
{
	unsigned major = 0, minor = 0;
	struct utsname name;

	return !mount_is_legacy() && uname(&name) == 0 &&
	       sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 15));
}

const char *mount_fd_path(int fd, char buf[static FD_PATH_SIZE])
{
	(void)snprintf(buf, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
	return buf;
}

/* What the kernel wrote into the fs context's log beats the bare errno: "e tmpfs: Bad value". */
int mount_context_error(int fs_fd, int errnum, const char *what, struct error *err)
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

int mount_fsconfig(int fs_fd, const char *fstype, const char *option, struct error *err)
{
	const struct mount_option *known = mount_option_find(option);
	const char *value = strchr(option, '=');
	autofree char *key = value ? xstrndup(option, (size_t)(value - option)) : xstrdup(option);
	autofree char *bare = NULL;
	size_t n;
	int r;

	if (value) {
		/* The quotes are mount(2)'s way to say that a comma is not its own. */
		n = strlen(++value);
		bare = n >= 2 && value[0] == '"' && value[n - 1] == '"' ? xstrndup(value + 1, n - 2)
									: xstrdup(value);
	}
	r = value ? sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, key, bare, 0)
		  : sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_FLAG, key, NULL, 0);
	if (r < 0 && !(known && known->kind == OPTION_SUPER_SOFT && errno == EINVAL)) {
		int errnum = errno;
		autofree char *what = xasprintf("mount option '%s' of %s", option, fstype);

		return mount_context_error(fs_fd, errnum, what, err);
	}
	return 0;
}

struct context {
	int fs_fd;
	const char *fstype;
};

static int configure_one(void *data, const char *option, struct error *err)
{
	const struct context *c = data;

	return mount_fsconfig(c->fs_fd, c->fstype, option, err);
}

static bool is_block_device(const char *path)
{
	struct stat st;

	return path && path[0] == '/' && stat(path, &st) == 0 && S_ISBLK(st.st_mode);
}

static int configure(int fs_fd, const char *fstype, const char *source,
		     const struct mount_options *options, struct error *err)
{
	struct context c = {.fs_fd = fs_fd, .fstype = fstype};
	int r;

	if (!str_empty(source))
		(void)sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "source", source,
				   0); /* without a source the mount itself tells */
	r = mount_options_each(options, configure_one, &c, err);
	/* A device may be read-only itself.  Other file systems are shared with whoever else mounts
	 * them: there "ro" is the mount's. */
	if (r == 0 && mount_options_attributes(options) & MOUNT_ATTR_RDONLY &&
	    is_block_device(source))
		r = mount_fsconfig(fs_fd, fstype, "ro", err);
	if (r == 0 && options->label &&
	    sys_fsconfig(fs_fd, SYS_FSCONFIG_SET_STRING, "context", options->label, 0) < 0)
		r = mount_context_error(fs_fd, errno, "security context", err);
	return r;
}

int mount_new(const char *fstype, const char *source, const struct mount_options *options,
	      struct error *err)
{
	static const struct mount_options none;
	autoclose int fs_fd = -EBADF;
	int mount_fd, r;

	if (!options)
		options = &none;
	if (mount_is_legacy() || (legacy_has_stage() && mount_options_need_stage(options)))
		return legacy_new(fstype, source, options, err);
	fs_fd = sys_fsopen(fstype, FSOPEN_CLOEXEC);
	if (fs_fd < 0)
		return error_set(err, errno == ENODEV ? ERROR_INVALID : ERROR_INTERNAL, errno,
				 "open file system type '%s'", fstype);
	r = configure(fs_fd, fstype, source, options, err);
	if (r < 0)
		return r;
	if (sys_fsconfig(fs_fd, SYS_FSCONFIG_CREATE, NULL, NULL, 0) < 0) {
		int errnum = errno;
		autofree char *what = xasprintf("create %s", fstype);

		return mount_context_error(fs_fd, errnum, what, err);
	}
	mount_fd = sys_fsmount(fs_fd, FSMOUNT_CLOEXEC, (unsigned)mount_options_attributes(options));
	if (mount_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "mount %s", fstype);
	return mount_fd;
}

int mount_clone(int dirfd, const char *path, bool recursive, struct error *err)
{
	int fd;

	if (mount_is_legacy())
		return legacy_clone(dirfd, path, recursive, err);
	fd = sys_open_tree(dirfd, path,
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
	if (mount_is_legacy())
		return legacy_set_attributes(fd, set, clear, recursive, err);
	if (sys_mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U), &attr) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set mount attributes");
	return 0;
}

static int set_propagation(int fd, const char *path, uint64_t propagation, bool recursive)
{
	struct sys_mount_attr attr = {.propagation = propagation};
	char link[FD_PATH_SIZE];

	if (mount_is_legacy())
		return mount(NULL, path ? path : mount_fd_path(fd, link), NULL,
			     (unsigned long)propagation | (recursive ? MS_REC : 0), NULL);
	return sys_mount_setattr(fd, path ? path : "",
				 (path ? 0U : AT_EMPTY_PATH) | (recursive ? AT_RECURSIVE : 0U),
				 &attr);
}

int mount_apply(int mount_fd, const struct mount_options *options, struct error *err)
{
	int r = set_attributes(mount_fd, options->attr_set, options->attr_clr, false, err);

	if (r == 0)
		r = set_attributes(mount_fd, options->rec_attr_set, options->rec_attr_clr, true,
				   err);
	if (r < 0)
		return r;
	if ((options->slave_first &&
	     set_propagation(mount_fd, NULL, MS_SLAVE, options->slave_first_recursive) < 0) ||
	    (options->propagation && set_propagation(mount_fd, NULL, options->propagation,
						     options->propagation_recursive) < 0))
		return error_set(err, ERROR_INTERNAL, errno, "set mount propagation");
	return 0;
}

int mount_reconfigure(int mount_fd, const struct mount_options *options, struct error *err)
{
	int r = options->bind ? 0 : legacy_reconfigure(mount_fd, options, err);

	return r < 0 ? r : mount_apply(mount_fd, options, err);
}

int mount_set_readonly(int mount_fd, bool recursive, struct error *err)
{
	return set_attributes(mount_fd, MOUNT_ATTR_RDONLY, 0, recursive, err);
}

int mount_set_idmap(int mount_fd, int userns_fd, bool recursive, const char *what,
		    struct error *err)
{
	struct sys_mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP,
				      .userns_fd = (uint64_t)userns_fd};

	if (sys_mount_setattr(mount_fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U),
			      &attr) == 0)
		return 0;
	if (errno == ENOSYS)
		return error_set(
			err, ERROR_UNAVAILABLE, 0,
			"map the owners of '%s': the kernel has no mount_setattr(2) (Linux "
			"5.12)",
			what);
	if (errno == EINVAL)
		return error_set(err, ERROR_UNAVAILABLE, EINVAL,
				 "map the owners of '%s': its file system, or one below it, cannot",
				 what);
	return error_set(err, ERROR_UNAVAILABLE, errno, "map the owners of '%s'", what);
}

int mount_attach(int mount_fd, int target_fd, const char *what, struct error *err)
{
	char from[FD_PATH_SIZE], to[FD_PATH_SIZE];
	int r = mount_is_legacy()
			? mount(mount_fd_path(mount_fd, from), mount_fd_path(target_fd, to), NULL,
				MS_MOVE, NULL)
			: sys_move_mount(mount_fd, "", target_fd, "",
					 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);

	return r < 0 ? error_set(err, ERROR_INTERNAL, errno, "attach mount at '%s'", what) : 0;
}

int mount_attach_at(int mount_fd, int dirfd, const char *name, struct error *err)
{
	autoclose int at_fd = -EBADF;

	if (!mount_is_legacy()) {
		if (sys_move_mount(mount_fd, "", dirfd, name, MOVE_MOUNT_F_EMPTY_PATH) == 0)
			return 0;
		return error_set(err, ERROR_INTERNAL, errno, "attach mount at '%s'", name);
	}
	at_fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (at_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", name);
	return mount_attach(mount_fd, at_fd, name, err);
}

int mount_set_propagation(const char *path, uint64_t propagation, bool recursive, struct error *err)
{
	if (set_propagation(AT_FDCWD, path, propagation, recursive) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set the propagation of '%s'", path);
	return 0;
}
