/* Files of a container to tar. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/root.h"
#include "store/tar_write.h"
#include "store/tree.h"

#define COPY_SIZE 65536
#define MAX_DEPTH 256
#define MAX_XATTR 65536 /* bytes of one value: the kernel's XATTR_SIZE_MAX */
#define MAX_NAMES 4096  /* bytes of an entry's attribute names that are looked at */

/* Files with several names, by inode: the first name carries the content. */
struct linked {
	dev_t dev;
	ino_t ino;
	char *name; /* owned */
};

struct pack {
	const struct tree_pack *args;
	const struct stream_writer *out;
	dev_t dev;            /* of the top */
	struct linked *links; /* owned: an open-addressed table */
	size_t link_count, link_cap;
	char *buffer; /* owned: COPY_SIZE */
};

/* -- names of one file ---------------------------------------------------------------------- */

static size_t slot_of(const struct linked *v, size_t cap, const struct stat *st)
{
	size_t i = ((size_t)st->st_ino * 0x9E3779B97F4A7C15u ^ (size_t)st->st_dev) & (cap - 1);

	while (v[i].name && (v[i].ino != st->st_ino || v[i].dev != st->st_dev))
		i = (i + 1) & (cap - 1);
	return i;
}

static void grow_links(struct pack *p)
{
	size_t cap = p->link_cap ? p->link_cap * 2 : 64;
	struct linked *v = xnew0n(struct linked, cap);

	for (size_t i = 0; i < p->link_cap; i++) {
		const struct stat st = {.st_ino = p->links[i].ino, .st_dev = p->links[i].dev};

		if (p->links[i].name)
			v[slot_of(v, cap, &st)] = p->links[i];
	}
	free(p->links);
	p->links = v;
	p->link_cap = cap;
}

/* The file's earlier name; NULL: this is the first. */
static const char *link_name(struct pack *p, const struct stat *st, const char *name)
{
	struct linked *l;

	if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
		return NULL;
	if (p->link_count * 2 >= p->link_cap)
		grow_links(p);
	l = &p->links[slot_of(p->links, p->link_cap, st)];
	if (l->name)
		return l->name;
	*l = (struct linked){st->st_dev, st->st_ino, xstrdup(name)};
	p->link_count++;
	return NULL;
}

static void pack_done(struct pack *p)
{
	for (size_t i = 0; i < p->link_cap; i++)
		free(p->links[i].name);
	free(p->links);
	free(p->buffer);
}

/* -- entries -------------------------------------------------------------------------------- */

static uid_t container_id(const struct tree_ids *ids, uid_t id)
{
	return ids->count && id >= ids->first && id - ids->first < ids->count ? id - ids->first
									      : id;
}

static void fill(struct pack *p, const struct stat *st, const char *name, struct tar_entry *e)
{
	static const struct {
		mode_t mode;
		enum tar_type type;
	} types[] = {
		{S_IFREG, TAR_FILE},  {S_IFLNK, TAR_SYMLINK},   {S_IFCHR, TAR_CHAR},
		{S_IFBLK, TAR_BLOCK}, {S_IFDIR, TAR_DIRECTORY}, {S_IFIFO, TAR_FIFO},
	};

	*e = (struct tar_entry){
		.path = name,
		.link = "",
		.mode = st->st_mode & 07777,
		.uid = container_id(&p->args->ids, st->st_uid),
		.gid = container_id(&p->args->ids, st->st_gid),
		.mtime = st->st_mtim,
	};
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((st->st_mode & S_IFMT) == types[i].mode)
			e->type = types[i].type;
	if (e->type == TAR_FILE)
		e->size = e->stored_size = st->st_size;
	if (e->type == TAR_CHAR || e->type == TAR_BLOCK) {
		e->dev_major = major(st->st_rdev);
		e->dev_minor = minor(st->st_rdev);
	}
}

/* Capabilities and what users have set; the rest is the host's business. */
static bool wanted_xattr(const char *name)
{
	return strcmp(name, "security.capability") == 0 || str_has_prefix(name, "user.");
}

struct xattrs {
	struct tar_xattr v[TAR_MAX_XATTRS];
	char names[MAX_NAMES];
	size_t n;
};

static void read_xattrs(int fd, struct xattrs *x, struct tar_entry *e)
{
	ssize_t len = flistxattr(fd, x->names, sizeof(x->names));

	x->n = 0;
	for (const char *name = x->names; len > 0 && name < x->names + len && x->n < TAR_MAX_XATTRS;
	     name += strlen(name) + 1) {
		autofree char *value = NULL;
		ssize_t size;

		if (!wanted_xattr(name))
			continue;
		value = xcalloc(MAX_XATTR, 1);
		size = fgetxattr(fd, name, value, MAX_XATTR);
		if (size >= 0)
			x->v[x->n++] = (struct tar_xattr){name, TAKE_PTR(value), (size_t)size};
	}
	e->xattrs = x->v;
	e->n_xattrs = x->n;
}

static void xattrs_done(struct xattrs *x)
{
	for (size_t i = 0; i < x->n; i++)
		free((void *)(uintptr_t)x->v[i].value);
	x->n = 0;
}

/* Exactly `size` bytes: what a file lost meanwhile is zeros, what it gained is left out. */
static int copy(struct pack *p, int fd, int64_t size, struct error *err)
{
	int64_t left = size;
	int r = 0;

	while (r >= 0 && left > 0) {
		size_t want = left < COPY_SIZE ? (size_t)left : COPY_SIZE;
		ssize_t n = read(fd, p->buffer, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, ERROR_INTERNAL, errno, "read a file");
		if (n == 0) {
			memset(p->buffer, 0, want);
			n = (ssize_t)want;
		}
		r = p->out->write(p->out->data, p->buffer, (size_t)n, err);
		left -= n;
	}
	return r < 0 ? r : tar_write_pad(p->out, size, err);
}

