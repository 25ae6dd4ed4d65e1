/* SELinux labels: what a policy names, categories that nobody else has, options, refused directories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "engine/label.h"

static char process_label[] = "system_u:system_r:container_t:s0";
static char file_label[] = "system_u:object_r:container_file_t:s0";
static const struct label_policy policy = {process_label, file_label};

static void test_policy(void **state)
{
	static const char config[] = "# SELINUXTYPE=wrong\nSELINUX=enforcing\n SELINUXTYPE = mls\n";
	static const char contexts[] = "process_x = \"no\"\nprocess = \"u:r:p:s0\"\n"
				       "content = \"u:r:c:s0\"\nfile=\"u:r:f:s0\"";
	char dir[] = "/tmp/test-label-XXXXXX";
	struct label_policy p = {0};
	autoerror struct error err = {0};
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(label_policy_read(fd, &p, &err) < 0);
	assert_non_null(strstr(error_msg(&err), "targeted/contexts/lxc_contexts"));
	assert_int_equal(file_write_atomic(fd, "config", config, strlen(config), 0644, 0, NULL), 0);
	assert_int_equal(file_mkdir_p(fd, "mls/contexts", 0755, NULL), 0);
	assert_int_equal(file_write_atomic(fd, "mls/contexts/lxc_contexts", contexts,
					   strlen(contexts), 0644, 0, NULL),
			 0);
	assert_int_equal(label_policy_read(fd, &p, NULL), 0);
	assert_string_equal(p.process, "u:r:p:s0");
	assert_string_equal(p.file, "u:r:f:s0");
	label_policy_done(&p);
	(void)close(fd);
	assert_int_equal(file_remove_tree(AT_FDCWD, dir, NULL), 0);
}

static bool is_even(void *data, const char *level)
{
	const char *comma = strchr(level, ',');

	(void)data;
	return strtol(comma + 2, NULL, 10) % 2 == 0;
}

static bool is_anything(void *data, const char *level)
{
	(void)level;
	++*(unsigned *)data;
	return true;
}

static bool is_last_but(void *data, const char *level)
{
	return !str_eq(data, level);
}

static void test_pick(void **state)
{
	static char last[] = "s0:c1020,c1021";
	char level[LABEL_LEVEL_SIZE], before[LABEL_LEVEL_SIZE] = "";
	unsigned asked = 0;

	(void)state;
	assert_int_equal(label_level_pick(0, is_even, NULL, level, NULL), 0);
	assert_string_equal(level, "s0:c0,c1");
	assert_int_equal(label_level_pick(1, is_even, NULL, level, NULL), 0);
	assert_string_equal(level, "s0:c0,c3");
	for (uint32_t random = 3; random > 0; random *= 1664525) { /* each a valid, ordered pair */
		unsigned a, b;

		assert_int_equal(label_level_pick(random, is_even, NULL, level, NULL), 0);
		assert_int_equal(sscanf(level, "s0:c%u,c%u", &a, &b), 2);
		assert_true(a < b && b < 1022);
		assert_string_not_equal(level, before);
		(void)str_copy(before, sizeof(before), level);
		if (random > 4000000000U)
			break;
	}
	/* From anywhere, the only one that is free is found; none is none. */
	assert_int_equal(label_level_pick(UINT32_MAX, is_last_but, last, level, NULL), 0);
	assert_string_equal(level, last);
	assert_true(label_level_pick(7, is_anything, &asked, level, NULL) < 0);
	assert_int_equal(asked, 1022 * 1021 / 2);
}

static void make(const char *const *opts, size_t n, struct labels *ret)
{
	const char *list[8];
	struct config_security s;

	for (size_t i = 0; i < n; i++)
		list[i] = opts[i];
	assert_int_equal(config_security_parse(&(struct json_strings){.v = list, .n = n}, &s, NULL),
			 0);
	assert_int_equal(labels_make(&policy, &s, "s0:c3,c4", ret, NULL), 0);
}

static void test_make(void **state)
{
	static const struct {
		const char *opts[3];
		const char *process, *mount;
	} cases[] = {
		{{NULL},
		 "system_u:system_r:container_t:s0:c3,c4",
		 "system_u:object_r:container_file_t:s0:c3,c4"},
		{{"label=type:svirt_t"},
		 "system_u:system_r:svirt_t:s0:c3,c4",
		 "system_u:object_r:container_file_t:s0:c3,c4"},
		{{"label=level:s0:c100,c200", "label=filetype:mine_t"},
		 "system_u:system_r:container_t:s0:c100,c200",
		 "system_u:object_r:mine_t:s0:c100,c200"},
		{{"label=user:me_u", "label=role:me_r"},
		 "me_u:me_r:container_t:s0:c3,c4",
		 "me_u:object_r:container_file_t:s0:c3,c4"},
		{{"label=disable"}, "", "system_u:object_r:container_file_t:s0:c1022,c1023"},
		{{"label:disable"}, "", "system_u:object_r:container_file_t:s0:c1022,c1023"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct labels l = {0};
		size_t n = 0;

		while (n < 3 && cases[i].opts[n])
			n++;
		make(cases[i].opts, n, &l);
		assert_string_equal(l.process, cases[i].process);
		assert_string_equal(l.mount, cases[i].mount);
		labels_done(&l);
	}
	assert_string_equal(label_level("u:r:t:s0:c1,c2"), "s0:c1,c2");
	assert_string_equal(label_level("u:r:t"), "");
	assert_string_equal(label_level(""), "");
}

static void test_refused(void **state)
{
	static const char *const dirs[] = {"/",     "/usr",         "/etc",
					   "/etc/", "/usr/../home", "/etc/passwd"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		autoerror struct error err = {0};

		assert_true(label_relabel(dirs[i], file_label, true, &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_non_null(strstr(error_msg(&err), "is not allowed"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_pick),
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
