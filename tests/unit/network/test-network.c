/* The manager's memory: no kernel object is made, no privilege needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "network/network.h"

#define CID "c0ffee"

static struct netaddr addr(const char *s)
{
	struct netaddr a = {0};

	assert_int_equal(netaddr_parse(s, &a), 0);
	return a;
}

/* The default bridge at a fixed place. */
static struct network_manager *manager(struct network **ret_bridge)
{
	const struct network_config config = {.bip = "10.77.0.1/24", .mtu = 1400};
	struct network_manager *nm = NULL;
	struct error err = {0};

	if (network_open(&config, &nm, &err) < 0 ||
	    network_default_create(nm, "bridge", ret_bridge, &err) < 0)
		fail_msg("%s", error_msg(&err));
	return nm;
}

static void the_default_bridge_is_as_configured(void **state)
{
	struct network *net;
	autonetwork_manager struct network_manager *nm = manager(&net);
	char text[NETADDR_PREFIX_SIZE], prefix[13];

	(void)state;
	assert_string_equal(net->name, "bridge");
	assert_string_equal(network_driver_name(net->driver), "bridge");
	assert_string_equal(net->link, "vessel0");
	assert_string_equal(netaddr_prefix_format(&net->ipv4.subnet, text), "10.77.0.0/24");
	assert_string_equal(netaddr_format(&net->ipv4.gateway, text), "10.77.0.1");
	assert_int_equal(net->mtu, 1400);
	assert_int_equal(strlen(net->id), 64);
	assert_true(str_is_hex(net->id, 64));
	if (netaddr_is_set(&net->ipv6.gateway)) {
		assert_int_equal(net->ipv6.subnet.addr.b[0], 0xfd);
		assert_int_equal(net->ipv6.subnet.len, 64);
	}
	assert_ptr_equal(network_find(nm, "bridge"), net);
	assert_ptr_equal(network_find(nm, net->id), net);
	(void)str_copy(prefix, sizeof(prefix), net->id);
	assert_ptr_equal(network_find(nm, prefix), net);
	assert_null(network_find(nm, "nothing"));
	assert_null(network_find(nm, ""));
}

static void the_three_default_networks_stay(void **state)
{
	struct network *net;
	autonetwork_manager struct network_manager *nm = manager(&net);
	struct error err = {0};

	(void)state;
	assert_int_equal(network_default_create(nm, "host", &net, NULL), 0);
	assert_false(network_driver_has_netns(net->driver));
	assert_int_equal(network_default_create(nm, "none", &net, NULL), 0);
	assert_string_equal(network_driver_name(net->driver), "null");
	assert_true(network_driver_has_netns(net->driver));
	assert_int_equal(network_count(nm), 3);
	assert_true(network_remove(nm, net, &err) < 0);
	assert_int_equal(err.kind, ERROR_FORBIDDEN);
	error_done(&err);
	assert_true(network_create(nm, &(struct network_request){.name = "h2", .driver = "host"},
				   &net, &err) < 0);
	assert_int_equal(err.kind, ERROR_FORBIDDEN);
	error_done(&err);
}

