/* Arenas: alignment, zeroing, growth in place. */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static void test_alignment_and_zero(void **state)
{
	autoarena struct arena *a = arena_new();

	(void)state;
	for (size_t size = 0; size < 300; size++) {
		unsigned char *p = arena_alloc(a, size);

		assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, size);
		assert_string_equal(arena_strdup(a, "x"), "x"); /* leaves the cursor odd */
	}
}

static void test_objects_do_not_overlap(void **state)
{
	autoarena struct arena *a = arena_new();
	unsigned char *p[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = arena_alloc(a, i * 37);
		memset(p[i], (int)i, i * 37);
	}
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		for (size_t j = 0; j < i * 37; j++)
			assert_int_equal(p[i][j], i);
}

static void test_large_blocks_leave_the_current_chunk(void **state)
{
	autoarena struct arena *a = arena_new();
	char *small = arena_strdup(a, "small"), *next;
	unsigned char *large = arena_alloc(a, 1 << 20);

	(void)state;
	large[0] = large[(1 << 20) - 1] = 1;
	next = arena_strdup(a, "next");
	assert_ptr_equal(next, small + strlen("small") + 1);
	assert_string_equal(small, "small");
	assert_true(arena_used(a) >= (1 << 20) + 11);
}

static void test_strings(void **state)
{
	autoarena struct arena *a = arena_new();
	char expected[1001];

	(void)state;
	assert_string_equal(arena_strdup(a, ""), "");
	assert_string_equal(arena_strndup(a, "abcdef", 3), "abc");
	assert_string_equal(arena_strndup(a, "ab\0cd", 5), "ab");
	assert_memory_equal(arena_memdup(a, "a\0b", 3), "a\0b", 3);
	assert_string_equal(arena_printf(a, "%d-%s", 42, "x"), "42-x");
	memset(expected, 'y', 1000);
	expected[1000] = '\0';
	assert_string_equal(arena_printf(a, "%s", expected), expected);
	/* The lengths around the formatting buffer's size. */
	for (int n = 254; n <= 258; n++)
		assert_int_equal(strlen(arena_printf(a, "%.*s", n, expected)), n);
}

static void test_realloc_in_place(void **state)
{
	autoarena struct arena *a = arena_new();
	char *p = arena_alloc(a, 16), *q;

	(void)state;
	memcpy(p, "0123456789abcdef", 16);
	q = arena_realloc(a, p, 16, 64);
	assert_ptr_equal(q, p);
	assert_memory_equal(q, "0123456789abcdef", 16);
	for (size_t i = 16; i < 64; i++)
		assert_int_equal(q[i], 0);
	memset(q, 'x', 64);
	q = arena_realloc(a, q, 64, 8); /* gives back, and what is given out again is zero */
	assert_ptr_equal(q, p);
	q = arena_alloc(a, 48);
	for (size_t i = 0; i < 48; i++)
		assert_int_equal(q[i], 0);
}

static void test_realloc_moves(void **state)
{
	autoarena struct arena *a = arena_new();
	char *p = arena_alloc(a, 16), *q;

	(void)state;
	memset(p, 'a', 16);
	(void)arena_alloc(a, 1); /* p is not the last any more */
	q = arena_realloc(a, p, 16, 32);
	assert_ptr_not_equal(q, p);
	assert_memory_equal(q, "aaaaaaaaaaaaaaaa", 16);
	for (size_t i = 16; i < 32; i++)
		assert_int_equal(q[i], 0);
	q = arena_realloc(a, q, 32, 1 << 20); /* does not fit its chunk */
	assert_memory_equal(q, "aaaaaaaaaaaaaaaa", 16);
	assert_ptr_equal(arena_realloc(a, p, 16, 4), p);
	assert_non_null(arena_realloc(a, NULL, 0, 10));
}

static void test_free_accepts_null(void **state)
{
	(void)state;
	assert_null(arena_free(NULL));
	assert_null(arena_free(arena_new()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alignment_and_zero),
		cmocka_unit_test(test_objects_do_not_overlap),
		cmocka_unit_test(test_large_blocks_leave_the_current_chunk),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_realloc_in_place),
		cmocka_unit_test(test_realloc_moves),
		cmocka_unit_test(test_free_accepts_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
