/* The end of a layer that becomes an EROFS image: what the layers below decide, and contents that the tar
 * does not have as they are needed.
 */
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "store/erofs_format.h"
#include "store/erofs_priv.h"
#include "store/unpack_priv.h"

#define COPY_SIZE  (256 * 1024)
#define MAX_CHUNKS (1 << 17)                                 /* of a sparse file: 1 MiB of table */
#define MAX_DATA   (EROFS_MAX_BLOCKS / 2 * EROFS_BLOCK_SIZE) /* bytes: half of all addresses */

static int64_t round_up(int64_t n, int64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

int64_t erofs_reserve(struct erofs *x, int64_t len)
{
	int64_t at = round_up(x->data_end, EROFS_BLOCK_SIZE);

	if (len > MAX_DATA || at + len > MAX_DATA)
		return -EFBIG;
	x->data_end = at + len;
	return at;
}

static int too_large(struct error *err)
{
	return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
			 "more data than an EROFS image can address");
}

/* `len` bytes from one place of a file to another's; -ENODATA if there are fewer. */
static int copy_range(int from, int64_t from_at, int to, int64_t to_at, int64_t len)
{
	autofree char *buf = len > 0 ? xcalloc(1, COPY_SIZE) : NULL;

	while (len > 0) {
		ssize_t n = pread(from, buf, len < COPY_SIZE ? (size_t)len : COPY_SIZE, from_at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		for (ssize_t done = 0; done < n;) {
			ssize_t w = pwrite(to, buf + done, (size_t)(n - done), to_at + done);

			if (w < 0 && errno != EINTR)
				return -errno;
			done += w < 0 ? 0 : w;
		}
		from_at += n;
		to_at += n;
		len -= n;
	}
	return 0;
}

/* ---- hard links to lower layers ---- */

static void copy_attrs(struct erofs *x, struct erofs_file *f, int fd)
{
	struct unpack_xattrs attrs = {0};

	unpack_read_xattrs(fd, &attrs);
	for (size_t i = 0; i < attrs.n; i++)
		erofs_add_attr(x, f, attrs.v[i].name, attrs.v[i].value, attrs.v[i].len);
	unpack_xattrs_done(&attrs);
}

static int copy_content(struct erofs *x, struct erofs_file *f, int from_path_fd, int data_fd,
			const char *path, struct error *err)
{
	autoclose int from = -EBADF;
	char proc[64];
	int r;

	f->at = erofs_reserve(x, f->size);
	if (f->at < 0)
		return too_large(err);
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", from_path_fd);
	from = open(proc, O_RDONLY | O_CLOEXEC);
	r = from < 0 ? -errno : copy_range(from, 0, data_fd, f->at, f->size);
	return r < 0 ? unpack_error(err, -r, path, "copy from a lower layer") : 0;
}

/* A lower layer's file, with all its attributes, as one of this layer. */
static int copy_up(struct erofs *x, int from, int data_fd, const char *path,
		   struct erofs_file **ret, struct error *err)
{
	struct erofs_file *f = arena_new0(x->arena, struct erofs_file);
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (fstat(from, &st) < 0)
		return unpack_error(err, errno, path, "look at a lower layer's file");
	f->mode = st.st_mode;
	f->uid = st.st_uid;
	f->gid = st.st_gid;
	f->mtime = st.st_mtim;
	*ret = f;
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(from, "", target, sizeof(target));
		if (n < 0)
			return unpack_error(err, errno, path, "copy from a lower layer");
		f->target = arena_strndup(x->arena, target, (size_t)n);
		f->size = n;
		return 0;
	}
	copy_attrs(x, f, from);
	if (!S_ISREG(st.st_mode)) {
		f->rdev = st.st_rdev;
		return 0;
	}
	f->size = st.st_size;
	x->size += st.st_size;
	return copy_content(x, f, from, data_fd, path, err);
}

