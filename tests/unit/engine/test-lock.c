/* A lock with a time limit. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/pool.h"
#include "engine/lock.h"

static void given_up_and_handed_over(void **state)
{
	char path[] = "/tmp/test-lock-XXXXXX";
	struct pool *pool = pool_new(4);
	int holder = mkostemp(path, O_CLOEXEC);
	int waiter = open(path, O_RDWR | O_CLOEXEC);

	(void)state;
	assert_true(holder >= 0 && waiter >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(lock_within(pool, holder, 60), 0);
	assert_int_equal(lock_within(pool, holder, 60), 0); /* its own already */
	assert_int_equal(lock_within(pool, waiter, 0), -ETIMEDOUT);
	assert_int_equal(flock(holder, LOCK_UN), 0);
	assert_int_equal(lock_within(pool, waiter, 60), 0);
	(void)close(waiter);
	/* Whoever still waited for the first attempt has let go by now. */
	pool = pool_free(pool);
	assert_int_equal(flock(holder, LOCK_EX | LOCK_NB), 0);
	(void)close(holder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(given_up_and_handed_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
