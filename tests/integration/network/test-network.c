/* The network layer against the kernel: root, in network namespaces of its own.
 *
 *     outside 203.0.113.2 ---- 203.0.113.1 host ---- vessel0 ---- containers[0], containers[1]
 *
 * Everything is made by the test and dies with its process.  A socket stays in the namespace in
 * which it was opened, so one thread plays all the parts.  "Nothing arrives" is asserted by order:
 * what must not arrive is sent first, something that must arrive second, on the same way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/spawn.h"
#include "base/str.h"
#include "linux/nft.h"
#include "linux/rtnl.h"
#include "network/network.h"
#include "network/sysctl.h"

#define CONTAINERS 2

static struct {
	int host, outside, containers[CONTAINERS]; /* namespaces */
	struct network_manager *nm;
	struct network *net;
	struct network_endpoint ep[CONTAINERS];
} f;

/* A call that must work: the message is the diagnosis when it does not. */
#define must(call)                                                 \
	do {                                                       \
		struct error must_err_ = {0};                      \
		struct error *err = &must_err_;                    \
		if ((call) < 0)                                    \
			fail_msg("%s: %s", #call, error_msg(err)); \
		error_done(err);                                   \
	} while (0)

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

static char *run(const char *command)
{
	const char *argv[] = {"sh", "-c", command, NULL};
	struct spawn_args args = {.path = "/bin/sh", .argv = argv};
	char *out = NULL;
	int status = -1;

	must(spawn_run(&args, 1 << 20, &out, &status, err));
	assert_int_equal(status, 0);
	return out;
}

/* --- namespaces and sockets ------------------------------------------------------------------- */

static int enter(int ns)
{
	int back;

	must(netlink_netns_enter(ns, &back, err));
	return back;
}

static void set_up_lo(void)
{
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	autonetlink struct netlink *nl = NULL;

	must(netlink_open(NETLINK_ROUTE, &nl, err));
	rtnl_set_up(b, "lo");
	must(netlink_batch_run(nl, b, err));
}

static int new_namespace(bool with_lo)
{
	int self = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), ns;

	assert_true(self >= 0);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(ns >= 0);
	if (with_lo)
		set_up_lo();
	netlink_netns_leave(self);
	return ns;
}

static int sock(int ns, int family, int type)
{
	int protocol = type == SOCK_RAW ? IPPROTO_RAW : 0;
	int back = enter(ns), fd = socket(family, type | SOCK_CLOEXEC, protocol);
	struct timeval limit = {.tv_sec = 60}; /* ends a failed test, decides nothing */

	netlink_netns_leave(back);
	assert_true(fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return fd;
}

static int server(int ns, int type, const char *at, uint16_t port)
{
	struct netaddr a = addr(at);
	int fd = sock(ns, a.family, type), on = 1;
	struct sockaddr_storage sa;
	socklen_t len = netaddr_sockaddr(&a, port, &sa);

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static int dial(int ns, int type, const char *to, uint16_t port, int *ret_errno)
{
	struct netaddr a = addr(to);
	int fd = sock(ns, a.family, type);
	struct sockaddr_storage sa;
	socklen_t len = netaddr_sockaddr(&a, port, &sa);

	*ret_errno = connect(fd, (struct sockaddr *)&sa, len) < 0 ? errno : 0;
	return fd;
}

static void assert_peer(const struct sockaddr_storage *sa, const char *expected)
{
	struct netaddr a = {.family = sa->ss_family};
	char text[NETADDR_SIZE];

	if (sa->ss_family == AF_INET)
		memcpy(a.b, &((const struct sockaddr_in *)sa)->sin_addr, 4);
	else
		memcpy(a.b, &((const struct sockaddr_in6 *)sa)->sin6_addr, 16);
	assert_string_equal(netaddr_format(&a, text), expected);
}

/* A connection from `ns` to to:port arrives at `listener`, whose client seems to be `from` (NULL:
 * whoever), and carries bytes both ways. */
static void reaches_as(int ns, const char *to, uint16_t port, int listener, const char *from)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);
	autoclose int client = -EBADF, peer = -EBADF;
	char c = 0;
	int e;

	client = dial(ns, SOCK_STREAM, to, port, &e);
	if (e != 0)
		fail_msg("connect from namespace %d to %s:%u: %s", ns, to, port, strerror(e));
	peer = accept4(listener, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC);
	assert_true(peer >= 0);
	if (from)
		assert_peer(&sa, from);
	assert_int_equal(write(client, "q", 1), 1);
	assert_int_equal(read(peer, &c, 1), 1);
	assert_int_equal(c, 'q');
	assert_int_equal(write(peer, "a", 1), 1);
	assert_int_equal(read(client, &c, 1), 1);
	assert_int_equal(c, 'a');
}

static void reaches(int ns, const char *to, uint16_t port, int listener)
{
	reaches_as(ns, to, port, listener, NULL);
}

static void is_refused(int ns, const char *to, uint16_t port)
{
	autoclose int fd = -EBADF;
	int e;

	fd = dial(ns, SOCK_STREAM, to, port, &e);
	assert_int_equal(e, ECONNREFUSED);
}

/* A datagram and its answer. */
static void udp_reaches(int ns, const char *to, uint16_t port, int receiver)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);
	autoclose int client = -EBADF;
	char c = 0;
	int e;

	client = dial(ns, SOCK_DGRAM, to, port, &e);
	assert_int_equal(e, 0);
	assert_int_equal(send(client, "q", 1, 0), 1);
	assert_int_equal(recvfrom(receiver, &c, 1, 0, (struct sockaddr *)&sa, &len), 1);
	assert_int_equal(c, 'q');
	assert_int_equal(sendto(receiver, "a", 1, 0, (struct sockaddr *)&sa, len), 1);
	assert_int_equal(recv(client, &c, 1, 0), 1);
	assert_int_equal(c, 'a');
}

