/* A layer's tar entries become files.
 *
 * Directories named by entries are opened once and kept in a small cache, so that a file costs
 * openat and fstat here and, in unpack_writer.c, write, futimens, close and, where they differ from the
 * default, chown and chmod.
 * Directories are made with mode 0700 and get their attributes at the end.  What an entry replaces is
 * renamed out of the tree in one step: nothing is ever deleted under the parser's feet, and inode
 * numbers stay unique until the end, by which the final pass recognises what it made.
 */
#include "store/unpack.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/file.h"
#include "store/unpack_priv.h"

#define COPY_SIZE (256 * 1024)

/* ---- small helpers ---- */

int unpack_open(int root, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC), .resolve = resolve};
	long fd;

	do /* EAGAIN: a rename elsewhere on the host raced with the walk, openat2(2) */
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	return fd < 0 ? -errno : (int)fd;
}

int unpack_error(struct error *err, int errnum, const char *path, const char *what)
{
	static const int disk[] = {ENOSPC, EIO, EROFS, EDQUOT, ENOMEM, EMFILE, ENFILE, EPERM};
	enum error_kind kind = ERROR_INVALID;

	for (size_t i = 0; i < ARRAY_SIZE(disk); i++)
		if (errnum == disk[i])
			kind = ERROR_INTERNAL;
	return error_set(err, kind, errnum, "unpack '%s': %s", path, what);
}

char *unpack_split(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');

	*ret_name = slash ? slash + 1 : path;
	return slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup("");
}

int unpack_refuse(struct error *err, const char *path, const char *why)
{
	return error_set(err, ERROR_INVALID, 0, "unpack '%s': %s", path, why);
}

/* Normalise: no leading, doubled or trailing slash, no "."; ".." is refused. */
int unpack_normalise(const char *path, const char *entry, char **ret, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(TAR_MAX_PATH + 1);
	unsigned depth = 0;

	for (const char *p = path; *p;) {
		size_t len = strcspn(p, "/");

		if (len == 2 && p[0] == '.' && p[1] == '.')
			return unpack_refuse(err, entry, "'..' in a path is refused");
		if (len > NAME_MAX)
			return unpack_refuse(err, entry, "a name of more than 255 bytes");
		if (len > 0 && !(len == 1 && p[0] == '.')) {
			if (out.len > 0)
				strbuf_addc(&out, '/');
			strbuf_add(&out, p, len);
			if (++depth > UNPACK_MAX_DEPTH)
				return unpack_refuse(err, entry,
						     "too many directories below each other");
		}
		p += len + (p[len] == '/');
	}
	*ret = out.len > 0 ? strbuf_take(&out) : xstrdup("");
	return 0;
}

static mode_t current_umask(void)
{
	autofree char *status = NULL;
	uint32_t mask = 022;
	char *line;

	if (file_read(AT_FDCWD, "/proc/self/status", 65536, &status, NULL, NULL) < 0)
		return 0777; /* always chmod then */
	line = strstr(status, "\nUmask:\t");
	if (!line)
		return 0777;
	line += strlen("\nUmask:\t");
	line[strcspn(line, "\n")] = '\0';
	return str_parse_octal(line, &mask) < 0 ? 0777 : (mode_t)mask;
}

/* ---- extended attributes ---- */

/* overlayfs takes its own attributes at their word; escaped, they are data (kernel 6.7 and newer show
 * them to the container unescaped). */
char *unpack_xattr_name(const char *name)
{
	static const char *const own[] = {"trusted.overlay.", "user.overlay."};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (str_has_prefix(name, own[i]))
			return xasprintf("%soverlay.%s", own[i], name + strlen(own[i]));
	return xstrdup(name);
}

static void xattrs_copy(struct unpack_xattrs *x, const struct tar_entry *e)
{
	for (size_t i = 0; i < e->n_xattrs; i++) {
		xgrow(x->v, x->n, x->cap);
		x->v[x->n++] = (struct unpack_xattr){
			.name = unpack_xattr_name(e->xattrs[i].name),
			.value = xmemdup(e->xattrs[i].value, e->xattrs[i].len),
			.len = e->xattrs[i].len,
		};
	}
}

