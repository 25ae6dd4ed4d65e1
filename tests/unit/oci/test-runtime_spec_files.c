/* The runtime-spec's own examples: what its schema accepts is accepted, what it refuses is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "oci/runtime_spec.h"

static int parse_file(const char *path, struct error *err)
{
	autoarena struct arena *a = arena_new();
	char *text = NULL;
	struct oci_spec spec;
	size_t len;
	int r;

	if (file_read(AT_FDCWD, path, OCI_SPEC_MAX, &text, &len, err) < 0)
		fail_msg("%s", error_msg(err));
	r = oci_spec_parse(a, text, len, &spec, err);
	free(text);
	return r;
}

static void good(void **state)
{
	static const char *const names[] = {"linux-netdevice.json", "linux-rdma.json",
					    "minimal-for-start.json", "minimal.json",
					    "spec-example.json"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct error err = {0};
		char path[4096];

		(void)snprintf(path, sizeof(path), "%s/good/%s", EXAMPLES, names[i]);
		if (parse_file(path, &err) < 0)
			fail_msg("%s: %s", names[i], error_msg(&err));
	}
}

static void bad(void **state)
{
	static const struct {
		const char *name, *says;
	} files[] = {
		{"invalid-json.json", "line 1"},
		{"linux-hugepage.json", "linux.resources.hugepageLimits[0].pageSize"},
		{"linux-netdevice.json", "linux.netDevices.eth0.name"},
		{"linux-rdma.json", "linux.resources.rdma.mlx5_1.hcaHandles"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct error err = {0};
		char path[4096];

		(void)snprintf(path, sizeof(path), "%s/bad/%s", EXAMPLES, files[i].name);
		if (parse_file(path, &err) >= 0)
			fail_msg("%s was accepted", files[i].name);
		if (!strstr(error_msg(&err), files[i].says))
			fail_msg("%s: %s", files[i].name, error_msg(&err));
		error_done(&err);
	}
}

/* A file that comes with a later version of the specification is not forgotten above. */
static void all_are_named(void **state)
{
	static const struct {
		const char *dir;
		int count;
	} dirs[] = {{EXAMPLES "/good", 5}, {EXAMPLES "/bad", 4}};

	(void)state;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		DIR *d = opendir(dirs[i].dir);
		const struct dirent *e;
		int n = 0;

		assert_non_null(d);
		while ((e = readdir(d)))
			n += e->d_name[0] != '.';
		(void)closedir(d);
		assert_int_equal(n, dirs[i].count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(all_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
