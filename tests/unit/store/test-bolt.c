/* A bbolt database, page by page: what is read of it, and every way to be damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "store/bolt.h"

#define PAGE  512
#define PAGES 12
#define HEAD  16

/* The layout, little-endian as this machine. */
struct file {
	char bytes[PAGES * PAGE];
};

static void put(struct file *f, size_t at, const void *data, size_t len)
{
	assert_true(at + len <= sizeof(f->bytes));
	memcpy(f->bytes + at, data, len);
}

static void put32(struct file *f, size_t at, uint32_t v)
{
	put(f, at, &v, sizeof(v));
}

static void put64(struct file *f, size_t at, uint64_t v)
{
	put(f, at, &v, sizeof(v));
}

static void head(struct file *f, size_t at, uint64_t id, unsigned flags, unsigned count)
{
	put64(f, at, id);
	put32(f, at + 8, flags | count << 16);
}

static void meta(struct file *f, size_t i, uint64_t root, uint64_t transaction)
{
	size_t at = i * PAGE + HEAD;
	uint64_t h = 0xcbf29ce484222325u;

	head(f, i * PAGE, i, 4, 0);
	put32(f, at, 0xED0CDAED);
	put32(f, at + 4, 2);
	put32(f, at + 8, PAGE);
	put64(f, at + 16, root);
	put64(f, at + 40, PAGES);
	put64(f, at + 48, transaction);
	for (size_t k = 0; k < 56; k++)
		h = (h ^ (unsigned char)f->bytes[at + k]) * 0x100000001b3u;
	put64(f, at + 56, h);
}

struct pair {
	const char *key;
	const void *value;
	size_t len;
	unsigned flags;
};

/* A page's elements at `page`, with the pairs' bytes behind them. */
static size_t leaf(struct file *f, size_t page, uint64_t id, const struct pair *v, unsigned n)
{
	size_t at = page + HEAD + n * 16;

	head(f, page, id, 2, n);
	for (unsigned i = 0; i < n; i++) {
		size_t element = page + HEAD + i * 16, len = strlen(v[i].key);

		put32(f, element, v[i].flags);
		put32(f, element + 4, (uint32_t)(at - element));
		put32(f, element + 8, (uint32_t)len);
		put32(f, element + 12, (uint32_t)v[i].len);
		put(f, at, v[i].key, len);
		put(f, at + len, v[i].value, v[i].len);
		at += len + v[i].len;
	}
	return at;
}

static void branch(struct file *f, uint64_t id, const uint64_t *pages, unsigned n)
{
	head(f, id * PAGE, id, 1, n);
	for (unsigned i = 0; i < n; i++)
		put64(f, id * PAGE + HEAD + i * 16 + 8, pages[i]);
}

#define TEXT(k, v)              \
	{                       \
		k, v, strlen(v) \
	}

/* Root 3: buckets "a" (inside), "volumes" (page 4: branches 5 and 6-7, the last with an overflow), "z". */
static void make(struct file *f)
{
	static const struct pair one[] = {TEXT("k1", "v1"), TEXT("k2", "")};
	static const uint64_t below[] = {5, 6};
	static char long_value[600];
	const uint64_t bucket[2] = {4, 0};
	const struct pair two[] = {{"k3", long_value, sizeof(long_value), 0},
				   {"nested", bucket, 16, 1}};
	struct file inner = {0};
	struct pair top[] = {{"a", inner.bytes, 0, 1},
			     {"volumes", bucket, sizeof(bucket), 1},
			     TEXT("z", "text")};
	static const struct pair small[] = {TEXT("inside", "yes")};

	memset(f, 0, sizeof(*f));
	memset(long_value, 'l', sizeof(long_value));
	top[0].len = leaf(&inner, 16, 0, small, 1);
	meta(f, 0, 9, 6);
	meta(f, 1, 3, 7);
	leaf(f, 3 * PAGE, 3, top, 3);
	branch(f, 4, below, 2);
	leaf(f, 5 * PAGE, 5, one, 2);
	leaf(f, 6 * PAGE, 6, two, 2);
	put32(f, 6 * PAGE + 12, 1);
	leaf(f, 9 * PAGE, 9, small, 0);
}