void unpack_xattrs_done(struct unpack_xattrs *x)
{
	for (size_t i = 0; i < x->n; i++) {
		free(x->v[i].name);
		free(x->v[i].value);
	}
	free(x->v);
	*x = (struct unpack_xattrs){0};
}

int unpack_set_xattrs(int parent_fd, const char *name, const struct unpack_xattrs *x,
		      const char *path, struct error *err)
{
	autofree char *proc = NULL;

	if (x->n == 0)
		return 0;
	/* The O_PATH descriptor is followed, the last name is not. */
	proc = xasprintf("/proc/self/fd/%d/%s", parent_fd, name);
	for (size_t i = 0; i < x->n; i++) {
		if (lsetxattr(proc, x->v[i].name, x->v[i].value, x->v[i].len, 0) == 0)
			continue;
		/* Attributes that this file system or kind of file cannot have are left out, as
		 * Docker does. */
		if (errno == EOPNOTSUPP ||
		    (errno == EPERM && str_has_prefix(x->v[i].name, "user.")))
			continue;
		return unpack_error(err, errno, path, x->v[i].name);
	}
	return 0;
}

static int set_entry_xattrs(int parent_fd, const char *name, const struct tar_entry *e,
			    struct error *err)
{
	struct unpack_xattrs x = {0};
	int r;

	if (e->n_xattrs == 0)
		return 0;
	xattrs_copy(&x, e);
	r = unpack_set_xattrs(parent_fd, name, &x, e->path, err);
	unpack_xattrs_done(&x);
	return r;
}

/* ---- parents ---- */

static void parent_clear(struct unpack_parent *p)
{
	fd_close(&p->fd);
	free(p->asked);
	free(p->path);
	*p = (struct unpack_parent){.fd = -EBADF};
}

/* Some directory or link is about to go: what was resolved through it is void. */
static void cache_flush(struct unpack *u)
{
	for (size_t i = 0; i < UNPACK_CACHE; i++)
		parent_clear(&u->cache[i]);
	u->cache_stale = false;
}

static unsigned cache_slot(const char *path)
{
	uint32_t h = 2166136261U; /* FNV-1a */

	for (; *path; path++)
		h = (h ^ (unsigned char)*path) * 16777619U;
	return (h ^ h >> 16) % UNPACK_CACHE;
}

static int set_opaque(int parent_fd, const char *name, const char *path, struct error *err)
{
	autofree char *proc = xasprintf("/proc/self/fd/%d/%s", parent_fd, name);

	if (setxattr(proc, "trusted.overlay.opaque", "y", 1, 0) < 0)
		return unpack_error(err, errno, path, "mark the directory opaque");
	return 0;
}

static struct unpack_dir *dir_add(struct unpack *u, int parent_fd, const char *name,
				  char *path_take)
{
	struct stat st = {0};
	struct unpack_dir *d;

	(void)fstatat(parent_fd, name, &st,
		      AT_SYMLINK_NOFOLLOW); /* it was just made or looked at */
	xgrow(u->dirs, u->n_dirs, u->cap_dirs);
	d = &u->dirs[u->n_dirs++];
	*d = (struct unpack_dir){.path = path_take, .ino = st.st_ino};
	return d;
}

/* Move what stands at a name out of the tree. */
static int replace(struct unpack *u, int parent_fd, const char *name, const struct stat *st,
		   const char *path, struct error *err)
{
	char to[32];
	int r;

	if (!S_ISREG(st->st_mode))
		u->cache_stale = true; /* flushed later: parent_fd is from the cache */
	u->replaced++;
	if (u->keep_fd < 0) {
		autoerror struct error inner = {0};

		r = file_remove_tree(parent_fd, name, &inner);
		return r < 0 ? unpack_error(err, -r, path, "replace an earlier entry") : 0;
	}
	(void)snprintf(to, sizeof(to), "x%llu", (unsigned long long)u->replaced);
	if (renameat(parent_fd, name, u->keep_fd, to) < 0)
		return unpack_error(err, errno, path, "replace an earlier entry");
	return 0;
}

