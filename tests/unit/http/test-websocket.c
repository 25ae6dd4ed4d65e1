/* WebSocket frames: RFC 6455's own examples, and what no client may send. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/websocket.h"

static void test_accept(void **state)
{
	char text[WEBSOCKET_ACCEPT_SIZE];

	(void)state;
	assert_true(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==", text)); /* section 1.3 */
	assert_string_equal(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	assert_false(websocket_accept("", text));
	assert_false(websocket_accept("dGhlIHNhbXBsZSBub25jZQ", text));
	assert_false(websocket_accept("dGhlIHNhbXBsZSBub25jZTEyMzQ=", text));
	assert_false(websocket_accept("!!!!!!!!!!!!!!!!!!!!!!==", text));
}

struct seen {
	struct strbuf data; /* owned */
	struct strbuf controls;
	int r;
};

/* Feed `s` in pieces; what comes out is the same however it is cut. */
static void feed(const char *s, size_t len, size_t piece, struct seen *ret)
{
	struct websocket_parser p = {0};
	struct websocket_piece out;
	char buf[1024];

	*ret = (struct seen){.data = STRBUF_INIT(4096), .controls = STRBUF_INIT(4096)};
	for (size_t at = 0; at < len && ret->r == 0; at += piece) {
		size_t n = len - at < piece ? len - at : piece, used = 0;

		memcpy(buf, s + at, n);
		while (used < n && ret->r == 0) {
			ssize_t r = websocket_parse(&p, buf + used, n - used, &out);

			if (r < 0) {
				ret->r = (int)r;
				break;
			}
			used += (size_t)r;
			if (out.kind == WEBSOCKET_PIECE_DATA)
				strbuf_add(&ret->data, out.data, out.len);
			else if (out.kind != WEBSOCKET_PIECE_NONE)
				strbuf_addf(&ret->controls, "%d:%.*s;", (int)out.kind, (int)out.len,
					    out.data);
		}
	}
}

static void seen_done(struct seen *s)
{
	strbuf_done(&s->data);
	strbuf_done(&s->controls);
}

static void test_frames(void **state)
{
	/* "Hel" and "lo" in two fragments with a ping between them, a pong, an empty message and a close: 1000. */
	static const char s[] = "\x02\x83\x37\xfa\x21\x3d\x7f\x9f\x4d"
				"\x89\x82"
				"\x00\x00\x00\x00hi"
				"\x80\x82\x01\x02\x03\x04mm"
				"\x8a\x80"
				"abcd"
				"\x81\x80"
				"abcd"
				"\x88\x82\x00\x00\x00\x00\x03\xe8";

	(void)state;
	for (size_t piece = 1; piece < sizeof(s); piece++) {
		struct seen seen;

		feed(s, sizeof(s) - 1, piece, &seen);
		assert_int_equal(seen.r, 0);
		assert_string_equal(seen.data.s, "Hello");
		assert_string_equal(seen.controls.s, "2:hi;3:;4:\x03\xe8;");
		seen_done(&seen);
	}
}

static void test_lengths(void **state)
{
	char s[8 + 126] = "\x82\xfe\x00\x7e";
	struct seen seen;

	(void)state;
	memset(s + 8, 'x', 126);
	feed(s, sizeof(s), sizeof(s), &seen);
	assert_int_equal(seen.r, 0);
	assert_int_equal(seen.data.len, 126);
	seen_done(&seen);
}

static void test_refused(void **state)
{
	static const struct {
		const char *what, *s;
		size_t len;
	} cases[] = {
		{"no mask", "\x82\x01x", 3},
		{"a reserved bit", "\xc2\x80", 2},
		{"an unknown opcode", "\x83\x80", 2},
		{"an unknown control opcode", "\x8b\x80", 2},
		{"a fragmented ping", "\x09\x80", 2},
		{"a long ping", "\x89\xfe", 2},
		{"a continuation of nothing", "\x80\x80", 2},
		{"a message inside another", "\x02\x80\0\0\0\0\x82\x80", 8},
		{"a length that is not the shortest", "\x82\xfe\x00\x7d\0\0\0\0", 8},
		{"a long length that is not the shortest", "\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0",
		 14},
		{"a length of 2^63", "\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14},
		{"a close with half a code", "\x88\x81\0\0\0\0x", 7},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (size_t piece = 1; piece <= cases[i].len; piece++) {
			struct seen seen;

			feed(cases[i].s, cases[i].len, piece, &seen);
			if (seen.r != -EBADMSG)
				fail_msg("%s was let through", cases[i].what);
			seen_done(&seen);
		}
	}
}

static void test_head(void **state)
{
	static const struct {
		uint64_t len;
		const char *head;
		size_t size;
	} cases[] = {
		{0, "\x82\x00", 2},
		{125, "\x82\x7d", 2},
		{126, "\x82\x7e\x00\x7e", 4},
		{65535, "\x82\x7e\xff\xff", 4},
		{65536, "\x82\x7f\0\0\0\0\0\x01\0\0", 10},
	};
	unsigned char head[WEBSOCKET_HEAD_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(websocket_head(head, WEBSOCKET_BINARY, cases[i].len),
				 cases[i].size);
		assert_memory_equal(head, cases[i].head, cases[i].size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accept),  cmocka_unit_test(test_frames),
		cmocka_unit_test(test_lengths), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_head),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
