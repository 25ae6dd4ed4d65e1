#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "network/ports.h"

static void keys_are_port_and_protocol(void **state)
{
	static const struct {
		const char *key;
		uint16_t port;
		uint8_t proto;
	} good[] = {{"80/tcp", 80, PORTBIND_TCP},
		    {"53/udp", 53, PORTBIND_UDP},
		    {"7/sctp", 7, PORTBIND_SCTP},
		    {"65535", 65535, PORTBIND_TCP}};
	static const char *const bad[] = {"",       "0/tcp", "65536/tcp", "80/", "/tcp",
					  "80/TCP", "80-90", "-1/tcp",    "80 ", "80/tcp/udp"};
	char text[16];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		uint16_t port;
		uint8_t proto;

		assert_int_equal(ports_key_parse(good[i].key, &port, &proto, NULL), 0);
		assert_int_equal(port, good[i].port);
		assert_int_equal(proto, good[i].proto);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = {0};
		uint16_t port;
		uint8_t proto;

		assert_true(ports_key_parse(bad[i], &port, &proto, &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		error_done(&err);
	}
	ports_key_format(53, PORTBIND_UDP, text);
	assert_string_equal(text, "53/udp");
}

static void no_host_address_means_both_families_on_one_port(void **state)
{
	autoport_bindings struct port_bindings b = {0};
	const struct ports_spec spec = {
		.key = "80/tcp", .host_ip = "", .host_port = "8080", .with_ipv6 = true};

	(void)state;
	assert_int_equal(ports_add(&b, &spec, NULL), 0);
	assert_int_equal(b.n, 2);
	assert_int_equal(b.v[0].host.family, AF_INET);
	assert_true(netaddr_is_any(&b.v[0].host));
	assert_false(b.v[0].same_port);
	assert_int_equal(b.v[0].host_port, 8080);
	assert_int_equal(b.v[1].host.family, AF_INET6);
	assert_true(netaddr_is_any(&b.v[1].host));
	assert_true(b.v[1].same_port);
	assert_int_equal(b.v[1].container_port, 80);
}

static void without_ipv6_there_is_one(void **state)
{
	autoport_bindings struct port_bindings b = {0};

	(void)state;
	assert_int_equal(ports_add(&b, &(struct ports_spec){.key = "80"}, NULL), 0);
	assert_int_equal(b.n, 1);
	assert_int_equal(b.v[0].host_port, 0);
	assert_true(ports_add(&b, &(struct ports_spec){.key = "80", .host_ip = "::1"}, NULL) < 0);
	assert_int_equal(b.n, 1);
}

static void host_ports_and_ranges(void **state)
{
	static const char *const bad[] = {"x", "80-", "-80", "90-80", "65536", "1-65536", "0-5"};
	autoport_bindings struct port_bindings b = {0};
	struct ports_spec spec = {.key = "53/udp", .host_ip = "10.0.0.1", .host_port = "80-90"};

	(void)state;
	assert_int_equal(ports_add(&b, &spec, NULL), 0);
	assert_int_equal(b.v[0].host_port, 80);
	assert_int_equal(b.v[0].host_port_end, 90);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		spec.host_port = bad[i];
		assert_true(ports_add(&b, &spec, NULL) < 0);
	}
	spec.host_port = "0";
	assert_int_equal(ports_add(&b, &spec, NULL), 0);
	assert_int_equal(b.v[1].host_port, 0);
	spec.host_ip = "10.0.0";
	assert_true(ports_add(&b, &spec, NULL) < 0);
	assert_int_equal(b.n, 2);
}

static void a_port_cannot_be_published_twice(void **state)
{
	static const struct {
		const char *a, *ip_a, *b, *ip_b;
		bool conflict;
	} cases[] = {
		{"80/tcp", "", "81/tcp", "", true},
		{"80/tcp", "", "81/udp", "", false},
		{"80/tcp", "127.0.0.1", "81/tcp", "", true},
		{"80/tcp", "127.0.0.1", "81/tcp", "127.0.0.2", false},
		{"80/tcp", "127.0.0.1", "81/tcp", "::1", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autoport_bindings struct port_bindings b = {0};
		struct ports_spec one = {cases[i].a, cases[i].ip_a, "8080", true};
		struct ports_spec two = {cases[i].b, cases[i].ip_b, "8080", true};

		assert_int_equal(ports_add(&b, &one, NULL), 0);
		assert_int_equal(ports_add(&b, &two, NULL), 0);
		assert_int_equal(ports_check(&b, NULL) < 0, cases[i].conflict);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_port_and_protocol),
		cmocka_unit_test(no_host_address_means_both_families_on_one_port),
		cmocka_unit_test(without_ipv6_there_is_one),
		cmocka_unit_test(host_ports_and_ranges),
		cmocka_unit_test(a_port_cannot_be_published_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
