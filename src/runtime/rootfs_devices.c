/* Device nodes and the links of /dev. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/str.h"
#include "linux/root.h"
#include "linux/sys.h"
#include "runtime/rootfs_priv.h"

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
