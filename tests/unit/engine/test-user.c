/* "user[:group]" into numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/user.h"

static const struct user_files files = {
	.passwd = "# comment\nroot:x:0:0:root:/root:/bin/sh\nbroken\n"
		  "app:x:1000:1001:app:/home/app:/bin/sh\n12:x:77:78::/twelve:\nnohome:x:5:6::",
	.group = "root:x:0:\nadm:x:4:app,root\nextra:x:2000:other,app\napp:x:1001:\n",
};

static void resolves(void **state)
{
	static const struct {
		const char *spec;
		uint32_t uid, gid;
		const char *home;
		size_t groups;
	} cases[] = {
		{NULL, 0, 0, "/root", 1},
		{"", 0, 0, "/root", 1},
		{"app", 1000, 1001, "/home/app", 2},
		{"1000", 1000, 1001, "/home/app", 2},
		{"app:root", 1000, 0, "/home/app", 0},
		{"app:7", 1000, 7, "/home/app", 0},
		{"4242", 4242, 0, "/", 0},
		{"4242:adm", 4242, 4, "/", 0},
		{"12", 77, 78, "/twelve", 0},
		{"nohome", 5, 6, "/", 0},
		{":adm", 0, 4, "/root", 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autouser struct user u = {0};

		assert_int_equal(user_resolve_texts(&files, cases[i].spec, NULL, 0, &u, NULL), 0);
		assert_int_equal(u.uid, cases[i].uid);
		assert_int_equal(u.gid, cases[i].gid);
		assert_string_equal(u.home, cases[i].home);
		assert_int_equal(u.group_count, cases[i].groups);
	}
}

static void adds_groups(void **state)
{
	static const char *const extra[] = {"adm", "9", "2000"};
	autouser struct user u = {0};

	(void)state;
	assert_int_equal(user_resolve_texts(&files, "app", extra, 3, &u, NULL), 0);
	assert_int_equal(u.group_count, 3); /* adm and extra by membership, 9 on top */
	assert_int_equal(u.groups[0], 4);
	assert_int_equal(u.groups[1], 2000);
	assert_int_equal(u.groups[2], 9);
}

static void refuses(void **state)
{
	static const struct {
		const char *spec, *text;
	} cases[] = {
		{"nobody", "unable to find user nobody: no matching entries in passwd file"},
		{"app:none", "unable to find group none: no matching entries in group file"},
		{"-1", "unable to find user -1: no matching entries in passwd file"},
		{"4294967295", "unable to find user 4294967295: no matching entries in passwd "
			       "file"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoerror struct error err = {0};
		autouser struct user u = {0};

		assert_true(user_resolve_texts(&files, cases[i].spec, NULL, 0, &u, &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_string_equal(error_msg(&err), cases[i].text);
	}
}

static void works_without_files(void **state)
{
	const struct user_files none = {0};
	autouser struct user u = {0}, other = {0};

	(void)state;
	assert_int_equal(user_resolve_texts(&none, NULL, NULL, 0, &u, NULL), 0);
	assert_int_equal(u.uid, 0);
	assert_string_equal(u.home, "/");
	assert_true(user_resolve_texts(&none, "root", NULL, 0, &other, NULL) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolves),
		cmocka_unit_test(adds_groups),
		cmocka_unit_test(refuses),
		cmocka_unit_test(works_without_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
