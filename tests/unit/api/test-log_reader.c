/* Logs read back: decoding, tail, rotation, following; and how entries are sent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/log_format.h"
#include "api/log_reader.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

static char dir[] = "/tmp/vessel-test-log-XXXXXX";
static char path[64];

static int setup(void **state)
{
	(void)state;
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/json.log", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, dir, NULL);
}

static void append(const char *text)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	(void)close(fd);
}

/* text is JSON: "a\\n". */
static void append_entry(const char *stream, const char *text)
{
	autofree char *line = xasprintf("{\"log\":\"%s\",\"stream\":\"%s\","
					"\"time\":\"2024-01-02T03:04:05.5Z\"}\n",
					text, stream);

	append(line);
}

static void rotate(int files)
{
	for (int i = files - 1; i >= 0; i--) {
		autofree char *from = i ? xasprintf("%s.%d", path, i) : xstrdup(path);
		autofree char *to = xasprintf("%s.%d", path, i + 1);

		(void)rename(from, to);
	}
}

static void expect(struct log_reader *r, const char *text)
{
	struct log_entry e;

	assert_int_equal(log_reader_next(r, &e), 1);
	if (e.len != strlen(text) || memcmp(e.text, text, e.len) != 0)
		fail_msg("'%.*s' is not '%s'", (int)e.len, e.text, text);
}

static void expect_end(struct log_reader *r)
{
	struct log_entry e;

	assert_int_equal(log_reader_next(r, &e), 0);
}

static void test_parse(void **state)
{
	autostrbuf struct strbuf scratch = STRBUF_INIT(1000);
	const char line[] =
		"{\"log\":\"a\\\"b\\\\n\\u00e9\\ud83d\\ude00\\n\",\"stream\":\"stderr\","
		"\"attrs\":{\"k\":\"}\\\"\"},\"time\":\"2024-01-02T03:04:05.25Z\"}";
	struct log_entry e;

	(void)state;
	assert_true(log_entry_parse(line, strlen(line), &scratch, &e));
	assert_int_equal(e.stream, LOG_STDERR);
	assert_int_equal(e.len, strlen("a\"b\\n\303\251\360\237\230\200\n"));
	assert_memory_equal(e.text, "a\"b\\n\303\251\360\237\230\200\n", e.len);
	assert_int_equal(e.attrs_len, strlen("{\"k\":\"}\\\"\"}"));
	assert_true(log_entry_time_ns(&e) == 1704164645250000000LL);
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"{}",
		"null",
		"{\"log\":\"a\"}",
		"{\"log\":\"a",
		"{\"log\":\"a\\\",\"stream\":\"stdout\",\"time\":\"x\"}",
		"{\"log\":\"\\q\",\"time\":\"x\"}",
		"{\"log\":\"\\u12\",\"time\":\"x\"}",
		"{\"log\":\"a\",\"time\":\"x\"} ",
		"{\"log\":1,\"time\":\"x\"}",
		"{\"log\":\"a\",\"attrs\":{\"time\":\"x\"}",
	};
	autostrbuf struct strbuf scratch = STRBUF_INIT(1000);
	struct log_entry e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (log_entry_parse(bad[i], strlen(bad[i]), &scratch, &e))
			fail_msg("accepted: %s", bad[i]);
}

static void test_no_file(void **state)
{
	autolog_reader struct log_reader *r = log_reader_new(path, false);

	(void)state;
	log_reader_tail(r, 10);
	expect_end(r);
	append_entry("stdout", "now\\n");
	expect(r, "now\n");
	expect_end(r);
}

static void test_follow(void **state)
{
	autolog_reader struct log_reader *r = log_reader_new(path, false);

	(void)state;
	append_entry("stdout", "one\\n");
	expect(r, "one\n");
	expect_end(r);
	/* Half a line is none. */
	append("{\"log\":\"two\\n\",\"stream\":\"std");
	expect_end(r);
	append("out\",\"time\":\"2024-01-02T03:04:05Z\"}\n");
	expect(r, "two\n");
	append("garbage\n");
	append_entry("stdout", "three\\n");
	expect(r, "three\n");
	expect_end(r);
}

