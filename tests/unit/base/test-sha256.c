/* Digests against FIPS 180-4's examples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/sha256.h"

#define EMPTY     "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC       "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define MILLION_A "sha256:cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

static void test_known(void **state)
{
	char digest[DIGEST_STRING_SIZE], chunk[1000];
	autosha256 struct sha256 *h = sha256_new();

	(void)state;
	sha256_of("", 0, digest);
	assert_string_equal(digest, EMPTY);
	sha256_of("abc", 3, digest);
	assert_string_equal(digest, ABC);
	memset(chunk, 'a', sizeof(chunk));
	for (int i = 0; i < 1000; i++)
		sha256_update(h, chunk, sizeof(chunk));
	sha256_digest(h, digest);
	assert_string_equal(digest, MILLION_A);
}

static void test_syntax(void **state)
{
	(void)state;
	assert_true(digest_is_valid(ABC));
	assert_string_equal(digest_hex(ABC), ABC + 7);
	assert_false(digest_is_valid(""));
	assert_false(digest_is_valid("sha256:"));
	assert_false(digest_is_valid(ABC "0"));
	assert_false(digest_is_valid(
		"sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	assert_false(digest_is_valid(
		"sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	assert_false(digest_is_valid(
		"sha256:/a7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_syntax),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