static char *join(const char *dir, const char *name)
{
	return dir[0] ? xasprintf("%s/%s", dir, name) : xstrdup(name);
}

/* Make a directory for which no entry came (yet). */
static int make_implied(struct unpack *u, const struct unpack_parent *above, const char *name,
			const char *for_path, struct error *err)
{
	autofree char *path = join(above->path, name);
	int fd = above->fd;
	bool whiteout = false;
	struct stat st;
	int r;

	if (mkdirat(fd, name, 0700) < 0) {
		if (errno != EEXIST)
			return unpack_error(err, errno, for_path, "make its directory");
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !unpack_is_whiteout(&st))
			return unpack_refuse(
				err, for_path,
				"what should be its directory is a file or a dangling link");
		r = replace(u, fd, name, &st, for_path, err);
		if (r < 0)
			return r;
		whiteout = true;
		if (mkdirat(fd, name, 0700) < 0)
			return unpack_error(err, errno, for_path, "make its directory");
	}
	dir_add(u, fd, name, TAKE_PTR(path))->implied = true;
	return whiteout ? set_opaque(fd, name, for_path, err) : 0;
}

/* The real path of a directory that was reached through symbolic links. */
static int real_path(const struct unpack *u, int fd, const char *for_path, char **ret,
		     struct error *err)
{
	char link[64], buf[PATH_MAX];
	size_t root = strlen(u->root_path), depth = 0;
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, buf, sizeof(buf) - 1);
	if (n < 0)
		return unpack_error(err, errno, for_path, "resolve its directory");
	buf[n] = '\0';
	if (!str_has_prefix(buf, u->root_path) || (buf[root] != '/' && buf[root] != '\0'))
		return unpack_refuse(err, for_path, "its directory lies outside the layer");
	for (const char *p = buf + root; *p; p++)
		depth += *p == '/';
	if (depth > UNPACK_MAX_DEPTH)
		return unpack_refuse(err, for_path, "too many directories below each other");
	*ret = xstrdup(buf[root] ? buf + root + 1 : "");
	return 0;
}

static int open_parent(struct unpack *u, const char *path, const char *for_path, char **ret_real,
		       struct error *err)
{
	int fd, r;

