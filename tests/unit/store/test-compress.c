/* Decompression: every portion size, concatenated members, truncation, damage, bombs. */
#include "fixture.h"

#include <bzlib.h>
#include <endian.h>
#include <lzma.h>
#include <zstd.h>

#include "store/compress.h"

#define DATA_SIZE 300000

static char *make_data(void)
{
	char *data = xcalloc(1, DATA_SIZE);
	uint32_t x = 1;

	for (size_t i = 0; i < DATA_SIZE; i++) {
		x = x * 1664525 + 1013904223;
		data[i] = (char)("abcdefgh"[x >> 29]);
	}
	return data;
}

static void add_zstd(struct strbuf *out, const void *data, size_t len)
{
	size_t room = ZSTD_compressBound(len);
	size_t n = ZSTD_compress(strbuf_reserve(out, room), room, data, len, 1);

	assert_false(ZSTD_isError(n));
	strbuf_advance(out, n);
}

static void bzip2_add(struct strbuf *out, const void *data, size_t len)
{
	unsigned room = (unsigned)len + len / 100 + 600;

	assert_int_equal(BZ2_bzBuffToBuffCompress(strbuf_reserve(out, room), &room, (char *)data,
						  (unsigned)len, 1, 0, 0),
			 BZ_OK);
	strbuf_advance(out, room);
}

static void xz_add(struct strbuf *out, const void *data, size_t len)
{
	size_t room = lzma_stream_buffer_bound(len), n = 0;

	assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, data, len,
						 (uint8_t *)strbuf_reserve(out, room), &n, room),
			 LZMA_OK);
	strbuf_advance(out, n);
}

struct portions {
	const char *p;
	size_t len, step;
};

static ssize_t portions_read(void *data, void *buf, size_t size, struct error *err)
{
	struct portions *d = data;
	size_t n = d->step < size ? d->step : size;

	(void)err;
	n = n < d->len ? n : d->len;
	memcpy(buf, d->p, n);
	d->p += n;
	d->len -= n;
	return (ssize_t)n;
}

static int decompress(const struct strbuf *in, size_t in_step, size_t out_step, struct strbuf *out,
		      struct error *err)
{
	struct portions from = {.p = in->s, .len = in->len, .step = in_step};
	struct stream_reader reader = {.read = portions_read, .data = &from};
	struct decompress *d = NULL;
	struct stream_reader plain;
	char *buf = xcalloc(1, out_step);
	ssize_t n;
	int r = decompress_new(&reader, &d, err);

	if (r >= 0) {
		plain = decompress_reader(d);
		while ((n = plain.read(plain.data, buf, out_step, err)) > 0)
			strbuf_add(out, buf, (size_t)n);
		r = (int)n;
		if (r >= 0)
			assert_int_equal(from.len, 0); /* read to the end */
	}
	(void)decompress_free(d);
	free(buf);
	return r;
}

typedef void (*add_fn)(struct strbuf *out, const void *data, size_t len);

static void add_plain(struct strbuf *out, const void *data, size_t len)
{
	strbuf_add(out, data, len);
}

static void test_round_trips(void **state)
{
	static const add_fn kinds[] = {add_plain, gzip_add, add_zstd, bzip2_add, xz_add};
	static const size_t steps[] = {1, 7, 4096, 131072, 1 << 20};
	char *data = make_data();

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct strbuf in = STRBUF_INIT(1 << 22);

		kinds[k](&in, data, DATA_SIZE);
		for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
			for (size_t o = 1; o < ARRAY_SIZE(steps); o++) {
				struct strbuf out = STRBUF_INIT(1 << 22);
				struct error err = {0};

				assert_ok(decompress(&in, steps[i], steps[o], &out, &err), &err);
				assert_int_equal(out.len, DATA_SIZE);
				assert_memory_equal(out.s, data, DATA_SIZE);
				strbuf_done(&out);
			}
		strbuf_done(&in);
	}
	free(data);
}

