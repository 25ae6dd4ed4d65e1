#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/mem.h"
#include "linux/netaddr.h"

static struct netaddr addr(const char *s)
{
	struct netaddr a = {0};

	assert_int_equal(netaddr_parse(s, &a), 0);
	return a;
}

static struct netaddr_prefix prefix(const char *s)
{
	struct netaddr_prefix p = {0};

	assert_int_equal(netaddr_prefix_parse(s, &p), 0);
	return p;
}

static void addresses_keep_their_text(void **state)
{
	static const char *const texts[] = {"0.0.0.0", "10.213.0.2", "255.255.255.255",  "::",
					    "::1",     "fd00::2",    "2001:db8::1:0:0:1"};
	char text[NETADDR_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct netaddr a = addr(texts[i]);

		assert_string_equal(netaddr_format(&a, text), texts[i]);
	}
	assert_string_equal(netaddr_format(&(struct netaddr){0}, text), "");
}

static void bad_addresses_are_refused(void **state)
{
	static const char *const bad[] = {"",      "10.0.0",       "10.0.0.256", "10.0.0.1 ",
					  "[::1]", "fe80::1%eth0", "host",       "1::2::3"};
	static const char *const bad_prefixes[] = {"10.0.0.0",    "10.0.0.0/33", "::/129",
						   "10.0.0.0/",   "10.0.0.0/-1", "/8",
						   "10.0.0.0/8x", "10.0.0.0/ 8"};
	struct netaddr a = {.family = AF_INET};
	struct netaddr_prefix p = {.len = 7};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(netaddr_parse(bad[i], &a), -EINVAL);
	assert_int_equal(netaddr_parse(NULL, &a), -EINVAL);
	assert_int_equal(a.family, AF_INET); /* untouched */
	for (size_t i = 0; i < ARRAY_SIZE(bad_prefixes); i++)
		assert_int_equal(netaddr_prefix_parse(bad_prefixes[i], &p), -EINVAL);
	assert_int_equal(p.len, 7);
}

static void networks_have_no_host_bits(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"10.213.7.9/22", "10.213.4.0/22"}, {"10.1.2.3/32", "10.1.2.3/32"},
		{"10.1.2.3/0", "0.0.0.0/0"},        {"10.1.2.3/31", "10.1.2.2/31"},
		{"fd12::9/64", "fd12::/64"},        {"fd12:3456::ff/121", "fd12:3456::80/121"},
		{"ffff::1/1", "8000::/1"},
	};
	char text[NETADDR_PREFIX_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct netaddr_prefix p = prefix(cases[i].in), n = netaddr_network(&p);

		assert_string_equal(netaddr_prefix_format(&n, text), cases[i].out);
	}
}

static void prefixes_contain_and_overlap(void **state)
{
	struct netaddr_prefix p = prefix("10.213.0.0/22"), inner = prefix("10.213.3.128/25");
	struct netaddr_prefix next = prefix("10.213.4.0/22"), all = prefix("0.0.0.0/0");
	struct netaddr_prefix six = prefix("::/0");
	struct netaddr in = addr("10.213.3.255"), out = addr("10.213.4.0"), v6 = addr("::1");

	(void)state;
	assert_true(netaddr_prefix_contains(&p, &in));
	assert_false(netaddr_prefix_contains(&p, &out));
	assert_false(netaddr_prefix_contains(&all, &v6));
	assert_true(netaddr_prefix_contains(&six, &v6));
	assert_false(netaddr_prefix_contains(&six, &in));
	assert_true(netaddr_prefix_overlaps(&p, &inner));
	assert_true(netaddr_prefix_overlaps(&inner, &p));
	assert_false(netaddr_prefix_overlaps(&p, &next));
	assert_true(netaddr_prefix_overlaps(&all, &next));
	assert_false(netaddr_prefix_overlaps(&all, &six));
}

static void kinds_of_addresses(void **state)
{
	struct netaddr a = addr("127.9.9.9"), b = addr("::1"), c = addr("0.0.0.0"), d = addr("::");
	struct netaddr none = {0};

	(void)state;
	assert_true(netaddr_is_loopback(&a));
	assert_true(netaddr_is_loopback(&b));
	assert_false(netaddr_is_loopback(&c));
	assert_true(netaddr_is_any(&c));
	assert_true(netaddr_is_any(&d));
	assert_false(netaddr_is_any(&b));
	assert_false(netaddr_is_any(&none));
	assert_false(netaddr_is_set(&none));
	assert_false(netaddr_equal(&c, &d));
	assert_int_equal(netaddr_to_v4(&a), 0x7f090909);
	a = netaddr_v4(0x0ad50002);
	b = addr("10.213.0.2");
	assert_true(netaddr_equal(&a, &b));
}

static void sockaddrs_are_filled(void **state)
{
	struct sockaddr_storage sa;
	struct netaddr a = addr("10.1.2.3"), b = addr("fd00::7"), none = {0};

	(void)state;
	assert_int_equal(netaddr_sockaddr(&a, 80, &sa), sizeof(struct sockaddr_in));
	assert_int_equal(((struct sockaddr_in *)&sa)->sin_port, htons(80));
	assert_int_equal(((struct sockaddr_in *)&sa)->sin_addr.s_addr, htonl(0x0a010203));
	assert_int_equal(netaddr_sockaddr(&b, 443, &sa), sizeof(struct sockaddr_in6));
	assert_int_equal(sa.ss_family, AF_INET6);
	assert_memory_equal(&((struct sockaddr_in6 *)&sa)->sin6_addr, b.b, 16);
	assert_int_equal(netaddr_sockaddr(&none, 1, &sa), 0);
}

static void macs(void **state)
{
	static const char *const bad[] = {"", "02:42:ac:11:00", "02:42:ac:11:00:0g",
					  "02:42:ac:11:00:02:", "0242ac110002"};
	uint8_t mac[6] = {9};
	char text[NETADDR_MAC_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(netaddr_mac_parse(bad[i], mac), -EINVAL);
	assert_int_equal(mac[0], 9);
	assert_int_equal(netaddr_mac_parse("02:42:AC-11:00:0f", mac), 0);
	assert_string_equal(netaddr_mac_format(mac, text), "02:42:ac:11:00:0f");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_keep_their_text),
		cmocka_unit_test(bad_addresses_are_refused),
		cmocka_unit_test(networks_have_no_host_bits),
		cmocka_unit_test(prefixes_contain_and_overlap),
		cmocka_unit_test(kinds_of_addresses),
		cmocka_unit_test(sockaddrs_are_filled),
		cmocka_unit_test(macs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
