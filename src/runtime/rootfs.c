/* The container's mounts, made in its own mount namespace by the process that becomes process 1.
 *
 * Until rootfs_enter() the host's tree is "/" and the container's is reached through s->root_fd
 * only, by linux/root.h.  A mount is created detached, gets its attributes, and is then attached
 * onto an fd of its destination: what the image or a volume holds at that path can redirect
 * nothing (CVE-2021-30465).
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/str.h"
#include "linux/cgroup.h"
#include "linux/root.h"
#include "linux/sys.h"
#include "runtime/setup_priv.h"

#define PROC_SUPER_MAGIC_ 0x9fa0
#define PROC_ROOT_INO_    1
#define TMPFS_OPTIONS     "mode=755"

/* -- propagation and the root -------------------------------------------------------------- */

static const struct {
	const char *name;
	uint64_t propagation;
	bool recursive;
} propagations[] = {
	{"private", MS_PRIVATE, false},       {"rprivate", MS_PRIVATE, true},
	{"slave", MS_SLAVE, false},           {"rslave", MS_SLAVE, true},
	{"shared", MS_SHARED, false},         {"rshared", MS_SHARED, true},
	{"unbindable", MS_UNBINDABLE, false}, {"runbindable", MS_UNBINDABLE, true},
};

static bool find_propagation(const char *name, uint64_t *ret, bool *ret_recursive)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(propagations); i++)
		if (strcmp(propagations[i].name, name) == 0) {
			*ret = propagations[i].propagation;
			*ret_recursive = propagations[i].recursive;
			return true;
		}
	return false;
}

int rootfs_reopen_bundle(struct setup *s, struct error *err)
{
	char path[PATH_MAX], link[64];
	struct stat before, after;
	ssize_t n;
	int fd;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", s->bundle_fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n < 0 ? 0 : n] = '\0';
	fd = n < 0 ? -1 : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ERROR_INVALID, errno, "open the bundle '%s'", path);
	s->bundle_fd = fd;
	if (fstat(s->bundle_fd, &after) < 0 || stat(link, &before) < 0 ||
	    before.st_dev != after.st_dev || before.st_ino != after.st_ino)
		return error_set(err, ERROR_INVALID, ESTALE, "open the bundle '%s'", path);
	return 0;
}

/* Nothing we mount may reach the host, unless the spec wants shared propagation; then the host's
 * mounts stay shared, and so will binds of them. */
int rootfs_set_propagation(struct setup *s, struct error *err)
{
	uint64_t propagation = MS_SLAVE;
	bool recursive;

	(void)find_propagation(s->spec->linux_.rootfs_propagation, &propagation, &recursive);
	if (propagation == MS_SHARED)
		return 0;
	return mount_set_propagation("/", propagation == MS_PRIVATE ? MS_PRIVATE : MS_SLAVE, true,
				     err);
}

/* With shared propagation the mount that the root hangs on must not be shared: neither attaching
 * there nor pivot_root(2) may be seen outside.  A bind of the directory onto itself would be
 * propagated, so the whole mount it lies in is made private, in this namespace only. */
static int make_parent_private(struct setup *s, int at_fd, struct error *err)
{
	uint64_t propagation = 0;
	bool recursive;
	char path[PATH_MAX], link[64];
	ssize_t n;

	if (!find_propagation(s->spec->linux_.rootfs_propagation, &propagation, &recursive) ||
	    propagation != MS_SHARED)
		return 0;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", at_fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0 || path[0] != '/')
		return error_set(err, ERROR_INTERNAL, n < 0 ? errno : ENOENT,
				 "find the bundle's mount");
	path[n] = '\0';
	for (;;) {
		char *slash;

		if (mount(NULL, path, NULL, MS_PRIVATE, NULL) == 0)
			return 0;
		if (errno != EINVAL) /* EINVAL: not a mount point */
			return error_set(err, ERROR_INTERNAL, errno, "make '%s' private", path);
		slash = strrchr(path, '/');
		if (path[1] == '\0' || !slash)
			return error_set(err, ERROR_INTERNAL, EINVAL, "find the bundle's mount");
		slash[slash == path] = '\0';
	}
}