static int add(void *data, const char *key, size_t key_len, const char *value, size_t value_len)
{
	strbuf_addf(data, "%.*s=%.*s,", (int)key_len, key, value_len > 9 ? 1 : (int)value_len,
		    value);
	return 0;
}

static void check(const struct file *f, size_t len, const char *bucket, const char *wanted)
{
	autostrbuf struct strbuf seen = STRBUF_INIT(4096);
	autoerror struct error err = {0};
	int r = bolt_read(f->bytes, len, bucket, add, &seen, &err);

	if (wanted) {
		assert_int_equal(r, 0);
		assert_string_equal(seen.s, wanted);
	} else {
		assert_true(r < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
	}
}

static void buckets(void **state)
{
	struct file f;

	(void)state;
	make(&f);
	check(&f, sizeof(f), "volumes", "k1=v1,k2=,k3=l,");
	check(&f, sizeof(f), "a", "inside=yes,");
	check(&f, sizeof(f), "z", "");
	check(&f, sizeof(f), "none", "");
	meta(&f, 0, 9, 8); /* the later transaction counts */
	check(&f, sizeof(f), "volumes", "");
	f.bytes[HEAD + 20] ^= 1; /* unless it was cut off */
	check(&f, sizeof(f), "volumes", "k1=v1,k2=,k3=l,");
	f.bytes[0 + HEAD] ^= 1;
	check(&f, sizeof(f), "volumes", "k1=v1,k2=,k3=l,");
	f.bytes[PAGE + HEAD] ^= 1;
	check(&f, sizeof(f), "volumes", NULL);
	check(&f, 0, "volumes", NULL);
	check(&f, 20, "volumes", NULL);
}

static void damaged(void **state)
{
	static const uint64_t up[] = {4}, twice[] = {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5};
	static const struct {
		size_t at;
		uint32_t value;
	} cases[] = {
		{4 * PAGE, 5},                    /* a page with another number */
		{4 * PAGE + 8, 8 | 2 << 16},      /* of another sort */
		{4 * PAGE + 8, 1 | 60000u << 16}, /* more elements than there is room for */
		{4 * PAGE + 12, 1000},            /* longer than the file */
		{4 * PAGE + 12, 0xffffffff},
		{4 * PAGE + HEAD + 8, 0xffffffff},  /* a branch out of the file */
		{4 * PAGE + HEAD + 12, 0xffffffff}, /* its multiple overflows */
		{5 * PAGE + HEAD + 4, 0xffffffff},  /* a pair out of its page */
		{5 * PAGE + HEAD + 8, PAGE},
		{5 * PAGE + HEAD + 12, 0xfffffff0},
		{3 * PAGE + HEAD + 16 + 12, 15}, /* a bucket too short */
	};
	struct file f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		make(&f);
		put32(&f, cases[i].at, cases[i].value);
		check(&f, sizeof(f), "volumes", NULL);
	}
	make(&f);
	branch(&f, 4, up, 1); /* into itself */
	check(&f, sizeof(f), "volumes", NULL);
	branch(&f, 4, twice, ARRAY_SIZE(twice));
	check(&f, sizeof(f), "volumes", NULL);
	make(&f);
	check(&f, 7 * PAGE, "volumes", NULL);
}

static int stop(void *data, const char *key, size_t key_len, const char *value, size_t value_len)
{
	(void)key;
	(void)key_len;
	(void)value;
	(void)value_len;
	return --*(int *)data == 0 ? -ENOSPC : 0;
}

static void broken_off(void **state)
{
	struct file f;
	int left = 2;

	(void)state;
	make(&f);
	assert_int_equal(bolt_read(f.bytes, sizeof(f), "volumes", stop, &left, NULL), -ENOSPC);
	assert_int_equal(left, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets),
		cmocka_unit_test(damaged),
		cmocka_unit_test(broken_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
