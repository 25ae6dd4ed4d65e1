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

static int new_tmpfs(struct error *err)
{
	static const char *const options[] = {"mode=755"};
	const struct mount_options plain = {.all = options, .count = 1, .file_system = {1}};

	return mount_new("tmpfs", "tmpfs", &plain, err);
}

/* `all`: of all of them at once, when they are there. */
static int fill_tmpfs(struct setup *s, int tmpfs_fd, const struct plan_mount *m,
		      struct mount_options *all, struct error *err)
{
	bool keeps_readonly = false;
	int r = bind_hierarchies(s, tmpfs_fd, &keeps_readonly, err);

	all->rec_attr_set = mount_options_attributes(&m->options);
	all->rec_attr_clr = m->options.attr_clr | m->options.rec_attr_clr;
	if (keeps_readonly)
		all->rec_attr_clr &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	return r < 0 ? r : mount_apply(tmpfs_fd, all, err);
}

static int mount_cgroup_v1(struct setup *s, const struct plan_mount *m, struct error *err)
{
	struct mount_options all = {.propagation = m->options.propagation,
				    .propagation_recursive = true};
	autoclose int at_fd = rootfs_open_destination(s, m, true, err), fd = -EBADF;
	int r;

	if (at_fd < 0)
		return at_fd;
	r = setup_wait_cgroup_tree(s, err);
	fd = TAKE_FD(s->cgroup_tree_fd);
	if (r < 0 || fd >= 0)
		return r < 0 ? r : mount_attach(fd, at_fd, m->destination, err);
	fd = new_tmpfs(err);
	if (fd < 0)
		return fd;
	/* Mounts can only be attached below what is attached itself (until Linux 6.15). */
	r = mount_attach(fd, at_fd, m->destination, err);
	return r < 0 ? r : fill_tmpfs(s, fd, m, &all, err);
}

/* -- by the caller, who has nothing else to do ------------------------------------------------ */

static bool is_v1(const struct setup *s, const struct plan_mount *m)
{
	return m->kind == PLAN_MOUNT_CGROUP && strcmp(m->fstype, "cgroup2") != 0 &&
	       cgroup_layout_mode(s->cgroup_layout) != CGROUP_MODE_V2;
}

static const struct plan_mount *only_v1(const struct setup *s)
{
	const struct plan_mount *found = NULL;

	for (size_t i = 0; i < s->plan->mount_count; i++) {
		if (!is_v1(s, &s->plan->mounts[i]))
			continue;
		if (found)
			return NULL;
		found = &s->plan->mounts[i];
	}
	return found;
}

bool rootfs_takes_cgroup_tree(const struct setup *s)
{
	const struct oci_namespace *ns = s->spec->linux_.namespaces;
	bool recursive;

	return ns[OCI_NAMESPACE_MOUNT].present && !ns[OCI_NAMESPACE_MOUNT].path &&
	       !ns[OCI_NAMESPACE_USER].present && mount_can_fill_detached() &&
	       rootfs_propagation(s, &recursive) != MS_SHARED && only_v1(s);
}

int rootfs_new_cgroup_tree(struct setup *s, struct error *err)
{
	const struct plan_mount *m = only_v1(s);
	autoclose int fd = m ? new_tmpfs(err) : -EINVAL;
	bool recursive, is_private = rootfs_propagation(s, &recursive) == MS_PRIVATE;
	/* Here the host's mounts are still what the host made them: as rootfs_set_propagation() */
	struct mount_options all = {.slave_first = true, .slave_first_recursive = true};
	int r;

	if (fd < 0)
		return fd;
	all.propagation = m->options.propagation ? m->options.propagation
			  : is_private           ? MS_PRIVATE
						 : 0;
	all.propagation_recursive = true;
	r = fill_tmpfs(s, fd, m, &all, err);
	return r < 0 ? r : TAKE_FD(fd);
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

/* By now, so that mounts are numbered in the order of the configuration, which is how mountinfo lists them. */
static int ask_for_tree(struct setup *s, const struct plan_mount *m, struct error *err)
{
	return s->cgroup_tree_comes && is_v1(s, m) &&
			       sync_send(s->sync_fd, SYNC_CGROUP_TREE, -EBADF) < 0
		       ? error_set(err, ERROR_INTERNAL, EPIPE, "ask for the cgroup mounts")
		       : 0;
}

int rootfs_mount_cgroup(struct setup *s, const struct plan_mount *m, struct error *err)
{
	bool v2 = cgroup_layout_mode(s->cgroup_layout) == CGROUP_MODE_V2;
	int r = ask_for_tree(s, m, err);

	if (r == 0)
		r = setup_wait_cgroup(s, err);
	if (r < 0)
		return r;
	return v2 || strcmp(m->fstype, "cgroup2") == 0 ? mount_cgroup_v2(s, m, err)
						       : mount_cgroup_v1(s, m, err);
}