static void send_datagram(int ns, const char *to, uint16_t port, char what)
{
	autoclose int client = -EBADF;
	int e;

	client = dial(ns, SOCK_DGRAM, to, port, &e);
	assert_int_equal(e, 0);
	assert_int_equal(send(client, &what, 1, 0), 1);
}

static void assert_next_datagram(int receiver, char what)
{
	char c = 0;

	assert_int_equal(recv(receiver, &c, 1, 0), 1);
	assert_int_equal(c, what);
}

/* --- the scene ------------------------------------------------------------------------------ */

static void link_outside(void)
{
	static const uint8_t mac[6] = {0x02, 0, 0, 0, 0, 1};
	struct netaddr_prefix a4 = prefix("203.0.113.1/24"), a6 = prefix("2001:db8:1::1/64");
	struct netaddr_prefix b4 = prefix("203.0.113.2/24"), b6 = prefix("2001:db8:1::2/64");
	struct netaddr gw4 = a4.addr, gw6 = a6.addr;
	autonetlink_batch struct netlink_batch *b = netlink_batch_new();
	autonetlink struct netlink *nl = NULL, *in = NULL;
	struct rtnl_link link;
	int back;

	must(netlink_open(NETLINK_ROUTE, &nl, err));
	rtnl_add_veth(b, &(struct rtnl_veth){.name = "out0",
					     .mtu = 1500,
					     .peer_name = "eth0",
					     .peer_mac = mac,
					     .peer_netns = f.outside});
	rtnl_set_up(b, "out0");
	must(netlink_batch_run(nl, b, err));
	must(rtnl_link_get(nl, "out0", &link, err));
	rtnl_add_address(b, link.index, &a4);
	rtnl_add_address(b, link.index, &a6);
	must(netlink_batch_run(nl, b, err));

	must(netlink_open_in(f.outside, &in, err));
	must(rtnl_link_get(in, "eth0", &link, err));
	rtnl_set_up(b, "eth0");
	rtnl_add_address(b, link.index, &b4);
	rtnl_add_address(b, link.index, &b6);
	rtnl_add_default_route(b, link.index, &gw4);
	rtnl_add_default_route(b, link.index, &gw6);
	must(netlink_batch_run(in, b, err));
	back = enter(f.outside);
	must(sysctl_set("ipv4/conf/eth0/route_localnet", "1", err));
	netlink_netns_leave(back);
}

/* Whether bridged frames meet the IP hooks as well (br_netfilter): both must work. */
static const char *bridge_filter;

static int setup_group(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return 0;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	f.host = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (access("/proc/sys/net/bridge/bridge-nf-call-iptables", F_OK) == 0) {
		must(sysctl_set("bridge/bridge-nf-call-iptables", bridge_filter, err));
		must(sysctl_set("bridge/bridge-nf-call-ip6tables", bridge_filter, err));
	}
	set_up_lo();
	f.outside = new_namespace(false); /* without lo, 127.0.0.1 is routed like any address */
	for (size_t i = 0; i < CONTAINERS; i++)
		f.containers[i] = new_namespace(true);
	link_outside();
	return 0;
}

/* Network up, both containers attached. */
static int setup(void **state)
{
	struct network_config config = {0};

	(void)state;
	if (geteuid() != 0)
		skip();
	must(network_open(&config, &f.nm, err));
	must(network_default_create(f.nm, "bridge", &f.net, err));
	must(network_up(f.nm, f.net, err));
	for (size_t i = 0; i < CONTAINERS; i++) {
		struct network_endpoint_request q = {.container_id = i ? "c1" : "c0"};

		must(network_endpoint_prepare(f.nm, f.net, &q, &f.ep[i], err));
		must(network_endpoint_attach(f.nm, &f.ep[i], f.containers[i], err));
	}
	return 0;
}

static int teardown(void **state)
{
	autofree char *left = NULL, *table = NULL;

	(void)state;
	for (size_t i = 0; i < CONTAINERS; i++) {
		must(network_endpoint_detach(f.nm, &f.ep[i], err));
		must(network_endpoint_detach(f.nm, &f.ep[i], err)); /* repeatable */
		network_endpoint_release(f.nm, &f.ep[i]);
		network_endpoint_done(&f.ep[i]);
	}
	must(network_cleanup(f.nm, err));
	must(network_cleanup(f.nm, err));
	f.nm = network_close(f.nm);
	/* Nothing is left. */
	left = run("ip -o link | grep -v -e ' lo:' -e ' out0@' || :");
	assert_string_equal(left, "");
	table = run("nft list ruleset");
	assert_string_equal(table, "");
	return 0;
}

static void publish(size_t i, const char *spec_host, uint8_t proto, uint16_t host_port,
		    uint16_t port)
{
	struct port_binding b = {.proto = proto,
				 .container_port = port,
				 .host = addr(spec_host),
				 .host_port = host_port};

	network_endpoint_set_ports(&f.ep[i], &b, 1);
	must(network_endpoint_publish(f.nm, &f.ep[i], err));
}

static void unpublish(size_t i)
{
	must(network_endpoint_unpublish(f.nm, &f.ep[i], err));
}

static const char *ip4(size_t i)
{
	static char text[CONTAINERS][NETADDR_SIZE];

	return netaddr_format(&f.ep[i].ipv4.addr, text[i]);
}

