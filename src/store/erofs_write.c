/* Writing the EROFS image of a tree.
 *
 *     1024 zeros | superblock | device table | inodes, each with its attributes and what is inline | blocks
 *
 * First every inode gets its place, directory by directory, so that what a listing looks at lies together;
 * then everything is written in that order, once.  Blocks behind the inodes hold directories and link
 * targets that did not fit inline.  The data device's blocks follow the index's in one numbering.
 */
#include <endian.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "store/erofs_format.h"
#include "store/erofs_priv.h"

#define OUT_SIZE    (64 * 1024)
#define INODE_ALIGN (1 << EROFS_NID_SHIFT)

struct writer {
	struct erofs *x;           /* borrowed */
	struct erofs_node **order; /* owned: one name of each inode, by place */
	size_t n, cap;
	int64_t end;         /* bytes placed */
	uint32_t blocks;     /* of the index */
	struct strbuf names; /* a directory's data */
	int fd;
	int64_t pos; /* bytes written */
	size_t fill;
	char buf[OUT_SIZE];
};

static int64_t align_to(int64_t n, int64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* ---- attributes ---- */

/* 0: an attribute that the format or the kind of file cannot have is left out, as on any file system. */
static uint8_t attr_index(const struct erofs_file *f, const char *name, const char **ret_rest)
{
	static const struct {
		const char *prefix;
		uint8_t index;
		bool whole; /* a name, and no prefix */
	} indexes[] = {
		{"user.", 1, false},
		{"system.posix_acl_access", 2, true},
		{"system.posix_acl_default", 3, true},
		{"trusted.", 4, false},
		{"security.", 6, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(indexes); i++) {
		if (!str_has_prefix(name, indexes[i].prefix))
			continue;
		*ret_rest = name + strlen(indexes[i].prefix);
		if (indexes[i].whole != (**ret_rest == '\0'))
			continue;
		if (indexes[i].index < 4 && !S_ISREG(f->mode) && !S_ISDIR(f->mode))
			return 0;
		return strlen(*ret_rest) <= UINT8_MAX ? indexes[i].index : 0;
	}
	return 0;
}

static size_t attr_entry_size(const char *rest, size_t len)
{
	return (size_t)align_to((int64_t)(sizeof(struct erofs_xattr_entry) + strlen(rest) + len),
				EROFS_XATTR_UNIT);
}

/* Bytes of the entries alone. */
static int size_attrs(const struct erofs_file *f, size_t *ret, struct error *err)
{
	size_t size = 0;

	for (const struct erofs_attr *a = f->attrs; a; a = a->next) {
		const char *rest;

		if (attr_index(f, a->name, &rest) == 0)
			continue;
		size += attr_entry_size(rest, a->len);
		if (a->len > UINT16_MAX || size > EROFS_MAX_XATTRS)
			return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
					 "more extended attributes than an EROFS inode can hold");
	}
	*ret = size > 0 ? size + sizeof(struct erofs_xattr_header) : 0;
	return 0;
}

/* ---- directories ---- */

struct dirent_ref {
	const char *name;
	const struct erofs_file *file;
};

static int compare_refs(const void *a, const void *b)
{
	return strcmp(((const struct dirent_ref *)a)->name, ((const struct dirent_ref *)b)->name);
}

static int compare_nodes(const void *a, const void *b)
{
	return strcmp((*(struct erofs_node *const *)a)->name,
		      (*(struct erofs_node *const *)b)->name);
}

static uint8_t dirent_type(mode_t mode)
{
	static const struct {
		mode_t mode;
		uint8_t type;
	} types[] = {{S_IFREG, 1}, {S_IFDIR, 2}, {S_IFCHR, 3},
		     {S_IFBLK, 4}, {S_IFIFO, 5}, {S_IFLNK, 7}};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((mode & S_IFMT) == types[i].mode)
			return types[i].type;
	return 0;
}

/* How many of v fit into one block, and the bytes that they take. */
static size_t fill_block(const struct dirent_ref *v, size_t n, size_t *ret_size)
{
	size_t size = 0, i = 0;

	for (; i < n; i++) {
		size_t more = sizeof(struct erofs_dirent) + strlen(v[i].name);

		if (size + more > EROFS_BLOCK_SIZE)
			break;
		size += more;
	}
	*ret_size = size;
	return i;
}

static void add_block(struct strbuf *out, const struct dirent_ref *v, size_t n)
{
	size_t name_at = n * sizeof(struct erofs_dirent);

	for (size_t i = 0; i < n; i++) {
		struct erofs_dirent d = {.nid = htole64(v[i].file->place),
					 .name_at = htole16((uint16_t)name_at),
					 .type = dirent_type(v[i].file->mode)};

		strbuf_add(out, &d, sizeof(d));
		name_at += strlen(v[i].name);
	}
	for (size_t i = 0; i < n; i++)
		strbuf_add(out, v[i].name, strlen(v[i].name));
}

/* The directory's data; out NULL: only its size. */
static int64_t write_names(const struct erofs_node *dir, struct strbuf *out)
{
	size_t n = dir->n_sorted + 2, done = 0;
	autofree struct dirent_ref *v = xnew0n(struct dirent_ref, n);
	int64_t size = 0;

	v[0] = (struct dirent_ref){".", dir->file};
	v[1] = (struct dirent_ref){"..", dir->parent->file};
	for (size_t i = 0; i < dir->n_sorted; i++)
		v[i + 2] = (struct dirent_ref){dir->sorted[i]->name, dir->sorted[i]->file};
	/* Few names sort before the two. */
	qsort(v, n, sizeof(*v), compare_refs);
	while (done < n) {
		size_t bytes, fit = fill_block(v + done, n - done, &bytes);

		if (out)
			add_block(out, v + done, fit);
		done += fit;
		for (; done < n && bytes < EROFS_BLOCK_SIZE; bytes++)
			if (out)
				strbuf_addc(out, '\0');
		size += (int64_t)bytes;
	}
	return size;
}

static void sort_names(struct erofs *x, struct erofs_node *dir)
{
	size_t n = 0;

	for (const struct erofs_node *c = dir->children; c; c = c->next)
		n += !c->dead;
	dir->sorted = arena_alloc(x->arena, (n + 1) * sizeof(*dir->sorted));
	for (struct erofs_node *c = dir->children; c; c = c->next)
		if (!c->dead)
			dir->sorted[dir->n_sorted++] = c;
	qsort(dir->sorted, n, sizeof(*dir->sorted), compare_nodes);
	dir->file->size = write_names(dir, NULL);
}

/* ---- places ---- */

/* What may lie behind the inode in its block. */
static int64_t inline_size(const struct erofs_file *f)
{
	return S_ISDIR(f->mode) || S_ISLNK(f->mode) ? f->size : 0;
}

static bool same_block(int64_t at, int64_t len)
{
	return at % EROFS_BLOCK_SIZE + len <= EROFS_BLOCK_SIZE;
}

static int place(struct writer *w, struct erofs_node *n, struct error *err)
{
	struct erofs_file *f = n->file;
	int64_t at = align_to(w->end, INODE_ALIGN), tail = inline_size(f), next;
	int64_t head = sizeof(struct erofs_inode);
	int r;

	if (f->opaque)
		erofs_add_attr(w->x, f, "trusted.overlay.opaque", "y", 1);
	r = size_attrs(f, &f->attr_size, err);
	if (r < 0)
		return r;
	head += (int64_t)f->attr_size;
	next = align_to(at, EROFS_BLOCK_SIZE);
	f->block = 0;
	if (!same_block(at, sizeof(struct erofs_inode)))
		at = next;
	if (tail > 0 && !same_block(at + head, tail)) {
		if (same_block(head, tail))
			at = next;
		else
			f->block = 1; /* in blocks of its own, numbered later */
	}
	w->end = at + head + (f->block ? 0 : tail);
	if (f->chunks)
		w->end = align_to(w->end, sizeof(struct erofs_chunk)) +
			 (int64_t)(f->chunks->n * sizeof(struct erofs_chunk));
	f->placed = true;
	f->place = (uint32_t)(at >> EROFS_NID_SHIFT);
	f->number = (uint32_t)w->n + 1;
	xgrow(w->order, w->n, w->cap);
	w->order[w->n++] = n;
	return 0;
}

static int place_children(struct writer *w, const struct erofs_node *dir, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < dir->n_sorted && r >= 0; i++) {
		struct erofs_node *n = dir->sorted[i];

		n->file->nlink++;
		if (S_ISDIR(n->file->mode)) {
			n->file->nlink++;
			dir->file->nlink++;
			sort_names(w->x, n);
		}
		if (!n->file->placed)
			r = place(w, n, err);
	}
	return r;
}

