/* A layer's tar entries become names and inodes; what each means is told in unpack.c. */
#include "store/erofs.h"

#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "store/erofs_priv.h"
#include "store/unpack_priv.h"

/* Where an entry goes. */
struct place {
	struct erofs_node *dir;
	const char *name;  /* "" for the root */
	const char *label; /* as the archive says it */
};

static struct erofs_node *at(const struct erofs *x, const struct place *p)
{
	return p->name[0] ? erofs_child(x, p->dir, p->name) : x->root;
}

static bool is_whiteout(const struct erofs_node *n)
{
	return S_ISCHR(n->file->mode) && n->file->rdev == 0;
}

static void set_attrs(struct erofs *x, struct erofs_file *f, const struct tar_entry *e)
{
	for (size_t i = 0; i < e->n_xattrs; i++) {
		autofree char *name = unpack_xattr_name(e->xattrs[i].name);

		erofs_add_attr(x, f, name, e->xattrs[i].value, e->xattrs[i].len);
	}
}

static struct erofs_file *new_file(struct erofs *x, const struct tar_entry *e, mode_t type)
{
	struct erofs_file *f = arena_new0(x->arena, struct erofs_file);

	f->mode = type | e->mode;
	f->uid = e->uid;
	f->gid = e->gid;
	f->mtime = e->mtime;
	set_attrs(x, f, e);
	return f;
}

/* Whatever stands at the name goes. */
static void put(struct erofs *x, const struct place *p, struct erofs_file *f)
{
	struct erofs_node *old = at(x, p);

	if (old)
		erofs_remove(old);
	(void)erofs_add(x, p->dir, p->name, f);
}

static int make_file(struct erofs *x, const struct tar_entry *e, const struct place *p,
		     int64_t offset)
{
	struct erofs_file *f = new_file(x, e, S_IFREG);

	f->size = e->size;
	f->at = offset;
	f->sparse = e->sparse;
	if (e->n_pieces > 0)
		f->pieces = arena_memdup(x->arena, e->pieces, e->n_pieces * sizeof(*e->pieces));
	f->n_pieces = e->n_pieces;
	x->size += e->stored_size;
	put(x, p, f);
	return 0;
}

static int make_directory(struct erofs *x, const struct tar_entry *e, const struct place *p,
			  struct error *err)
{
	struct erofs_node *n = at(x, p);
	struct erofs_file *f;

	if (p->dir->depth >= UNPACK_MAX_DEPTH)
		return unpack_refuse(err, e->path, "too many directories below each other");
	if (!n || !S_ISDIR(n->file->mode)) {
		f = new_file(x, e, S_IFDIR);
		f->opaque = n && is_whiteout(n);
		put(x, p, f);
		return 0;
	}
	f = n->file;
	f->mode = S_IFDIR | e->mode;
	f->uid = e->uid;
	f->gid = e->gid;
	f->mtime = e->mtime;
	set_attrs(x, f, e);
	n->implied = false;
	x->has_root |= n == x->root;
	return 0;
}

static char *full_path(const struct place *p)
{
	autostrbuf struct strbuf out = STRBUF_INIT((size_t)(UNPACK_MAX_DEPTH + 2) * (NAME_MAX + 1));
	const struct erofs_node *names[UNPACK_MAX_DEPTH + 1];
	size_t n = 0;

	for (const struct erofs_node *d = p->dir; d->parent != d; d = d->parent)
		names[n++] = d;
	while (n > 0)
		strbuf_addf(&out, "%s/", names[--n]->name);
	strbuf_adds(&out, p->name);
	return strbuf_take(&out);
}

static int make_hardlink(struct erofs *x, const struct tar_entry *e, const struct place *p,
			 struct error *err)
{
	autofree char *target = NULL, *dir = NULL, *path = NULL;
	struct erofs_node *above = NULL, *n = NULL;
	const char *name;
	int r;

