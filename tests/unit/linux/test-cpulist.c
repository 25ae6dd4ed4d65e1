#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/mem.h"
#include "linux/cpulist.h"

static void lists(void **state)
{
	static const struct {
		const char *list;
		int ret;
		uint64_t first_word, second_word;
	} cases[] = {
		{"", 0, 0, 0},
		{"0", 1, 1, 0},
		{"0-3,7", 8, 0x8f, 0},
		{" 1 , 3 - 4 ", 5, 0x1a, 0},
		{"63-64", 65, (uint64_t)1 << 63, 1},
		{"5,1", 6, 0x22, 0},
		{"1,", 2, 2, 0},
		{"8191", CPULIST_BITS, 0, 0},
		{"8192", -ERANGE, 0, 0},
		{"99999999999999999999", -ERANGE, 0, 0},
		{"3-1", -EINVAL, 0, 0},
		{"-1", -EINVAL, 0, 0},
		{"1-", -EINVAL, 0, 0},
		{"1,,2", -EINVAL, 0, 0},
		{"1 2", -EINVAL, 0, 0},
		{"a", -EINVAL, 0, 0},
		{"0x1", -EINVAL, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t set[CPULIST_WORDS] = {77};

		assert_int_equal(cpulist_parse(cases[i].list, set), cases[i].ret);
		if (cases[i].ret < 0) {
			assert_int_equal(set[0], 77); /* untouched */
			continue;
		}
		assert_int_equal(set[0], cases[i].first_word);
		assert_int_equal(set[1], cases[i].second_word);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(lists)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
