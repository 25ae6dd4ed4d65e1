/* The container's view of its cgroup: mounts of type cgroup and cgroup2. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "linux/cgroup.h"
#include "linux/sys.h"
#include "runtime/rootfs_priv.h"

/* Whether the container has no cgroup of its own there, and so is in its creator's: which is not its
 * to change, even where that user may (CVE-2023-25809). */
static bool in_creators_cgroup(struct setup *s, const struct cgroup_hierarchy *h)
{
	autofree char *path = xasprintf("%s%s", h->mount_point, s->cgroup_path);

	return h->own && access(path, F_OK) < 0 && errno == ENOENT;
}

/* The container's own cgroup in one hierarchy, detached.  By path: an fd from before our mount
 * namespace is no source for a clone. */
static int clone_cgroup(struct setup *s, const struct cgroup_hierarchy *h, bool creators,
			struct error *err)
{
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
static int bind_hierarchies(struct setup *s, int tmpfs_fd, bool *ret_keeps_readonly,
			    struct error *err)
{
	*ret_keeps_readonly = false;
	for (size_t i = 0; i < cgroup_layout_count(s->cgroup_layout); i++) {
		autoclose int fd = -EBADF;
		struct cgroup_hierarchy h;
		bool creators;
		int r;

		cgroup_layout_get(s->cgroup_layout, i, &h);
		creators = in_creators_cgroup(s, &h);
		*ret_keeps_readonly = *ret_keeps_readonly || creators;
		fd = clone_cgroup(s, &h, creators, err);
		if (fd < 0)
			return fd;
		/* Nobody else can reach this tmpfs yet: a name in it is as good as an fd. */
		if (mkdirat(tmpfs_fd, h.name, 0755) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "create '%s'", h.name);
		r = mount_attach_at(fd, tmpfs_fd, h.name, err);
		if (r == 0)
			r = link_controllers(tmpfs_fd, h.name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int mount_cgroup_v1(struct setup *s, const struct plan_mount *m, struct error *err)
{
	static const char *const tmpfs_options[] = {"mode=755"};
	const struct mount_options plain = {.all = tmpfs_options, .count = 1, .file_system = {1}};
	/* of all of them at once, when they are there */
	struct mount_options all = {.rec_attr_set = mount_options_attributes(&m->options),
				    .rec_attr_clr = m->options.attr_clr | m->options.rec_attr_clr,
				    .propagation = m->options.propagation,
				    .propagation_recursive = true};
	autoclose int at_fd = rootfs_open_destination(s, m, true, err), fd = -EBADF;
	bool keeps_readonly = false;
	int r;

	if (at_fd < 0)
		return at_fd;
	fd = mount_new("tmpfs", "tmpfs", &plain, err);
	if (fd < 0)
		return fd;
	/* Mounts can only be attached below what is attached itself (until Linux 6.15). */
	r = mount_attach(fd, at_fd, m->destination, err);
	if (r == 0)
		r = bind_hierarchies(s, fd, &keeps_readonly, err);
	if (keeps_readonly)
		all.rec_attr_clr &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	return r < 0 ? r : mount_apply(fd, &all, err);
}

static int mount_cgroup_v2(struct setup *s, const struct plan_mount *m, struct error *err)
{
	const struct oci_namespace *ns = &s->spec->linux_.namespaces[OCI_NAMESPACE_CGROUP];
	struct mount_options options = m->options;
	struct cgroup_hierarchy h = {0};
	autoclose int at_fd = -EBADF, fd = -EBADF;
	bool creators;
	int r;

	for (size_t i = 0; i < cgroup_layout_count(s->cgroup_layout) && !h.is_v2; i++)
		cgroup_layout_get(s->cgroup_layout, i, &h);
	if (!h.is_v2)
		return error_set(err, ERROR_UNAVAILABLE, 0, "the host has no cgroup v2");
	creators = in_creators_cgroup(s, &h);
	if (creators) {
		options.attr_set |= MOUNT_ATTR_RDONLY;
		options.attr_clr &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	}
	at_fd = rootfs_open_destination(s, m, true, err);
	if (at_fd < 0)
		return at_fd;
	/* There is one cgroup v2 on a host: its options are the host's. */
	memset(options.file_system, 0, sizeof(options.file_system));
	/* In its own cgroup namespace a new instance shows the container's cgroup as the root. */
	if (ns->present)
		fd = mount_new("cgroup2", "cgroup", &options, NULL);
	if (fd >= 0) /* born with them */
		options.attr_set = options.attr_clr = options.rec_attr_set = options.rec_attr_clr =
			0;
	else
		fd = clone_cgroup(s, &h, creators, err);
	if (fd < 0)
		return fd;
	r = mount_apply(fd, &options, err);
	return r < 0 ? r : mount_attach(fd, at_fd, m->destination, err);
}

int rootfs_mount_cgroup(struct setup *s, const struct plan_mount *m, struct error *err)
{
	bool v2 = cgroup_layout_mode(s->cgroup_layout) == CGROUP_MODE_V2;
	int r = setup_wait_cgroup(s, err);

	if (r < 0)
		return r;
	return v2 || strcmp(m->fstype, "cgroup2") == 0 ? mount_cgroup_v2(s, m, err)
						       : mount_cgroup_v1(s, m, err);
}