static int attach_root(struct setup *s, int mount_fd, int at_fd, struct error *err)
{
	int r = make_parent_private(s, at_fd, err);

	if (r < 0)
		return r;
	r = mount_attach(mount_fd, at_fd, "the root file system", err);
	if (r < 0)
		return r;
	/* The fd of a detached mount is the mount itself: it goes on referring to it. */
	s->root_fd = mount_fd;
	return 0;
}

static int mount_overlay_root(struct setup *s, struct error *err)
{
	const struct mount_overlay overlay = {.lower = s->rootfs->lower,
					      .lower_count = s->rootfs->lower_count,
					      .upper = s->rootfs->upper,
					      .work = s->rootfs->work};
	/* Any directory serves as the place to hang it until pivot_root; this one hides nothing
	 * that a bind mount could name. */
	const char *at = overlay.work ? overlay.work : overlay.lower[0];
	autoclose int mount_fd = s->prepared_root_fd >= 0 ? TAKE_FD(s->prepared_root_fd)
							  : mount_new_overlay(&overlay, err);
	autoclose int at_fd = -EBADF;
	int r;

	if (mount_fd < 0)
		return mount_fd;
	at_fd = open(at, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", at);
	r = attach_root(s, mount_fd, at_fd, err);
	if (r == 0)
		(void)TAKE_FD(mount_fd); /* it is s->root_fd */
	return r;
}

int rootfs_mount_root(struct setup *s, struct error *err)
{
	autoclose int at_fd = -EBADF, mount_fd = -EBADF;
	int r;

	if (s->rootfs)
		return mount_overlay_root(s, err);
	at_fd = openat(s->bundle_fd, s->spec->root.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at_fd < 0)
		return error_set(err, ERROR_INVALID, errno, "open root '%s'", s->spec->root.path);
	mount_fd = mount_clone(at_fd, "", true, err);
	if (mount_fd < 0)
		return mount_fd;
	r = attach_root(s, mount_fd, at_fd, err);
	if (r == 0)
		(void)TAKE_FD(mount_fd);
	return r;
}

/* -- mounts -------------------------------------------------------------------------------- */

/* An fd of the destination, made if missing: a directory, or a file if the source is one. */
static int open_destination(struct setup *s, const struct plan_mount *m, bool directory,
			    struct error *err)
{
	unsigned flags = m->no_symlinks ? ROOT_NO_SYMLINKS : 0;

	if (directory)
		return root_mkdir_p(s->root_fd, m->destination, 0755, flags, err);
	return root_create_file(s->root_fd, m->destination, 0644, err);
}

/* What the plan's check of names cannot see: a symbolic link that leads into /proc. */
static int check_destination(const struct plan_mount *m, int fd, struct error *err)
{
	struct statfs fs;

	if (str_has_prefix(m->destination, "proc/") || strcmp(m->destination, "proc") == 0)
		return 0;
	if (fstatfs(fd, &fs) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "inspect '/%s'", m->destination);
	if (fs.f_type == PROC_SUPER_MAGIC_)
		return error_set(err, ERROR_INVALID, EPERM, "'/%s' leads into /proc",
				 m->destination);
	return 0;
}

/* What is masked and made read-only lies in these: a name may lead elsewhere by then. */
static int keep_mount(struct setup *s, const struct plan_mount *m, int mount_fd, struct error *err)
{
	int *fd = strcmp(m->destination, "proc") == 0  ? &s->own_proc_fd
		  : strcmp(m->destination, "sys") == 0 ? &s->own_sys_fd
						       : NULL;

	if (!fd)
		return 0;
	fd_close(fd);
	*fd = fcntl(mount_fd, F_DUPFD_CLOEXEC, 3);
	return *fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "keep the mount") : 0;
}

static int attach(struct setup *s, const struct plan_mount *m, int mount_fd, bool directory,
		  struct error *err)
{
	autoclose int at_fd = open_destination(s, m, directory, err);
	int r;

	if (at_fd < 0)
		return at_fd;
	r = check_destination(m, at_fd, err);
	if (r == 0)
		r = mount_attach(mount_fd, at_fd, m->destination, err);
	return r < 0 ? r : keep_mount(s, m, mount_fd, err);
}

static int mount_fs(struct setup *s, const struct plan_mount *m, struct error *err)
{
	const struct mount_options propagation = {
		.propagation = m->options.propagation,
		.propagation_recursive = m->options.propagation_recursive,
	};
	autoclose int fd = rootfs_new_file_system(s, m, err);
	int r;

	if (fd < 0)
		return fd;
	r = mount_apply(fd, &propagation, err);
	if (r == 0)
		r = attach(s, m, fd, true, err);
	if (r == 0 && strcmp(m->destination, "dev/pts") == 0 && str_eq(m->fstype, "devpts"))
		s->devpts_fd = TAKE_FD(fd);
	return r;
}