	fd = unpack_open(u->root_fd, path[0] ? path : ".", O_PATH | O_DIRECTORY, UNPACK_PLAIN);
	if (fd >= 0) {
		*ret_real = xstrdup(path);
		return fd;
	}
	if (fd == -ELOOP) {
		fd = unpack_open(u->root_fd, path, O_PATH | O_DIRECTORY,
				 RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
		if (fd >= 0) {
			r = real_path(u, fd, for_path, ret_real, err);
			if (r < 0)
				(void)close(fd);
			return r < 0 ? r : fd;
		}
	}
	return fd;
}

int unpack_parent(struct unpack *u, const char *path, const char *for_path,
		  const struct unpack_parent **ret, struct error *err)
{
	struct unpack_parent *slot = &u->cache[cache_slot(path)];
	autofree char *real = NULL;
	int fd;

	if (u->cache_stale)
		cache_flush(u);
	if (slot->asked && str_eq(slot->asked, path)) {
		*ret = slot;
		return 0;
	}
	for (int attempt = 0;; attempt++) {
		autoerror struct error inner = {0};
		const struct unpack_parent *above;
		autofree char *dir = NULL;
		const char *name;
		int r;

		fd = open_parent(u, path, for_path, &real, &inner);
		if (fd >= 0)
			break;
		if (inner.msg)
			return error_move(err, &inner, fd);
		if (attempt > 0 || (fd != -ENOENT && fd != -ENOTDIR))
			return unpack_error(err, -fd, for_path, "open its directory");
		dir = unpack_split(path, &name);
		r = unpack_parent(u, dir, for_path, &above, err);
		if (r >= 0)
			r = make_implied(u, above, name, for_path, err);
		if (r < 0)
			return r;
	}
	parent_clear(slot);
	*slot = (struct unpack_parent){.asked = xstrdup(path), .path = TAKE_PTR(real), .fd = fd};
	*ret = slot;
	return 0;
}

/* ---- entries ---- */

/* Where an entry goes. */
struct place {
	int fd;            /* owned or, usually, borrowed from the cache */
	const char *name;  /* "." for the root */
	const char *path;  /* real, below the root */
	const char *label; /* as the archive says it */
};

static int clear_place(struct unpack *u, const struct place *p, struct stat *st, struct error *err)
{
	if (fstatat(p->fd, p->name, st, AT_SYMLINK_NOFOLLOW) < 0)
		return unpack_error(err, errno, p->label, "look at an earlier entry");
	return replace(u, p->fd, p->name, st, p->label, err);
}

static bool owner_differs(const struct unpack *u, const struct tar_entry *e)
{
	return e->uid != u->euid || e->gid != u->egid;
}

static int write_all(struct unpack *u, int fd, const void *p, size_t len, off_t at)
{
	while (len > 0) {
		ssize_t n = at < 0 ? write(fd, p, len) : pwrite(fd, p, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p = (const char *)p + n;
		len -= (size_t)n;
		at += at < 0 ? 0 : n;
		u->size += n;
	}
	return 0;
}

static int write_piece(struct unpack *u, struct tar *t, int fd, const struct tar_piece *piece,
		       const char *path, struct error *err)
{
	for (int64_t done = 0; done < piece->len;) {
		int64_t left = piece->len - done;
		const void *data;
		ssize_t n = tar_read(t, left < COPY_SIZE ? (size_t)left : COPY_SIZE, &data, err);
		int r;

		if (n < 0)
			return (int)n;
		assert(n > 0); /* the parser checked the map against the stored size */
		r = write_all(u, fd, data, (size_t)n, piece->offset + done);
		if (r < 0)
			return unpack_error(err, -r, path, "write");
		done += n;
	}
	return 0;
}

static int write_content(struct unpack *u, struct tar *t, int fd, const struct tar_entry *e,
			 struct error *err)
{
	const void *data;
	ssize_t n;
	int r = 0;

	for (size_t i = 0; i < e->n_pieces; i++) {
		r = write_piece(u, t, fd, &e->pieces[i], e->path, err);
		if (r < 0)
			return r;
	}
	if (e->sparse)
		return ftruncate(fd, e->size) < 0
			       ? unpack_error(err, errno, e->path, "set its size")
			       : 0;
	while ((n = tar_read(t, COPY_SIZE, &data, err)) > 0) {
		r = write_all(u, fd, data, (size_t)n, -1);
		if (r < 0)
			return unpack_error(err, -r, e->path, "write");
	}
	return n < 0 ? (int)n : 0;
}

static int create_file(struct unpack *u, const struct tar_entry *e, const struct place *p,
		       struct error *err)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(p->fd, p->name, flags, e->mode & 0777), r;
	struct stat st;

	if (fd < 0 && errno == EEXIST) {
		r = clear_place(u, p, &st, err);
		if (r < 0)
			return r;
		fd = openat(p->fd, p->name, flags, e->mode & 0777);
	}
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = unpack_error(err, errno, e->path, "create");
		fd_close(&fd);
		return r;
	}
	xgrow(u->inodes, u->n_inodes, u->cap_inodes);
	u->inodes[u->n_inodes++] = st.st_ino;
	return fd;
}

/* A content that a job can hold goes with it; a longer one is written here. */
static int file_content(struct unpack *u, struct tar *t, const struct tar_entry *e,
			struct unpack_job *job, struct error *err)
{
	const void *data;
	ssize_t n;
	char *to;
	int r;

