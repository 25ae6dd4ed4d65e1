/* Is an index what erofs_write.c would have written?
 *
 * The image is walked from its root as the kernel walks it; whatever it says is compared with the bounds of
 * the two files, with what else it says, and with what directories have to be like to be searched.
 */
#include <endian.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/str.h"
#include "store/erofs.h"
#include "store/erofs_format.h"

struct seen { /* an inode, by its number */
	uint64_t nid;
	uint32_t names, nlink;
};

struct check {
	const uint8_t *p; /* borrowed: the index */
	uint64_t size;    /* bytes */
	uint64_t blocks;  /* of the index */
	uint64_t data_blocks;
	struct seen *seen; /* owned */
	uint64_t inodes, found;
	struct erofs_dir_ref {
		uint64_t nid, parent;
	} * todo; /* owned: directories */
	size_t n, cap;
	struct error *err;
};

static int bad(struct check *c, uint64_t nid, const char *what)
{
	return error_set(c->err, ERROR_INTERNAL, 0, "EROFS image: inode %llu: %s",
			 (unsigned long long)nid, what);
}

static const void *bytes(const struct check *c, uint64_t at, uint64_t len)
{
	return at <= c->size && len <= c->size - at ? c->p + at : NULL;
}

/* One inode as it is looked at. */
struct view {
	uint64_t nid, at; /* at: bytes */
	uint64_t size;
	uint64_t tail; /* where what is inline, or the table, begins */
	uint32_t block;
	unsigned layout, mode, chunk_format;
};

static int check_attrs(struct check *c, struct view *v, uint16_t units)
{
	uint64_t at = v->at + sizeof(struct erofs_inode), end;

	v->tail = at;
	if (units == 0)
		return 0;
	end = at + sizeof(struct erofs_xattr_header) + (uint64_t)(units - 1) * EROFS_XATTR_UNIT;
	if (!bytes(c, at, end - at))
		return bad(c, v->nid, "attributes out of bounds");
	at += sizeof(struct erofs_xattr_header);
	while (at < end) {
		struct erofs_xattr_entry e;
		uint64_t len;

		memcpy(&e, c->p + at, sizeof(e));
		len = sizeof(e) + e.name_len + le16toh(e.value_len);
		len = (len + EROFS_XATTR_UNIT - 1) / EROFS_XATTR_UNIT * EROFS_XATTR_UNIT;
		if (e.name_index == 0 || e.name_index > 6 || len > end - at)
			return bad(c, v->nid, "a bad attribute");
		at += len;
	}
	v->tail = end;
	return 0;
}

/* Its number is counted, and is one inode's alone. */
static int count(struct check *c, const struct view *v, const struct erofs_inode *i)
{
	uint32_t number = le32toh(i->ino);
	struct seen *s;

	if (number == 0 || number > c->inodes)
		return bad(c, v->nid, "its number");
	s = &c->seen[number - 1];
	if (s->names > 0 && (s->nid != v->nid || S_ISDIR(v->mode)))
		return bad(c, v->nid, "two inodes of one number, or two names of a directory");
	c->found += s->names == 0;
	s->nid = v->nid;
	s->names++;
	s->nlink = le32toh(i->nlink);
	return 0;
}

static int look(struct check *c, uint64_t nid, struct view *v)
{
	struct erofs_inode i;
	unsigned format;

	*v = (struct view){.nid = nid, .at = nid << EROFS_NID_SHIFT};
	if (nid > c->size || !bytes(c, v->at, sizeof(i)))
		return bad(c, nid, "out of bounds");
	memcpy(&i, c->p + v->at, sizeof(i));
	format = le16toh(i.format);
	v->layout = format >> 1;
	v->mode = le16toh(i.mode);
	v->size = le64toh(i.size);
	v->block = le32toh(i.u.block);
	v->chunk_format = le16toh(i.u.chunk_format);
	if ((format & 1) == 0 || v->size > INT64_MAX)
		return bad(c, nid, "no extended inode");
	return check_attrs(c, v, le16toh(i.xattr_units));
}

/* What lies in the index itself: directories and link targets. */
static const uint8_t *own_data(struct check *c, const struct view *v)
{
	if (v->layout == EROFS_FLAT_PLAIN)
		return bytes(c, (uint64_t)v->block << EROFS_BLOCK_BITS, v->size);
	if (v->layout != EROFS_FLAT_INLINE || v->size > EROFS_BLOCK_SIZE ||
	    v->tail % EROFS_BLOCK_SIZE + v->size > EROFS_BLOCK_SIZE)
		return NULL;
	return bytes(c, v->tail, v->size);
}