/* The link's target, which was in no entry of this layer when the link came. */
static int find_target(struct erofs *x, const struct erofs_link *l, int data_fd,
		       const struct unpack_lower *lower, struct erofs_node **ret, struct error *err)
{
	struct erofs_node *above, *n = NULL;
	autofree char *dir = NULL;
	autoclose int from = -EBADF;
	struct erofs_file *f;
	const char *name;
	struct stat st;
	int r;

	dir = unpack_split(l->target, &name);
	if (!name[0])
		return error_set(err, ERROR_INVALID, 0, "unpack '%s': a hard link to nothing",
				 l->path);
	if (erofs_walk_plain(x, dir, &above) >= 0)
		n = erofs_child(x, above, name);
	if (!n) {
		from = unpack_find_lower(lower, l->target);
		if (from < 0 || fstat(from, &st) < 0)
			return error_set(err, ERROR_INVALID, 0,
					 "unpack '%s': a hard link to '%s', which does not exist",
					 l->path, l->target);
		if (S_ISDIR(st.st_mode))
			return error_set(err, ERROR_INVALID, 0,
					 "unpack '%s': a hard link to the directory '%s'", l->path,
					 l->target);
		r = copy_up(x, from, data_fd, l->path, &f, err);
		if (r >= 0)
			r = erofs_parent(x, dir, l->path, &above, err);
		if (r < 0)
			return r;
		n = erofs_child(x, above, name);
		if (!n)
			n = erofs_add(x, above, name, f);
	}
	if (S_ISDIR(n->file->mode))
		return unpack_refuse(err, l->path, "a hard link to a directory");
	*ret = n;
	return 0;
}

static int make_link(struct erofs *x, const struct erofs_link *l, int data_fd,
		     const struct unpack_lower *lower, struct error *err)
{
	struct erofs_node *target, *above;
	autofree char *dir = NULL;
	const char *name;
	int r = find_target(x, l, data_fd, lower, &target, err);

	if (r < 0)
		return r;
	dir = unpack_split(l->path, &name);
	r = erofs_parent(x, dir, l->path, &above, err);
	if (r < 0)
		return r;
	/* An entry that came later for this name has replaced the link already. */
	if (!erofs_child(x, above, name))
		(void)erofs_add(x, above, name, target->file);
	return 0;
}

/* ---- sparse files ---- */

/* All pieces lie in the tar as chunks of this size would have to. */
static bool fits(const struct erofs_file *f, int64_t chunk)
{
	int64_t at = f->at;

	for (size_t i = 0; i < f->n_pieces; i++) {
		const struct tar_piece *p = &f->pieces[i];

		if (p->offset % chunk != 0 || at % EROFS_BLOCK_SIZE != 0 ||
		    (p->len % chunk != 0 && p->offset + p->len != f->size))
			return false;
		at += p->len;
	}
	return true;
}

static void map_pieces(const struct erofs_file *f, struct erofs_chunks *c)
{
	int64_t at = f->at;

	for (size_t i = 0; i < f->n_pieces; i++) {
		const struct tar_piece *p = &f->pieces[i];

		for (int64_t done = 0; done < p->len; done += 1LL << c->bits)
			c->at[(p->offset + done) >> c->bits] = at + done;
		at += p->len;
	}
}

/* Behind the tar, each chunk that any piece touches; the rest of it stays zero. */
static int copy_pieces(struct erofs *x, const struct erofs_file *f, struct erofs_chunks *c,
		       int data_fd, struct error *err)
{
	int64_t from = f->at, chunk = 1LL << c->bits;

	for (size_t i = 0; i < f->n_pieces; i++) {
		const struct tar_piece *p = &f->pieces[i];

		for (int64_t done = 0, n; done < p->len; done += n) {
			int64_t offset = p->offset + done, within = offset & (chunk - 1);
			int64_t *at = &c->at[offset >> c->bits];
			int r;

			n = p->len - done < chunk - within ? p->len - done : chunk - within;
			if (*at < 0)
				*at = erofs_reserve(x, chunk);
			if (*at < 0)
				return too_large(err);
			r = copy_range(data_fd, from + done, data_fd, *at + within, n);
			if (r < 0)
				return error_set(err, ERROR_INTERNAL, -r, "copy a sparse file");
		}
		from += p->len;
	}
	return 0;
}

