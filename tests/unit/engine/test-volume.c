/* Names of anonymous volumes, and what takes a volume's place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/volume.h"

static void names(void **state)
{
	char a[65], b[65], c[65];

	(void)state;
	volume_name("id1", "/data", a);
	volume_name("id1", "/data", b);
	volume_name("id1", "/data2", c);
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
	assert_int_equal(strlen(a), 64);
	assert_true(str_is_hex(a, 64));
}

static void replaced(void **state)
{
	static const char text[] =
		"{\"Image\":\"x\",\"Cmd\":[\"y\"],\"HostConfig\":{\"Binds\":[\"/tmp:/a\"],"
		"\"Tmpfs\":{\"/b\":\"\"},\"Mounts\":[{\"Type\":\"tmpfs\",\"Target\":\"/c\"}]}}";
	autospec struct container_spec *s = NULL;

	(void)state;
	assert_int_equal(container_spec_load(text, strlen(text), &s, NULL), 0);
	assert_true(volume_is_replaced(s, "/a"));
	assert_true(volume_is_replaced(s, "/b"));
	assert_true(volume_is_replaced(s, "/c"));
	assert_false(volume_is_replaced(s, "/d"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names),
		cmocka_unit_test(replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
