/* The end of a layer: what depends on the layers below it, and on everything being there. */
#include "store/unpack_priv.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/file.h"

#define COPY_SIZE        (1 << 20)
#define XATTR_LIST_SIZE  65536 /* XATTR_LIST_MAX */
#define XATTR_VALUE_SIZE 65536 /* XATTR_SIZE_MAX */

/* ---- the layers below ---- */

/* Does this layer hide what lower ones have at `path`? */
static bool hides(int layer_fd, const char *path)
{
	autofree char *prefix = xstrdup(path);

	for (char *slash = prefix;; *slash++ = '/') {
		autoclose int fd = -EBADF;
		struct stat st;
		char proc[64], opaque;

		slash = strchr(slash, '/');
		if (slash)
			*slash = '\0';
		fd = unpack_open(layer_fd, prefix, O_PATH | O_NOFOLLOW, UNPACK_PLAIN);
		if (fd < 0)
			return fd != -ENOENT;
		if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
			return true;
		(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		if (getxattr(proc, "trusted.overlay.opaque", &opaque, 1) == 1 && opaque == 'y')
			return true;
		if (!slash)
			return false;
	}
}

/* What the layers below show at `path`: an O_PATH descriptor, or -ENOENT. */
int unpack_find_lower(const struct unpack_lower *lower, const char *path)
{
	for (size_t i = 0; i < lower->n; i++) {
		int layer = lower->fds ? lower->fds[i] : -1;
		struct stat st;
		int fd;

		if (layer < 0 && lower->open)
			layer = lower->open(lower->data, i);
		fd = unpack_open(layer, path[0] ? path : ".", O_PATH | O_NOFOLLOW, UNPACK_PLAIN);

		if (fd >= 0 && fstat(fd, &st) == 0 && !unpack_is_whiteout(&st))
			return fd;
		if (fd >= 0)
			(void)close(fd);
		if (fd >= 0 || hides(layer, path))
			break;
	}
	return -ENOENT;
}

void unpack_read_xattrs(int fd, struct unpack_xattrs *x)
{
	autofree char *list = xcalloc(1, XATTR_LIST_SIZE);
	autofree char *value = xcalloc(1, XATTR_VALUE_SIZE);
	char proc[64];
	ssize_t n, len;

	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = listxattr(proc, list, XATTR_LIST_SIZE); /* a file system without any: none */
	for (char *name = list; n > 0 && name < list + n; name += strlen(name) + 1) {
		/* overlayfs's own marks stay where they are; escaped ones are data. */
		if (str_has_prefix(name, "trusted.overlay.") &&
		    !str_has_prefix(name, "trusted.overlay.overlay."))
			continue;
		len = getxattr(proc, name, value, XATTR_VALUE_SIZE);
		if (len < 0)
			continue;
		xgrow(x->v, x->n, x->cap);
		x->v[x->n++] = (struct unpack_xattr){.name = xstrdup(name),
						     .value = xmemdup(value, (size_t)len),
						     .len = (size_t)len};
	}
}

/* ---- hard links to lower layers ---- */

static int copy_content(int from, int to)
{
	autofree char *buf = NULL;
	ssize_t n;

	while ((n = copy_file_range(from, NULL, to, NULL, COPY_SIZE, 0)) > 0)
		;
	if (n == 0)
		return 0;
	if (errno != EXDEV && errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS)
		return -errno;
	buf = xcalloc(1, COPY_SIZE);
	while ((n = read(from, buf, COPY_SIZE)) > 0) {
		int r = fd_write_full(to, buf, (size_t)n);

		if (r < 0)
			return r;
	}
	return n < 0 ? -errno : 0;
}

/* Copy a lower layer's file to dir_fd/name with all its attributes. */
static int copy_up(int from_path_fd, const struct stat *st, int dir_fd, const char *name,
		   const char *path, struct error *err)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	autoclose int from = -EBADF, to = -EBADF;
	struct unpack_xattrs x = {0};
	char proc[64], target[PATH_MAX];
	ssize_t n;
	int r;

	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", from_path_fd);
	if (S_ISREG(st->st_mode)) {
		from = open(proc, O_RDONLY | O_CLOEXEC);
		to = from < 0 ? -1
			      : openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		r = to < 0 ? -errno : copy_content(from, to);
	} else if (S_ISLNK(st->st_mode)) {
		n = readlinkat(from_path_fd, "", target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		r = n < 0 || symlinkat(target, dir_fd, name) < 0 ? -errno : 0;
	} else {
		r = mknodat(dir_fd, name, (st->st_mode & S_IFMT) | 0600, st->st_rdev) < 0 ? -errno
											  : 0;
	}
	if (r >= 0 && fchownat(dir_fd, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r >= 0 && !S_ISLNK(st->st_mode) && fchmodat(dir_fd, name, st->st_mode & 07777, 0) < 0)
		r = -errno;
	if (r < 0)
		return unpack_error(err, -r, path, "copy from a lower layer");
	if (!S_ISLNK(st->st_mode))
		unpack_read_xattrs(from_path_fd, &x);
	r = unpack_set_xattrs(dir_fd, name, &x, path, err);
	unpack_xattrs_done(&x);
	if (r >= 0 && utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = unpack_error(err, errno, path, "set its times");
	return r;
}

/* Make sure the link's target is in this layer. */
static int fetch_target(struct unpack *u, const struct unpack_link *l,
			const struct unpack_lower *lower, struct error *err)
{
	const struct unpack_parent *parent;
	autoclose int from = -EBADF;
	autofree char *dir = NULL;
	const char *name;
	struct stat st;
	int r;

	from = unpack_find_lower(lower, l->target);
	if (from < 0 || fstat(from, &st) < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "unpack '%s': a hard link to '%s', which does not exist", l->path,
				 l->target);
	if (S_ISDIR(st.st_mode))
		return error_set(err, ERROR_INVALID, 0,
				 "unpack '%s': a hard link to the directory '%s'", l->path,
				 l->target);
	dir = unpack_split(l->target, &name);
	r = unpack_parent(u, dir, l->path, &parent, err);
	if (r >= 0)
		r = copy_up(from, &st, parent->fd, name, l->path, err);
	if (r >= 0)
		u->size += st.st_size;
	return r;
}

static int make_link(struct unpack *u, const struct unpack_link *l,
		     const struct unpack_lower *lower, struct error *err)
{
	autofree char *dir = NULL, *target_dir = NULL;
	autoclose int target_fd = -EBADF;
	const struct unpack_parent *parent;
	const char *name, *target_name;
	struct stat st;
	int r;

	target_dir = unpack_split(l->target, &target_name);
	if (!target_name[0])
		return error_set(err, ERROR_INVALID, 0, "unpack '%s': a hard link to nothing",
				 l->path);
	target_fd = unpack_open(u->root_fd, target_dir[0] ? target_dir : ".", O_PATH | O_DIRECTORY,
				UNPACK_PLAIN);
	if (target_fd < 0 || fstatat(target_fd, target_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		fd_close(&target_fd);
		r = fetch_target(u, l, lower, err);
		if (r < 0)
			return r;
		target_fd = unpack_open(u->root_fd, target_dir[0] ? target_dir : ".",
					O_PATH | O_DIRECTORY, UNPACK_PLAIN);
		if (target_fd < 0)
			return unpack_error(err, -target_fd, l->path, "open its target");
	}
	dir = unpack_split(l->path, &name);
	r = unpack_parent(u, dir, l->path, &parent, err);
	if (r < 0)
		return r;
	/* An entry that came later for this name has replaced the link already. */
	if (linkat(target_fd, target_name, parent->fd, name, 0) < 0 && errno != EEXIST)
		return unpack_error(err, errno, l->path, "link");
	return 0;
}

/* ---- directories ---- */

/* A directory without an entry looks as in the layers below, or plain. */
static void describe_implied(struct unpack_dir *d, const struct unpack_lower *lower)
{
	autoclose int fd = unpack_find_lower(lower, d->path);
	struct stat st;

	d->mode = 0755;
	d->uid = 0;
	d->gid = 0;
	d->mtime = (struct timespec){0};
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return;
	d->mode = st.st_mode & 07777;
	d->uid = st.st_uid;
	d->gid = st.st_gid;
	d->mtime = st.st_mtim;
	unpack_read_xattrs(fd, &d->xattrs);
}

static int apply_dir(const struct unpack *u, const struct unpack_dir *d, struct error *err)
{
	const struct timespec times[2] = {d->mtime, d->mtime};
	autoclose int fd = unpack_open(u->root_fd, d->path[0] ? d->path : ".",
				       O_RDONLY | O_DIRECTORY, UNPACK_PLAIN);
	struct stat st;
	int r;

	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 0; /* replaced later on */
	if (fd < 0)
		return unpack_error(err, -fd, d->path, "open the directory");
	if (fstat(fd, &st) < 0 || st.st_ino != d->ino)
		return 0;
	if ((d->uid != st.st_uid || d->gid != st.st_gid) && fchown(fd, d->uid, d->gid) < 0 &&
	    !(d->implied && errno == EPERM)) /* without privilege it stays our own */
		return unpack_error(err, errno, d->path, "set its owner");
	if (fchmod(fd, d->mode) < 0)
		return unpack_error(err, errno, d->path, "set its mode");
	r = unpack_set_xattrs(fd, ".", &d->xattrs, d->path, err);
	if (r >= 0 && futimens(fd, times) < 0)
		r = unpack_error(err, errno, d->path, "set its times");
	return r;
}

static int apply_dirs(struct unpack *u, const struct unpack_lower *lower, struct error *err)
{
	struct stat st;
	int r = 0;

	if (!u->has_root && fstat(u->root_fd, &st) == 0) {
		xgrow(u->dirs, u->n_dirs, u->cap_dirs);
		u->dirs[u->n_dirs++] =
			(struct unpack_dir){.path = xstrdup(""), .ino = st.st_ino, .implied = true};
	}
	/* Implied ones first: an entry that came later knows better. */
	for (size_t i = 0; i < u->n_dirs && r >= 0; i++)
		if (u->dirs[i].implied) {
			describe_implied(&u->dirs[i], lower);
			r = apply_dir(u, &u->dirs[i], err);
		}
	for (size_t i = 0; i < u->n_dirs && r >= 0; i++)
		if (!u->dirs[i].implied)
			r = apply_dir(u, &u->dirs[i], err);
	return r;
}

/* ---- contents that were replaced ---- */

struct content {
	ino_t ino;
	uint64_t number;
};

struct keep {
	int fd;            /* borrowed */
	struct content *v; /* owned; ascending by inode */
	size_t n;
};

static int compare_contents(const void *a, const void *b)
{
	const struct content *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static int keep_one(const struct keep *k, int dir_fd, const char *name, const struct stat *st)
{
	const struct content key = {.ino = st->st_ino};
	const struct content *c;
	char to[32];

	c = bsearch(&key, k->v, k->n, sizeof(*k->v), compare_contents);
	if (!c)
		return 0;
	(void)snprintf(to, sizeof(to), "%llu", (unsigned long long)c->number);
	return linkat(dir_fd, name, k->fd, to, 0) < 0 && errno != EEXIST ? -errno : 0;
}

/* Every regular file below dir_fd (taken) is kept under its content's number. */
static int keep_tree(const struct keep *k, int dir_fd_take)
{
	DIR *dir = fdopendir(dir_fd_take);
	struct dirent *de;
	int r = 0;

	if (!dir) {
		r = -errno;
		(void)close(dir_fd_take);
		return r;
	}
	while (r >= 0 && (de = readdir(dir))) {
		struct stat st;

		if (str_eq(de->d_name, ".") || str_eq(de->d_name, ".."))
			continue;
		if (fstatat(dirfd(dir), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			r = -errno;
		} else if (S_ISREG(st.st_mode)) {
			r = keep_one(k, dirfd(dir), de->d_name, &st);
		} else if (S_ISDIR(st.st_mode)) {
			int fd = openat(dirfd(dir), de->d_name,
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			r = fd < 0 ? -errno : keep_tree(k, fd);
		}
	}
	(void)closedir(dir);
	return r;
}

static int keep_contents(struct unpack *u, struct error *err)
{
	struct keep k = {.fd = u->keep_fd, .n = u->n_inodes};
	char name[32];
	int r = 0;

	if (u->keep_fd < 0 || u->replaced == 0)
		return 0;
	k.v = xnew0n(struct content, k.n);
	for (size_t i = 0; i < k.n; i++)
		k.v[i] = (struct content){.ino = u->inodes[i], .number = i};
	qsort(k.v, k.n, sizeof(*k.v), compare_contents);
	for (uint64_t i = 1; i <= u->replaced && r >= 0; i++) {
		struct stat st;

		(void)snprintf(name, sizeof(name), "x%llu", (unsigned long long)i);
		if (fstatat(u->keep_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = -errno;
		else if (S_ISREG(st.st_mode))
			r = keep_one(&k, u->keep_fd, name, &st);
		else if (S_ISDIR(st.st_mode)) {
			int fd = openat(u->keep_fd, name,
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

			r = fd < 0 ? -errno : keep_tree(&k, fd);
		}
		if (r >= 0)
			r = file_remove_tree(u->keep_fd, name, NULL);
	}
	free(k.v);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "unpack: keep a replaced file");
	return 0;
}

int unpack_finish(struct unpack *u, const struct unpack_lower *lower, struct error *err)
{
	int r = unpack_settle(u, err);

	for (size_t i = 0; i < u->n_links && r >= 0; i++)
		r = make_link(u, &u->links[i], lower, err);
	if (r >= 0)
		r = keep_contents(u, err);
	if (r >= 0)
		r = apply_dirs(u, lower, err);
	return r;
}
