#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "engine/remap.h"

static void parse(void **state)
{
	static const char text[] =
		"# comment\nalice:200000:10\nbob:5:5\n\nalice:100000:65536\n"
		"alice:x:1\nalice:300000:0\nalice:4294967290:10\n1000:7:7\nalice:1\n";
	const char *const alice[] = {"alice", NULL}, *const number[] = {"carol", "1000", NULL};
	struct remap_ranges ranges = {0};

	(void)state;
	remap_parse(text, alice, &ranges);
	assert_int_equal(ranges.n, 2);
	assert_int_equal(ranges.v[0].start, 100000);
	assert_int_equal(ranges.v[0].size, 65536);
	assert_int_equal(ranges.v[1].start, 200000);
	free(ranges.v);
	ranges = (struct remap_ranges){0};
	remap_parse(text, number, &ranges);
	assert_int_equal(ranges.n, 1);
	assert_int_equal(ranges.v[0].start, 7);
	free(ranges.v);
}

/* A directory that is /etc. */
static int make_etc(char *path, const char *subuid, const char *subgid)
{
	int fd;

	assert_non_null(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	if (subuid)
		assert_int_equal(
			file_write_atomic(fd, "subuid", subuid, strlen(subuid), 0644, 0, NULL), 0);
	if (subgid)
		assert_int_equal(
			file_write_atomic(fd, "subgid", subgid, strlen(subgid), 0644, 0, NULL), 0);
	return fd;
}

static void remove_etc(const char *path, int fd)
{
	(void)close(fd);
	assert_int_equal(file_remove_tree(AT_FDCWD, path, NULL), 0);
}

static void ranges_are_made(void **state)
{
	char path[] = "/tmp/vessel-remap-XXXXXX";
	int fd = make_etc(path, "a:100000:65536\nb:165536:1", NULL);
	struct remap remap;
	char *text = NULL;

	(void)state;
	assert_int_equal(remap_open("default", fd, &remap, NULL), 0);
	assert_int_equal(remap.uids.n, 1);
	assert_int_equal(remap.uids.v[0].start, 165537);
	assert_int_equal(remap.gids.v[0].start, 100000);
	remap_done(&remap);
	assert_true(file_read(fd, "subuid", 4096, &text, NULL, NULL) >= 0);
	assert_string_equal(text, "a:100000:65536\nb:165536:1\ndockremap:165537:65536\n");
	free(text);
	/* and found again */
	assert_int_equal(remap_open("default", fd, &remap, NULL), 0);
	assert_int_equal(remap.uids.v[0].start, 165537);
	remap_done(&remap);
	remove_etc(path, fd);
}

static void refused(void **state)
{
	static const struct {
		const char *value, *text;
	} rows[] = {
		{":", "is not default"},
		{"root:", "is not default"},
		{"a:b:c", "is not default"},
		{"no such user", "no such user: no such user"},
		{"root", "no subuid ranges found for \"root\""},
		{"4000000", "no subuid ranges found for \"4000000\""},
	};
	char path[] = "/tmp/vessel-remap-XXXXXX";
	int fd = make_etc(path, "", "");
	struct remap remap;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = {0};

		assert_true(remap_open(rows[i].value, fd, &remap, &err) < 0);
		if (!strstr(error_msg(&err), rows[i].text))
			fail_msg("'%s' has no '%s'", error_msg(&err), rows[i].text);
		error_done(&err);
	}
	assert_int_equal(remap_open("", fd, &remap, NULL), 0);
	assert_int_equal(remap.uids.n, 0);
	remove_etc(path, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse),
		cmocka_unit_test(ranges_are_made),
		cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
