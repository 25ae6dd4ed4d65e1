/* bbolt's pages.
 *
 * Two meta pages at the beginning take turns: the one whose checksum is right and whose transaction is the
 * later one counts.  From its root on there are pages of branches, whose elements name pages below, and of
 * leaves, whose elements are pairs; a pair with a flag is a bucket, with another root, or, if it is small, with a
 * page of its own inside the value.
 */
#include "store/bolt.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

#define MAGIC       0xED0CDAEDu
#define VERSION     2
#define DEPTH_MAX   32
#define PAGE_BRANCH 0x01
#define PAGE_LEAF   0x02
#define PAGE_META   0x04
#define LEAF_BUCKET 0x01

struct page {
	uint64_t id;
	uint16_t flags, count;
	uint32_t overflow; /* pages that follow and belong to it */
};

struct bucket {
	uint64_t root; /* a page, or 0: inside */
	uint64_t sequence;
};

struct meta {
	uint32_t magic, version, page_size, flags;
	struct bucket root;
	uint64_t freelist, end, transaction;
	uint64_t checksum; /* of what stands before it */
};

struct branch {
	uint32_t at, key_len; /* at: from here */
	uint64_t page;
};

struct leaf {
	uint32_t flags, at, key_len, value_len;
};

struct reader {
	const char *file; /* borrowed */
	size_t len;
	size_t page_size;
	size_t pages_left; /* so many may be read: each is below one other only */
	bolt_fn fn;
	void *data;
	const char *bucket; /* looked for; NULL: its pairs are told */
};

static int damaged(struct error *err, const char *what)
{
	return error_set(err, ERROR_INVALID, 0, "damaged database: %s", what);
}

/* ---- meta pages ---- */

/* FNV-1a, 64 bits */
static uint64_t checksum(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

static bool read_meta(const char *file, size_t len, size_t at, struct meta *ret)
{
	struct page page;
	struct meta m;

	if (at > len || len - at < sizeof(page) + sizeof(m))
		return false;
	memcpy(&page, file + at, sizeof(page));
	memcpy(&m, file + at + sizeof(page), sizeof(m));
	if (!(page.flags & PAGE_META) || m.magic != MAGIC || m.version != VERSION ||
	    m.checksum != checksum(&m, offsetof(struct meta, checksum)) || m.page_size < 512 ||
	    m.page_size > 1 << 20)
		return false;
	*ret = m;
	return true;
}

static bool find_meta(const char *file, size_t len, struct meta *ret)
{
	struct meta m;
	bool found = read_meta(file, len, 0, ret);

	/* The second stands behind the first page, of whatever size, if the first does not say. */
	for (size_t size = found ? ret->page_size : 512; size <= 1 << 20; size *= 2) {
		if (read_meta(file, len, size, &m) && m.page_size == size &&
		    (!found || m.transaction > ret->transaction)) {
			*ret = m;
			return true;
		}
		if (found)
			break;
	}
	return found;
}

/* ---- pages ---- */

static int read_page(struct reader *r, uint64_t id, unsigned depth, struct error *err);

static int read_bucket(struct reader *r, const char *value, size_t len, unsigned depth,
		       struct error *err);

static int read_leaf(struct reader *r, const char *elements, size_t len, size_t i, unsigned depth,
		     struct error *err)
{
	size_t at = i * sizeof(struct leaf);
	const char *key, *value;
	struct leaf e;
	int n;

	memcpy(&e, elements + at, sizeof(e));
	if (e.at > len - at || e.key_len > len - at - e.at ||
	    e.value_len > len - at - e.at - e.key_len)
		return damaged(err, "a pair leaves its page");
	key = elements + at + e.at;
	value = key + e.key_len;
	if (!r->bucket && !(e.flags & LEAF_BUCKET)) {
		n = r->fn(r->data, key, e.key_len, value, e.value_len);
		return n < 0 ? error_set(err, ERROR_INTERNAL, -n, "read a pair") : 0;
	}
	if (!r->bucket || !(e.flags & LEAF_BUCKET) || strlen(r->bucket) != e.key_len ||
	    memcmp(r->bucket, key, e.key_len) != 0)
		return 0;
	r->bucket = NULL;
	n = read_bucket(r, value, e.value_len, depth + 1, err);
	return n < 0 ? n : 1;
}

static int read_branch(struct reader *r, const char *elements, size_t i, unsigned depth,
		       struct error *err)
{
	struct branch e;

	memcpy(&e, elements + i * sizeof(e), sizeof(e));
	return read_page(r, e.page, depth + 1, err);
}

/* 1: what was looked for has been found and read. */
static int read_elements(struct reader *r, const char *page, size_t len, unsigned depth,
			 struct error *err)
{
	struct page head;
	int n = 0;

	_Static_assert(sizeof(struct leaf) == sizeof(struct branch), "elements are of one size");
	if (len < sizeof(head))
		return damaged(err, "a page is cut off");
	memcpy(&head, page, sizeof(head));
	page += sizeof(head);
	len -= sizeof(head);
	if (head.count > len / sizeof(struct leaf))
		return damaged(err, "a page has too many elements");
	if (!(head.flags & (PAGE_LEAF | PAGE_BRANCH)))
		return damaged(err, "a page is neither of branches nor of leaves");
	for (size_t i = 0; i < head.count && n == 0; i++)
		n = head.flags & PAGE_LEAF ? read_leaf(r, page, len, i, depth, err)
					   : read_branch(r, page, i, depth, err);
	return n;
}

static int read_page(struct reader *r, uint64_t id, unsigned depth, struct error *err)
{
	struct page head;
	uint64_t at, len;

	if (depth > DEPTH_MAX)
		return damaged(err, "pages in pages");
	if (__builtin_mul_overflow(id, (uint64_t)r->page_size, &at) || at > r->len ||
	    r->len - at < r->page_size)
		return damaged(err, "a page is not there");
	memcpy(&head, r->file + at, sizeof(head));
	len = ((uint64_t)head.overflow + 1) * r->page_size;
	if (head.id != id || len > r->len - at)
		return damaged(err, "a page is another one");
	if (head.overflow >= r->pages_left) /* no page has two above it */
		return damaged(err, "pages in pages");
	r->pages_left -= head.overflow + 1;
	return read_elements(r, r->file + at, len, depth, err);
}

static int read_bucket(struct reader *r, const char *value, size_t len, unsigned depth,
		       struct error *err)
{
	struct bucket b;

	if (len < sizeof(b) || depth > DEPTH_MAX)
		return damaged(err, "a bucket is cut off");
	memcpy(&b, value, sizeof(b));
	if (b.root != 0)
		return read_page(r, b.root, depth, err);
	return read_elements(r, value + sizeof(b), len - sizeof(b), depth, err);
}

int bolt_read(const void *file, size_t len, const char *bucket, bolt_fn fn, void *data,
	      struct error *err)
{
	struct reader r = {.file = file, .len = len, .fn = fn, .data = data, .bucket = bucket};
	struct meta m;
	int n;

	if (!find_meta(file, len, &m))
		return error_set(err, ERROR_INVALID, 0, "this is no database of bbolt's");
	r.page_size = m.page_size;
	r.pages_left = len / m.page_size;
	n = read_page(&r, m.root.root, 0, err);
	return n < 0 ? n : 0;
}
