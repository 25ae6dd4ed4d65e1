/* Image names: what the distribution project's grammar accepts, and how names are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "oci/image_ref.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_valid(void **state)
{
	static const struct {
		const char *in, *full, *familiar;
	} cases[] = {
		{"busybox", "docker.io/library/busybox", "busybox"},
		{"busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"},
		{"library/busybox", "docker.io/library/busybox", "busybox"},
		{"docker.io/busybox", "docker.io/library/busybox", "busybox"},
		{"docker.io/library/busybox:latest", "docker.io/library/busybox:latest",
		 "busybox:latest"},
		{"index.docker.io/busybox", "docker.io/library/busybox", "busybox"},
		{"user/app", "docker.io/user/app", "user/app"},
		{"docker.io/user/app", "docker.io/user/app", "user/app"},
		{"library/a/b", "docker.io/library/a/b", "library/a/b"},
		{"localhost/app", "localhost/app", "localhost/app"},
		{"localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"},
		{"foo:5000/app", "foo:5000/app", "foo:5000/app"},
		{"ghcr.io/a/b/c:tag", "ghcr.io/a/b/c:tag", "ghcr.io/a/b/c:tag"},
		{"HOST/app", "HOST/app", "HOST/app"}, /* capitals: a domain */
		{"[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"},
		{"[2001:db8::1]/app:x", "[2001:db8::1]/app:x", "[2001:db8::1]/app:x"},
		{"192.168.1.1:80/app", "192.168.1.1:80/app", "192.168.1.1:80/app"},
		{"a.b/c__d/e-----f/g.h/i_j", "a.b/c__d/e-----f/g.h/i_j",
		 "a.b/c__d/e-----f/g.h/i_j"},
		{"app@sha256:" HEX64, "docker.io/library/app@sha256:" HEX64, "app@sha256:" HEX64},
		{"app:v1@sha256:" HEX64, "docker.io/library/app:v1@sha256:" HEX64,
		 "app:v1@sha256:" HEX64},
		{"sha256:" HEX64, "docker.io/library/sha256:" HEX64, "sha256:" HEX64},
		{"app:_under.score-dash", "docker.io/library/app:_under.score-dash",
		 "app:_under.score-dash"},
		{"xn--n3h.com/app", "xn--n3h.com/app", "xn--n3h.com/app"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoimage_ref struct image_ref ref = {0};
		autofree char *full = NULL, *familiar = NULL;
		autoerror struct error err = {0};

		if (image_ref_parse(cases[i].in, &ref, &err) < 0)
			fail_msg("'%s': %s", cases[i].in, error_msg(&err));
		full = image_ref_format(&ref);
		familiar = image_ref_familiar(&ref);
		assert_string_equal(full, cases[i].full);
		assert_string_equal(familiar, cases[i].familiar);
	}
}

static void test_invalid(void **state)
{
	static const struct {
		const char *in, *msg;
	} cases[] = {
		{"", "invalid reference format"},
		{"Busybox",
		 "invalid reference format: repository name (library/Busybox) must be lowercase"},
		{"docker.io/User/app",
		 "invalid reference format: repository name (User/app) must be lowercase"},
		{HEX64,
		 "invalid repository name (" HEX64 "), cannot specify 64-byte hexadecimal strings"},
		{":tag", "invalid reference format"},
		{"app:", "invalid reference format"},
		{"app:.dot", "invalid reference format"},
		{"app:-dash", "invalid reference format"},
		{"app:a b", "invalid reference format"},
		{"a//b", "invalid reference format"},
		{"/app", "invalid reference format"},
		{"app/", "invalid reference format"},
		{"-app", "invalid reference format"},
		{"app-", "invalid reference format"},
		{"a..b", "invalid reference format"},
		{"a___b", "invalid reference format"},
		{"a._b", "invalid reference format"},
		{"a.b:port/app", "invalid reference format"},
		{"a.b:/app", "invalid reference format"},
		{"-a.b/app", "invalid reference format"},
		{"a-.b/app", "invalid reference format"},
		{"a..b/app", "invalid reference format"},
		{"[fe80::1%eth0]/app", "invalid reference format"},
		{"app@sha256:", "invalid reference format"},
		{"app@sha256:abc", "invalid reference format"},
		{"app@" HEX64, "invalid reference format"},
		{"app@sha256:" HEX64 "00", "invalid checksum digest length"},
		{"app@md5:" HEX64, "unsupported digest algorithm"},
		{"app@sha256:" HEX64 "@sha256:" HEX64, "invalid reference format"},
		{"aa\nbb", "invalid reference format"},
		{"\xc3\xa4pp", "invalid reference format"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoimage_ref struct image_ref ref = {0};
		autoerror struct error err = {0};

		if (image_ref_parse(cases[i].in, &ref, &err) >= 0)
			fail_msg("'%s' was accepted", cases[i].in);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_string_equal(error_msg(&err), cases[i].msg);
	}
}

static void test_lengths(void **state)
{
	char name[400];
	autoimage_ref struct image_ref ref = {0};

	(void)state;
	memset(name, 'a', sizeof(name));
	memcpy(name, "x.y/", 4);
	name[255] = '\0';
	assert_int_equal(image_ref_parse(name, &ref, NULL), 0);
	image_ref_done(&ref);
	name[255] = 'a';
	name[256] = '\0';
	assert_true(image_ref_parse(name, &ref, NULL) < 0);
	memset(name, 't', sizeof(name));
	memcpy(name, "app:", 4);
	name[4 + 128] = '\0';
	assert_int_equal(image_ref_parse(name, &ref, NULL), 0);
	image_ref_done(&ref);
	name[4 + 128] = 't';
	name[4 + 129] = '\0';
	assert_true(image_ref_parse(name, &ref, NULL) < 0);
}

static void test_default_tag(void **state)
{
	static const char *const cases[][2] = {{"app", "app:latest"},
					       {"app:1", "app:1"},
					       {"app@sha256:" HEX64, "app@sha256:" HEX64}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoimage_ref struct image_ref ref = {0};
		autofree char *familiar = NULL;

		assert_int_equal(image_ref_parse(cases[i][0], &ref, NULL), 0);
		image_ref_default_tag(&ref);
		familiar = image_ref_familiar(&ref);
		assert_string_equal(familiar, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_default_tag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