static const char *ip6(size_t i)
{
	static char text[CONTAINERS][NETADDR_SIZE];

	return netaddr_format(&f.ep[i].ipv6.addr, text[i]);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void table_is_what_nft_would_have_made(void **state)
{
	static const char expected[] =
#include "table.nft.inc"
		;
	static const char expected_bridge[] =
#include "mld.nft.inc"
		;
	autofree char *ours = run("nft list table inet vessel");
	autofree char *bridge = run("nft list table bridge vessel");

	(void)state;
	assert_string_equal(ours, expected);
	assert_string_equal(bridge, expected_bridge);
}

static int packet_socket(int ns)
{
	int back = enter(ns), fd;
	struct sockaddr_ll sa = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_IPV6),
				 .sll_ifindex = (int)if_nametoindex("eth0")};

	fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_IPV6));
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	netlink_netns_leave(back);
	return fd;
}

#define REPORT_SIZE(n) (14 + 40 + 8 + 8 + (n)*20)

/* An MLDv2 report (RFC 3810) of groups ff02::1:ff00:N, or of ff02::N for the last if it is so. */
static void send_report(int fd, size_t groups, bool last_is_common)
{
	static const uint8_t head[] = {
		0x33, 0x33, 0, 0, 0, 0x16, 0x02, 0, 0, 0, 0, 9, 0x86, 0xdd, /* Ethernet */
		0x60, 0,    0, 0, 0, 0,    0,    1, /* IPv6; a hop-by-hop header is next */
	};
	uint8_t f_[REPORT_SIZE(3)] = {0};

	memcpy(f_, head, sizeof(head));
	f_[14 + 5] = (uint8_t)(8 + 8 + groups * 20);
	f_[14 + 40] = IPPROTO_ICMPV6;
	f_[14 + 48] = 143;
	f_[14 + 55] = (uint8_t)groups;
	for (size_t i = 0; i < groups; i++) {
		uint8_t *r = f_ + REPORT_SIZE(i);

		r[0] = 4;
		r[4] = 0xff;
		r[5] = 2;
		if (i + 1 < groups || !last_is_common) {
			r[15] = 1;
			r[16] = 0xff;
		}
		r[19] = (uint8_t)(1 + i);
	}
	assert_int_equal(send(fd, f_, REPORT_SIZE(groups), 0), REPORT_SIZE(groups));
}

/* How many groups the next report names that is not the kernel's. */
static int next_report(int fd)
{
	uint8_t f_[512];

	for (;;) {
		ssize_t n = recv(fd, f_, sizeof(f_), 0);

		assert_true(n > 0);
		if (n >= REPORT_SIZE(1) && f_[14 + 6] == 0 && f_[14 + 48] == 143 && f_[11] == 9)
			return f_[14 + 55];
	}
}

static void only_reports_that_somebody_needs_pass(void **state)
{
	autoclose int from = packet_socket(f.containers[0]), to = packet_socket(f.containers[1]);
	autoclose int s = server(f.containers[1], SOCK_STREAM, "0.0.0.0", 80);

	(void)state;
	reaches(f.containers[0], ip4(1), 80, s); /* both ports forward by now */
	send_report(from, 1, false);
	send_report(from, 2, false);
	send_report(from, 1, true);
	assert_int_equal(next_report(to), 1);
	send_report(from, 2, false);
	send_report(from, 2, true);
	assert_int_equal(next_report(to), 2);
	send_report(from, 2, false);
	send_report(from, 3, false);
	assert_int_equal(next_report(to), 3);
}

static void containers_have_addresses_routes_and_names(void **state)
{
	autofree char *out = NULL;
	int back = enter(f.containers[0]);

	(void)state;
	out = run("ip -o -4 addr show eth0 | grep -o 'inet [^ ]* brd [^ ]*';"
		  "ip -4 route show default; cat /proc/sys/net/ipv6/conf/eth0/accept_ra;"
		  "ip -o link show eth0 | grep -o 'link/ether [^ ]*'; ip -o link show eth0 | grep "
		  "-o 'mtu [0-9]*';"
		  "ip -6 route show default | grep -c 'via fd'; ip -6 addr show eth0 tentative; "
		  "ip -o -6 addr show eth0 scope link | grep -o 'fe80[^ ]*'");
	netlink_netns_leave(back);
	assert_string_equal(out,
			    "inet 10.213.0.2/22 brd 10.213.3.255\n"
			    "default via 10.213.0.1 dev eth0 \n0\n"
			    "link/ether 02:42:0a:d5:00:02\nmtu 1500\n1\nfe80::42:aff:fed5:2/64\n");
}

static void the_host_routes_and_keeps_its_router_advertisements(void **state)
{
	autofree char *out = run("cd /proc/sys/net; cat ipv4/ip_forward ipv6/conf/all/forwarding "
				 "ipv6/conf/out0/accept_ra ipv4/conf/vessel0/route_localnet "
				 "ipv4/conf/out0/route_localnet ipv6/conf/vessel0/accept_ra; "
				 "ip -6 addr show dev vessel0 tentative");

	(void)state;
	assert_string_equal(out, "1\n1\n2\n1\n0\n0\n");
}

static void containers_reach_each_other_the_host_and_outside(void **state)
{
	autoclose int c1 = server(f.containers[1], SOCK_STREAM, "::", 80);
	autoclose int host = server(f.host, SOCK_STREAM, "::", 81);
	autoclose int outside4 = server(f.outside, SOCK_STREAM, "0.0.0.0", 82);
	autoclose int outside6 = server(f.outside, SOCK_STREAM, "::", 83);

	(void)state;
	reaches(f.containers[0], ip4(1), 80, c1);
	reaches(f.containers[0], ip6(1), 80, c1);
	reaches(f.host, ip4(1), 80, c1);
	reaches(f.host, ip6(1), 80, c1);
	reaches(f.containers[0], "10.213.0.1", 81, host);
	/* Behind the host's address. */
	reaches_as(f.containers[0], "203.0.113.2", 82, outside4, "203.0.113.1");
	reaches_as(f.containers[0], "2001:db8:1::2", 83, outside6, "2001:db8:1::1");
}

