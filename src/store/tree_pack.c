/* Files of a container to tar: as they are, or what it has changed as a layer. */
#include <dirent.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
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
#include "store/tree_priv.h"
#include "store/unpack_priv.h"

#define COPY_SIZE 65536
#define MAX_DEPTH 256
#define MAX_XATTR 65536 /* bytes of one value: the kernel's XATTR_SIZE_MAX */
#define MAX_NAMES 4096  /* bytes of an entry's attribute names that are looked at */
/* Bytes of holes from which on a file of a layer is written as a sparse one.  Docker's engine loads and
 * runs such a layer, but cannot save it again (its tar-split loses the map): smaller holes are zeros. */
#define MIN_HOLES (1LL << 30)

#define WHITEOUT ".wh."
#define OPAQUE   ".wh..wh..opq"

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
	/* What is packed are the changes in an upper directory. */
	bool layer;
	struct tree_below below; /* borrowed fds; none while nothing below is seen */
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

static uint32_t container_id(const struct tree_range *ids, uint32_t id)
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
		.uid = container_id(&p->args->ids.uids, st->st_uid),
		.gid = container_id(&p->args->ids.gids, st->st_gid),
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

/* A capability that holds in a user namespace only (revision 3) is, inside, one that holds (2). */
static size_t unbind_capability(const struct tree_ids *ids, void *value, size_t size)
{
	struct vfs_ns_cap_data *cap = value;
	uint32_t magic, root;

	if (size != XATTR_CAPS_SZ_3)
		return size;
	magic = le32toh(cap->magic_etc);
	root = le32toh(cap->rootid);
	if ((magic & VFS_CAP_REVISION_MASK) != VFS_CAP_REVISION_3 ||
	    (root != 0 && (ids->uids.count == 0 || root != ids->uids.first)))
		return size;
	cap->magic_etc = htole32((magic & ~VFS_CAP_REVISION_MASK) | VFS_CAP_REVISION_2);
	return XATTR_CAPS_SZ_2;
}

static void read_xattrs(const struct pack *p, int fd, struct xattrs *x, struct tar_entry *e)
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
		if (size < 0)
			continue;
		if (name[0] == 's')
			size = (ssize_t)unbind_capability(&p->args->ids, value, (size_t)size);
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

/* Exactly `len` bytes: what a file lost meanwhile is zeros, what it gained is left out. */
static int copy_piece(struct pack *p, int fd, int64_t offset, int64_t len, struct error *err)
{
	int r = 0;

	while (r >= 0 && len > 0) {
		size_t want = len < COPY_SIZE ? (size_t)len : COPY_SIZE;
		ssize_t n = pread(fd, p->buffer, want, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, ERROR_INTERNAL, errno, "read a file");
		if (n == 0) {
			memset(p->buffer, 0, want);
			n = (ssize_t)want;
		}
		r = p->out->write(p->out->data, p->buffer, (size_t)n, err);
		offset += n;
		len -= n;
	}
	return r;
}

static int copy(struct pack *p, int fd, const struct tar_entry *e, struct error *err)
{
	int r = 0;

	if (!e->sparse)
		r = copy_piece(p, fd, 0, e->size, err);
	for (size_t i = 0; i < e->n_pieces && r >= 0; i++)
		r = copy_piece(p, fd, e->pieces[i].offset, e->pieces[i].len, err);
	return r < 0 ? r : tar_write_pad(p->out, e->stored_size, err);
}

/* Where a file of a layer has data; false: it is to be written whole.  Elsewhere than in layers, readers
 * may not know sparse files. */