static bool in_data(const struct check *c, uint64_t block, uint64_t n)
{
	return block >= c->blocks && n <= c->data_blocks && block - c->blocks <= c->data_blocks - n;
}

static uint64_t blocks_of(uint64_t size)
{
	return (size + EROFS_BLOCK_SIZE - 1) / EROFS_BLOCK_SIZE;
}

static int check_chunks(struct check *c, const struct view *v)
{
	unsigned bits = EROFS_BLOCK_BITS + (v->chunk_format & 0x1f);
	uint64_t n = (v->size + (1ULL << bits) - 1) >> bits, at = (v->tail + 7) / 8 * 8;

	if ((v->chunk_format & ~0x1fU) != EROFS_CHUNK_INDEXES || n > c->size ||
	    !bytes(c, at, n * sizeof(struct erofs_chunk)))
		return bad(c, v->nid, "its chunks");
	for (uint64_t i = 0; i < n; i++) {
		uint64_t left = v->size - (i << bits);
		struct erofs_chunk chunk;

		memcpy(&chunk, c->p + at + i * sizeof(chunk), sizeof(chunk));
		left = left < 1ULL << bits ? left : 1ULL << bits;
		if (le32toh(chunk.block) != EROFS_HOLE &&
		    !in_data(c, le32toh(chunk.block), blocks_of(left)))
			return bad(c, v->nid, "a chunk out of bounds");
	}
	return 0;
}

static int check_inode(struct check *c, const struct view *v)
{
	const uint8_t *target;

	if (S_ISLNK(v->mode)) {
		target = own_data(c, v);
		return !target || v->size == 0 || v->size >= PATH_MAX || memchr(target, 0, v->size)
			       ? bad(c, v->nid, "its target")
			       : 0;
	}
	if (!S_ISREG(v->mode))
		return S_ISCHR(v->mode) || S_ISBLK(v->mode) || S_ISFIFO(v->mode) || S_ISDIR(v->mode)
			       ? 0
			       : bad(c, v->nid, "its type");
	if (v->layout == EROFS_CHUNK_BASED)
		return check_chunks(c, v);
	return v->layout == EROFS_FLAT_PLAIN &&
			       (v->size == 0 || in_data(c, v->block, blocks_of(v->size)))
		       ? 0
		       : bad(c, v->nid, "its data are out of bounds");
}

static int check_name(struct check *c, const struct erofs_dir_ref *dir, const char *name,
		      uint64_t nid)
{
	struct erofs_inode i;
	struct view v;
	int r;

	if (str_eq(name, ".") || str_eq(name, ".."))
		return nid == (name[1] ? dir->parent : dir->nid)
			       ? 0
			       : bad(c, dir->nid, "'.' or '..' leads elsewhere");
	if (strchr(name, '/'))
		return bad(c, dir->nid, "a name");
	r = look(c, nid, &v);
	if (r < 0)
		return r;
	memcpy(&i, c->p + v.at, sizeof(i));
	r = count(c, &v, &i);
	if (r < 0 || !S_ISDIR(v.mode))
		return r < 0 ? r : check_inode(c, &v);
	xgrow(c->todo, c->n, c->cap);
	c->todo[c->n++] = (struct erofs_dir_ref){nid, dir->nid};
	return 0;
}

/* `last`: the name before, for the order; returns how many names, or negative. */
static int check_block(struct check *c, const struct erofs_dir_ref *dir, const uint8_t *p,
		       size_t len, char last[static NAME_MAX + 1])
{
	struct erofs_dirent d, next;
	size_t n;

	if (len < sizeof(d))
		return bad(c, dir->nid, "a short block");
	memcpy(&d, p, sizeof(d));
	n = le16toh(d.name_at) / sizeof(d);
	if (n == 0 || le16toh(d.name_at) % sizeof(d) != 0 || n * sizeof(d) > len)
		return bad(c, dir->nid, "a bad block");
	for (size_t i = 0; i < n; i++) {
		char name[NAME_MAX + 1];
		size_t from, to = len;
		int r;

		memcpy(&d, p + i * sizeof(d), sizeof(d));
		from = le16toh(d.name_at);
		if (i + 1 < n) {
			memcpy(&next, p + (i + 1) * sizeof(d), sizeof(next));
			to = le16toh(next.name_at);
		}
		if (from >= to || to > len)
			return bad(c, dir->nid, "a name out of bounds");
		to = from + strnlen((const char *)p + from, to - from);
		if (to - from > NAME_MAX || to == from)
			return bad(c, dir->nid, "a long or empty name");
		memcpy(name, p + from, to - from);
		name[to - from] = '\0';
		if (strcmp(last, name) >= 0)
			return bad(c, dir->nid, "names out of order");
		memcpy(last, name, sizeof(name));
		r = check_name(c, dir, name, le64toh(d.nid));
		if (r < 0)
			return r;
	}
	return (int)n;
}