static void port_on_any_address_is_reached_from_everywhere(void **state)
{
	autoclose int c = server(f.containers[0], SOCK_STREAM, "0.0.0.0", 80);

	(void)state;
	is_refused(f.outside, "203.0.113.1", 8080);
	publish(0, "0.0.0.0", PORTBIND_TCP, 8080, 80);
	reaches_as(f.outside, "203.0.113.1", 8080, c, "203.0.113.2"); /* who calls is seen */
	reaches(f.host, "203.0.113.1", 8080, c);
	reaches(f.host, "127.0.0.1", 8080, c);
	reaches(f.host, "127.7.7.7", 8080, c);
	reaches(f.host, "10.213.0.1", 8080, c);
	reaches(f.containers[1], "203.0.113.1", 8080, c); /* hairpin */
	reaches(f.containers[1], "10.213.0.1", 8080, c);
	reaches(f.containers[0], "203.0.113.1", 8080, c); /* itself */
	unpublish(0);
	is_refused(f.outside, "203.0.113.1", 8080);
	is_refused(f.host, "127.0.0.1", 8080);
}

static void port_on_loopback_is_the_hosts_alone(void **state)
{
	autoclose int c = server(f.containers[0], SOCK_STREAM, "0.0.0.0", 80);
	autoclose int udp = server(f.containers[0], SOCK_DGRAM, "0.0.0.0", 53);

	(void)state;
	publish(0, "127.0.0.1", PORTBIND_TCP, 8080, 80);
	reaches(f.host, "127.0.0.1", 8080, c);
	is_refused(f.outside, "203.0.113.1", 8080);
	is_refused(f.host, "203.0.113.1", 8080);
	is_refused(f.containers[1], "10.213.0.1", 8080);
	unpublish(0);

	/* A neighbour that sends to 127.0.0.1 through us, even if our link would let it. */
	must(sysctl_set("ipv4/conf/out0/route_localnet", "1", err));
	{
		struct port_binding b[] = {
			{PORTBIND_UDP, 53, addr("127.0.0.1"), 5300, 0, false},
			{PORTBIND_UDP, 53, addr("203.0.113.1"), 5301, 0, false},
		};

		network_endpoint_set_ports(&f.ep[0], b, 2);
		must(network_endpoint_publish(f.nm, &f.ep[0], err));
	}
	send_datagram(f.outside, "127.0.0.1", 5300, 'x');
	send_datagram(f.outside, "203.0.113.1", 5301, 'y');
	assert_next_datagram(udp, 'y');
	must(sysctl_set("ipv4/conf/out0/route_localnet", "0", err));
}

static void port_on_given_address_is_not_on_others(void **state)
{
	autoclose int c = server(f.containers[0], SOCK_STREAM, "::", 80);

	(void)state;
	publish(0, "203.0.113.1", PORTBIND_TCP, 8081, 80);
	reaches(f.outside, "203.0.113.1", 8081, c);
	reaches(f.host, "203.0.113.1", 8081, c);
	is_refused(f.host, "127.0.0.1", 8081);
	is_refused(f.host, "10.213.0.1", 8081);
	unpublish(0);
	publish(0, "2001:db8:1::1", PORTBIND_TCP, 8081, 80);
	reaches(f.outside, "2001:db8:1::1", 8081, c);
	reaches(f.host, "2001:db8:1::1", 8081, c);
	is_refused(f.outside, "203.0.113.1", 8081);
}

static void port_on_any_ipv6_address_is_reached(void **state)
{
	autoclose int c = server(f.containers[0], SOCK_STREAM, "::", 80);

	(void)state;
	publish(0, "::", PORTBIND_TCP, 8082, 80);
	reaches_as(f.outside, "2001:db8:1::1", 8082, c, "2001:db8:1::2");
	reaches(f.host, "2001:db8:1::1", 8082, c);
	reaches(f.containers[1], "2001:db8:1::1", 8082, c);
	is_refused(f.host, "::1", 8082); /* the shim's relay would be there */
	is_refused(f.outside, "203.0.113.1", 8082);
}

static void udp_ports_are_reached(void **state)
{
	struct port_binding b[] = {
		{PORTBIND_UDP, 53, addr("0.0.0.0"), 5300, 0, false},
		{PORTBIND_UDP, 53, addr("::"), 5300, 0, false},
	};
	autoclose int c4 = server(f.containers[0], SOCK_DGRAM, ip4(0), 53);
	autoclose int c6 = server(f.containers[0], SOCK_DGRAM, ip6(0), 53);

	(void)state;
	network_endpoint_set_ports(&f.ep[0], b, 2);
	must(network_endpoint_publish(f.nm, &f.ep[0], err));
	udp_reaches(f.outside, "203.0.113.1", 5300, c4);
	udp_reaches(f.outside, "2001:db8:1::1", 5300, c6);
	udp_reaches(f.host, "127.0.0.1", 5300, c4);
	udp_reaches(f.host, "203.0.113.1", 5300, c4);
	udp_reaches(f.host, "2001:db8:1::1", 5300, c6);
	udp_reaches(f.containers[1], "203.0.113.1", 5300, c4);
}

