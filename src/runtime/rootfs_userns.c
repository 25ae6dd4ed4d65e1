/* File systems that a user namespace may not make anew: what it shows instead.
 *
 * sysfs belongs to the network namespace, mqueue to the ipc and proc to the pid namespace; who is root
 * only in a user namespace may make an instance only of those that belong to it
 * (user_namespaces(7), "Interaction of user namespaces and other types of namespaces").  Where the
 * container shares the host's, the host's own mount shows the same thing.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "linux/sys.h"
#include "oci/id_mappings.h"
#include "runtime/setup_priv.h"

static const struct shared {
	const char *fstype, *path;
	enum oci_namespace_type namespace_;
	bool always; /* also when a new one is refused for what is hidden in ours */
} shared_file_systems[] = {
	{"sysfs", "/sys", OCI_NAMESPACE_NETWORK, true},
	{"mqueue", "/dev/mqueue", OCI_NAMESPACE_IPC, false},
	{"proc", "/proc", OCI_NAMESPACE_PID, false},
};

static const struct shared *find_shared(struct setup *s, const char *fstype)
{
	for (size_t i = 0; i < ARRAY_SIZE(shared_file_systems); i++) {
		const struct shared *f = &shared_file_systems[i];
		const struct oci_namespace *ns = &s->spec->linux_.namespaces[f->namespace_];

		if (strcmp(f->fstype, fstype) == 0)
			return f->always || !ns->present || ns->path ? f : NULL;
	}
	return NULL;
}

/* All below it comes along: a mount that hides something cannot be left behind here. */
static int bind_shared(const struct shared *f, const struct mount_options *options,
		       struct error *err)
{
	const struct mount_options all = {.rec_attr_set =
						  options->attr_set & ~(uint64_t)MOUNT_ATTR__ATIME};
	autoclose int fd = mount_clone(AT_FDCWD, f->path, true, err);
	int r;

	if (fd < 0)
		return fd;
	r = mount_apply(fd, &all, err);
	return r < 0 ? r : TAKE_FD(fd);
}

/* devpts: the options without a group that is not mapped: "gid=5", the host's tty, in everybody's
 * configuration. */
static int new_devpts(struct setup *s, const struct plan_mount *m, struct error *err)
{
	struct mount_options options = m->options;
	const struct oci_linux *l = &s->spec->linux_;

	for (size_t i = 0; i < options.count; i++) {
		const char *option = options.all[i];
		uint32_t id;

		if (str_has_prefix(option, "gid=") && str_parse_u32(option + 4, &id) == 0 &&
		    !oci_id_is_mapped(&l->gid_mappings, id))
			options.file_system[i / 64] &= ~((uint64_t)1 << i % 64);
	}
	return mount_new(m->fstype, m->source, &options, err);
}

int rootfs_new_file_system(struct setup *s, const struct plan_mount *m, struct error *err)
{
	const struct oci_namespace *user = &s->spec->linux_.namespaces[OCI_NAMESPACE_USER];
	const struct shared *f = find_shared(s, m->fstype);
	autoerror struct error why = {0};
	int fd;

	if (user->present && !user->path && strcmp(m->fstype, "devpts") == 0)
		return new_devpts(s, m, err);
	fd = mount_new(m->fstype, m->source, &m->options, &why);
	if (fd == -EPERM && f)
		return bind_shared(f, &m->options, err);
	return fd < 0 ? error_move(err, &why, fd) : fd;
}
