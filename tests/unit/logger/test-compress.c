/* Rotated files, compressed: what the reader of logs makes of them, also in the middle of one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>

#include "api/log_reader.h"
#include "base/file.h"
#include "base/logentry.h"
#include "base/mem.h"
#include "logger/logger.h"

static char dir[] = "/tmp/vessel-test-gz-XXXXXX";
static char path[64];

static int setup(void **state)
{
	(void)state;
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	if (!mkdtemp(dir))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/log", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return file_remove_tree(AT_FDCWD, dir, NULL);
}

static void append(const char *text, bool is_local)
{
	const struct logentry e = {
		.stream = LOGENTRY_STDOUT, .time_ns = 1, .line = text, .len = strlen(text)};
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	char out[256];
	size_t n = is_local ? logentry_encode(out, &e)
			    : (size_t)snprintf(out, sizeof(out),
					       "{\"log\":\"%s\\n\",\"stream\":\"stdout\",\"time\":"
					       "\"2024-01-02T03:04:05.5Z\"}\n",
					       text);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, out, n), 0);
	(void)close(fd);
}

static void move(const char *from, const char *to)
{
	autofree char *a = xasprintf("%s%s", path, from), *b = xasprintf("%s%s", path, to);

	assert_int_equal(rename(a, b), 0);
}

static void compress(const char *suffix)
{
	autofree char *from = xasprintf("%s%s", path, suffix), *to = xasprintf("%s.gz", from);
	autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
	autoclose int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(in >= 0 && out >= 0);
	assert_int_equal(logger_compress(in, out, NULL), 0);
	assert_int_equal(unlink(from), 0);
}

static void expect(struct log_reader *r, const char *want)
{
	struct log_entry e;

	if (!want) {
		assert_int_equal(log_reader_next(r, &e), 0);
		return;
	}
	assert_int_equal(log_reader_next(r, &e), 1);
	assert_int_equal(e.len, strlen(want));
	assert_memory_equal(e.text, want, e.len);
}

static void read_back(bool is_local)
{
	autolog_reader struct log_reader *all = NULL, *tail = NULL, *follower = NULL;

	append("one", is_local);
	append("two", is_local);
	follower = log_reader_new(path, is_local);
	expect(follower, "one\n");
	move("", ".1");
	append("three", is_local);
	compress(".1");
	/* In the middle of a file that is compressed and moved on meanwhile. */
	move(".1.gz", ".2.gz");
	move("", ".1");
	compress(".1");
	append("four", is_local);
	expect(follower, "two\n");
	expect(follower, "three\n");
	/* And in the middle of one that was compressed when it was opened. */
	move(".2.gz", ".3.gz");
	move(".1.gz", ".2.gz");
	move("", ".1");
	append("five", is_local);
	expect(follower, "four\n");
	expect(follower, "five\n");
	expect(follower, NULL);
	append("six", is_local);
	expect(follower, "six\n");

	all = log_reader_new(path, is_local);
	for (const char *const *w = (const char *const[]){"one\n", "two\n", "three\n", "four\n",
							  "five\n", "six\n", NULL};
	     *w; w++)
		expect(all, *w);
	expect(all, NULL);
	tail = log_reader_new(path, is_local);
	log_reader_tail(tail, 5);
	expect(tail, "two\n");
	expect(tail, "three\n");
}

static void json(void **state)
{
	(void)state;
	read_back(false);
}

static void local(void **state)
{
	(void)state;
	read_back(true);
}

/* A copy that a crash has cut short is no log; the others are read. */
static void damaged(void **state)
{
	autolog_reader struct log_reader *r = NULL;
	autofree char *gz = xasprintf("%s.1.gz", path);

	(void)state;
	append("one", true);
	move("", ".1");
	compress(".1");
	assert_int_equal(truncate(gz, 20), 0);
	append("two", true);
	r = log_reader_new(path, true);
	expect(r, "two\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(json, setup, teardown),
		cmocka_unit_test_setup_teardown(local, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