static void unpublished_ports_are_closed_to_outside(void **state)
{
	autoclose int c = server(f.containers[0], SOCK_DGRAM, "::", 53);

	(void)state;
	/* The outside routes to us whatever it does not know: a neighbour on the same wire. */
	publish(0, "0.0.0.0", PORTBIND_UDP, 5300, 53);
	send_datagram(f.outside, ip4(0), 53, 'x');
	send_datagram(f.outside, ip6(0), 53, 'x');
	send_datagram(f.outside, "203.0.113.1", 5300, 'y');
	assert_next_datagram(c, 'y');
}

static void publishing_is_repeatable_and_takes_over_leftovers(void **state)
{
	autoclose int c0 = server(f.containers[0], SOCK_STREAM, "0.0.0.0", 80);
	autoclose int c1 = server(f.containers[1], SOCK_STREAM, "0.0.0.0", 80);

	(void)state;
	publish(0, "0.0.0.0", PORTBIND_TCP, 8080, 80);
	publish(0, "0.0.0.0", PORTBIND_TCP, 8080, 80);
	reaches(f.outside, "203.0.113.1", 8080, c0);
	/* The first one's daemon died; the shim of the second has the port now. */
	publish(1, "0.0.0.0", PORTBIND_TCP, 8080, 80);
	reaches(f.outside, "203.0.113.1", 8080, c1);
	unpublish(0); /* not its own any more */
	reaches(f.outside, "203.0.113.1", 8080, c1);
	unpublish(1);
	unpublish(1);
	is_refused(f.outside, "203.0.113.1", 8080);
}

/* Datagrams of one client, all from one port: what conntrack takes for one connection. */
static void udp_clients_are_not_bound_to_the_past(void **state)
{
	autoclose int c0 = server(f.containers[0], SOCK_DGRAM, "0.0.0.0", 53);
	autoclose int c1 = server(f.containers[1], SOCK_DGRAM, "0.0.0.0", 53);
	autoclose int client = -EBADF;
	char c;
	int e;

	(void)state;
	client = dial(f.outside, SOCK_DGRAM, "203.0.113.1", 5300, &e);
	assert_int_equal(e, 0);
	assert_int_equal(send(client, "a", 1, 0), 1);
	assert_int_equal(recv(client, &c, 1, 0), -1);
	assert_int_equal(errno, ECONNREFUSED); /* nobody there yet */
	publish(0, "0.0.0.0", PORTBIND_UDP, 5300, 53);
	assert_int_equal(send(client, "b", 1, 0), 1);
	assert_next_datagram(c0, 'b');
	must(network_endpoint_detach(f.nm, &f.ep[0], err));
	publish(1, "0.0.0.0", PORTBIND_UDP, 5300, 53);
	assert_int_equal(send(client, "c", 1, 0), 1);
	assert_next_datagram(c1, 'c');
}

static void many_ports_are_one_transaction(void **state)
{
	enum { N = 1000 };
	static struct port_binding b[N];
	autoclose int c = server(f.containers[0], SOCK_STREAM, "0.0.0.0", 1499);
	autofree char *count = NULL;

	(void)state;
	for (size_t i = 0; i < N; i++)
		b[i] = (struct port_binding){.proto = PORTBIND_TCP,
					     .container_port = (uint16_t)(500 + i),
					     .host = addr("0.0.0.0"),
					     .host_port = (uint16_t)(20000 + i)};
	network_endpoint_set_ports(&f.ep[0], b, N);
	must(network_endpoint_publish(f.nm, &f.ep[0], err));
	reaches(f.outside, "203.0.113.1", 20999, c);
	unpublish(0);
	count = run("nft list map inet vessel publish4_any | grep -c 10.213 || :");
	assert_string_equal(count, "0\n");
}

static void rates_are_limited_both_ways(void **state)
{
	struct network_endpoint_request q = {.container_id = "limited",
					     .link = "eth1",
					     .mac = "02:00:5e:10:00:01",
					     .ipv4 = addr("10.213.1.200"),
					     .rate_rx = 1250000,
					     .rate_tx = 6000000000};
	struct network_endpoint ep;
	autofree char *inside = NULL, *outside = NULL, *command = NULL;
	int back;

	(void)state;
	must(network_endpoint_prepare(f.nm, f.net, &q, &ep, err));
	must(network_endpoint_attach(f.nm, &ep, f.containers[0], err));
	command = xasprintf("tc qdisc show dev %s", ep.host_link);
	outside = run(command);
	assert_non_null(strstr(outside, "qdisc tbf 1: root refcnt"));
	assert_non_null(strstr(outside, "rate 10Mbit"));
	back = enter(f.containers[0]);
	inside = run("tc qdisc show dev eth1; ip -o -4 addr show eth1; ip -o link show eth1");
	netlink_netns_leave(back);
	assert_non_null(strstr(inside, "rate 48Gbit"));
	assert_non_null(strstr(inside, "10.213.1.200/22"));
	assert_non_null(strstr(inside, "02:00:5e:10:00:01"));
	must(network_endpoint_detach(f.nm, &ep, err));
	network_endpoint_release(f.nm, &ep);
	network_endpoint_done(&ep);
}

static void failed_attach_leaves_nothing(void **state)
{
	struct network_endpoint_request q = {.container_id = "x"};
	struct network_endpoint ep;
	autofree char *left = NULL, *command = NULL;
	struct error failure = {0};

	(void)state;
	must(network_endpoint_prepare(f.nm, f.net, &q, &ep, err));
	/* eth0 is there already. */
	assert_true(network_endpoint_attach(f.nm, &ep, f.containers[0], &failure) < 0);
	assert_int_equal(failure.errnum, EEXIST);
	error_done(&failure);
	command = xasprintf("ip -o link | grep -c %s || :", ep.host_link);
	left = run(command);
	assert_string_equal(left, "0\n");
	network_endpoint_release(f.nm, &ep);
	network_endpoint_done(&ep);
}