static int mount_bind(struct setup *s, const struct plan_mount *m, struct error *err)
{
	autoclose int fd = mount_clone(s->bundle_fd, m->source, m->options.bind_recursive, err);
	struct statfs fs;
	struct stat st;
	int r;

	if (fd < 0)
		return error_wrap(err, fd, "bind source");
	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "inspect bind source '%s'", m->source);
	if (strcmp(m->destination, "proc") == 0 &&
	    (fs.f_type != PROC_SUPER_MAGIC_ || st.st_ino != PROC_ROOT_INO_))
		return error_set(err, ERROR_INVALID, EPERM, "'%s' is not a proc file system",
				 m->source);
	r = mount_apply(fd, &m->options, err);
	return r < 0 ? r : attach(s, m, fd, S_ISDIR(st.st_mode), err);
}

/* Whether the container has no cgroup of its own there, and so is in its creator's: which is not its
 * to change, even where that user may (CVE-2023-25809). */
static bool in_creators_cgroup(struct setup *s, const struct cgroup_hierarchy *h)
{
	autofree char *path = xasprintf("%s%s", h->mount_point, s->cgroup_path);

	return h->own && access(path, F_OK) < 0 && errno == ENOENT;
}

/* The container's own cgroup in one hierarchy, detached.  By path: an fd from before our mount
 * namespace is no source for a clone. */
static int clone_cgroup(struct setup *s, const struct cgroup_hierarchy *h, struct error *err)
{
	bool creators = in_creators_cgroup(s, h);
	autofree char *path = xasprintf("%s%s", h->mount_point, creators ? h->own : s->cgroup_path);
	autoclose int fd = mount_clone(AT_FDCWD, path, false, err);
	int r = fd < 0 ? fd : creators ? mount_set_readonly(fd, false, err) : 0;

	return r < 0 ? r : TAKE_FD(fd);
}

/* "cpu,cpuacct" is also found as "cpu" and as "cpuacct". */
static int link_controllers(int tmpfs_fd, const char *name, struct error *err)
{
	if (!strchr(name, ','))
		return 0;
	for (const char *p = name; *p;) {
		size_t n = strcspn(p, ",");
		autofree char *alias = xstrndup(p, n);

		if (symlinkat(name, tmpfs_fd, alias) < 0 && errno != EEXIST)
			return error_set(err, ERROR_INTERNAL, errno, "link '%s'", alias);
		p += n + (p[n] == ',');
	}
	return 0;
}