int erofs_place_sparse(struct erofs *x, struct erofs_file *f, int data_fd, struct error *err)
{
	struct erofs_chunks *c = arena_new0(x->arena, struct erofs_chunks);
	int64_t chunk;

	c->bits = EROFS_BLOCK_BITS;
	while (f->size >> c->bits > MAX_CHUNKS)
		c->bits++;
	chunk = 1LL << c->bits;
	c->n = (size_t)(round_up(f->size, chunk) >> c->bits);
	c->at = arena_alloc(x->arena, (c->n + 1) * sizeof(*c->at));
	for (size_t i = 0; i < c->n; i++)
		c->at[i] = -1;
	f->chunks = c;
	if (!fits(f, chunk))
		return copy_pieces(x, f, c, data_fd, err);
	map_pieces(f, c);
	return 0;
}

/* ---- directories ---- */

/* A directory without an entry looks as in the layers below, or plain. */
static void describe_implied(struct erofs *x, struct erofs_file *f, const char *path,
			     const struct unpack_lower *lower)
{
	autoclose int fd = unpack_find_lower(lower, path);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return;
	f->mode = st.st_mode;
	f->uid = st.st_uid;
	f->gid = st.st_gid;
	f->mtime = st.st_mtim;
	copy_attrs(x, f, fd);
}

struct finish {
	struct erofs *x;
	const struct unpack_lower *lower;
	int data_fd;
	struct strbuf path;
};

/* NOLINTNEXTLINE(misc-no-recursion): no deeper than UNPACK_MAX_DEPTH */
static int finish_directory(struct finish *f, struct erofs_node *dir, struct error *err)
{
	size_t len = f->path.len;
	int r = 0;

	if (dir->implied)
		describe_implied(f->x, dir->file, f->path.s ? f->path.s : "", f->lower);
	for (struct erofs_node *n = dir->children; n && r >= 0; n = n->next) {
		if (n->dead)
			continue;
		if (n->file->sparse && !n->file->chunks)
			r = erofs_place_sparse(f->x, n->file, f->data_fd, err);
		if (!S_ISDIR(n->file->mode))
			continue;
		strbuf_addf(&f->path, "%s%s", len > 0 ? "/" : "", n->name);
		r = finish_directory(f, n, err);
		f->path.len = len;
		f->path.s[len] = '\0';
	}
	return r;
}

int erofs_finish(struct erofs *x, int data_fd, int64_t tar_size, const struct unpack_lower *lower,
		 int index_fd, struct error *err)
{
	struct finish f = {.x = x, .lower = lower, .data_fd = data_fd};
	int r = 0;

	x->tar_size = x->data_end = tar_size;
	if (tar_size > MAX_DATA)
		return too_large(err);
	x->root->implied = !x->has_root;
	for (size_t i = 0; i < x->n_links && r >= 0; i++)
		r = make_link(x, &x->links[i], data_fd, lower, err);
	strbuf_init(&f.path, (size_t)(UNPACK_MAX_DEPTH + 2) * (NAME_MAX + 1));
	if (r >= 0)
		r = finish_directory(&f, x->root, err);
	strbuf_done(&f.path);
	/* The last block is read whole. */
	x->data_end = round_up(x->data_end, EROFS_BLOCK_SIZE);
	if (r >= 0 && x->data_end != tar_size && ftruncate(data_fd, x->data_end) < 0)
		r = error_set(err, ERROR_INTERNAL, errno, "extend a layer's tar");
	return r < 0 ? r : erofs_write(x, index_fd, err);
}
