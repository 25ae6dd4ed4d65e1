/* Errors: filled, wrapped, moved; and memory's small helpers. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"

static void test_set(void **state)
{
	autoerror struct error err = {0};

	(void)state;
	assert_string_equal(error_msg(&err), "unknown error");
	assert_int_equal(error_set(&err, ERROR_NOT_FOUND, ENOENT, "open '%s'", "x"), -ENOENT);
	assert_string_equal(err.msg, "open 'x': No such file or directory");
	assert_int_equal(err.kind, ERROR_NOT_FOUND);
	assert_int_equal(err.errnum, ENOENT);
	assert_int_equal(error_set(&err, ERROR_INVALID, 0, "bad"), -EIO); /* replaces */
	assert_string_equal(err.msg, "bad");
	assert_int_equal(error_set(NULL, ERROR_INVALID, EPERM, "bad"), -EPERM);
}

static void test_wrap_and_move(void **state)
{
	autoerror struct error a = {0}, b = {0};
	int r = error_set(&a, ERROR_CONFLICT, EBUSY, "mount overlay");

	(void)state;
	assert_int_equal(error_wrap(&a, r, "start container '%s'", "web"), -EBUSY);
	assert_string_equal(a.msg, "start container 'web': mount overlay: Device or resource busy");
	assert_int_equal(a.kind, ERROR_CONFLICT);
	assert_int_equal(error_wrap(NULL, -EBUSY, "x"), -EBUSY);
	(void)error_set(&b, ERROR_INTERNAL, 0, "older");
	assert_int_equal(error_move(&b, &a, -EBUSY), -EBUSY);
	assert_null(a.msg);
	assert_int_equal(b.kind, ERROR_CONFLICT);
	assert_int_equal(error_move(NULL, &b, -1), -1);
	assert_null(b.msg);
}

static void test_kinds(void **state)
{
	(void)state;
	for (int k = 0; k < ERROR_KIND_COUNT; k++)
		assert_int_equal(error_kind_parse(error_kind_name((enum error_kind)k)), k);
	assert_int_equal(error_kind_parse("nonsense"), ERROR_INTERNAL);
	assert_int_equal(error_kind_parse(NULL), ERROR_INTERNAL);
}

static void test_ownership_helpers(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), taken;
	int *array = NULL;
	size_t n = 0, cap = 0;
	char *s = xstrdup("x"), *t;

	(void)state;
	assert_true(fd >= 0);
	taken = TAKE_FD(fd);
	assert_int_equal(fd, -EBADF);
	assert_true(fcntl(taken, F_GETFD) >= 0);
	{
		autoclose int scoped = taken;

		errno = 77;
		(void)scoped;
	}
	assert_int_equal(errno, 77);
	assert_int_equal(fcntl(taken, F_GETFD), -1);
	fd_close(&fd); /* an empty one */
	t = TAKE_PTR(s);
	assert_null(s);
	assert_string_equal(t, "x");
	free(t);
	for (int i = 0; i < 100; i++) {
		xgrow(array, n, cap);
		array[n++] = i;
	}
	assert_int_equal(array[99], 99);
	free(array);
	free(xcalloc(0, 0));
	t = xasprintf("%s-%d", "a", 1);
	assert_string_equal(t, "a-1");
	free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_wrap_and_move),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_ownership_helpers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