static void test_rotation(void **state)
{
	autolog_reader struct log_reader *r = log_reader_new(path, false), *late = NULL;

	(void)state;
	append_entry("stdout", "1\\n");
	expect(r, "1\n");
	/* Written, then rotated, before the reader looked. */
	append_entry("stdout", "2\\n");
	rotate(3);
	append_entry("stdout", "3\\n");
	expect(r, "2\n");
	expect(r, "3\n");
	/* Twice in between. */
	append_entry("stdout", "4\\n");
	rotate(3);
	append_entry("stdout", "5\\n");
	rotate(3);
	append_entry("stdout", "6\\n");
	for (char c = '4'; c <= '6'; c++) {
		const char text[] = {c, '\n', '\0'};

		expect(r, text);
	}
	expect_end(r);
	/* All of it, oldest first. */
	late = log_reader_new(path, false);
	for (char c = '1'; c <= '6'; c++) {
		const char text[] = {c, '\n', '\0'};

		expect(late, text);
	}
	expect_end(late);
}

/* The file that was being read is gone, and the one behind it too. */
static void test_rotated_away(void **state)
{
	autolog_reader struct log_reader *r = log_reader_new(path, false);

	(void)state;
	append_entry("stdout", "1\\n");
	expect(r, "1\n");
	(void)unlink(path);
	append_entry("stdout", "2\\n");
	expect(r, "2\n");
	expect_end(r);
}

static void test_tail(void **state)
{
	autolog_reader struct log_reader *two = log_reader_new(path, false),
					 *none = log_reader_new(path, false),
					 *all = log_reader_new(path, false);

	(void)state;
	append_entry("stdout", "a\\n");
	append_entry("stdout", "b\\n");
	append_entry("stderr", "c\\n");
	log_reader_tail(two, 2);
	expect(two, "b\n");
	expect(two, "c\n");
	expect_end(two);
	log_reader_tail(none, 0);
	expect_end(none);
	append_entry("stdout", "d\\n");
	expect(none, "d\n");
	expect(two, "d\n");
	log_reader_tail(all, 100);
	expect(all, "a\n");
}

/* Parts of a long line are one line; an unfinished one counts. */
static void test_tail_parts(void **state)
{
	autolog_reader struct log_reader *r = log_reader_new(path, false),
					 *last = log_reader_new(path, false);

	(void)state;
	append_entry("stdout", "a\\n");
	append_entry("stdout", "long ");
	append_entry("stdout", "line\\\\n"); /* ends in a backslash and an n */
	append_entry("stdout", "!\\n");
	append_entry("stdout", "open");
	log_reader_tail(r, 2);
	expect(r, "long ");
	expect(r, "line\\n");
	expect(r, "!\n");
	expect(r, "open");
	log_reader_tail(last, 1);
	expect(last, "open");
}

static void test_tail_over_files(void **state)
{
	autolog_reader struct log_reader *r = log_reader_new(path, false),
					 *exact = log_reader_new(path, false);

	(void)state;
	append_entry("stdout", "a\\n");
	append_entry("stdout", "b\\n");
	rotate(2);
	append_entry("stdout", "c\\n");
	append_entry("stdout", "d\\n");
	log_reader_tail(r, 3);
	expect(r, "b\n");
	expect(r, "c\n");
	expect(r, "d\n");
	expect_end(r);
	log_reader_tail(exact, 2);
	expect(exact, "c\n");
}

/* More than one window of the search backwards, and a line longer than it. */
static void test_tail_big(void **state)
{
	autolog_reader struct log_reader *r = log_reader_new(path, false);
	autofree char *big = xcalloc(1, 600001);

	(void)state;
	memset(big, 'x', 600000);
	append_entry("stdout", "first\\n");
	append_entry("stdout", big);
	append_entry("stdout", "end\\n");
	for (int i = 0; i < 10000; i++)
		append_entry("stdout", "fill\\n");
	log_reader_tail(r, 10001);
	expect(r, big);
	expect(r, "end\n");
	for (int i = 0; i < 10000; i++)
		expect(r, "fill\n");
	expect_end(r);
}