static bool find_pieces(const struct pack *p, int fd, struct tar_entry *e, struct tar_piece **ret)
{
	int64_t at = 0, stored = 0;
	size_t n = 0, cap = 0;

	if (!p->layer || e->size < MIN_HOLES)
		return false;
	while (n < TAR_MAX_SPARSE_ENTRIES - 1) {
		off_t data = lseek(fd, at, SEEK_DATA), end;

		if (data < 0 && errno != ENXIO)
			return false;
		if (data < 0 || data >= e->size)
			break; /* a hole to the end */
		end = lseek(fd, data, SEEK_HOLE);
		if (end < 0)
			return false;
		/* Readers take pieces in blocks; file systems have no smaller ones, mostly. */
		data -= data % TAR_BLOCK_SIZE;
		end += -end & (TAR_BLOCK_SIZE - 1);
		end = end < e->size ? end : e->size;
		xgrow(*ret, n, cap);
		(*ret)[n++] = (struct tar_piece){.offset = data, .len = end - data};
		stored += end - data;
		at = end;
		if (at >= e->size)
			break;
	}
	if (n == TAR_MAX_SPARSE_ENTRIES - 1 || e->size - stored < MIN_HOLES)
		return false;
	/* GNU tar marks the end so. */
	xgrow(*ret, n, cap);
	(*ret)[n++] = (struct tar_piece){.offset = e->size};
	e->sparse = true;
	e->stored_size = stored;
	e->pieces = *ret;
	e->n_pieces = n;
	return true;
}

