/* MessagePack: the shortest forms, by the specification; and what is found in what a server says. */
#include "logger/msgpack.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static void writing(void **state)
{
	autostrbuf struct strbuf out = STRBUF_INIT(1 << 20);
	autofree char *text = xcalloc(70000, 1);
	static const char want[] = "\x93\xdc\x00\x10\x82\xde\x01\x00"
				   "\x7f\xcc\x80\xcd\x01\x00\xce\x00\x01\x00\x00"
				   "\xcf\x00\x00\x00\x01\x00\x00\x00\x00"
				   "\xa2hi\xd7\x00\x00\x00\x00\x01\x00\x00\x00\x02";

	(void)state;
	msgpack_array(&out, 3);
	msgpack_array(&out, 16);
	msgpack_map(&out, 2);
	msgpack_map(&out, 256);
	msgpack_uint(&out, 127);
	msgpack_uint(&out, 128);
	msgpack_uint(&out, 256);
	msgpack_uint(&out, 65536);
	msgpack_uint(&out, UINT64_C(1) << 32);
	msgpack_str(&out, "hi", 2);
	msgpack_event_time(&out, INT64_C(1000000002));
	assert_int_equal(out.len, sizeof(want) - 1);
	assert_memory_equal(out.s, want, out.len);

	for (size_t i = 0; i < 4; i++) {
		static const size_t sizes[] = {31, 32, 256, 65536};
		static const char *const heads[] = {"\xbf", "\xd9\x20", "\xda\x01\x00",
						    "\xdb\x00\x01\x00\x00"};
		static const size_t head_len[] = {1, 2, 3, 5};

		strbuf_reset(&out);
		msgpack_str(&out, text, sizes[i]);
		assert_int_equal(out.len, sizes[i] + head_len[i]);
		assert_memory_equal(out.s, heads[i], head_len[i]);
	}
}

static void reading(void **state)
{
	autostrbuf struct strbuf out = STRBUF_INIT(1000);
	const char *value;
	size_t len, value_len;

	(void)state;
	msgpack_map(&out, 2);
	msgpack_str(&out, "other", 5);
	msgpack_str(&out, "x", 1);
	msgpack_str(&out, "ack", 3);
	msgpack_str(&out, "0123456789012345678901234567890123456789", 40);
	for (size_t i = 0; i < out.len; i++) {
		assert_int_equal(msgpack_skip(out.s, i, &len), 0);
		assert_false(msgpack_find(out.s, i, "ack", &value, &value_len));
	}
	assert_int_equal(msgpack_skip(out.s, out.len, &len), 1);
	assert_int_equal(len, out.len);
	assert_true(msgpack_find(out.s, out.len, "ack", &value, &value_len));
	assert_int_equal(value_len, 40);
	assert_memory_equal(value, "01234", 5);
	assert_false(msgpack_find(out.s, out.len, "ac", &value, &value_len));

	/* Every other type, as a whole. */
	assert_int_equal(
		msgpack_skip("\x98\xc0\xca....\xcb........\xd0.\xc4\x01.\xd8................."
			     "\xc7\x02t..\xdd\x00\x00\x00\x01\x81\xc2\xc3",
			     52, &len),
		1);
	assert_int_equal(len, 52);
	assert_int_equal(msgpack_skip("\xc1", 1, &len), -EBADMSG);
	/* Deep, and enormous. */
	assert_int_equal(
		msgpack_skip("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91",
			     17, &len),
		-EBADMSG);
	assert_int_equal(msgpack_skip("\xdd\xff\xff\xff\xff", 5, &len), 0);
	assert_false(msgpack_find("\xdf\xff\xff\xff\xff", 5, "ack", &value, &value_len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(writing), cmocka_unit_test(reading)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
