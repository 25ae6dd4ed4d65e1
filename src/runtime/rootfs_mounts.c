/* The mounts of the spec, in the order given.
 *
 * A mount is created detached, gets its attributes, and is then attached onto an fd of its destination:
 * what the image or a volume holds at that path can redirect nothing (CVE-2021-30465).
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "base/str.h"
#include "linux/root.h"
#include "linux/sys.h"
#include "runtime/rootfs_priv.h"

#define PROC_SUPER_MAGIC_ 0x9fa0
#define PROC_ROOT_INO_    1

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

int rootfs_open_destination(struct setup *s, const struct plan_mount *m, bool directory,
			    struct error *err)
{
	unsigned flags = m->no_symlinks ? ROOT_NO_SYMLINKS : 0;
	autoclose int fd = directory ? root_mkdir_p(s->root_fd, m->destination, 0755, flags, err)
				     : root_create_file(s->root_fd, m->destination, 0644, err);
	int r = fd < 0 ? fd : check_destination(m, fd, err);

	return r < 0 ? r : TAKE_FD(fd);
}

/* What others need of it later: what is masked and made read-only lies in /proc and /sys, whose names
 * may lead elsewhere by then. */
static void keep_mount(struct setup *s, const struct plan_mount *m, int *mount_fd)
{
	int *fd = strcmp(m->destination, "proc") == 0  ? &s->own_proc_fd
		  : strcmp(m->destination, "sys") == 0 ? &s->own_sys_fd
		  : strcmp(m->destination, "dev/pts") == 0 && m->kind == PLAN_MOUNT_FS &&
				  strcmp(m->fstype, "devpts") == 0
			  ? &s->devpts_fd
			  : NULL;

	if (!fd)
		return;
	fd_close(fd);
	*fd = TAKE_FD(*mount_fd);
}

static int attach(struct setup *s, const struct plan_mount *m, int *mount_fd, int at_fd,
		  struct error *err)
{
	int r = mount_attach(*mount_fd, at_fd, m->destination, err);

	if (r == 0)
		keep_mount(s, m, mount_fd);
	return r;
}

static int apply_propagation(int mount_fd, const struct plan_mount *m, struct error *err)
{
	const struct mount_options only = {
		.propagation = m->options.propagation,
		.propagation_recursive = m->options.propagation_recursive,
		.slave_first = m->options.slave_first,
		.slave_first_recursive = m->options.slave_first_recursive,
	};

	return mount_apply(mount_fd, &only, err);
}

/* -- new file systems ---------------------------------------------------------------------- */

#define MODE_OPTION_SIZE sizeof("mode=07777")

/* A tmpfs without a mode of its own takes that of the directory it covers (at_fd; -EBADF: there was
 * none, and the kernel's 1777 it is); one that is filled first becomes read-only later.  `all` has room for
 * one more option. */
static int tmpfs_options(const struct plan_mount *m, int at_fd, const char **all,
			 char mode[static MODE_OPTION_SIZE], struct mount_options *ret,
			 struct error *err)
{
	struct mount_options own = m->options;
	size_t n = own.count;
	struct stat st;

	if (at_fd >= 0 && n < MOUNT_OPTIONS_MAX && !mount_options_has_fs_option(&own, "mode=")) {
		if (fstat(at_fd, &st) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "inspect '/%s'",
					 m->destination);
		(void)snprintf(mode, MODE_OPTION_SIZE, "mode=%04o", st.st_mode & 07777);
		if (n > 0)
			memcpy(all, own.all, n * sizeof(*all));
		all[n] = mode;
		own.file_system[n / 64] |= (uint64_t)1 << n % 64;
		own.all = all;
		own.count = n + 1;
	}
	if (own.copy_up) {
		own.attr_set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
		own.rec_attr_set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	}
	*ret = own;
	return 0;
}

static int new_tmpfs(struct setup *s, const struct plan_mount *m, int at_fd, bool is_new,
		     struct error *err)
{
	autofree const char **all = xnew0n(const char *, m->options.count + 1);
	struct plan_mount own = *m;
	char mode[MODE_OPTION_SIZE];
	autoclose int fd = -EBADF;
	int r = tmpfs_options(m, is_new ? -EBADF : at_fd, all, mode, &own.options, err);

	if (r < 0)
		return r;
	fd = rootfs_new_file_system(s, &own, err);
	if (fd < 0 || !m->options.copy_up)
		return TAKE_FD(fd);
	r = rootfs_copy_up(at_fd, fd, err);
	if (r == 0)
		r = mount_apply(fd, &m->options, err);
	return r < 0 ? r : TAKE_FD(fd);
}

