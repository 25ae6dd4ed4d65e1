#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"
#include "network/ipam.h"

static struct netaddr addr(const char *s)
{
	struct netaddr a = {0};

	assert_int_equal(netaddr_parse(s, &a), 0);
	return a;
}

static struct ipam_pool *pool(const char *subnet, const char *range)
{
	struct netaddr_prefix s, r = {0};
	struct ipam_pool *p = NULL;

	assert_int_equal(netaddr_prefix_parse(subnet, &s), 0);
	if (range)
		assert_int_equal(netaddr_prefix_parse(range, &r), 0);
	assert_int_equal(ipam_pool_new(&s, range ? &r : NULL, &p, NULL), 0);
	return p;
}

static void assert_lease(struct ipam_pool *p, const char *expected)
{
	struct netaddr a;
	char text[NETADDR_SIZE];

	assert_int_equal(ipam_lease(p, &a, NULL), 0);
	assert_string_equal(netaddr_format(&a, text), expected);
}

static void addresses_come_in_order_and_rest_when_freed(void **state)
{
	autoipam struct ipam_pool *p = pool("10.0.0.0/29", NULL);
	struct netaddr gateway = addr("10.0.0.1"), a = addr("10.0.0.2"), b = addr("10.0.0.3");
	struct error err = {0};
	struct netaddr none;

	(void)state;
	assert_int_equal(ipam_reserve(p, &gateway, NULL), 0);
	assert_lease(p, "10.0.0.2");
	assert_lease(p, "10.0.0.3");
	ipam_release(p, &a);
	assert_lease(p, "10.0.0.4");
	ipam_release(p, &b);
	assert_lease(p, "10.0.0.5");
	assert_lease(p, "10.0.0.6"); /* .7 is the broadcast address */
	assert_lease(p, "10.0.0.2"); /* around again */
	assert_lease(p, "10.0.0.3");
	assert_int_equal(ipam_leased(p), 6);
	assert_true(ipam_lease(p, &none, &err) < 0);
	assert_int_equal(err.kind, ERROR_UNAVAILABLE);
	assert_string_equal(err.msg, "no available IPv4 addresses in subnet '10.0.0.0/29'");
	error_done(&err);
	ipam_release(p, &b);
	assert_lease(p, "10.0.0.3");
}

static void reservations_are_kept_out_of_the_way(void **state)
{
	autoipam struct ipam_pool *p = pool("10.0.0.0/24", NULL);
	struct netaddr two = addr("10.0.0.2"), three = addr("10.0.0.3");
	struct error err = {0};

	(void)state;
	assert_int_equal(ipam_reserve(p, &three, NULL), 0);
	assert_int_equal(ipam_reserve(p, &two, NULL), 0);
	assert_lease(p, "10.0.0.1");
	assert_lease(p, "10.0.0.4");
	assert_int_equal(ipam_reserve(p, &two, &err), -EADDRINUSE);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	error_done(&err);
	assert_true(ipam_is_leased(p, &two));
	ipam_release(p, &two);
	ipam_release(p, &two);
	assert_false(ipam_is_leased(p, &two));
	assert_int_equal(ipam_leased(p), 3);
}

static void unusable_addresses_are_refused(void **state)
{
	static const char *const bad4[] = {"10.0.0.0", "10.0.0.255", "10.0.1.1", "fd00::1"};
	static const char *const bad6[] = {"fd00::", "fd00:0:0:1::", "10.0.0.1"};
	autoipam struct ipam_pool *p = pool("10.0.0.0/24", NULL), *q = pool("fd00::/64", NULL);
	struct netaddr last = addr("fd00::ffff:ffff:ffff:ffff");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad4); i++) {
		struct netaddr a = addr(bad4[i]);
		struct error err = {0};

		assert_true(ipam_reserve(p, &a, &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		error_done(&err);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad6); i++) {
		struct netaddr a = addr(bad6[i]);

		assert_true(ipam_reserve(q, &a, NULL) < 0);
	}
	assert_int_equal(ipam_reserve(q, &last, NULL), 0); /* IPv6 has no broadcast */
}

