/* Bind mounts whose owners are mapped (Linux 5.12): uidMappings, gidMappings, idmap, ridmap. */
#include <fcntl.h>
#include <string.h>

#include "base/arena.h"
#include "linux/sys.h"
#include "runtime/idmap_priv.h"
#include "runtime/rootfs_priv.h"

/* The namespace whose mappings are meant: the mount's own, else the container's. */
static int open_user_namespace(struct setup *s, const struct plan_mount *m, struct error *err)
{
	const struct oci_namespace *user = &s->spec->linux_.namespaces[OCI_NAMESPACE_USER];
	struct oci_linux own = {0};

	if (m->uid_mappings) {
		own.uid_mappings = *m->uid_mappings;
		own.gid_mappings = *m->gid_mappings;
		return idmap_new_user_namespace(s->proc_fd, &own, false, err);
	}
	if (!user->present)
		return error_set(err, ERROR_INVALID, 0,
				 "idmap: neither the mount nor the container has id mappings");
	if (user->path) {
		int fd = fcntl(s->join_fds[OCI_NAMESPACE_USER], F_DUPFD_CLOEXEC, 3);

		return fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "idmap") : fd;
	}
	return idmap_new_user_namespace(s->proc_fd, &s->spec->linux_, false, err);
}

static int make_one(struct setup *s, const struct plan_mount *m, struct error *err)
{
	struct mount_options options = m->options;
	autoclose int userns_fd = -EBADF, fd = -EBADF;
	int r;

	userns_fd = open_user_namespace(s, m, err);
	if (userns_fd < 0)
		return userns_fd;
	if (mount_is_legacy())
		return error_set(
			err, ERROR_UNAVAILABLE, 0,
			"map the owners of '%s': the kernel has no mount_setattr(2) (Linux "
			"5.12)",
			m->source);
	fd = mount_clone(s->bundle_fd, m->source, m->options.bind_recursive, err);
	if (fd < 0)
		return error_wrap(err, fd, "bind source");
	r = mount_set_idmap(fd, userns_fd, m->options.idmap_recursive, m->source, err);
	options.propagation = 0; /* is for the container's namespace to say */
	options.slave_first = false;
	if (r == 0)
		r = mount_apply(fd, &options, err);
	return r < 0 ? r : TAKE_FD(fd);
}

int rootfs_prepare_idmapped(struct setup *s, struct arena *a, struct error *err)
{
	const struct plan *plan = s->plan;

	for (size_t i = 0; i < plan->mount_count; i++) {
		const struct plan_mount *m = &plan->mounts[i];

		if (!m->options.idmap)
			continue;
		if (!s->mount_fds) {
			s->mount_fds = arena_new0n(a, int, plan->mount_count);
			for (size_t j = 0; j < plan->mount_count; j++)
				s->mount_fds[j] = -EBADF;
		}
		s->mount_fds[i] = make_one(s, m, err);
		if (s->mount_fds[i] < 0)
			return error_wrap(err, s->mount_fds[i], "mount '/%s'", m->destination);
	}
	return 0;
}

void rootfs_close_idmapped(struct setup *s)
{
	for (size_t i = 0; s->mount_fds && i < s->plan->mount_count; i++)
		fd_close(&s->mount_fds[i]);
	s->mount_fds = NULL;
}