/* Rows through JSON, as a daemon's restart does it. */
static void reload(struct network *net, struct network_endpoint eps[CONTAINERS])
{
	autoarena struct arena *a = arena_new();
	autostrbuf struct strbuf out = STRBUF_INIT(1 << 20);
	const struct json *v = NULL;
	struct json_writer w;

	json_writer_init(&w, &out);
	jw_array(&w);
	network_encode(&w, f.net);
	for (size_t i = 0; i < CONTAINERS; i++)
		network_endpoint_encode(&w, &f.ep[i]);
	jw_array_end(&w);
	assert_int_equal(strbuf_error(&out), 0);
	must(json_parse(a, out.s, out.len, &v, err));
	must(network_decode(json_at(v, 0), net, err));
	for (size_t i = 0; i < CONTAINERS; i++) {
		network_endpoint_done(&f.ep[i]);
		must(network_endpoint_decode(json_at(v, 1 + i), &eps[i], err));
	}
}

static void restore_mends_what_was_lost_and_sweeps_what_is_stale(void **state)
{
	static const bool live[CONTAINERS] = {true, false};
	autoclose int c = server(f.containers[0], SOCK_STREAM, "0.0.0.0", 80);
	struct network_config config = {0};
	struct network net;
	struct network_restore r = {.nets_take = &net, .net_count = 1, .live = live};
	autofree char *out = NULL, *bridge = NULL;
	struct network_endpoint next;

	(void)state;
	publish(1, "0.0.0.0", PORTBIND_TCP, 8081, 80);
	publish(0, "0.0.0.0", PORTBIND_TCP, 8080, 80);
	reload(&net, f.ep);
	f.nm = network_close(f.nm);
	out = run("nft delete table inet vessel; ip link del vessel0");

	must(network_open(&config, &f.nm, err));
	r.eps = f.ep;
	r.ep_count = CONTAINERS;
	must(network_restore(f.nm, &r, err));
	f.net = network_find(f.nm, "bridge");
	assert_non_null(f.net);
	reaches(f.outside, "203.0.113.1", 8080, c);
	is_refused(f.outside, "203.0.113.1", 8081);
	bridge = run("ip -o link show master vessel0 | wc -l");
	assert_string_equal(bridge, "1\n");
	/* Both addresses are still taken. */
	must(network_endpoint_prepare(
		f.nm, f.net, &(struct network_endpoint_request){.container_id = "n"}, &next, err));
	assert_int_equal(netaddr_to_v4(&next.ipv4.addr) & 0xff, 4);
	network_endpoint_release(f.nm, &next);
	network_endpoint_done(&next);
}

static void restore_removes_stale_links(void **state)
{
	static const bool live[CONTAINERS] = {true, false};
	struct network_config config = {0};
	struct network net;
	struct network_restore r = {.nets_take = &net, .net_count = 1, .live = live};
	autofree char *before = NULL, *after = NULL;

	(void)state;
	reload(&net, f.ep);
	f.nm = network_close(f.nm);
	before = run("ip -o link show master vessel0 | wc -l");
	assert_string_equal(before, "2\n");
	must(network_open(&config, &f.nm, err));
	r.eps = f.ep;
	r.ep_count = CONTAINERS;
	must(network_restore(f.nm, &r, err));
	f.net = network_find(f.nm, "bridge");
	after = run("ip -o link show master vessel0 | wc -l");
	assert_string_equal(after, "1\n");
}

static void a_flushed_ruleset_is_noticed_and_mended(void **state)
{
	static const bool live[CONTAINERS] = {true, true};
	autoclose int c = server(f.containers[0], SOCK_STREAM, "0.0.0.0", 80);
	struct network_restore r = {.eps = f.ep, .ep_count = CONTAINERS, .live = live};
	struct error e = {0};
	autofree char *out = NULL;
	int fd;

	(void)state;
	must(network_watch_open(f.nm, &fd, err));
	publish(0, "0.0.0.0", PORTBIND_TCP, 8080, 80);
	assert_int_equal(network_watch_process(f.nm, &e), 0);
	out = run("nft flush ruleset");
	is_refused(f.outside, "203.0.113.1", 8080);
	assert_int_equal(network_watch_process(f.nm, &e), 1);
	must(network_repair(f.nm, &r, err));
	assert_int_equal(network_watch_process(f.nm, &e), 0); /* our own doing */
	reaches(f.outside, "203.0.113.1", 8080, c);
}

enum { MANY_THREADS = 8, MANY_ROUNDS = 6 };

struct worker {
	struct network_endpoint ep[MANY_ROUNDS];
	int ns[MANY_ROUNDS];
	struct error err;
	int r;
};

/* What the engine's workers do, as fast as they can, while the host's lists change all the time. */
static void *attach_and_detach(void *data)
{
	struct worker *w = data;

	for (size_t i = 0; w->r == 0 && i < MANY_ROUNDS; i++) {
		char *warning = NULL;

		w->r = network_endpoint_attach(f.nm, &w->ep[i], w->ns[i], &w->err);
		if (w->r == 0)
			w->r = network_endpoint_publish(f.nm, &w->ep[i], &w->err);
		if (w->r == 0)
			w->r = network_forward_warning(f.nm, &warning, &w->err);
		free(warning);
		if (w->r == 0 && i % 2)
			w->r = network_endpoint_detach(f.nm, &w->ep[i], &w->err);
	}
	return NULL;
}