static void ranges_bound_leases_but_not_reservations(void **state)
{
	autoipam struct ipam_pool *p = pool("10.0.0.0/24", "10.0.0.128/30");
	struct netaddr a = addr("10.0.0.7"), none;

	(void)state;
	assert_lease(p, "10.0.0.128");
	assert_int_equal(ipam_reserve(p, &a, NULL), 0);
	assert_lease(p, "10.0.0.129");
	assert_lease(p, "10.0.0.130");
	assert_lease(p, "10.0.0.131");
	assert_true(ipam_lease(p, &none, NULL) < 0);
}

static void a_range_at_the_edge_leaves_the_edge_out(void **state)
{
	autoipam struct ipam_pool *low = pool("10.0.0.0/24", "10.0.0.0/30");
	autoipam struct ipam_pool *high = pool("10.0.0.0/24", "10.0.0.252/30");
	struct netaddr none;

	(void)state;
	assert_lease(low, "10.0.0.1");
	assert_lease(high, "10.0.0.252");
	assert_lease(high, "10.0.0.253");
	assert_lease(high, "10.0.0.254");
	assert_true(ipam_lease(high, &none, NULL) < 0);
}

static void ipv6_pools_are_as_large_as_they_say(void **state)
{
	autoipam struct ipam_pool *p = pool("fd00:1::/48", NULL), *all = pool("::/0", NULL);
	struct netaddr far = addr("fd00:1:0:ffff::1"), a;

	(void)state;
	assert_lease(p, "fd00:1::1");
	assert_lease(p, "fd00:1::2");
	assert_int_equal(ipam_reserve(p, &far, NULL), 0);
	assert_true(ipam_is_leased(p, &far));
	assert_int_equal(ipam_lease(all, &a, NULL), 0);
}

static void bad_subnets_are_refused(void **state)
{
	static const struct {
		const char *subnet, *range;
	} cases[] = {
		{"10.0.0.1/24", NULL},          {"10.0.0.0/31", NULL},
		{"fd00::/127", NULL},           {"10.0.0.0/24", "10.0.1.0/25"},
		{"10.0.0.0/24", "10.0.0.0/23"}, {"10.0.0.0/24", "fd00::/64"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct netaddr_prefix s, r = {0};
		struct ipam_pool *p = NULL;
		struct error err = {0};

		assert_int_equal(netaddr_prefix_parse(cases[i].subnet, &s), 0);
		if (cases[i].range)
			assert_int_equal(netaddr_prefix_parse(cases[i].range, &r), 0);
		assert_true(ipam_pool_new(&s, &r, &p, &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_null(p);
		error_done(&err);
	}
}

/* Against a plain table of what is leased. */
static void random_use_agrees_with_a_model(void **state)
{
	autoipam struct ipam_pool *p = pool("10.0.0.0/24", NULL);
	bool model[256] = {0};
	size_t n = 0;
	uint32_t seed = 12345;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct netaddr a;

		seed = seed * 1664525 + 1013904223;
		if (seed >> 31) {
			if (ipam_lease(p, &a, NULL) == 0) {
				assert_false(model[a.b[3]]);
				assert_true(a.b[3] >= 1 && a.b[3] <= 254);
				model[a.b[3]] = true;
				n++;
			} else {
				assert_int_equal(n, 254);
			}
		} else {
			a = netaddr_v4(0x0a000000 | (seed >> 8 & 0xff));
			n -= model[a.b[3]];
			model[a.b[3]] = false;
			ipam_release(p, &a);
		}
		assert_int_equal(ipam_leased(p), n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_come_in_order_and_rest_when_freed),
		cmocka_unit_test(reservations_are_kept_out_of_the_way),
		cmocka_unit_test(unusable_addresses_are_refused),
		cmocka_unit_test(ranges_bound_leases_but_not_reservations),
		cmocka_unit_test(a_range_at_the_edge_leaves_the_edge_out),
		cmocka_unit_test(ipv6_pools_are_as_large_as_they_say),
		cmocka_unit_test(bad_subnets_are_refused),
		cmocka_unit_test(random_use_agrees_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
