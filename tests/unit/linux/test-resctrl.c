/* Classes of service, in a directory that stands in for the file system: what is made, written, compared
 * and removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/resctrl.h"

static void comparing(void **state)
{
	static const char text[] = "    L3:0=7f0;1=1f\n    MB:0= 20;1= 70\nL2:0=ff\n";
	static const struct {
		const char *line;
		bool match;
	} cases[] = {
		{"L3:0=7f0;1=1f", true}, {"L3:1=1F", true},          {"L3:0=07f0", true},
		{"L3:0=7f1", false},     {"L3:2=1f", false},         {"MB:0=20", false},
		{"L2:0=ff", true},       {"L4:0=ff", false},         {"L3", false},
		{"L3:", true},           {"L3: 1=1f ;0=7f0", false}, {"L3:0", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (resctrl_schemata_match(text, cases[i].line) != cases[i].match)
			fail_msg("%s", cases[i].line);
}

struct tree {
	char path[64];
	int fd;
};

static void put(int dir_fd, const char *name, const char *text)
{
	autoclose int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
}

static void check_file(int dir_fd, const char *name, const char *wanted)
{
	autofree char *text = NULL;

	assert_true(file_read(dir_fd, name, 4096, &text, NULL, NULL) >= 0);
	assert_string_equal(text, wanted);
}

static int make_tree(void **state)
{
	struct tree *t = xnew0(struct tree);

	assert_true(str_copy(t->path, sizeof(t->path), "/tmp/test-resctrl-XXXXXX"));
	if (!mkdtemp(t->path))
		return -1;
	t->fd = open(t->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*state = t;
	return 0;
}

static void remove_file(int fd, const char *dir, const char *name)
{
	autofree char *path = xasprintf("%s/%s", dir, name);

	(void)unlinkat(fd, path, 0);
}

static int remove_tree(void **state)
{
	static const char *const dirs[] = {
		"gold/mon_groups/box", "gold/mon_groups", "gold", "box", "mon_groups", "."};
	struct tree *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		remove_file(t->fd, dirs[i], "tasks");
		remove_file(t->fd, dirs[i], "schemata");
		(void)unlinkat(t->fd, dirs[i], AT_REMOVEDIR);
	}
	(void)rmdir(t->path);
	fd_close(&t->fd);
	free(t);
	return 0;
}

/* A group that somebody has configured. */
static void existing_group(void **state)
{
	const struct tree *t = *state;
	struct resctrl_group g = {.clos_id = "gold", .id = "box"};
	struct error err = {0};

	/* without schemata it must be there */
	assert_true(resctrl_join(t->fd, &g, 42, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_non_null(strstr(err.msg, "gold"));
	error_done(&err);
	assert_int_equal(mkdirat(t->fd, "gold", 0755), 0);
	put(t->fd, "gold/tasks", "");
	put(t->fd, "gold/schemata", "L3:0=f;1=ff\n");
	assert_int_equal(resctrl_join(t->fd, &g, 42, &err), 0);
	check_file(t->fd, "gold/tasks", "42");
	check_file(t->fd, "gold/schemata", "L3:0=f;1=ff\n");
	/* with other schemata it is somebody else's */
	g.l3 = "L3:0=1";
	assert_true(resctrl_join(t->fd, &g, 43, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	error_done(&err);
	check_file(t->fd, "gold/tasks", "42");
	g.l3 = "L3:1=ff";
	assert_int_equal(resctrl_join(t->fd, &g, 44, &err), 0);
	check_file(t->fd, "gold/tasks", "44");
	/* and never removed */
	assert_int_equal(resctrl_remove(t->fd, &g, &err), 0);
	assert_int_equal(faccessat(t->fd, "gold", F_OK, 0), 0);
}

static void monitoring(void **state)
{
	const struct tree *t = *state;
	struct resctrl_group g = {.clos_id = "gold", .id = "box", .monitoring = true};
	struct error err = {0};

	assert_int_equal(mkdirat(t->fd, "gold", 0755), 0);
	put(t->fd, "gold/tasks", "");
	/* no more groups: an error, and the group stays as it was */
	assert_true(resctrl_join(t->fd, &g, 42, &err) < 0);
	assert_non_null(strstr(err.msg, "monitoring group 'box'"));
	error_done(&err);
	assert_int_equal(mkdirat(t->fd, "gold/mon_groups", 0755), 0);
	/* a directory in a plain file system has no `tasks` of its own accord */
	assert_true(resctrl_join(t->fd, &g, 42, &err) < 0);
	error_done(&err);
	assert_int_equal(faccessat(t->fd, "gold/mon_groups/box", F_OK, 0), -1);
	assert_int_equal(mkdirat(t->fd, "gold/mon_groups/box", 0755), 0);
	assert_int_equal(resctrl_remove(t->fd, &g, &err), 0);
	assert_int_equal(faccessat(t->fd, "gold/mon_groups/box", F_OK, 0), -1);
	assert_int_equal(resctrl_remove(t->fd, &g, &err), 0); /* gone already */
}

/* One of its own goes if anything fails, and when the container does. */
static void own_group(void **state)
{
	const struct tree *t = *state;
	struct resctrl_group g = {.id = "box", .mb = "MB:0=20"};
	struct error err = {0};

	assert_true(resctrl_join(t->fd, &g, 42, &err) < 0); /* no `schemata` in a plain directory */
	error_done(&err);
	assert_int_equal(faccessat(t->fd, "box", F_OK, 0), -1);
	assert_int_equal(mkdirat(t->fd, "box", 0755), 0);
	assert_true(resctrl_join(t->fd, &g, 42, &err) < 0); /* somebody else's */
	assert_int_equal(err.errnum, EEXIST);
	error_done(&err);
	assert_int_equal(resctrl_remove(t->fd, &g, &err), 0);
	assert_int_equal(faccessat(t->fd, "box", F_OK, 0), -1);
}

static void default_group(void **state)
{
	static const char *const lines[] = {"L2:0=f", "MB:0=30"};
	const struct tree *t = *state;
	struct resctrl_group g = {.clos_id = "/",
				  .id = "box",
				  .schemata = lines,
				  .schemata_count = ARRAY_SIZE(lines)};
	struct error err = {0};

	put(t->fd, "tasks", "");
	put(t->fd, "schemata", "");
	assert_int_equal(resctrl_join(t->fd, &g, 42, &err), 0);
	check_file(t->fd, "tasks", "42");
	check_file(t->fd, "schemata",
		   "MB:0=30\n"); /* the last line, for a plain file is overwritten */
	assert_int_equal(resctrl_remove(t->fd, &g, &err), 0);
	check_file(t->fd, "tasks", "42");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comparing),
		cmocka_unit_test_setup_teardown(existing_group, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(monitoring, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(own_group, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(default_group, make_tree, remove_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