static void many_workers_do_not_disturb_each_other(void **state)
{
	static struct worker w[MANY_THREADS];
	pthread_t threads[MANY_THREADS];
	autofree char *elements = NULL;

	(void)state;
	memset(w, 0, sizeof(w));
	for (size_t t = 0; t < MANY_THREADS; t++) {
		for (size_t i = 0; i < MANY_ROUNDS; i++) {
			struct network_endpoint_request q = {.container_id = "m"};
			struct port_binding b = {.proto = PORTBIND_UDP,
						 .container_port = 53,
						 .host = addr("0.0.0.0"),
						 .host_port =
							 (uint16_t)(6000 + t * MANY_ROUNDS + i)};

			w[t].ns[i] = new_namespace(true);
			must(network_endpoint_prepare(f.nm, f.net, &q, &w[t].ep[i], err));
			network_endpoint_set_ports(&w[t].ep[i], &b, 1);
		}
	}
	for (size_t t = 0; t < MANY_THREADS; t++)
		assert_int_equal(pthread_create(&threads[t], NULL, attach_and_detach, &w[t]), 0);
	for (size_t t = 0; t < MANY_THREADS; t++)
		(void)pthread_join(threads[t], NULL);
	for (size_t t = 0; t < MANY_THREADS; t++)
		if (w[t].r < 0)
			fail_msg("%s", error_msg(&w[t].err));
	elements = run("nft list map inet vessel publish4_any | grep -o ' : 10' | wc -l;"
		       "ip -o link show master vessel0 | wc -l");
	assert_string_equal(elements, "24\n26\n"); /* half of 48, and the two containers */
	for (size_t t = 0; t < MANY_THREADS; t++) {
		for (size_t i = 0; i < MANY_ROUNDS; i++) {
			autoclose int c = server(w[t].ns[i], SOCK_DGRAM, "0.0.0.0", 53);
			uint16_t port = w[t].ep[i].ports[0].host_port;

			if (i % 2 == 0)
				udp_reaches(f.outside, "203.0.113.1", port, c);
			must(network_endpoint_detach(f.nm, &w[t].ep[i], err));
			network_endpoint_release(f.nm, &w[t].ep[i]);
			network_endpoint_done(&w[t].ep[i]);
			(void)close(w[t].ns[i]);
		}
	}
}

static void networks_are_isolated_from_each_other(void **state)
{
	struct network_request q = {.name = "other", .enable_ipv6 = true};
	struct network_endpoint_request eq = {.container_id = "o"};
	struct network *other;
	struct network_endpoint ep;
	autoclose int ns = new_namespace(true);
	autoclose int c = server(f.containers[0], SOCK_DGRAM, "::", 53);

	(void)state;
	must(network_create(f.nm, &q, &other, err));
	must(network_up(f.nm, other, err));
	other->busy = false;
	must(network_endpoint_prepare(f.nm, other, &eq, &ep, err));
	must(network_endpoint_attach(f.nm, &ep, ns, err));
	publish(0, "203.0.113.1", PORTBIND_UDP, 5300, 53);
	send_datagram(ns, ip4(0), 53, 'x');
	send_datagram(ns, ip6(0), 53, 'x');
	send_datagram(ns, "203.0.113.1", 5300, 'y'); /* published: open to all */
	assert_next_datagram(c, 'y');
	must(network_endpoint_detach(f.nm, &ep, err));
	network_endpoint_release(f.nm, &ep);
	network_endpoint_done(&ep);
	must(network_down(f.nm, other, err));
	must(network_remove(f.nm, other, err));
}

static void ports_without_icc_do_not_see_each_other(void **state)
{
	struct network_request q = {.name = "strangers", .no_icc = true};
	struct network_endpoint_request eq = {.container_id = "s"};
	struct network *net;
	struct network_endpoint ep[2];
	int ns[2];
	char to[NETADDR_SIZE];
	autoclose int c = -EBADF;

	(void)state;
	must(network_create(f.nm, &q, &net, err));
	must(network_up(f.nm, net, err));
	net->busy = false;
	for (size_t i = 0; i < 2; i++) {
		ns[i] = new_namespace(true);
		must(network_endpoint_prepare(f.nm, net, &eq, &ep[i], err));
		must(network_endpoint_attach(f.nm, &ep[i], ns[i], err));
	}
	c = server(ns[1], SOCK_DGRAM, "0.0.0.0", 53);
	(void)netaddr_format(&ep[1].ipv4.addr, to);
	{
		struct port_binding b = {PORTBIND_UDP, 53, addr("0.0.0.0"), 5300, 0, false};

		network_endpoint_set_ports(&ep[1], &b, 1);
		must(network_endpoint_publish(f.nm, &ep[1], err));
	}
	send_datagram(ns[0], to, 53, 'x');
	send_datagram(ns[0], "203.0.113.1", 5300, 'y');
	assert_next_datagram(c, 'y');
	for (size_t i = 0; i < 2; i++) {
		must(network_endpoint_detach(f.nm, &ep[i], err));
		network_endpoint_release(f.nm, &ep[i]);
		network_endpoint_done(&ep[i]);
		(void)close(ns[i]);
	}
	must(network_down(f.nm, net, err));
	must(network_remove(f.nm, net, err));
}

static void subnets_avoid_the_hosts_routes(void **state)
{
	struct network_request q = {.name = "second"};
	struct network *net;
	autofree char *out = run("ip route add 10.213.4.0/24 via 203.0.113.2");
	autofree char *undo = NULL;
	char text[NETADDR_PREFIX_SIZE];

	(void)state;
	must(network_create(f.nm, &q, &net, err));
	assert_string_equal(netaddr_prefix_format(&net->ipv4.subnet, text), "10.213.5.0/24");
	must(network_remove(f.nm, net, err));
	undo = run("ip route del 10.213.4.0/24");
}