/* Message queues know no context= option; the label is the root directory's. */
static int label_root(int mount_fd, const struct plan_mount *m, struct error *err)
{
	char path[64];

	if (!m->root_label)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", mount_fd);
	if (setxattr(path, "security.selinux", m->root_label, strlen(m->root_label) + 1, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "set the label '%s'", m->root_label);
	return 0;
}

static int new_file_system(struct setup *s, const struct plan_mount *m, int at_fd, bool is_new,
			   struct error *err)
{
	if (strcmp(m->fstype, "tmpfs") == 0)
		return new_tmpfs(s, m, at_fd, is_new, err);
	if (strcmp(m->fstype, "overlay") == 0)
		return mount_new_overlay_options(&m->options, err);
	return rootfs_new_file_system(s, m, err);
}

static bool is_there(const struct setup *s, const struct plan_mount *m)
{
	autoclose int fd = root_open(s->root_fd, m->destination, O_PATH,
				     m->no_symlinks ? ROOT_NO_SYMLINKS : 0);

	return fd >= 0;
}

static int mount_fs(struct setup *s, const struct plan_mount *m, struct error *err)
{
	bool is_new = str_eq(m->fstype, "tmpfs") && !is_there(s, m);
	autoclose int at_fd = rootfs_open_destination(s, m, true, err), fd = -EBADF;
	int r;

	if (at_fd < 0)
		return at_fd;
	r = str_eq(m->fstype, "sysfs") ? setup_wait_network(s, err) : 0; /* it shows that one */
	if (r < 0)
		return r;
	fd = new_file_system(s, m, at_fd, is_new, err);
	if (fd < 0)
		return fd;
	r = apply_propagation(fd, m, err);
	if (r == 0)
		r = label_root(fd, m, err);
	return r < 0 ? r : attach(s, m, &fd, at_fd, err);
}

/* -- what is there already ----------------------------------------------------------------- */

/* A source that the container's root may not reach, being somebody else on the host, is still what was
 * asked for by who may. */
static int clone_source(struct setup *s, const struct plan_mount *m, struct error *err)
{
	bool user = s->spec->linux_.namespaces[OCI_NAMESPACE_USER].present;
	autoerror struct error why = {0};
	int fd = mount_clone(s->bundle_fd, m->source, m->options.bind_recursive, &why), r;

	if (!user || (fd != -EACCES && (s->bundle_fd >= 0 || m->source[0] == '/')))
		return fd < 0 ? error_move(err, &why, fd) : fd;
	r = setup_wait_cgroup(s, err); /* the word before */
	if (r < 0)
		return r;
	if (sync_send_index(s->sync_fd, SYNC_SOURCE, (uint32_t)(m - s->plan->mounts)) < 0)
		return error_set(err, ERROR_INTERNAL, EPIPE, "ask for the mount");
	r = sync_expect(s->sync_fd, SYNC_SOURCE, &fd, err);
	return r < 0 ? r : fd;
}

static int mount_bind(struct setup *s, const struct plan_mount *m, struct error *err)
{
	size_t index = (size_t)(m - s->plan->mounts);
	bool prepared =
		s->mount_fds && s->mount_fds[index] >= 0; /* idmapped, with its attributes */
	autoclose int fd = prepared ? TAKE_FD(s->mount_fds[index]) : clone_source(s, m, err);
	autoclose int at_fd = -EBADF;
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
	r = prepared ? apply_propagation(fd, m, err) : mount_apply(fd, &m->options, err);
	if (r < 0)
		return r;
	at_fd = rootfs_open_destination(s, m, S_ISDIR(st.st_mode), err);
	return at_fd < 0 ? at_fd : attach(s, m, &fd, at_fd, err);
}

static int remount(struct setup *s, const struct plan_mount *m, struct error *err)
{
	autoclose int fd = root_open(s->root_fd, m->destination, O_PATH, 0);
	int r;

	if (fd < 0)
		return error_set(err, ERROR_INVALID, -fd, "open");
	r = mount_reconfigure(fd, &m->options, err);
	if (r == -EINVAL)
		return error_wrap(err, r, "remount what may not be a mount point");
	return r;
}

int rootfs_mount_all(struct setup *s, struct error *err)
{
	static int (*const makers[])(struct setup *, const struct plan_mount *, struct error *) = {
		[PLAN_MOUNT_FS] = mount_fs,
		[PLAN_MOUNT_BIND] = mount_bind,
		[PLAN_MOUNT_CGROUP] = rootfs_mount_cgroup,
		[PLAN_MOUNT_REMOUNT] = remount,
	};

	for (size_t i = 0; i < s->plan->mount_count; i++) {
		const struct plan_mount *m = &s->plan->mounts[i];
		int r = makers[m->kind](s, m, err);

		if (r < 0)
			return error_wrap(err, r, "mount '/%s'", m->destination);
	}
	return 0;
}
