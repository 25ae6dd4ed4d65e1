/* The local driver: volumes/<name>/_data in the data root, and what is mounted on it.
 *
 * A directory appears whole, by rename(2) from tmp, and goes the same way: what a killed daemon leaves
 * is in tmp, which its next start clears.  While its row may still be there, one that goes is in
 * volumes/.removed under its name, and comes back should the row not go.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "linux/mount.h"
#include "linux/projquota.h"
#include "volume/populate.h"
#include "volume/volume.h"

static int sync_dir(int data_fd, const char *path, struct error *err)
{
	autoclose int fd = openat(data_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "sync directory '%s'", path);
	return 0;
}

#define GRAVES "volumes/.removed" /* no volume has such a name */

/* A name in tmp that nobody has. */
static char *tmp_name(const char *kind)
{
	uint64_t n = 0;

	if (getrandom(&n, sizeof(n), 0) != (ssize_t)sizeof(n))
		n ^= (uint64_t)getpid();
	return xasprintf("tmp/volume-%s-%016llx", kind, (unsigned long long)n);
}

static int limit_dir(int data_fd, const char *path, uint64_t size, struct error *err)
{
	autoclose int fd = openat(data_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open directory '%s'", path);
	return projquota_limit(&fd, 1, size, err);
}

int volume_make_dir(int data_fd, const char *name, uint64_t size, bool sync, struct error *err)
{
	autofree char *final = xasprintf("volumes/%s", name);
	autofree char *tmp = tmp_name("new");
	autofree char *data = xasprintf("%s/_data", tmp);
	int r;

	if (faccessat(data_fd, final, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	r = file_mkdir_p(data_fd, tmp, 0701, err);
	if (r >= 0 && mkdirat(data_fd, data, 0755) < 0)
		r = error_set(err, ERROR_INTERNAL, errno, "make directory '%s'", data);
	if (r >= 0 && size > 0)
		r = limit_dir(data_fd, data, size, err);
	if (r >= 0 && sync)
		r = sync_dir(data_fd, tmp, err);
	if (r >= 0 && renameat(data_fd, tmp, data_fd, final) < 0 && errno != EEXIST &&
	    errno != ENOTEMPTY)
		r = error_set(err, ERROR_INTERNAL, errno, "move volume '%s' into place", name);
	if (r >= 0 && sync)
		r = sync_dir(data_fd, "volumes", err);
	(void)file_remove_tree(data_fd, tmp, NULL);
	return r;
}

int volume_bury_dir(int data_fd, const char *name, struct error *err)
{
	autofree char *final = xasprintf("volumes/%s", name);
	autofree char *grave = xasprintf(GRAVES "/%s", name);
	int r = file_mkdir_p(data_fd, GRAVES, 0700, err);

	if (r < 0)
		return r;
	r = renameat(data_fd, final, data_fd, grave);
	if (r < 0 && (errno == EEXIST || errno == ENOTEMPTY)) {
		/* Of an earlier volume of that name, whose row has gone. */
		autofree char *tmp = tmp_name("old");

		(void)renameat(data_fd, grave, data_fd, tmp);
		r = renameat(data_fd, final, data_fd, grave);
	}
	if (r < 0)
		return errno == ENOENT
			       ? 0
			       : error_set(err, ERROR_INTERNAL, errno, "remove volume '%s'", name);
	r = sync_dir(data_fd, GRAVES, err);
	return r < 0 ? r : sync_dir(data_fd, "volumes", err);
}

void volume_unbury_dir(int data_fd, const char *name)
{
	autofree char *final = xasprintf("volumes/%s", name);
	autofree char *grave = xasprintf(GRAVES "/%s", name);

	if (renameat(data_fd, grave, data_fd, final) < 0 && errno != ENOENT)
		log_error("volume '%s' is in '%s': %s", name, grave, strerror(errno));
}

char *volume_forget_dir(int data_fd, const char *name)
{
	autofree char *grave = xasprintf(GRAVES "/%s", name);
	autofree char *tmp = tmp_name("old");

	if (renameat(data_fd, grave, data_fd, tmp) == 0)
		return TAKE_PTR(tmp);
	if (errno != ENOENT)
		log_warn("'%s' is deleted at the next start: %s", grave, strerror(errno));
	return NULL;
}

void volume_unbury_dirs(int data_fd, bool (*is_known)(void *data, const char *name), void *data)
{
	int fd = openat(data_fd, GRAVES, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		autofree char *grave = xasprintf(GRAVES "/%s", entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		if (is_known(data, entry->d_name))
			volume_unbury_dir(data_fd, entry->d_name);
		else
			(void)file_remove_tree(data_fd, grave, NULL);
	}
	if (dir)
		(void)closedir(dir);
	else if (fd >= 0)
		(void)close(fd);
}

int volume_open_dir(int data_fd, const char *name, struct error *err)
{
	autofree char *path = xasprintf("volumes/%s/_data", name);
	int fd = openat(data_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "open volume '%s'", name) : fd;
}

/* Into a directory beside it, which then takes its place: rename(2) replaces an empty one. */
static int populate_whole(int data_fd, const char *name, int old_fd,
			  const struct volume_layers *layers, struct error *err)
{
	autofree char *path = xasprintf("volumes/%s/_data", name);
	autofree char *parent = xasprintf("volumes/%s", name);
	autofree char *tmp = tmp_name("copy");
	autoclose int fd = -EBADF;
	int r = file_mkdir_p(data_fd, tmp, 0755, err);

	if (r < 0)
		return r;
	fd = openat(data_fd, tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "open '%s'", tmp)
		   : projquota_share(old_fd, fd, err);
	r = r < 0 ? r : populate(layers->v, layers->n, layers->path, fd, err);
	if (r > 0) {
		/* Half of it, after a power loss, would look like the user's own content. */
		if (syncfs(fd) < 0)
			r = error_set(err, ERROR_INTERNAL, errno, "sync volume '%s'", name);
		else if (renameat(data_fd, tmp, data_fd, path) < 0)
			r = error_set(err, ERROR_INTERNAL, errno, "fill volume '%s'", name);
		else
			r = sync_dir(data_fd, parent, err);
	}
	(void)file_remove_tree(data_fd, tmp, NULL);
	return r < 0 ? r : 0;
}

int volume_populate(int data_fd, const char *name, bool mounted, const struct volume_layers *layers,
		    struct error *err)
{
	autoclose int fd = volume_open_dir(data_fd, name, err);
	int r = fd < 0 ? fd : populate_is_empty(fd);

	if (fd >= 0 && r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "list volume '%s'", name);
	if (r <= 0)
		return r;
	if (!mounted)
		return populate_whole(data_fd, name, fd, layers, err);
	r = populate(layers->v, layers->n, layers->path, fd, err);
	return r < 0 ? r : 0;
}

/* --- mounting ------------------------------------------------------------------------------- */

/* mount.nfs(8) resolves names; the kernel wants numbers. */
static char *resolve_addr(const char *option)
{
	static const char key[] = "addr=";
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	char text[NI_MAXHOST];
	char *ret = NULL;

	if (!str_has_prefix(option, key) || getaddrinfo(option + strlen(key), NULL, &hints, &list))
		return xstrdup(option);
	if (getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof(text), NULL, 0,
			NI_NUMERICHOST) == 0)
		ret = xasprintf("%s%s", key, text);
	freeaddrinfo(list);
	return ret ? ret : xstrdup(option);
}

static void split(const char *list, struct strv *out)
{
	while (list && *list) {
		size_t n = strcspn(list, ",");
		autofree char *one = xstrndup(list, n);

		if (n > 0)
			strv_add_take(out, resolve_addr(one));
		list += n + (list[n] == ',');
	}
}

static bool is_mounted(const char *dir)
{
	struct stat here, above;
	autofree char *parent = xasprintf("%s/..", dir);
	autofree char *mounts = NULL, *wanted = xasprintf(" %s ", dir);

	if (stat(dir, &here) < 0 || stat(parent, &above) < 0)
		return false;
	/* A bind of the same file system has the same device: then the list tells. */
	if (here.st_dev != above.st_dev)
		return true;
	return file_read(AT_FDCWD, "/proc/self/mountinfo", (size_t)64 << 20, &mounts, NULL, NULL) >=
		       0 &&
	       strstr(mounts, wanted) != NULL;
}

int volume_mount(const char *dir, const struct volume_map *options, struct error *err)
{
	const char *type = volume_map_get(options, "type"), *device;
	autostrv struct strv list = {0};
	autoclose int target = -EBADF, mount = -EBADF;
	struct mount_options parsed;
	int r;

	if (is_mounted(dir))
		return 0;
	device = volume_map_get(options, "device");
	split(volume_map_get(options, "o"), &list);
	r = mount_options_parse((const char *const *)list.v, list.n, &parsed, err);
	if (r < 0)
		return r;
	target = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (target < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", dir);
	if (parsed.bind || str_empty(type) || str_eq(type, "none"))
		mount = mount_clone(AT_FDCWD, device, parsed.bind_recursive, err);
	else
		mount = mount_new(type, device, &parsed, err);
	if (mount >= 0 && (parsed.bind || str_empty(type) || str_eq(type, "none"))) {
		parsed.bind = true;
		r = mount_apply(mount, &parsed, err);
	}
	if (mount < 0 || r < 0)
		return error_wrap(err, mount < 0 ? mount : r, "mount volume on '%s'", dir);
	return mount_attach(mount, target, dir, err);
}

int volume_unmount(const char *dir, struct error *err)
{
	if (!is_mounted(dir))
		return 0;
	if (umount2(dir, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL)
		return error_set(err, ERROR_INTERNAL, errno, "unmount '%s'", dir);
	return 0;
}