static void test_format(void **state)
{
	struct log_format plain = {0}, full = {.frames = true, .timestamps = true, .details = true};
	autostrbuf struct strbuf out = STRBUF_INIT(1000);
	struct log_entry e = {.stream = LOG_STDERR,
			      .text = "part",
			      .len = 4,
			      .time = "2024-01-02T03:04:05.25Z",
			      .time_len = 23,
			      .attrs = "{\"a b\":\"c&d\"}",
			      .attrs_len = 13};
	static const char prefix[] = "2024-01-02T03:04:05.250000000Z a+b=c%26d ";

	(void)state;
	log_format_add(&plain, &e, &out);
	assert_string_equal(out.s, "part");
	strbuf_reset(&out);
	log_format_add(&full, &e, &out);
	assert_int_equal(out.len, 8 + strlen(prefix) + 4);
	assert_memory_equal(out.s, "\2\0\0\0\0\0\0", 7);
	assert_int_equal(out.s[7], strlen(prefix) + 4);
	assert_memory_equal(out.s + 8, prefix, strlen(prefix));
	/* The rest of the line has no time of its own. */
	strbuf_reset(&out);
	e.text = "end\n";
	log_format_add(&full, &e, &out);
	assert_int_equal(out.len, 12);
	assert_memory_equal(out.s, "\2\0\0\0\0\0\0\4end\n", 12);
	strbuf_reset(&out);
	log_format_add(&full, &e, &out);
	assert_int_equal(out.len, 8 + strlen(prefix) + 4);
}

/* Neighbours of one stream share a frame, as far as `out` has not been emptied. */
static void test_joined_frames(void **state)
{
	struct log_format f = {.frames = true, .join = true};
	autostrbuf struct strbuf out = STRBUF_INIT(1000);
	struct log_entry e = {.stream = LOG_STDOUT, .text = "one\n", .len = 4};
	static const char all[] = "\1\0\0\0\0\0\0\10one\none\n"
				  "\2\0\0\0\0\0\0\4one\n"
				  "\1\0\0\0\0\0\0\4one\n";

	(void)state;
	log_format_add(&f, &e, &out);
	log_format_add(&f, &e, &out);
	e.stream = LOG_STDERR;
	log_format_add(&f, &e, &out);
	e.stream = LOG_STDOUT;
	log_format_add(&f, &e, &out);
	assert_int_equal(out.len, sizeof(all) - 1);
	assert_memory_equal(out.s, all, out.len);
	strbuf_reset(&out);
	log_format_add(&f, &e, &out);
	assert_int_equal(out.len, 12);
	assert_memory_equal(out.s, "\1\0\0\0\0\0\0\4one\n", 12);
}

/* Whether a line is of the usual form makes no difference. */
static void test_parse_usual(void **state)
{
	static const struct {
		const char *line, *text;
		enum log_stream stream;
	} lines[] = {
		{"{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"T\"}", "a\n", LOG_STDOUT},
		{"{\"log\":\"a\\n\",\"stream\":\"stderr\",\"time\":\"T\"}", "a\n", LOG_STDERR},
		{"{\"log\":\"\",\"stream\":\"stdout\",\"time\":\"T\"}", "", LOG_STDOUT},
		{"{\"log\":\"\\\"\",\"stream\":\"stdout\",\"time\":\"T\"}", "\"", LOG_STDOUT},
		{"{\"log\":\"a\",\"stream\":\"stdout\",\"time\":\"T\",\"x\":\"y\"}", "a",
		 LOG_STDOUT},
		{"{\"stream\":\"stderr\",\"log\":\"a\",\"time\":\"T\"}", "a", LOG_STDERR},
		{"{\"log\":\"a\", \"stream\":\"stderr\", \"time\":\"T\"}", "a", LOG_STDERR},
	};
	autostrbuf struct strbuf scratch = STRBUF_INIT(1000);
	struct log_entry e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		assert_true(log_entry_parse(lines[i].line, strlen(lines[i].line), &scratch, &e));
		assert_int_equal(e.len, strlen(lines[i].text));
		assert_memory_equal(e.text, lines[i].text, e.len);
		assert_int_equal(e.stream, lines[i].stream);
		assert_int_equal(e.time_len, 1);
		assert_memory_equal(e.time, "T", 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_usual),
		cmocka_unit_test(test_joined_frames),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test_setup_teardown(test_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rotation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rotated_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tail_parts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tail_over_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tail_big, setup, teardown),
		cmocka_unit_test(test_format),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