static int pack_file(struct pack *p, int parent, const char *base, struct tar_entry *e,
		     struct error *err)
{
	/* Not blocking: by now it may be a FIFO. */
	autoclose int fd =
		openat(parent, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct xattrs x = {.n = 0};
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOENT || errno == ELOOP || errno == ENXIO
			       ? 0
			       : error_set(err, ERROR_INTERNAL, errno, "open '%s'", e->path);
	if (!S_ISREG(st.st_mode))
		return 0;
	fill(p, &st, e->path, e);
	read_xattrs(fd, &x, e);
	r = tar_write_header(p->out, e, err);
	xattrs_done(&x);
	return r < 0 ? r : copy(p, fd, e->size, err);
}

static int pack_symlink(struct pack *p, int parent, const char *base, struct tar_entry *e,
			struct error *err)
{
	char target[TAR_MAX_PATH + 1];
	ssize_t n = readlinkat(parent, base, target, sizeof(target) - 1);

	if (n < 0)
		return 0; /* gone, or no link any more */
	target[n] = '\0';
	e->link = target;
	return tar_write_header(p->out, e, err);
}

static int pack_any(struct pack *p, int parent, const char *base, const char *name, unsigned depth,
		    struct error *err);

static int pack_children(struct pack *p, int fd, const char *name, unsigned depth,
			 struct error *err)
{
	int copy_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3), r = 0;
	DIR *dir = copy_fd < 0 ? NULL : fdopendir(copy_fd);
	struct dirent *d;

	if (!dir) {
		fd_close(&copy_fd);
		return error_set(err, ERROR_INTERNAL, errno, "read directory '%s'", name);
	}
	while (r >= 0 && (d = readdir(dir))) {
		autofree char *child = NULL;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		child = *name ? xasprintf("%s/%s", name, d->d_name) : xstrdup(d->d_name);
		r = pack_any(p, fd, d->d_name, child, depth + 1, err);
	}
	(void)closedir(dir);
	return r;
}

static int pack_directory(struct pack *p, int parent, const char *base, const char *name,
			  unsigned depth, struct error *err)
{
	autoclose int fd = openat(parent, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	autofree char *with_slash = NULL;
	struct xattrs x = {.n = 0};
	struct tar_entry e;
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
			       ? 0
			       : error_set(err, ERROR_INTERNAL, errno, "open '%s'", name);
	if (depth > MAX_DEPTH)
		return error_set(err, ERROR_INVALID, ELOOP, "'%s' is too deep", name);
	if (*name) {
		with_slash = xasprintf("%s/", name);
		fill(p, &st, with_slash, &e);
		read_xattrs(fd, &x, &e);
		r = tar_write_header(p->out, &e, err);
		xattrs_done(&x);
	}
	if (r < 0 || (p->args->one_file_system && st.st_dev != p->dev))
		return r;
	return pack_children(p, fd, name, depth, err);
}

static int pack_any(struct pack *p, int parent, const char *base, const char *name, unsigned depth,
		    struct error *err)
{
	struct tar_entry e;
	const char *first;
	struct stat st;

	if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT
			       ? 0
			       : error_set(err, ERROR_INTERNAL, errno, "look at '%s'", name);
	if (S_ISSOCK(st.st_mode))
		return 0;
	if (S_ISDIR(st.st_mode))
		return pack_directory(p, parent, base, name, depth, err);
	fill(p, &st, name, &e);
	first = link_name(p, &st, name);
	if (first) {
		e.type = TAR_HARDLINK;
		e.link = first;
		e.size = e.stored_size = 0;
		return tar_write_header(p->out, &e, err);
	}
	if (S_ISREG(st.st_mode))
		return pack_file(p, parent, base, &e, err);
	if (S_ISLNK(st.st_mode))
		return pack_symlink(p, parent, base, &e, err);
	return tar_write_header(p->out, &e, err);
}

/* The parent is resolved in the root, links and all; the last component is what it is. */
static int open_parent(const struct tree_pack *args, int *ret, const char **ret_base)
{
	const char *slash = strrchr(args->path, '/');
	autofree char *parent =
		slash ? xstrndup(args->path, (size_t)(slash - args->path)) : xstrdup("");

	*ret_base = slash ? slash + 1 : args->path;
	if (**ret_base == '\0')
		*ret_base = ".";
	*ret = root_open(args->root_fd, *parent ? parent : "/", O_PATH | O_DIRECTORY, 0);
	return *ret < 0 ? *ret : 0;
}

int tree_pack(const struct tree_pack *args, const struct stream_writer *out, struct error *err)
{
	struct pack p = {.args = args, .out = out, .buffer = xcalloc(COPY_SIZE, 1)};
	autoclose int parent = -EBADF;
	const char *base;
	struct stat st;
	int r = open_parent(args, &parent, &base);

	if (r == 0 && fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r < 0) {
		r = error_set(err, ERROR_NOT_FOUND, -r, "'%s'", args->path);
	} else {
		p.dev = st.st_dev;
		r = pack_any(&p, parent, base, args->name, 0, err);
	}
	if (r >= 0)
		r = tar_write_end(out, err);
	pack_done(&p);
	return r;
}