	r = unpack_normalise(e->link, e->path, &target, err);
	if (r < 0)
		return r;
	dir = unpack_split(target, &name);
	if (name[0] && erofs_walk(x, dir, &above) >= 0)
		n = erofs_child(x, above, name);
	if (!n) { /* perhaps a lower layer has it */
		path = full_path(p);
		xgrow(x->links, x->n_links, x->cap_links);
		x->links[x->n_links++] =
			(struct erofs_link){.path = arena_strdup(x->arena, path),
					    .target = arena_strdup(x->arena, target)};
		return 0;
	}
	if (S_ISDIR(n->file->mode))
		return unpack_refuse(err, e->path, "a hard link to a directory");
	if (!at(x, p) || at(x, p)->file != n->file)
		put(x, p, n->file);
	return 0;
}

/* Symbolic links, devices, FIFOs. */
static int make_special(struct erofs *x, const struct tar_entry *e, const struct place *p,
			struct error *err)
{
	static const mode_t types[] = {[TAR_CHAR] = S_IFCHR,
				       [TAR_BLOCK] = S_IFBLK,
				       [TAR_FIFO] = S_IFIFO,
				       [TAR_SYMLINK] = S_IFLNK};
	struct erofs_file *f;

	if (e->type == TAR_CHAR && e->dev_major == 0 && e->dev_minor == 0)
		return unpack_refuse(err, e->path, "character device 0:0 is overlayfs's whiteout");
	if (e->type == TAR_SYMLINK && !e->link[0])
		return unpack_refuse(err, e->path, "a symbolic link without a target");
	f = new_file(x, e, types[e->type]);
	if (e->type == TAR_SYMLINK) {
		f->mode = S_IFLNK | 0777;
		f->target = arena_strdup(x->arena, e->link);
		f->size = (int64_t)strlen(e->link);
	} else if (e->type != TAR_FIFO) {
		f->rdev = makedev(e->dev_major, e->dev_minor);
	}
	put(x, p, f);
	return 0;
}

/* ".wh.NAME", ".wh..wh..opq" and AUFS's other names. */
static int make_whiteout(struct erofs *x, const struct place *p, struct error *err)
{
	const char *name = p->name + strlen(".wh.");
	struct erofs_file *f;
	struct erofs_node *n;

	if (str_eq(p->name, ".wh..wh..opq")) {
		p->dir->file->opaque = true;
		return 0;
	}
	if (str_has_prefix(p->name, ".wh..wh."))
		return 0; /* AUFS's own files: in old images, meaningless */
	if (!name[0] || str_eq(name, ".") || str_eq(name, ".."))
		return unpack_refuse(err, p->label, "a whiteout of nothing");
	n = erofs_child(x, p->dir, name);
	if (n) { /* what this layer has stays, and hides the lower ones' */
		n->file->opaque |= S_ISDIR(n->file->mode);
		return 0;
	}
	f = arena_new0(x->arena, struct erofs_file);
	f->mode = S_IFCHR;
	(void)erofs_add(x, p->dir, name, f);
	return 0;
}

static int make_entry(struct erofs *x, const struct tar_entry *e, const struct place *p,
		      int64_t offset, struct error *err)
{
	switch (e->type) {
	case TAR_FILE:
		return make_file(x, e, p, offset);
	case TAR_DIRECTORY:
		return make_directory(x, e, p, err);
	case TAR_HARDLINK:
		return make_hardlink(x, e, p, err);
	case TAR_SYMLINK:
	case TAR_CHAR:
	case TAR_BLOCK:
	case TAR_FIFO:
		return make_special(x, e, p, err);
	}
	return unpack_refuse(err, e->path, "unknown type");
}

int erofs_entry(struct erofs *x, const struct tar_entry *e, int64_t offset, struct error *err)
{
	autofree char *path = NULL, *dir = NULL;
	struct place p = {.label = e->path};
	int r;

	r = unpack_normalise(e->path, e->path, &path, err);
	if (r < 0)
		return r;
	if (unpack_below_aufs(path))
		return 0;
	if (!path[0]) {
		p.dir = x->root;
		p.name = "";
		return e->type == TAR_DIRECTORY
			       ? make_directory(x, e, &p, err)
			       : unpack_refuse(err, e->path, "the root is a directory");
	}
	dir = unpack_split(path, &p.name);
	r = erofs_parent(x, dir, e->path, &p.dir, err);
	if (r < 0)
		return r;
	return str_has_prefix(p.name, ".wh.") ? make_whiteout(x, &p, err)
					      : make_entry(x, e, &p, offset, err);
}