/* `iptables-legacy -P FORWARD <policy>`, without the program: the table as one blob, its policy
 * changed, put back.  A new namespace's first look at the table makes it. */
static void set_legacy_policy(int verdict)
{
	struct ipt_getinfo info = {.name = "filter"};
	autofree struct ipt_get_entries *entries = NULL;
	autofree struct ipt_replace *replace = NULL;
	autofree struct xt_counters *counters = NULL;
	struct xt_standard_target *target;
	struct ipt_entry *last;
	int fd = sock(f.host, AF_INET, SOCK_RAW);
	socklen_t len = sizeof(info);

	assert_int_equal(getsockopt(fd, SOL_IP, IPT_SO_GET_INFO, &info, &len), 0);
	len = (socklen_t)(sizeof(*entries) + info.size);
	entries = xcalloc(1, len);
	memcpy(entries->name, info.name, sizeof(entries->name));
	entries->size = info.size;
	assert_int_equal(getsockopt(fd, SOL_IP, IPT_SO_GET_ENTRIES, entries, &len), 0);

	last = (void *)((char *)entries->entrytable + info.underflow[NF_INET_FORWARD]);
	target = (void *)((char *)last + last->target_offset);
	target->verdict = -verdict - 1;
	counters = xnew0n(struct xt_counters, info.num_entries);
	replace = xcalloc(1, sizeof(*replace) + info.size);
	memcpy(replace->name, info.name, sizeof(replace->name));
	replace->valid_hooks = info.valid_hooks;
	replace->num_entries = info.num_entries;
	replace->size = info.size;
	memcpy(replace->hook_entry, info.hook_entry, sizeof(info.hook_entry));
	memcpy(replace->underflow, info.underflow, sizeof(info.underflow));
	replace->num_counters = info.num_entries;
	replace->counters = counters;
	memcpy(replace->entries, entries->entrytable, info.size);
	len = (socklen_t)(sizeof(*replace) + info.size);
	assert_int_equal(setsockopt(fd, SOL_IP, IPT_SO_SET_REPLACE, replace, len), 0);
	(void)close(fd);
}

static void a_legacy_drop_is_told(void **state)
{
	char *warning = NULL;

	(void)state;
	must(network_forward_warning(f.nm, &warning, err));
	assert_null(warning);
	set_legacy_policy(NF_DROP);
	must(network_forward_warning(f.nm, &warning, err));
	assert_non_null(warning);
	assert_non_null(strstr(warning, "chain 'FORWARD' of iptables-legacy"));
	free(warning);
	set_legacy_policy(NF_ACCEPT);
	must(network_forward_warning(f.nm, &warning, err));
	assert_null(warning);
}

static void foreign_drops_are_told(void **state)
{
	static const struct {
		const char *make, *expected;
	} cases[] = {
		{"nft add table ip filter; nft 'add chain ip filter FORWARD "
		 "{ type filter hook forward priority 0; policy drop; }'",
		 "chain 'FORWARD' of nftables table 'ip filter'"},
		{"nft add table inet firewalld; nft 'add chain inet firewalld filter_FORWARD "
		 "{ type filter hook forward priority 10; }'; nft add rule inet firewalld "
		 "filter_FORWARD counter reject with icmpx admin-prohibited",
		 "chain 'filter_FORWARD' of nftables table 'inet firewalld'"},
	};
	char *warning = NULL;

	(void)state;
	must(network_forward_warning(f.nm, &warning, err));
	assert_null(warning);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		autofree char *out = run(cases[i].make), *undo = NULL;

		must(network_forward_warning(f.nm, &warning, err));
		assert_non_null(warning);
		assert_non_null(strstr(warning, cases[i].expected));
		free(warning);
		undo = run(i == 0 ? "nft delete table ip filter"
				  : "nft delete table inet firewalld");
	}
}

int main(void)
{
#define test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		test(table_is_what_nft_would_have_made),
		test(only_reports_that_somebody_needs_pass),
		test(containers_have_addresses_routes_and_names),
		test(the_host_routes_and_keeps_its_router_advertisements),
		test(containers_reach_each_other_the_host_and_outside),
		test(port_on_any_address_is_reached_from_everywhere),
		test(port_on_loopback_is_the_hosts_alone),
		test(port_on_given_address_is_not_on_others),
		test(port_on_any_ipv6_address_is_reached),
		test(udp_ports_are_reached),
		test(unpublished_ports_are_closed_to_outside),
		test(publishing_is_repeatable_and_takes_over_leftovers),
		test(udp_clients_are_not_bound_to_the_past),
		test(many_ports_are_one_transaction),
		test(rates_are_limited_both_ways),
		test(failed_attach_leaves_nothing),
		test(restore_mends_what_was_lost_and_sweeps_what_is_stale),
		test(restore_removes_stale_links),
		test(a_flushed_ruleset_is_noticed_and_mended),
		test(many_workers_do_not_disturb_each_other),
		test(networks_are_isolated_from_each_other),
		test(ports_without_icc_do_not_see_each_other),
		test(subnets_avoid_the_hosts_routes),
		test(foreign_drops_are_told),
		test(a_legacy_drop_is_told),
	};

	int failed;

	bridge_filter = "0";
	failed = cmocka_run_group_tests_name("network", tests, setup_group, NULL);
	bridge_filter = "1";
	failed += cmocka_run_group_tests_name("network, br_netfilter", tests, setup_group, NULL);
	return failed;
}
