/* Bodies in byte streams. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/framing.h"

/* Decode `s` in pieces; returns what was used of it, or negative. */
static ssize_t decode(struct framing *f, const char *s, size_t len, size_t piece,
		      struct strbuf *ret)
{
	size_t pos = 0, end = 0;

	while (!f->is_done && pos < len) {
		uint64_t data = framing_data(f);
		ssize_t n;

		if (pos == end)
			end = end + piece > len ? len : end + piece;
		if (data > 0) {
			n = data < end - pos ? (ssize_t)data : (ssize_t)(end - pos);
			strbuf_add(ret, s + pos, (size_t)n);
			framing_advance(f, (size_t)n);
		} else {
			n = framing_skip(f, s + pos, end - pos);
			if (n < 0)
				return n;
		}
		pos += (size_t)n;
	}
	return (ssize_t)pos;
}

static void test_chunks_in_pieces(void **state)
{
	static const char s[] = "5\r\nhello\r\n1;ext=\"x\"\r\n \r\n0A \r\n0123456789\r\n"
				"000\r\nTrailer: x\r\nOther: y\r\n\r\nGET /";

	(void)state;
	for (size_t piece = 1; piece < sizeof(s); piece++) {
		autostrbuf struct strbuf b = STRBUF_INIT(1000);
		struct framing f;

		framing_init(&f, FRAMING_CHUNKED, 0);
		assert_int_equal(decode(&f, s, sizeof(s) - 1, piece, &b), sizeof(s) - 1 - 5);
		assert_true(f.is_done);
		assert_string_equal(b.s, "hello 0123456789");
	}
}

static void test_bad_chunks(void **state)
{
	static const struct {
		const char *s;
		int r;
	} cases[] = {
		{"\r\n", -EBADMSG},
		{"g\r\n", -EBADMSG},
		{"-1\r\n", -EBADMSG},
		{"0x5\r\n", -EBADMSG},
		{"5\nhello", -EBADMSG},
		{"1\r\nab\r\n", -EBADMSG},
		{"1\r\na\n", -EBADMSG},
		{"8000000000000000\r\n", -EBADMSG},
		{"0\r\nA: b\n\r\n", -EBADMSG},
		{"5;a\rb\r\n", -EBADMSG},
		{" 5\r\n", -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		autostrbuf struct strbuf b = STRBUF_INIT(1000);
		struct framing f;

		framing_init(&f, FRAMING_CHUNKED, 0);
		if (decode(&f, cases[i].s, strlen(cases[i].s), 100, &b) != cases[i].r)
			fail_msg("%s", cases[i].s);
	}
}

static void test_endless_lines(void **state)
{
	autofree char *s = xcalloc(1, 20000);
	autostrbuf struct strbuf b = STRBUF_INIT(10);
	struct framing f;

	(void)state;
	memset(s, '0', 20000);
	framing_init(&f, FRAMING_CHUNKED, 0);
	assert_int_equal(decode(&f, s, 20000, 20000, &b), -E2BIG);

	memcpy(s, "0\r\n", 3);
	memset(s + 3, 'a', 20000 - 3);
	framing_init(&f, FRAMING_CHUNKED, 0);
	assert_int_equal(decode(&f, s, 20000, 20000, &b), -E2BIG);
}

static void test_largest_chunk(void **state)
{
	struct framing f;

	(void)state;
	framing_init(&f, FRAMING_CHUNKED, 0);
	assert_int_equal(framing_skip(&f, "7fffffffffffffff\r\n", 18), 18);
	assert_true(framing_data(&f) == INT64_MAX);
}

static void test_length(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(1000);
	struct framing f;

	(void)state;
	framing_init(&f, FRAMING_LENGTH, 3);
	assert_int_equal(decode(&f, "abcdef", 6, 1, &b), 3);
	assert_string_equal(b.s, "abc");
	assert_true(f.is_done);
	framing_init(&f, FRAMING_LENGTH, 0);
	assert_true(f.is_done);
	framing_init(&f, FRAMING_NONE, 0);
	assert_true(f.is_done);
	framing_init(&f, FRAMING_CLOSE, 0);
	framing_advance(&f, 1000);
	assert_false(f.is_done);
	assert_true(framing_data(&f) > 1000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chunks_in_pieces), cmocka_unit_test(test_bad_chunks),
		cmocka_unit_test(test_endless_lines),    cmocka_unit_test(test_largest_chunk),
		cmocka_unit_test(test_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
