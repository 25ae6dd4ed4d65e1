#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "oci/id_mappings.h"

struct row {
	size_t n;
	struct oci_id_mapping maps[3];
	const char *complaint; /* NULL: none */
};

static void check(void **state)
{
	static const struct row rows[] = {
		{1, {{0, 1000, 1}}, NULL},
		{2, {{0, 1000, 1}, {1, 100000, 65536}}, NULL},
		{2, {{1, 100000, 65536}, {0, 1000, 1}}, NULL},
		{1, {{0, 0, 4294967295U}}, NULL},
		{1, {{1, 0, 4294967295U}}, "map[0].containerID: 1 and 4294967295 ids"},
		{1, {{0, 4294967295U, 1}}, "map[0].hostID: 4294967295 and 1 ids"},
		{2, {{0, 1000, 1}, {5, 6, 0}}, "map[1].size: must not be 0"},
		{2, {{0, 1000, 10}, {9, 2000, 1}}, "map[1].containerID: overlaps with map[0]"},
		{3,
		 {{0, 1000, 10}, {20, 3000, 1}, {30, 995, 6}},
		 "map[2].hostID: overlaps with map[0]"},
		{2, {{0, 1000, 10}, {10, 1010, 10}}, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct json_objects list = {.v = (void *)(uintptr_t)rows[i].maps,
						  .n = rows[i].n};
		struct error err = {0};
		int r = oci_id_mappings_check(&list, "map", &err);

		if (!rows[i].complaint) {
			assert_int_equal(r, 0);
			continue;
		}
		assert_true(r < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		if (!strstr(error_msg(&err), rows[i].complaint))
			fail_msg("'%s' has no '%s'", error_msg(&err), rows[i].complaint);
		error_done(&err);
	}
}

static void too_many(void **state)
{
	static struct oci_id_mapping maps[OCI_ID_MAPPINGS_MAX + 1];
	struct json_objects list = {.v = maps, .n = OCI_ID_MAPPINGS_MAX};
	struct error err = {0};

	(void)state;
	for (uint32_t i = 0; i <= OCI_ID_MAPPINGS_MAX; i++)
		maps[i] = (struct oci_id_mapping){i, i, 1};
	assert_int_equal(oci_id_mappings_check(&list, "map", NULL), 0);
	list.n++;
	assert_int_equal(oci_id_mappings_check(&list, "map", &err), -E2BIG);
	error_done(&err);
}

static void mapped(void **state)
{
	struct oci_id_mapping maps[] = {{0, 1000, 1}, {10, 100000, 5}};
	const struct json_objects list = {.v = maps, .n = 2};

	(void)state;
	assert_true(oci_id_is_mapped(&list, 0));
	assert_false(oci_id_is_mapped(&list, 1));
	assert_true(oci_id_is_mapped(&list, 10));
	assert_true(oci_id_is_mapped(&list, 14));
	assert_false(oci_id_is_mapped(&list, 15));
	assert_false(oci_id_is_mapped(&list, 1000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check),
		cmocka_unit_test(too_many),
		cmocka_unit_test(mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
