/* A container's root file system made by whoever is root on the host: of layers that a user namespace is
 * shown as its own, and for containers that another program makes. */
#include <fcntl.h>
#include <string.h>

#include "base/str.h"
#include "linux/procfs.h"
#include "runtime/idmap_priv.h"
#include "runtime/rootfs_priv.h"

static struct mount_overlay overlay_of(const struct oci_spec *spec,
				       const struct runtime_rootfs *rootfs)
{
	const char *label = spec->linux_.mount_label;

	return (struct mount_overlay){.lower = rootfs->lower,
				      .lower_count = rootfs->lower_count,
				      .upper = rootfs->upper,
				      .work = rootfs->work,
				      .label = str_empty(label) ? NULL : label};
}

/* In its user namespace the process may not show others' files as its own; we may: its root is an
 * overlay of ours on idmapped layers.  overlayfs also creates files as ourselves, so their mapping
 * has one more entry, for root. */
int rootfs_new_mapped_overlay(int proc_fd, const struct oci_spec *spec,
			      const struct runtime_rootfs *rootfs, struct error *err)
{
	const struct oci_linux *l = &spec->linux_;
	const struct mount_overlay overlay = overlay_of(spec, rootfs);
	struct oci_linux joined = {0};
	autoclose int userns_fd = -EBADF;

	if (l->namespaces[OCI_NAMESPACE_USER].path) {
		if (!rootfs->uid_mappings || !rootfs->gid_mappings)
			return error_set(err, ERROR_INVALID, 0,
					 "layers in a user namespace given by path need mappings");
		joined.uid_mappings = *rootfs->uid_mappings;
		joined.gid_mappings = *rootfs->gid_mappings;
		l = &joined;
	}
	userns_fd = idmap_new_user_namespace(proc_fd, l, true, err);
	return userns_fd < 0 ? userns_fd : mount_new_overlay_idmapped(&overlay, userns_fd, err);
}

/* The namespace of a container's id mappings: its own, or the one that it joins. */
static int open_user_namespace(const struct oci_spec *spec, struct error *err)
{
	const char *path = spec->linux_.namespaces[OCI_NAMESPACE_USER].path;
	autoclose int proc_fd = -EBADF;
	int fd;

	if (path) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		return fd < 0 ? error_set(err, ERROR_INVALID, errno, "open '%s'", path) : fd;
	}
	proc_fd = procfs_open(err);
	return proc_fd < 0 ? proc_fd : idmap_new_user_namespace(proc_fd, &spec->linux_, false, err);
}

int runtime_new_idmapped(const struct oci_spec *spec, const char *source, bool recursive,
			 struct error *err)
{
	autoclose int userns_fd = open_user_namespace(spec, err), fd = -EBADF;
	int r;

	if (userns_fd < 0)
		return userns_fd;
	fd = mount_clone(AT_FDCWD, source, true, err);
	if (fd < 0)
		return error_wrap(err, fd, "bind source");
	r = mount_set_idmap(fd, userns_fd, recursive, source, err);
	return r < 0 ? r : TAKE_FD(fd);
}

int runtime_new_rootfs(const struct oci_spec *spec, const struct runtime_rootfs *rootfs,
		       struct error *err)
{
	const struct mount_overlay overlay = overlay_of(spec, rootfs);
	autoclose int proc_fd = -EBADF;

	if (mount_is_legacy()) {
		int r = mount_stage(err);

		if (r < 0)
			return r;
	}
	if (!spec->linux_.namespaces[OCI_NAMESPACE_USER].present)
		return mount_new_overlay(&overlay, err);
	proc_fd = procfs_open(err);
	return proc_fd < 0 ? proc_fd : rootfs_new_mapped_overlay(proc_fd, spec, rootfs, err);
}