static int pack_file(struct pack *p, int parent, const char *base, struct tar_entry *e,
		     struct error *err)
{
	/* Not blocking: by now it may be a FIFO. */
	autoclose int fd =
		openat(parent, base, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	autofree struct tar_piece *pieces = NULL;
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
	read_xattrs(p, fd, &x, e);
	(void)find_pieces(p, fd, e, &pieces); /* else it is written whole */
	r = tar_write_header(p->out, e, err);
	xattrs_done(&x);
	return r < 0 ? r : copy(p, fd, e, err);
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

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_names(int fd, const char *name, struct strv *ret, struct error *err)
{
	int copy_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	DIR *dir = copy_fd < 0 ? NULL : fdopendir(copy_fd);
	struct dirent *d;

	if (!dir) {
		fd_close(&copy_fd);
		return error_set(err, ERROR_INTERNAL, errno, "read directory '%s'", name);
	}
	while ((d = readdir(dir)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			strv_add(ret, d->d_name);
	(void)closedir(dir);
	if (ret->n > 1)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_name);
	return 0;
}

/* In the order of their names, so that the same tree is the same archive. */
static int pack_children(struct pack *p, int fd, const char *name, unsigned depth,
			 struct error *err)
{
	autostrv struct strv names = {0};
	int r = list_names(fd, name, &names, err);

	for (size_t i = 0; i < names.n && r >= 0; i++) {
		autofree char *child =
			*name ? xasprintf("%s/%s", name, names.v[i]) : xstrdup(names.v[i]);

		r = pack_any(p, fd, names.v[i], child, depth + 1, err);
	}
	return r;
}

static int put_directory(struct pack *p, int fd, const struct stat *st, const char *name,
			 struct error *err)
{
	autofree char *with_slash = *name ? xasprintf("%s/", name) : xstrdup("./");
	struct xattrs x = {.n = 0};
	struct tar_entry e;
	int r;

	fill(p, st, with_slash, &e);
	read_xattrs(p, fd, &x, &e);
	r = tar_write_header(p->out, &e, err);
	xattrs_done(&x);
	return r;
}

/* -- layers --------------------------------------------------------------------------------- */

/* https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts */
static int put_marker(struct pack *p, const struct stat *st, const char *name, const char *mark,
		      struct error *err)
{
	const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
	struct tar_entry e = {.type = TAR_FILE, .link = "", .mtime = st->st_mtim};
	autofree char *path = NULL;

	if (strcmp(mark, OPAQUE) == 0)
		path = xasprintf("%s/%s", name, mark);
	else
		path = xasprintf("%.*s%s%s", (int)(base - name), name, mark, base);
	e.path = path;
	return tar_write_header(p->out, &e, err);
}

static bool is_below(const struct pack *p, const char *name, struct stat *ret)
{
	autofree char *path = xasprintf("/%s", name);

	return tree_below_find(&p->below, path, ret);
}

/* Left by a start to be mounted on, and nothing else: with all that is in it. */
static bool is_place(const struct pack *p, int parent, const char *base, const char *name)
{
	autofree char *path = xasprintf("/%s", name);
	autostrv struct strv names = {0};
	autoclose int fd = -EBADF;
	struct stat st, below;

	if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !tree_is_mount_place(path, &st) || tree_below_find(&p->below, path, &below))
		return false;
	if (!S_ISDIR(st.st_mode))
		return true;
	fd = openat(parent, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || list_names(fd, name, &names, NULL) < 0)
		return false;
	for (size_t i = 0; i < names.n; i++) {
		autofree char *child = xasprintf("%s/%s", name, names.v[i]);

		if (!is_place(p, fd, names.v[i], child))
			return false;
	}
	return true;
}

static bool same_look(const struct stat *a, const struct stat *b)
{
	return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid;
}

static int pack_layer_directory(struct pack *p, int fd, const struct stat *st, const char *name,
				unsigned depth, struct error *err)
{
	struct stat below;
	bool known = is_below(p, name, &below), opaque = known && tree_is_opaque(fd);
	size_t n_below = p->below.n;
	int r = 0;

	/* The root is there in any case. */
	if (*name || !known || !same_look(st, &below))
		r = put_directory(p, fd, st, name, err);
	if (r >= 0 && opaque)
		r = put_marker(p, st, name, OPAQUE, err);
	if (!known || opaque)
		p->below.n = 0;
	if (r >= 0)
		r = pack_children(p, fd, name, depth, err);
	p->below.n = n_below;
	return r;
}

/* -- kinds ---------------------------------------------------------------------------------- */

static int pack_directory(struct pack *p, int parent, const char *base, const char *name,
			  unsigned depth, struct error *err)
{
	autoclose int fd = openat(parent, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
			       ? 0
			       : error_set(err, ERROR_INTERNAL, errno, "open '%s'", name);
	if (depth > MAX_DEPTH)
		return error_set(err, ERROR_INVALID, ELOOP, "'%s' is too deep", name);
	if (p->layer)
		return pack_layer_directory(p, fd, &st, name, depth, err);
	if (*name)
		r = put_directory(p, fd, &st, name, err);
	if (r < 0 || (p->args->one_file_system && st.st_dev != p->dev))
		return r;
	return pack_children(p, fd, name, depth, err);
}

static int pack_any(struct pack *p, int parent, const char *base, const char *name, unsigned depth,
		    struct error *err)
{
	struct tar_entry e;
	const char *first;
	struct stat st, below;

	if (fstatat(parent, base, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT
			       ? 0
			       : error_set(err, ERROR_INTERNAL, errno, "look at '%s'", name);
	if (S_ISSOCK(st.st_mode))
		return 0;
	if (p->layer && unpack_is_whiteout(&st))
		return is_below(p, name, &below) ? put_marker(p, &st, name, WHITEOUT, err) : 0;
	if (p->layer && *name && is_place(p, parent, base, name))
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

int tree_layer(const struct tree_layer *args, const struct stream_writer *out, struct error *err)
{
	autobelow struct tree_below below = {0};
	autoclose int upper = open(args->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct tree_pack top = {.root_fd = upper, .path = ".", .name = "", .ids = args->ids};
	struct pack p = {.args = &top, .out = out, .layer = true};
	int r;

	if (upper < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", args->upper);
	r = tree_below_open(args->lower, args->n_lower, &below, err);
	if (r < 0)
		return r;
	p.buffer = xcalloc(COPY_SIZE, 1);
	p.below = below;
	r = pack_any(&p, upper, ".", "", 0, err);
	if (r >= 0)
		r = tar_write_end(out, err);
	pack_done(&p);
	return r;
}