/* v1: a tmpfs with one directory a hierarchy, and in it the container's own cgroup. */
static int bind_hierarchies(struct setup *s, int tmpfs_fd, struct error *err)
{
	for (size_t i = 0; i < cgroup_layout_count(s->cgroup_layout); i++) {
		autoclose int fd = -EBADF;
		struct cgroup_hierarchy h;
		int r;

		cgroup_layout_get(s->cgroup_layout, i, &h);
		fd = clone_cgroup(s, &h, err);
		if (fd < 0)
			return fd;
		/* Nobody else can reach this tmpfs yet: a name in it is as good as an fd. */
		if (mkdirat(tmpfs_fd, h.name, 0755) < 0 ||
		    sys_move_mount(fd, "", tmpfs_fd, h.name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "attach '%s'", h.name);
		r = link_controllers(tmpfs_fd, h.name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool keeps_readonly(struct setup *s)
{
	for (size_t i = 0; i < cgroup_layout_count(s->cgroup_layout); i++) {
		struct cgroup_hierarchy h;

		cgroup_layout_get(s->cgroup_layout, i, &h);
		if (in_creators_cgroup(s, &h))
			return true;
	}
	return false;
}

static int mount_cgroup_v1(struct setup *s, const struct plan_mount *m, struct error *err)
{
	static const char *const tmpfs_options[] = {TMPFS_OPTIONS};
	const struct mount_options plain = {.all = tmpfs_options, .count = 1, .file_system = {1}};
	/* of all of them at once, when they are there */
	struct mount_options all = {.rec_attr_set = m->options.attr_set,
				    .rec_attr_clr = m->options.attr_clr,
				    .propagation = m->options.propagation,
				    .propagation_recursive = true};
	autoclose int fd = mount_new("tmpfs", "tmpfs", &plain, err);
	int r;

	if (fd < 0)
		return fd;
	if (keeps_readonly(s))
		all.rec_attr_clr &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	/* Mounts can only be attached below what is attached itself (until Linux 6.15). */
	r = attach(s, m, fd, true, err);
	if (r == 0)
		r = bind_hierarchies(s, fd, err);
	return r < 0 ? r : mount_apply(fd, &all, err);
}

static int mount_cgroup_v2(struct setup *s, const struct plan_mount *m, struct error *err)
{
	const struct oci_namespace *ns = &s->spec->linux_.namespaces[OCI_NAMESPACE_CGROUP];
	struct mount_options options = m->options;
	struct cgroup_hierarchy h = {0};
	autoclose int fd = -EBADF;
	int r;

	for (size_t i = 0; i < cgroup_layout_count(s->cgroup_layout) && !h.is_v2; i++)
		cgroup_layout_get(s->cgroup_layout, i, &h);
	if (in_creators_cgroup(s, &h)) {
		options.attr_set |= MOUNT_ATTR_RDONLY;
		options.attr_clr &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	}
	/* In its own cgroup namespace a new instance shows the container's cgroup as the root. */
	memset(options.file_system, 0, sizeof(options.file_system));
	if (ns->present)
		fd = mount_new("cgroup2", "cgroup", &options, NULL);
	if (fd < 0) {
		fd = clone_cgroup(s, &h, err);
		if (fd < 0)
			return fd;
		r = mount_apply(fd, &options, err);
		if (r < 0)
			return r;
	}
	return attach(s, m, fd, true, err);
}

static int mount_cgroup(struct setup *s, const struct plan_mount *m, struct error *err)
{
	int r = setup_wait_cgroup(s, err);

	if (r < 0)
		return r;
	return cgroup_layout_mode(s->cgroup_layout) == CGROUP_MODE_V2 ? mount_cgroup_v2(s, m, err)
								      : mount_cgroup_v1(s, m, err);
}

int rootfs_mount_all(struct setup *s, struct error *err)
{
	static int (*const makers[])(struct setup *, const struct plan_mount *, struct error *) = {
		[PLAN_MOUNT_FS] = mount_fs,
		[PLAN_MOUNT_BIND] = mount_bind,
		[PLAN_MOUNT_CGROUP] = mount_cgroup,
	};

	for (size_t i = 0; i < s->plan->mount_count; i++) {
		const struct plan_mount *m = &s->plan->mounts[i];
		int r = makers[m->kind](s, m, err);

		if (r < 0)
			return error_wrap(err, r, "mount '/%s'", m->destination);
	}
	return 0;
}

/* -- devices ------------------------------------------------------------------------------- */

/* Where mknod(2) is not allowed (user namespaces): the host's node, if it is that device. */
static int bind_device(struct setup *s, const struct plan_device *d, int dir_fd, const char *name,
		       struct error *err)
{
	autofree char *host = xasprintf("/%s", d->path);
	autoclose int fd = -EBADF, at_fd = -EBADF;
	struct stat st;

	(void)s;
	fd = mount_clone(AT_FDCWD, host, false, err);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || st.st_rdev != makedev(d->major, d->minor) ||
	    S_ISCHR(st.st_mode) != (d->type == 'c'))
		return error_set(err, ERROR_INVALID, 0, "the host's '%s' is another device", host);
	at_fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	if (at_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create '%s'", host);
	return mount_attach(fd, at_fd, host, err);
}

static int make_device(struct setup *s, const struct plan_device *d, int dev_fd, struct error *err)
{
	mode_t type = d->type == 'b' ? S_IFBLK : d->type == 'p' ? S_IFIFO : S_IFCHR;
	const char *name = str_basename(d->path);
	autoclose int own_dir = -EBADF;
	int dir_fd = dev_fd;

	if (strncmp(d->path, "dev/", 4) != 0 || strchr(d->path + 4, '/')) {
		autofree char *parent = xstrndup(d->path, (size_t)(name - d->path));

		own_dir = root_mkdir_p(s->root_fd, parent[0] ? parent : ".", 0755, 0, err);
		if (own_dir < 0)
			return own_dir;
		dir_fd = own_dir;
	}
	if (mknodat(dir_fd, name, type | d->mode, makedev(d->major, d->minor)) < 0) {
		if (errno == EPERM && d->type != 'p')
			return bind_device(s, d, dir_fd, name, err);
		if (errno != EEXIST)
			return error_set(err, ERROR_INTERNAL, errno, "create device '/%s'",
					 d->path);
		/* In an image's own /dev: whatever it is, it makes room. */
		if (unlinkat(dir_fd, name, 0) < 0 ||
		    mknodat(dir_fd, name, type | d->mode, makedev(d->major, d->minor)) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "replace device '/%s'",
					 d->path);
	}
	if ((d->uid || d->gid) && fchownat(dir_fd, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "change the owner of '/%s'", d->path);
	return 0;
}

static int make_links(struct setup *s, int dev_fd, struct error *err)
{
	static const struct {
		const char *target, *name;
	} links[] = {
		{"/proc/self/fd", "fd"},       {"/proc/self/fd/0", "stdin"},
		{"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
		{"/proc/kcore", "core"},       {"pts/ptmx", "ptmx"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		if (strcmp(links[i].name, "ptmx") == 0 && !s->plan->has_devpts)
			continue;
		if (symlinkat(links[i].target, dev_fd, links[i].name) == 0)
			continue;
		if (errno == EEXIST && unlinkat(dev_fd, links[i].name, 0) == 0 &&
		    symlinkat(links[i].target, dev_fd, links[i].name) == 0)
			continue;
		/* An image's own /dev may have "fd" as a directory: it keeps it. */
		if (errno != EEXIST && errno != EISDIR)
			return error_set(err, ERROR_INTERNAL, errno, "link '/dev/%s'",
					 links[i].name);
	}
	return 0;
}

int rootfs_make_devices(struct setup *s, struct error *err)
{
	autoclose int dev_fd = -EBADF;
	int r;

	if (!s->plan->make_dev)
		return 0;
	/* "/dev" as a link would put device nodes elsewhere (CVE-2026-41579). */
	dev_fd = root_mkdir_p(s->root_fd, "dev", 0755, ROOT_NO_SYMLINKS, err);
	if (dev_fd < 0)
		return dev_fd;
	for (size_t i = 0; i < s->plan->device_count; i++) {
		r = make_device(s, &s->plan->devices[i], dev_fd, err);
		if (r < 0)
			return r;
	}
	return make_links(s, dev_fd, err);
}

/* -- masked and read-only paths ------------------------------------------------------------ */

struct masks {
	int null_fd;  /* the host's /dev/null, verified */
	int empty_fd; /* a read-only empty directory, mounted once and cloned for each path */
};

/* Below /proc and /sys in the mount itself: its mount point can be renamed by whoever shares the
 * directory that it is in, and the path then means something else (CVE-2023-27561). */
static int open_protected(struct setup *s, const char *path)
{
	const struct {
		const char *name;
		int fd;
	} mounts[] = {{"proc", s->own_proc_fd}, {"sys", s->own_sys_fd}};
	char clean[PATH_MAX];

	if (root_clean_path(path, clean, sizeof(clean)) < 0)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		size_t n = strlen(mounts[i].name);

		if (mounts[i].fd >= 0 && strncmp(clean, mounts[i].name, n) == 0 &&
		    (clean[n] == '/' || clean[n] == '\0'))
			return root_open(mounts[i].fd, clean[n] ? clean + n : ".", O_PATH, 0);
	}
	return root_open(s->root_fd, clean, O_PATH, 0);
}

static int mask_path(struct setup *s, struct masks *masks, const char *path, struct error *err)
{
	autoclose int at_fd = open_protected(s, path), fd = -EBADF;
	struct stat st;

	if (at_fd == -ENOENT || at_fd == -ENOTDIR)
		return 0;
	if (at_fd < 0 || fstat(at_fd, &st) < 0)
		return error_set(err, ERROR_INTERNAL, at_fd < 0 ? -at_fd : errno, "open '%s'",
				 path);
	if (S_ISDIR(st.st_mode)) {
		static const char *const tmpfs_options[] = {"size=0k", "nr_inodes=2"};
		const struct mount_options options = {
			.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				    MOUNT_ATTR_NOEXEC,
			.all = tmpfs_options,
			.count = 2,
			.file_system = {3}};

		if (masks->empty_fd >= 0) {
			fd = mount_clone(masks->empty_fd, "", false, err);
		} else {
			fd = mount_new("tmpfs", "tmpfs", &options, err);
			/* a clone source must be attached, so the first one stays open */
		}
		if (fd < 0)
			return fd;
	} else {
		fd = mount_clone(masks->null_fd, "", false, err);
		if (fd < 0)
			return fd;
	}
	if (mount_attach(fd, at_fd, path, err) < 0)
		return err ? -(err->errnum ? err->errnum : EIO) : -EIO;
	if (S_ISDIR(st.st_mode) && masks->empty_fd < 0)
		masks->empty_fd = TAKE_FD(fd);
	return 0;
}

static int protect_readonly(struct setup *s, const char *path, struct error *err)
{
	autoclose int at_fd = open_protected(s, path), fd = -EBADF;
	int r;

	if (at_fd == -ENOENT || at_fd == -ENOTDIR)
		return 0;
	if (at_fd < 0)
		return error_set(err, ERROR_INTERNAL, -at_fd, "open '%s'", path);
	fd = mount_clone(at_fd, "", true, err);
	if (fd < 0)
		return fd;
	r = mount_set_readonly(fd, true, err);
	return r < 0 ? r : mount_attach(fd, at_fd, path, err);
}

/* The host's, before the container's /dev can matter: CVE-2025-31133. */
static int open_null(struct error *err)
{
	autoclose int fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open /dev/null");
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return error_set(err, ERROR_FORBIDDEN, 0, "/dev/null is not the null device");
	return TAKE_FD(fd);
}

int rootfs_protect_paths(struct setup *s, struct error *err)
{
	const struct json_strings *masked = &s->spec->linux_.masked_paths;
	const struct json_strings *readonly = &s->spec->linux_.readonly_paths;
	struct masks masks = {.null_fd = -EBADF, .empty_fd = -EBADF};
	int r = 0;

	for (size_t i = 0; r == 0 && i < readonly->n; i++)
		r = protect_readonly(s, readonly->v[i], err);
	if (r == 0 && masked->n > 0) {
		masks.null_fd = open_null(err);
		r = masks.null_fd < 0 ? masks.null_fd : 0;
	}
	for (size_t i = 0; r == 0 && i < masked->n; i++)
		r = mask_path(s, &masks, masked->v[i], err);
	fd_close(&masks.null_fd);
	fd_close(&masks.empty_fd);
	fd_close(&s->own_proc_fd);
	fd_close(&s->own_sys_fd);
	if (r == 0 && s->spec->root.readonly)
		r = mount_set_readonly(s->root_fd, false, err);
	return r;
}

/* -- entering ------------------------------------------------------------------------------ */

/* A missing working directory is made, as the other runtimes do; before the root is read-only. */
int rootfs_make_cwd(struct setup *s, struct error *err)
{
	autoclose int fd = -EBADF;

	if (strcmp(s->process->cwd, "/") == 0)
		return 0;
	fd = root_open(s->root_fd, s->process->cwd, O_PATH | O_DIRECTORY, 0);
	if (fd >= 0)
		return 0;
	fd = root_mkdir_p(s->root_fd, s->process->cwd, 0755, 0, err);
	return fd < 0 ? fd : 0;
}

int rootfs_enter(struct setup *s, struct error *err)
{
	uint64_t propagation;
	bool recursive;

	if (fchdir(s->root_fd) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "enter the root file system");
	/* The old root lands on top of the new one, where "." finds it: pivot_root(2), NOTES. */
	if (sys_pivot_root(".", ".") < 0)
		return error_set(err, ERROR_INTERNAL, errno, "pivot_root");
	propagation = 0;
	if (find_propagation(s->spec->linux_.rootfs_propagation, &propagation, &recursive) &&
	    propagation == MS_SHARED && mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "detach from the host's mounts");
	if (umount2(".", MNT_DETACH) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "unmount the old root");
	if (chdir("/") < 0)
		return error_set(err, ERROR_INTERNAL, errno, "enter the new root");
	if (propagation &&
	    mount(NULL, "/", NULL, (unsigned long)propagation | (recursive ? MS_REC : 0), NULL) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set the root's propagation");
	fd_close(&s->root_fd);
	return 0;
}
