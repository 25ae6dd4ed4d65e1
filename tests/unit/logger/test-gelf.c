/* GELF messages and their chunks. */
#include "logger/gelf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static void message(void **state)
{
	static const char *keys[] = {"_own", "label"}, *values[] = {"1", "\"2\""};
	const struct logger_config config = {.tag = "t",
					     .container_id = "0123",
					     .container_name = "/name",
					     .image_id = "sha256:0",
					     .image_name = "image",
					     .command = "a b",
					     .created = "2006-01-02T15:04:05Z",
					     .attrs = {keys, values, 2}};
	const struct logentry e = {.stream = LOGENTRY_STDERR,
				   .time_ns = INT64_C(1136214245007000000),
				   .line = "a\"b\xff",
				   .len = 4};
	autostrbuf struct strbuf extra = STRBUF_INIT(1000), out = STRBUF_INIT(1000);

	(void)state;
	gelf_extra(&config, &extra);
	gelf_message("host", &extra, &e, &out);
	assert_string_equal(
		out.s,
		"{\"version\":\"1.1\",\"host\":\"host\",\"short_message\":\"a\\\"b\xef\xbf\xbd\","
		"\"timestamp\":1136214245.007,\"level\":3,\"_command\":\"a b\","
		"\"_container_id\":\"0123\",\"_container_name\":\"name\","
		"\"_created\":\"2006-01-02T15:04:05Z\",\"_image_id\":\"sha256:0\","
		"\"_image_name\":\"image\",\"_tag\":\"t\",\"_own\":\"1\",\"_label\":"
		"\"\\\"2\\\"\"}");
}

static void chunks(void **state)
{
	const size_t part = GELF_CHUNK_SIZE - GELF_CHUNK_HEADER, len = 2 * part + 1;
	autofree char *data = xcalloc(GELF_CHUNKS_MAX + 1, part);
	unsigned char chunk[GELF_CHUNK_SIZE];

	(void)state;
	memset(data, 'x', len);
	data[len - 1] = 'y';
	for (size_t i = 0; i < 3; i++) {
		size_t n = gelf_chunk(data, len, 42, i, chunk);

		assert_int_equal(n, GELF_CHUNK_HEADER + (i < 2 ? part : 1));
		assert_memory_equal(chunk, "\x1e\x0f", 2);
		assert_int_equal(chunk[10], i);
		assert_int_equal(chunk[11], 3);
		assert_memory_equal(chunk + GELF_CHUNK_HEADER, data + i * part,
				    n - GELF_CHUNK_HEADER);
	}
	assert_int_equal(gelf_chunk(data, len, 42, 3, chunk), 0);
	assert_int_equal(gelf_chunk(data, GELF_CHUNKS_MAX * part, 42, GELF_CHUNKS_MAX - 1, chunk),
			 GELF_CHUNK_SIZE);
	assert_int_equal(gelf_chunk(data, GELF_CHUNKS_MAX * part + 1, 42, 0, chunk), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(message), cmocka_unit_test(chunks)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