static int place_all(struct writer *w, struct error *err)
{
	int64_t block;
	int r;

	w->end = EROFS_SUPER_AT + (int64_t)sizeof(struct erofs_super) + EROFS_SLOT_SIZE;
	w->end = align_to(w->end, EROFS_BLOCK_SIZE);
	w->x->root->file->nlink = 2;
	sort_names(w->x, w->x->root);
	r = place(w, w->x->root, err);
	/* Directories join the end of the list that this walks. */
	for (size_t i = 0; i < w->n && r >= 0; i++)
		if (S_ISDIR(w->order[i]->file->mode))
			r = place_children(w, w->order[i], err);
	if (r < 0)
		return r;
	block = align_to(w->end, EROFS_BLOCK_SIZE) >> EROFS_BLOCK_BITS;
	for (size_t i = 0; i < w->n; i++) {
		struct erofs_file *f = w->order[i]->file;

		if (f->block == 0)
			continue;
		f->block = (uint32_t)block;
		block += align_to(f->size, EROFS_BLOCK_SIZE) >> EROFS_BLOCK_BITS;
	}
	if (block + (w->x->data_end >> EROFS_BLOCK_BITS) >= EROFS_MAX_BLOCKS)
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0,
				 "more data than an EROFS image can address");
	w->blocks = (uint32_t)block;
	return 0;
}

