/* Addresses as -H and DOCKER_HOST write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "http/address.h"

static void test_good(void **state)
{
	static const struct {
		const char *s;
		bool tls;
		enum http_address_kind kind;
		const char *path, *host;
		uint16_t port;
	} cases[] = {
		{"unix:///run/x.sock", false, HTTP_ADDRESS_UNIX, "/run/x.sock", NULL, 0},
		{"unix://", false, HTTP_ADDRESS_UNIX, HTTP_ADDRESS_DEFAULT_PATH, NULL, 0},
		{"tcp://127.0.0.1:80", false, HTTP_ADDRESS_TCP, NULL, "127.0.0.1", 80},
		{"tcp://host", false, HTTP_ADDRESS_TCP, NULL, "host", 2375},
		{"tcp://host", true, HTTP_ADDRESS_TCP, NULL, "host", 2376},
		{"tcp://[::1]:99", false, HTTP_ADDRESS_TCP, NULL, "::1", 99},
		{"tcp://[::1]", false, HTTP_ADDRESS_TCP, NULL, "::1", 2375},
		{"tcp://:5", false, HTTP_ADDRESS_TCP, NULL, "", 5},
		{"http://h:1/", false, HTTP_ADDRESS_TCP, NULL, "h", 1},
		{"fd://", false, HTTP_ADDRESS_FD, "", NULL, 0},
		{"fd://*", false, HTTP_ADDRESS_FD, "", NULL, 0},
		{"fd://api", false, HTTP_ADDRESS_FD, "api", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		autohttp_address struct http_address a = {0};
		autoerror struct error err = {0};

		if (http_address_parse(cases[i].s, cases[i].tls, &a, &err) < 0)
			fail_msg("%s: %s", cases[i].s, error_msg(&err));
		assert_int_equal(a.kind, cases[i].kind);
		assert_int_equal(a.port, cases[i].port);
		if (cases[i].path)
			assert_string_equal(a.path, cases[i].path);
		if (cases[i].host)
			assert_string_equal(a.host, cases[i].host);
	}
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"npipe:////./pipe/x", "ssh://h",     "/run/x.sock", "unix://x.sock", "",
		"tcp://h:65536",      "tcp://h:",    "tcp://::1",   "tcp://[::1",    "tcp://[]:1",
		"tcp://h:1/path",     "tcp://u@h:1", "tcp://h:-1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		autohttp_address struct http_address a = {0};
		autoerror struct error err = {0};

		if (http_address_parse(bad[i], false, &a, &err) >= 0)
			fail_msg("accepted %s", bad[i]);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_non_null(strstr(error_msg(&err), bad[i]));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