static int check_dir(struct check *c, const struct erofs_dir_ref *dir)
{
	char last[NAME_MAX + 1] = "";
	const uint8_t *data;
	size_t names = 0, dirs = c->n;
	struct erofs_inode i;
	struct view v;
	int r = look(c, dir->nid, &v);

	data = r < 0 ? NULL : own_data(c, &v);
	if (r < 0 || !S_ISDIR(v.mode) || !data)
		return r < 0 ? r : bad(c, dir->nid, "its data");
	for (uint64_t at = 0; at < v.size; at += EROFS_BLOCK_SIZE) {
		uint64_t len = v.size - at;

		r = check_block(c, dir, data + at,
				len < EROFS_BLOCK_SIZE ? (size_t)len : EROFS_BLOCK_SIZE, last);
		if (r < 0)
			return r;
		names += (size_t)r;
	}
	memcpy(&i, c->p + v.at, sizeof(i));
	if (names < 2 || le32toh(i.nlink) != 2 + (c->n - dirs))
		return bad(c, dir->nid, "its count of links");
	return 0;
}

static int check_tree(struct check *c, uint64_t root)
{
	struct erofs_inode i;
	struct view v;
	int r = look(c, root, &v);

	if (r >= 0) {
		memcpy(&i, c->p + v.at, sizeof(i));
		r = count(c, &v, &i);
	}
	if (r < 0)
		return r;
	xgrow(c->todo, c->n, c->cap);
	c->todo[c->n++] = (struct erofs_dir_ref){root, root};
	while (c->n > 0) {
		struct erofs_dir_ref dir = c->todo[--c->n];

		r = check_dir(c, &dir);
		if (r < 0)
			return r;
	}
	if (c->found != c->inodes)
		return bad(c, root, "inodes without a name");
	for (uint64_t k = 0; k < c->inodes; k++) {
		r = look(c, c->seen[k].nid, &v);
		if (r < 0)
			return r;
		if (!S_ISDIR(v.mode) && c->seen[k].names != c->seen[k].nlink)
			return bad(c, c->seen[k].nid, "its count of names");
	}
	return 0;
}

static int check_super(struct check *c, int64_t data_size, uint64_t *ret_root)
{
	struct erofs_super s;
	struct erofs_device d;

	if (c->size < EROFS_SUPER_AT + sizeof(s) + sizeof(d))
		return bad(c, 0, "the image is too short");
	memcpy(&s, c->p + EROFS_SUPER_AT, sizeof(s));
	memcpy(&d, c->p + EROFS_SUPER_AT + sizeof(s), sizeof(d));
	c->blocks = le32toh(s.blocks);
	c->data_blocks = le32toh(d.blocks);
	c->inodes = le64toh(s.inodes);
	if (le32toh(s.magic) != EROFS_MAGIC || s.block_bits != EROFS_BLOCK_BITS ||
	    c->blocks * EROFS_BLOCK_SIZE != c->size || le32toh(d.first_block) != c->blocks ||
	    c->data_blocks * EROFS_BLOCK_SIZE != (uint64_t)data_size ||
	    c->inodes > c->size / sizeof(struct erofs_inode))
		return bad(c, 0, "the superblock does not fit the files");
	*ret_root = le16toh(s.root_nid);
	return 0;
}

int erofs_check(int index_fd, int64_t data_size, struct error *err)
{
	struct check c = {.err = err};
	struct stat st;
	uint64_t root;
	void *p;
	int r;

	if (fstat(index_fd, &st) < 0 || st.st_size == 0)
		return error_set(err, ERROR_INTERNAL, 0, "EROFS image: it is empty");
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, index_fd, 0);
	if (p == MAP_FAILED)
		return error_set(err, ERROR_INTERNAL, errno, "map an EROFS image");
	c.p = p;
	c.size = (uint64_t)st.st_size;
	r = check_super(&c, data_size, &root);
	if (r >= 0) {
		c.seen = xnew0n(struct seen, c.inodes + 1);
		r = check_tree(&c, root);
	}
	(void)munmap(p, (size_t)st.st_size);
	free(c.seen);
	free(c.todo);
	return r;
}