	if (e->sparse || e->n_xattrs > 0 || e->size > UNPACK_WRITER_MAX)
		return write_content(u, t, job->fd, e, err);
	r = unpack_writer_room(u->writer, (size_t)e->size, &to, err);
	if (r < 0)
		return r;
	while ((n = tar_read(t, COPY_SIZE, &data, err)) > 0) {
		assert(job->len + (size_t)n <= (size_t)e->size); /* nothing else is stored */
		memcpy(to + job->len, data, (size_t)n);
		job->len += (size_t)n;
	}
	u->size += (int64_t)job->len;
	return n < 0 ? (int)n : 0;
}

static int make_file(struct unpack *u, struct tar *t, const struct tar_entry *e,
		     const struct place *p, struct error *err)
{
	bool owner = owner_differs(u, e), mode = e->mode & (u->umask | 07000);
	autoclose int fd = create_file(u, e, p, err);
	struct unpack_job job = {
		.fd = fd,
		.uid = owner ? e->uid : (uid_t)-1,
		.gid = e->gid,
		.mode = mode ? e->mode : (mode_t)-1,
		.mtime = e->mtime,
		.size = e->size,
		.path = e->path,
	};
	int r = fd;

	if (!u->writer)
		u->writer = unpack_writer_new();
	if (r >= 0)
		r = file_content(u, t, e, &job, err);
	if (r < 0)
		return r;
	if (e->n_xattrs == 0) {
		(void)TAKE_FD(fd);
		r = unpack_writer_put(u->writer, &job, err);
		return r < 0 ? r : 1;
	}
	r = unpack_job_finish(&job, err);
	if (r >= 0) /* last: chown clears capabilities; the times stay */
		r = set_entry_xattrs(p->fd, p->name, e, err);
	return r < 0 ? r : 1;
}

static int make_directory(struct unpack *u, const struct tar_entry *e, const struct place *p,
			  struct error *err)
{
	bool whiteout = false;
	struct unpack_dir *d;
	struct stat st;
	int r;