/* Members of all sizes, the empty one too, cut at every portion size. */
static void test_concatenated_members(void **state)
{
	static const size_t sizes[] = {0, 1, 100, 70000, 0, 5};
	static const size_t steps[] = {1, 2, 3, 9, 17, 1000, 131072};
	static const add_fn kinds[] = {gzip_add, add_zstd, bzip2_add, xz_add};
	char *data = make_data();

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
		for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
			struct strbuf in = STRBUF_INIT(1 << 22), out = STRBUF_INIT(1 << 22);
			struct error err = {0};
			size_t total = 0;

			for (size_t m = 0; m < ARRAY_SIZE(sizes); m++) {
				kinds[k](&in, data + total, sizes[m]);
				total += sizes[m];
			}
			assert_ok(decompress(&in, steps[i], 4096, &out, &err), &err);
			assert_int_equal(out.len, total);
			assert_memory_equal(out.s, data, total);
			strbuf_done(&in);
			strbuf_done(&out);
		}
	free(data);
}

static void expect_bad(const struct strbuf *in, size_t step)
{
	struct strbuf out = STRBUF_INIT(1 << 22);
	struct error err = {0};

	assert_true(decompress(in, step, 4096, &out, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	error_done(&err);
	strbuf_done(&out);
}

/* Cut anywhere, also between the data and the trailer, it is told. */
static void test_truncation(void **state)
{
	static const add_fn kinds[] = {gzip_add, add_zstd, bzip2_add, xz_add};
	char *data = make_data();

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		struct strbuf in = STRBUF_INIT(1 << 22);
		size_t whole;

		kinds[k](&in, data, 2000);
		whole = in.len;
		for (size_t cut = 6; cut < whole; cut++) {
			in.len = cut;
			expect_bad(&in, 1);
			expect_bad(&in, 1 << 20);
		}
		/* The second of two. */
		in.len = whole;
		kinds[k](&in, data, 2000);
		for (size_t cut = 1; cut < 30; cut++) {
			in.len = 2 * whole - cut;
			expect_bad(&in, 100);
		}
		strbuf_done(&in);
	}
	free(data);
}

static void test_damage(void **state)
{
	struct strbuf in = STRBUF_INIT(1 << 22);
	char *data = make_data();

	(void)state;
	gzip_add(&in, data, 5000);
	in.s[in.len - 6] ^= 1; /* the checksum */
	expect_bad(&in, 1 << 20);
	in.s[in.len - 6] ^= 1;
	strbuf_adds(&in, "garbage");
	expect_bad(&in, 1 << 20);
	strbuf_done(&in);
	free(data);
}

/* A dictionary that does not fit into what strangers get; its block's header has a checksum. */
static void test_xz_memory(void **state)
{
	struct strbuf in = STRBUF_INIT(1 << 22), out = STRBUF_INIT(1 << 22);
	struct error err = {0};
	uint8_t *block, *filter;
	uint32_t crc;
	size_t len;

	(void)state;
	xz_add(&in, "data", 4);
	block = (uint8_t *)in.s + LZMA_STREAM_HEADER_SIZE;
	len = lzma_block_header_size_decode(block[0]) - sizeof(crc);
	filter = memmem(block, len, "\x21\x01", 2); /* LZMA2, one byte of properties */
	assert_non_null(filter);
	filter[2] = 40; /* 4 GiB */
	crc = htole32(lzma_crc32(block, len, 0));
	memcpy(block + len, &crc, sizeof(crc));
	assert_true(decompress(&in, 100, 100, &out, &err) < 0);
	assert_string_equal(error_msg(&err), "xz: it needs too much memory");
	error_done(&err);
	strbuf_done(&in);
	strbuf_done(&out);
}

/* 2 GiB of zeros in a few kilobytes: refused soon after the free part. */
static void test_bomb(void **state)
{
	struct strbuf in = STRBUF_INIT(128 << 20);
	char *zeros = xcalloc(1, 64 << 20), *buf = xcalloc(1, 1 << 20);
	struct portions from = {.step = 1 << 20};
	struct stream_reader reader = {.read = portions_read, .data = &from}, plain;
	struct decompress *d = NULL;
	struct error err = {0};
	uint64_t total = 0;
	ssize_t n;

	(void)state;
	for (int i = 0; i < 32; i++)
		add_zstd(&in, zeros, 64 << 20);
	from.p = in.s;
	from.len = in.len;
	assert_ok(decompress_new(&reader, &d, &err), &err);
	plain = decompress_reader(d);
	while ((n = plain.read(plain.data, buf, 1 << 20, &err)) > 0)
		total += (uint64_t)n;
	assert_true(n < 0);
	assert_non_null(strstr(error_msg(&err), "bomb"));
	assert_true(total <= (uint64_t)COMPRESS_FREE_SIZE + (1 << 20));
	error_done(&err);
	(void)decompress_free(d);
	free(buf);
	free(zeros);
	strbuf_done(&in);
}

static ssize_t fails_read(void *data, void *buf, size_t size, struct error *err)
{
	struct portions *d = data;

	return d->len == 0 ? error_set(err, ERROR_UNAVAILABLE, 0, "the line is dead")
			   : portions_read(data, buf, size, err);
}

/* What is longer than a few buffers has a thread: whole, cut off, damaged, unreadable, given up. */
static void test_long(void **state)
{
	enum { WHOLE, CUT, DAMAGED, UNREADABLE, GIVEN_UP, CASES };
	static const add_fn adders[] = {gzip_add, add_zstd, bzip2_add, xz_add};
	char *data = make_data(), *buf = xcalloc(1, 100000);

	(void)state;
	for (int i = 0; i < CASES * (int)ARRAY_SIZE(adders); i++) {
		struct strbuf in = STRBUF_INIT(16 << 20), out = STRBUF_INIT(16 << 20);
		struct error err = {0};
		struct portions from;
		struct stream_reader reader = {.data = &from}, plain;
		struct decompress *d = NULL;
		int kind = i % CASES, members = i / CASES < 2 ? 20 : 5; /* the others are slow */
		ssize_t n = 1;

		for (int k = 0; k < members; k++)
			adders[i / CASES](&in, data, DATA_SIZE);
		from = (struct portions){.p = in.s, .len = in.len, .step = 70000};
		from.len -= kind == CUT || kind == UNREADABLE ? 1000 : 0;
		if (kind == DAMAGED)
			memset(in.s + in.len / 2, 0x5a, 1000);
		reader.read = kind == UNREADABLE ? fails_read : portions_read;
		assert_ok(decompress_new(&reader, &d, &err), &err);
		plain = decompress_reader(d);
		while (n > 0 && !(kind == GIVEN_UP && out.len > DATA_SIZE)) {
			n = plain.read(plain.data, buf, 100000, &err);
			if (n > 0)
				strbuf_add(&out, buf, (size_t)n);
		}
		(void)decompress_free(d);
		for (size_t at = 0; at + DATA_SIZE <= out.len; at += DATA_SIZE)
			assert_memory_equal(out.s + at, data, DATA_SIZE);
		if (kind == WHOLE)
			assert_int_equal(out.len, members * DATA_SIZE);
		assert_true(kind == WHOLE || kind == GIVEN_UP ? n >= 0 : n < 0);
		if (kind == UNREADABLE)
			assert_string_equal(error_msg(&err), "the line is dead");
		error_done(&err);
		strbuf_done(&in);
		strbuf_done(&out);
	}
	free(buf);
	free(data);
}

/* However much may be ahead: nothing to speak of, a little, more than there is. */
static void test_ahead(void **state)
{
	static const size_t aheads[] = {1, 256 << 10, 1 << 30};
	struct strbuf in = STRBUF_INIT(16 << 20);
	char *data = make_data(), *buf = xcalloc(1, DATA_SIZE);

	(void)state;
	for (int k = 0; k < 5; k++)
		gzip_add(&in, data, DATA_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(aheads); i++) {
		struct portions from = {.p = in.s, .len = in.len, .step = 70000};
		struct stream_reader reader = {.read = portions_read, .data = &from}, plain;
		struct decompress *d = NULL;
		struct error err = {0};

		assert_ok(decompress_new(&reader, &d, &err), &err);
		decompress_set_ahead(d, aheads[i]);
		plain = decompress_reader(d);
		for (int k = 0; k < 5; k++) {
			assert_int_equal(stream_read_full(&plain, buf, DATA_SIZE, &err), DATA_SIZE);
			assert_memory_equal(buf, data, DATA_SIZE);
		}
		assert_int_equal(stream_read_full(&plain, buf, 1, &err), 0);
		(void)decompress_free(d);
	}
	free(buf);
	free(data);
	strbuf_done(&in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips), cmocka_unit_test(test_concatenated_members),
		cmocka_unit_test(test_truncation),  cmocka_unit_test(test_damage),
		cmocka_unit_test(test_xz_memory),   cmocka_unit_test(test_ahead),
		cmocka_unit_test(test_bomb),        cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