static void endpoints_get_what_they_ask_for(void **state)
{
	struct network *net;
	autonetwork_manager struct network_manager *nm = manager(&net);
	struct network_endpoint_request q = {.container_id = CID, .rate_rx = 5};
	struct network_endpoint a, b, c;
	char text[NETADDR_PREFIX_SIZE], mac[NETADDR_MAC_SIZE];
	struct error err = {0};

	(void)state;
	assert_int_equal(network_endpoint_prepare(nm, net, &q, &a, NULL), 0);
	assert_string_equal(netaddr_prefix_format(&a.ipv4, text), "10.77.0.2/24");
	assert_string_equal(netaddr_mac_format(a.mac, mac), "02:42:0a:4d:00:02");
	assert_string_equal(a.link, "eth0");
	assert_true(str_has_prefix(a.host_link, "ve"));
	assert_int_equal(strlen(a.host_link), 13);
	assert_memory_equal(a.host_link + 2, a.id, 11);
	assert_string_equal(a.bridge, "vessel0");
	assert_int_equal(a.rate_rx, 5);
	if (netaddr_is_set(&a.ipv6.addr))
		assert_int_equal(a.ipv6.addr.b[15], 2); /* the same number */

	q.ipv4 = addr("10.77.0.99");
	q.mac = "02:11:22:33:44:55";
	assert_int_equal(network_endpoint_prepare(nm, net, &q, &b, NULL), 0);
	assert_string_equal(netaddr_prefix_format(&b.ipv4, text), "10.77.0.99/24");
	assert_string_equal(netaddr_mac_format(b.mac, mac), "02:11:22:33:44:55");
	assert_true(network_endpoint_prepare(nm, net, &q, &c, &err) < 0);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	error_done(&err);

	network_endpoint_release(nm, &b);
	assert_int_equal(network_endpoint_prepare(nm, net, &q, &c, NULL), 0);
	network_endpoint_release(nm, &b); /* a second time: the address is c's now */
	assert_true(network_endpoint_prepare(nm, net, &q, &b, NULL) < 0);
	network_endpoint_release(nm, &c);
	network_endpoint_release(nm, &a);
}