/* ---- bytes ---- */

static int flush(struct writer *w, struct error *err)
{
	int r = fd_write_full(w->fd, w->buf, w->fill);

	w->fill = 0;
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "write a layer's index") : 0;
}

static int put(struct writer *w, const void *p, size_t len, struct error *err)
{
	while (len > 0) {
		size_t n = OUT_SIZE - w->fill;
		int r;

		n = n < len ? n : len;
		if (p)
			memcpy(w->buf + w->fill, p, n);
		else
			memset(w->buf + w->fill, 0, n);
		w->fill += n;
		w->pos += (int64_t)n;
		len -= n;
		p = p ? (const char *)p + n : NULL;
		r = w->fill == OUT_SIZE ? flush(w, err) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

static int pad_to(struct writer *w, int64_t pos, struct error *err)
{
	return pos > w->pos ? put(w, NULL, (size_t)(pos - w->pos), err) : 0;
}

static int write_super(struct writer *w, struct error *err)
{
	struct erofs *x = w->x;
	const struct erofs_super super = {
		.magic = htole32(EROFS_MAGIC),
		.block_bits = EROFS_BLOCK_BITS,
		.root_nid = htole16((uint16_t)x->root->file->place),
		.inodes = htole64(w->n),
		.blocks = htole32(w->blocks),
		.feature_incompat =
			htole32(EROFS_INCOMPAT_CHUNKED_FILE | EROFS_INCOMPAT_DEVICE_TABLE),
		.extra_devices = htole16(1),
		.device_table_slot = htole16((EROFS_SUPER_AT + sizeof(super)) / EROFS_SLOT_SIZE),
	};
	const struct erofs_device device = {
		.blocks = htole32((uint32_t)(x->data_end >> EROFS_BLOCK_BITS)),
		.first_block = htole32(w->blocks),
	};
	int r = pad_to(w, EROFS_SUPER_AT, err);

	if (r >= 0)
		r = put(w, &super, sizeof(super), err);
	return r < 0 ? r : put(w, &device, sizeof(device), err);
}

static int write_attrs(struct writer *w, const struct erofs_file *f, struct error *err)
{
	const struct erofs_xattr_header header = {0};
	int r = put(w, &header, sizeof(header), err);

	for (const struct erofs_attr *a = f->attrs; a && r >= 0; a = a->next) {
		const char *rest;
		struct erofs_xattr_entry e = {.name_index = attr_index(f, a->name, &rest)};

		if (e.name_index == 0)
			continue;
		e.name_len = (uint8_t)strlen(rest);
		e.value_len = htole16((uint16_t)a->len);
		r = put(w, &e, sizeof(e), err);
		if (r >= 0)
			r = put(w, rest, e.name_len, err);
		if (r >= 0)
			r = put(w, a->value, a->len, err);
		if (r >= 0)
			r = pad_to(w, align_to(w->pos, EROFS_XATTR_UNIT), err);
	}
	return r;
}

/* Where the data device's byte `at` is in the one numbering. */
static uint32_t block_of(const struct writer *w, int64_t at)
{
	return w->blocks + (uint32_t)(at >> EROFS_BLOCK_BITS);
}

static int write_chunks(struct writer *w, const struct erofs_chunks *c, struct error *err)
{
	int r = pad_to(w, align_to(w->pos, sizeof(struct erofs_chunk)), err);

	for (size_t i = 0; i < c->n && r >= 0; i++) {
		const struct erofs_chunk chunk = {
			.block = htole32(c->at[i] < 0 ? EROFS_HOLE : block_of(w, c->at[i]))};

		r = put(w, &chunk, sizeof(chunk), err);
	}
	return r;
}

static int write_tail(struct writer *w, const struct erofs_node *n, struct error *err)
{
	int r;

	if (S_ISLNK(n->file->mode))
		return put(w, n->file->target, (size_t)n->file->size, err);
	strbuf_init(&w->names, (size_t)n->file->size + 1);
	(void)write_names(n, &w->names);
	r = put(w, w->names.s, (size_t)n->file->size, err);
	strbuf_done(&w->names);
	return r;
}

static void describe(const struct writer *w, const struct erofs_file *f, struct erofs_inode *i)
{
	enum erofs_layout layout = EROFS_FLAT_PLAIN;

	*i = (struct erofs_inode){
		.mode = htole16((uint16_t)f->mode),
		.size = htole64((uint64_t)f->size),
		.ino = htole32(f->number),
		.uid = htole32(f->uid),
		.gid = htole32(f->gid),
		.mtime = htole64((uint64_t)f->mtime.tv_sec),
		.mtime_nsec = htole32((uint32_t)f->mtime.tv_nsec),
		.nlink = htole32(f->nlink),
	};
	if (f->attr_size > 0)
		i->xattr_units =
			htole16((uint16_t)(1 + (f->attr_size - sizeof(struct erofs_xattr_header)) /
						       EROFS_XATTR_UNIT));
	if (f->chunks) {
		layout = EROFS_CHUNK_BASED;
		i->u.chunk_format = htole16(
			(uint16_t)(EROFS_CHUNK_INDEXES | (f->chunks->bits - EROFS_BLOCK_BITS)));
	} else if (S_ISREG(f->mode)) {
		i->u.block = htole32(f->size > 0 ? block_of(w, f->at) : EROFS_HOLE);
	} else if (S_ISDIR(f->mode) || S_ISLNK(f->mode)) {
		layout = f->block ? EROFS_FLAT_PLAIN : EROFS_FLAT_INLINE;
		i->u.block = htole32(f->block ? f->block : EROFS_HOLE);
	} else {
		/* As the kernel encodes devices outside of itself. */
		uint32_t major = major(f->rdev), minor = minor(f->rdev);

		i->u.rdev = htole32((minor & 0xff) | major << 8 | (minor & ~0xffU) << 12);
	}
	i->format = htole16(EROFS_FORMAT(layout));
}

static int write_inode(struct writer *w, const struct erofs_node *n, struct error *err)
{
	const struct erofs_file *f = n->file;
	struct erofs_inode i;
	int r;

	describe(w, f, &i);
	r = pad_to(w, (int64_t)f->place << EROFS_NID_SHIFT, err);
	if (r >= 0)
		r = put(w, &i, sizeof(i), err);
	if (r >= 0 && f->attr_size > 0)
		r = write_attrs(w, f, err);
	if (r >= 0 && f->chunks)
		r = write_chunks(w, f->chunks, err);
	if (r >= 0 && inline_size(f) > 0 && f->block == 0)
		r = write_tail(w, n, err);
	return r;
}

static int write_all(struct writer *w, struct error *err)
{
	int r = write_super(w, err);

	for (size_t i = 0; i < w->n && r >= 0; i++)
		r = write_inode(w, w->order[i], err);
	for (size_t i = 0; i < w->n && r >= 0; i++) {
		const struct erofs_file *f = w->order[i]->file;

		if (inline_size(f) == 0 || f->block == 0)
			continue;
		r = pad_to(w, (int64_t)f->block << EROFS_BLOCK_BITS, err);
		if (r >= 0)
			r = write_tail(w, w->order[i], err);
	}
	if (r >= 0)
		r = pad_to(w, (int64_t)w->blocks << EROFS_BLOCK_BITS, err);
	return r < 0 ? r : flush(w, err);
}

int erofs_write(struct erofs *x, int index_fd, struct error *err)
{
	struct writer *w = xnew0(struct writer);
	int r;

	w->x = x;
	w->fd = index_fd;
	r = place_all(w, err);
	if (r >= 0)
		r = write_all(w, err);
	free(w->order);
	free(w);
	return r;
}