	if (!str_eq(p->name, ".") && mkdirat(p->fd, p->name, 0700) < 0) {
		if (errno != EEXIST || fstatat(p->fd, p->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return unpack_error(err, errno, e->path, "make the directory");
		if (!S_ISDIR(st.st_mode)) {
			whiteout = unpack_is_whiteout(&st);
			r = replace(u, p->fd, p->name, &st, e->path, err);
			if (r < 0)
				return r;
			if (mkdirat(p->fd, p->name, 0700) < 0)
				return unpack_error(err, errno, e->path, "make the directory");
		}
	}
	if (whiteout) {
		r = set_opaque(p->fd, p->name, e->path, err);
		if (r < 0)
			return r;
	}
	d = dir_add(u, p->fd, p->name, xstrdup(p->path));
	d->mode = e->mode;
	d->uid = e->uid;
	d->gid = e->gid;
	d->mtime = e->mtime;
	xattrs_copy(&d->xattrs, e);
	u->has_root |= p->path[0] == '\0';
	return 0;
}

static int make_hardlink(struct unpack *u, const struct tar_entry *e, const struct place *p,
			 struct error *err)
{
	autofree char *target = NULL, *dir = NULL;
	autoclose int dir_fd = -EBADF;
	const char *name;
	struct stat st, old;
	int r;

	r = unpack_normalise(e->link, e->path, &target, err);
	if (r < 0)
		return r;
	dir = unpack_split(target, &name);
	dir_fd = unpack_open(u->root_fd, dir[0] ? dir : ".", O_PATH | O_DIRECTORY,
			     RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	if (dir_fd < 0 || !name[0] || fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		/* Perhaps a lower layer has it. */
		xgrow(u->links, u->n_links, u->cap_links);
		u->links[u->n_links++] =
			(struct unpack_link){.path = xstrdup(p->path), .target = TAKE_PTR(target)};
		return 0;
	}
	if (S_ISDIR(st.st_mode))
		return unpack_refuse(err, e->path, "a hard link to a directory");
	if (linkat(dir_fd, name, p->fd, p->name, 0) == 0)
		return 0;
	if (errno != EEXIST)
		return unpack_error(err, errno, e->path, "link");
	if (fstatat(p->fd, p->name, &old, AT_SYMLINK_NOFOLLOW) == 0 && old.st_ino == st.st_ino)
		return 0; /* to itself */
	r = clear_place(u, p, &old, err);
	if (r < 0)
		return r;
	if (linkat(dir_fd, name, p->fd, p->name, 0) < 0)
		return unpack_error(err, errno, e->path, "link");
	return 0;
}

static int create_special(const struct tar_entry *e, const struct place *p)
{
	static const mode_t modes[] = {
		[TAR_CHAR] = S_IFCHR, [TAR_BLOCK] = S_IFBLK, [TAR_FIFO] = S_IFIFO};
	dev_t dev = e->type == TAR_FIFO ? 0 : makedev(e->dev_major, e->dev_minor);

	if (e->type == TAR_SYMLINK)
		return symlinkat(e->link, p->fd, p->name) < 0 ? -errno : 0;
	return mknodat(p->fd, p->name, modes[e->type] | 0600, dev) < 0 ? -errno : 0;
}

/* Symbolic links, devices, FIFOs. */
static int make_special(struct unpack *u, const struct tar_entry *e, const struct place *p,
			struct error *err)
{
	const struct timespec times[2] = {e->mtime, e->mtime};
	struct stat st;
	int r;

	if (e->type == TAR_CHAR && e->dev_major == 0 && e->dev_minor == 0)
		return unpack_refuse(err, e->path, "character device 0:0 is overlayfs's whiteout");
	if (e->type == TAR_SYMLINK && !e->link[0])
		return unpack_refuse(err, e->path, "a symbolic link without a target");
	r = create_special(e, p);
	if (r == -EEXIST) {
		r = clear_place(u, p, &st, err);
		if (r < 0)
			return r;
		r = create_special(e, p);
	}
	if (r < 0)
		return unpack_error(err, -r, e->path, "create");
	if (owner_differs(u, e) &&
	    fchownat(p->fd, p->name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return unpack_error(err, errno, e->path, "set its owner");
	if (e->type != TAR_SYMLINK && fchmodat(p->fd, p->name, e->mode, 0) < 0)
		return unpack_error(err, errno, e->path, "set its mode");
	r = set_entry_xattrs(p->fd, p->name, e, err);
	if (r >= 0 && utimensat(p->fd, p->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = unpack_error(err, errno, e->path, "set its times");
	return r;
}

/* ".wh.NAME", ".wh..wh..opq" and AUFS's other names. */
static int make_whiteout(const struct place *p, struct error *err)
{
	const char *name = p->name + strlen(".wh.");
	struct stat st;

	if (str_eq(p->name, ".wh..wh..opq"))
		return set_opaque(p->fd, ".", p->label, err);
	if (str_has_prefix(p->name, ".wh..wh."))
		return 0; /* AUFS's own files: in old images, meaningless */
	if (!name[0] || str_eq(name, ".") || str_eq(name, ".."))
		return unpack_refuse(err, p->label, "a whiteout of nothing");
	if (mknodat(p->fd, name, S_IFCHR, makedev(0, 0)) == 0)
		return 0;
	if (errno != EEXIST || fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return unpack_error(err, errno, p->label, "make the whiteout");
	/* A whiteout concerns lower layers only: what this layer has stays, and hides them. */
	return S_ISDIR(st.st_mode) ? set_opaque(p->fd, name, p->label, err) : 0;
}

static int make_entry(struct unpack *u, struct tar *t, const struct tar_entry *e,
		      const struct place *p, struct error *err)
{
	switch (e->type) {
	case TAR_FILE:
		return make_file(u, t, e, p, err);
	case TAR_DIRECTORY:
		return make_directory(u, e, p, err);
	case TAR_HARDLINK:
		return make_hardlink(u, e, p, err);
	case TAR_SYMLINK:
	case TAR_CHAR:
	case TAR_BLOCK:
	case TAR_FIFO:
		return make_special(u, e, p, err);
	}
	return unpack_refuse(err, e->path, "unknown type");
}

/* AUFS kept directories of its own at the root; nothing below them is part of the image. */
bool unpack_below_aufs(const char *path)
{
	return str_has_prefix(path, ".wh..wh.") && strchr(path, '/');
}

int unpack_entry(struct unpack *u, struct tar *t, const struct tar_entry *e,
		 struct unpack_file *ret, struct error *err)
{
	autofree char *path = NULL, *dir = NULL, *real = NULL;
	const struct unpack_parent *parent;
	struct place p;
	int r;

	r = unpack_normalise(e->path, e->path, &path, err);
	if (r < 0)
		return r;
	if (unpack_below_aufs(path))
		return 0;
	if (!path[0]) {
		p = (struct place){.fd = u->root_fd, .name = ".", .path = "", .label = e->path};
		return e->type == TAR_DIRECTORY
			       ? make_directory(u, e, &p, err)
			       : unpack_refuse(err, e->path, "the root is a directory");
	}
	dir = unpack_split(path, &p.name);
	r = unpack_parent(u, dir, e->path, &parent, err);
	if (r < 0)
		return r;
	real = join(parent->path, p.name);
	p.fd = parent->fd;
	p.path = real;
	p.label = e->path;
	if (str_has_prefix(p.name, ".wh."))
		return make_whiteout(&p, err);
	r = make_entry(u, t, e, &p, err);
	if (r == 1) {
		free(u->path);
		u->path = TAKE_PTR(real);
		*ret = (struct unpack_file){.number = u->n_inodes - 1, .path = u->path};
	}
	return r;
}

/* ---- the object ---- */

int unpack_new(int dir_fd, int keep_fd, struct unpack **ret, struct error *err)
{
	char link[64], buf[PATH_MAX];
	struct unpack *u;
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
	n = readlink(link, buf, sizeof(buf) - 1);
	if (n < 0)
		return error_set(err, ERROR_INTERNAL, errno, "unpack a layer");
	u = xnew0(struct unpack);
	u->root_fd = dir_fd;
	u->keep_fd = keep_fd;
	u->root_path = xstrndup(buf, (size_t)n);
	u->umask = current_umask();
	u->euid = geteuid();
	u->egid = getegid();
	for (size_t i = 0; i < UNPACK_CACHE; i++)
		u->cache[i].fd = -EBADF;
	*ret = u;
	return 0;
}

struct unpack *unpack_free(struct unpack *u)
{
	if (!u)
		return NULL;
	(void)unpack_writer_free(u->writer);
	cache_flush(u);
	for (size_t i = 0; i < u->n_dirs; i++) {
		free(u->dirs[i].path);
		unpack_xattrs_done(&u->dirs[i].xattrs);
	}
	for (size_t i = 0; i < u->n_links; i++) {
		free(u->links[i].path);
		free(u->links[i].target);
	}
	free(u->links);
	free(u->dirs);
	free(u->inodes);
	free(u->path);
	free(u->root_path);
	free(u);
	return NULL;
}

int unpack_settle(struct unpack *u, struct error *err)
{
	int r = u->writer ? unpack_writer_flush(u->writer, err) : 0;

	u->writer = unpack_writer_free(u->writer);
	return r;
}

int unpack_pause(struct unpack *u, struct error *err)
{
	int r = unpack_settle(u, err);

	cache_flush(u);
	u->root_fd = u->keep_fd = -EBADF;
	return r;
}

void unpack_resume(struct unpack *u, int dir_fd, int keep_fd)
{
	u->root_fd = dir_fd;
	u->keep_fd = keep_fd;
}

int64_t unpack_size(const struct unpack *u)
{
	return u->size;
}