static void bad_requests_are_refused_and_lease_nothing(void **state)
{
	struct network *net, *host;
	autonetwork_manager struct network_manager *nm = manager(&net);
	const struct {
		bool on_host;
		struct network_endpoint_request q;
	} cases[] = {
		{false, {.ipv4 = addr("10.78.0.5")}},
		{false, {.ipv4 = addr("10.77.0.1"), .container_id = CID}}, /* the gateway */
		{false, {.ipv4 = addr("10.77.0.255")}},
		{false, {.mac = "nonsense"}},
		{false, {.mac = "01:00:5e:00:00:01"}}, /* a multicast address */
		{false, {.link = "a-name-that-is-too-long"}},
		{true, {.ipv4 = addr("10.77.0.7")}},
		{true, {.mac = "02:11:22:33:44:55"}},
		{true, {.rate_tx = 1}},
	};
	struct network_endpoint ep;

	(void)state;
	assert_int_equal(network_default_create(nm, "host", &host, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct network_endpoint_request q = cases[i].q;
		struct error err = {0};

		q.container_id = CID;
		assert_true(network_endpoint_prepare(nm, cases[i].on_host ? host : net, &q, &ep,
						     &err) < 0);
		assert_true(err.kind == ERROR_INVALID || err.kind == ERROR_CONFLICT);
		error_done(&err);
	}
	/* Nothing was lost to the attempts. */
	for (int i = 2; i < 255; i++)
		assert_int_equal(network_endpoint_prepare(
					 nm, net,
					 &(struct network_endpoint_request){.container_id = CID},
					 &ep, NULL),
				 0);
	assert_true(network_endpoint_prepare(
			    nm, net, &(struct network_endpoint_request){.container_id = CID}, &ep,
			    NULL) < 0);
}

static void networks_are_checked_when_made(void **state)
{
	struct network *net, *other;
	autonetwork_manager struct network_manager *nm = manager(&net);
	struct network_request q = {.name = "bridge"};
	struct network_endpoint ep;
	struct error err = {0};

	(void)state;
	assert_true(network_create(nm, &q, &other, &err) < 0);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	error_done(&err);
	q = (struct network_request){.name = "-bad"};
	assert_true(network_create(nm, &q, &other, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	error_done(&err);
	q = (struct network_request){.name = "m", .driver = "macvlan"};
	assert_true(network_create(nm, &q, &other, &err) < 0);
	assert_int_equal(err.kind, ERROR_NOT_IMPLEMENTED);
	error_done(&err);
	q = (struct network_request){.name = "o"};
	assert_int_equal(netaddr_prefix_parse("10.77.0.128/25", &q.ipv4.subnet), 0);
	assert_true(network_create(nm, &q, &other, &err) < 0);
	assert_int_equal(err.kind, ERROR_FORBIDDEN);
	error_done(&err);
	assert_int_equal(network_count(nm), 1);

	assert_int_equal(netaddr_prefix_parse("10.78.0.0/24", &q.ipv4.subnet), 0);
	assert_int_equal(network_create(nm, &q, &other, NULL), 0);
	assert_true(str_has_prefix(other->link, "br-"));
	/* Until it is made nobody can join. */
	assert_true(network_endpoint_prepare(
			    nm, other, &(struct network_endpoint_request){.container_id = CID}, &ep,
			    NULL) < 0);
	other->busy = false;
	assert_int_equal(network_endpoint_prepare(
				 nm, other, &(struct network_endpoint_request){.container_id = CID},
				 &ep, NULL),
			 0);
	assert_true(network_remove(nm, other, &err) < 0);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	error_done(&err);
	network_endpoint_release(nm, &ep);
	assert_int_equal(network_remove(nm, other, NULL), 0);
	assert_int_equal(network_count(nm), 1);
}

/* The way out: by priority, then by the network's name; never through an internal network. */
static void one_endpoint_is_the_gateway(void **state)
{
	static const char *const names[] = {"zoo", "inside", "ant", "mid"};
	struct network *net, *nets[ARRAY_SIZE(names)];
	autonetwork_manager struct network_manager *nm = manager(&net);
	struct network_endpoint eps[ARRAY_SIZE(names)], *list[ARRAY_SIZE(names)];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct network_request q = {.name = names[i], .internal = i == 1};
		struct network_endpoint_request ask = {.container_id = CID, .gw_priority = i == 1};

		assert_int_equal(network_create(nm, &q, &nets[i], NULL), 0);
		nets[i]->busy = false;
		assert_int_equal(network_endpoint_prepare(nm, nets[i], &ask, &eps[i], NULL), 0);
		list[i] = &eps[i];
	}
	assert_true(network_endpoints_choose_gateway(nm, list, ARRAY_SIZE(names)));
	assert_true(!eps[0].default4 && !eps[1].default4 && eps[2].default4 && !eps[3].default4);
	assert_false(network_endpoints_choose_gateway(nm, list, ARRAY_SIZE(names)));
	eps[3].gw_priority = 1;
	assert_true(network_endpoints_choose_gateway(nm, list, ARRAY_SIZE(names)));
	assert_true(!eps[0].default4 && !eps[1].default4 && !eps[2].default4 && eps[3].default4);
	(void)network_endpoints_choose_gateway(nm, list + 1, 1);
	assert_false(eps[1].default4);
}

static const struct json *through_json(struct arena *a, const struct network *net,
				       const struct network_endpoint *ep)
{
	autostrbuf struct strbuf out = STRBUF_INIT(1 << 16);
	const struct json *v = NULL;
	struct json_writer w;

	json_writer_init(&w, &out);
	if (net)
		network_encode(&w, net);
	else
		network_endpoint_encode(&w, ep);
	assert_int_equal(json_parse(a, out.s, out.len, &v, NULL), 0);
	return v;
}

static void rows_keep_everything(void **state)
{
	struct network *net, *full;
	autonetwork_manager struct network_manager *nm = manager(&net);
	autoarena struct arena *a = arena_new();
	struct network_pairs labels = {0};
	struct network_request q = {.name = "full", .internal = true, .no_icc = true, .mtu = 9000};
	struct port_binding port = {.proto = PORTBIND_UDP,
				    .container_port = 53,
				    .host = addr("fd00::1"),
				    .host_port = 5353,
				    .same_port = true};
	struct network_endpoint ep, ep2;
	struct network net2;

	(void)state;
	network_pairs_add(&labels, "k\"ey", "value");
	q.labels = &labels;
	assert_int_equal(netaddr_prefix_parse("10.78.0.0/24", &q.ipv4.subnet), 0);
	assert_int_equal(netaddr_prefix_parse("10.78.0.128/25", &q.ipv4.range), 0);
	q.ipv4.gateway = addr("10.78.0.200");
	assert_int_equal(network_create(nm, &q, &full, NULL), 0);
	full->busy = false;
	assert_int_equal(network_decode(through_json(a, full, NULL), &net2, NULL), 0);
	assert_string_equal(net2.id, full->id);
	assert_string_equal(net2.name, "full");
	assert_ptr_equal(net2.driver, full->driver);
	assert_memory_equal(&net2.ipv4, &full->ipv4, sizeof(net2.ipv4));
	assert_string_equal(net2.link, full->link);
	assert_int_equal(net2.mtu, 9000);
	assert_int_equal(net2.created_ns, full->created_ns);
	assert_true(net2.internal);
	assert_false(net2.icc);
	assert_true(net2.masquerade);
	assert_string_equal(network_pairs_get(&net2.labels, "k\"ey"), "value");
	network_done(&net2);
	network_pairs_done(&labels);

	assert_int_equal(network_endpoint_prepare(nm, full,
						  &(struct network_endpoint_request){
							  .container_id = CID, .rate_tx = 7},
						  &ep, NULL),
			 0);
	network_endpoint_set_ports(&ep, &port, 1);
	assert_int_equal(network_endpoint_decode(through_json(a, NULL, &ep), &ep2, NULL), 0);
	assert_string_equal(ep2.id, ep.id);
	assert_string_equal(ep2.container_id, CID);
	assert_memory_equal(ep2.mac, ep.mac, 6);
	assert_memory_equal(&ep2.ipv4, &ep.ipv4, sizeof(ep.ipv4));
	assert_true(netaddr_equal(&ep2.gateway4, &ep.gateway4));
	assert_string_equal(ep2.host_link, ep.host_link);
	assert_int_equal(ep2.rate_tx, 7);
	assert_true(ep2.internal && ep2.isolated);
	assert_int_equal(ep2.port_count, 1);
	assert_int_equal(ep2.ports[0].host_port, 5353);
	assert_true(ep2.ports[0].same_port);
	assert_true(netaddr_equal(&ep2.ports[0].host, &port.host));
	network_endpoint_done(&ep);
	network_endpoint_done(&ep2);
}

static void damaged_rows_are_refused(void **state)
{
	static const char *const rows[] = {"{}", "[]", "{\"id\":\"12\"}", "null"};
	autoarena struct arena *a = arena_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct json *v = NULL;
		struct network net;
		struct network_endpoint ep;

		assert_int_equal(json_parse(a, rows[i], strlen(rows[i]), &v, NULL), 0);
		assert_true(network_decode(v, &net, NULL) < 0);
		assert_true(network_endpoint_decode(v, &ep, NULL) < 0);
	}
}

static void bad_configuration_is_refused(void **state)
{
	static const struct network_config bad[] = {
		{.bip = "10.0.0.1"},
		{.bip = "fd00::1/64"},
		{.bip = "10.0.0.1/31"},
		{.mtu = 100},
		{.link = "a-name-that-is-too-long"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct network_manager *nm = NULL;
		struct error err = {0};

		assert_true(network_open(&bad[i], &nm, &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		assert_null(nm);
		error_done(&err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_default_bridge_is_as_configured),
		cmocka_unit_test(the_three_default_networks_stay),
		cmocka_unit_test(endpoints_get_what_they_ask_for),
		cmocka_unit_test(bad_requests_are_refused_and_lease_nothing),
		cmocka_unit_test(networks_are_checked_when_made),
		cmocka_unit_test(one_endpoint_is_the_gateway),
		cmocka_unit_test(rows_keep_everything),
		cmocka_unit_test(damaged_rows_are_refused),
		cmocka_unit_test(bad_configuration_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
