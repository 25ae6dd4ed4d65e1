#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "network/files.h"

static struct netaddr addr(const char *s)
{
	struct netaddr a = {0};

	assert_int_equal(netaddr_parse(s, &a), 0);
	return a;
}

#define HEAD                                              \
	"127.0.0.1\tlocalhost\n"                          \
	"::1\tlocalhost ip6-localhost ip6-loopback\n"     \
	"fe00::\tip6-localnet\nff00::\tip6-mcastprefix\n" \
	"ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"

static void hosts_names_the_container_and_extras(void **state)
{
	static const char *const extra[] = {"db:10.9.9.9", "six=[fd00::9]", "seven:fd00::7",
					    "host.docker.internal:host-gateway"};
	autostrbuf struct strbuf out = STRBUF_INIT(FILES_MAX);
	const struct netaddr addrs[] = {addr("10.213.0.2"), addr("fd00::2")};
	const struct files_hosts args = {.hostname = "web",
					 .domainname = "example.org",
					 .addrs = addrs,
					 .addr_count = ARRAY_SIZE(addrs),
					 .extra = extra,
					 .extra_count = ARRAY_SIZE(extra),
					 .host_gateway4 = addr("10.213.0.1")};

	(void)state;
	assert_int_equal(files_hosts(&args, &out, NULL), 0);
	assert_string_equal(out.s, HEAD "10.9.9.9\tdb\nfd00::9\tsix\nfd00::7\tseven\n"
					"10.213.0.1\thost.docker.internal\n"
					"10.213.0.2\tweb.example.org web\n"
					"fd00::2\tweb.example.org web\n");
}

static void hosts_without_an_address_is_the_head(void **state)
{
	autostrbuf struct strbuf out = STRBUF_INIT(FILES_MAX);

	(void)state;
	assert_int_equal(files_hosts(&(struct files_hosts){.hostname = "web"}, &out, NULL), 0);
	assert_string_equal(out.s, HEAD);
}

static void bad_extra_hosts_are_refused(void **state)
{
	static const char *const bad[] = {"",
					  "name",
					  "name:",
					  ":10.0.0.1",
					  "a b:10.0.0.1",
					  "a:10.0.0",
					  "a\n10.0.0.1 evil:10.0.0.2",
					  "a:[fd00::1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = {0};

		assert_true(files_extra_host_check(bad[i], &err) < 0);
		assert_int_equal(err.kind, ERROR_INVALID);
		error_done(&err);
	}
	assert_int_equal(files_extra_host_check("a:host-gateway", NULL), 0);
}

static void host_gateway_needs_one(void **state)
{
	static const char *const extra[] = {"gw:host-gateway"};
	autostrbuf struct strbuf out = STRBUF_INIT(FILES_MAX);

	(void)state;
	assert_true(files_hosts(&(struct files_hosts){.extra = extra, .extra_count = 1}, &out,
				NULL) < 0);
}

static void assert_resolv(const struct files_resolv *args, const char *expected)
{
	autostrbuf struct strbuf out = STRBUF_INIT(FILES_MAX);

	assert_int_equal(files_resolv(args, &out, NULL), 0);
	assert_string_equal(out.s, expected);
}

static const char host_text[] = "# made by hand\n"
				"domain old.example\n"
				"search corp.example lan ; trailing\n"
				"nameserver 127.0.0.53\n"
				"nameserver\t192.0.2.53 # main\n"
				"nameserver fe80::1%eth0\n"
				"nameserver 2001:db8::53\n"
				"nameserver nonsense\n"
				"options ndots:2 edns0\r\n"
				"sortlist 10.0.0.0";

static void resolv_follows_the_host(void **state)
{
	(void)state;
	assert_resolv(&(struct files_resolv){.host = host_text, .own_netns = true},
		      "nameserver 192.0.2.53\nsearch corp.example lan\noptions ndots:2 edns0\n");
	assert_resolv(&(struct files_resolv){.host = host_text, .own_netns = true, .ipv6 = true},
		      "nameserver 192.0.2.53\nnameserver 2001:db8::53\n"
		      "search corp.example lan\noptions ndots:2 edns0\n");
	/* In the host's namespace everything works as there. */
	assert_resolv(&(struct files_resolv){.host = host_text},
		      "nameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\n"
		      "nameserver 2001:db8::53\n"
		      "search corp.example lan\noptions ndots:2 edns0\n");
}

static void resolv_takes_the_users_word(void **state)
{
	static const char *const dns[] = {"192.0.2.1", "2001:db8::1"};
	static const char *const search[] = {"a.example", "b.example"}, *const none[] = {"."};
	static const char *const options[] = {"timeout:1"};

	(void)state;
	assert_resolv(&(struct files_resolv){.host = host_text,
					     .dns = dns,
					     .dns_count = 2,
					     .search = search,
					     .search_count = 2,
					     .options = options,
					     .option_count = 1,
					     .own_netns = true},
		      "nameserver 192.0.2.1\nnameserver 2001:db8::1\n"
		      "search a.example b.example\noptions timeout:1\n");
	assert_resolv(&(struct files_resolv){.host = host_text,
					     .dns = dns,
					     .dns_count = 1,
					     .search = none,
					     .search_count = 1,
					     .own_netns = true},
		      "nameserver 192.0.2.1\noptions ndots:2 edns0\n");
}

static void resolv_falls_back_when_only_loopback_is_left(void **state)
{
	(void)state;
	assert_resolv(&(struct files_resolv){.host = "nameserver 127.0.0.1\nnameserver ::1\n",
					     .own_netns = true},
		      "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
	assert_resolv(&(struct files_resolv){.own_netns = true, .ipv6 = true},
		      "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
		      "nameserver 2001:4860:4860::8888\nnameserver 2001:4860:4860::8844\n");
	assert_resolv(&(struct files_resolv){.host = "nameserver 127.0.0.1\n"},
		      "nameserver 127.0.0.1\n");
}

static void bad_dns_is_refused(void **state)
{
	static const char *const dns[] = {"dns.example"};
	autostrbuf struct strbuf out = STRBUF_INIT(FILES_MAX);

	(void)state;
	assert_true(files_resolv(&(struct files_resolv){.dns = dns, .dns_count = 1}, &out, NULL) <
		    0);
}

static void hostname_is_a_line(void **state)
{
	autostrbuf struct strbuf out = STRBUF_INIT(FILES_MAX);

	(void)state;
	files_hostname("web", &out);
	assert_string_equal(out.s, "web\n");
}

/* Who is asked for what no container is called: the host's servers, from where they can be reached. */
static void a_resolver_is_told_the_servers(void **state)
{
	autostrbuf struct strbuf out = STRBUF_INIT(FILES_MAX), conf = STRBUF_INIT(FILES_MAX);
	struct files_resolv args = {.host = "nameserver 127.0.0.1\nnameserver 192.0.2.1\n"
					    "nameserver fe80::1%eth0\nnameserver fd00::1\n"
					    "options timeout:1\n",
				    .own_netns = true,
				    .resolver = true};
	const char *const dns[] = {"127.0.0.1"};

	(void)state;
	assert_int_equal(files_resolv_servers(&args, &out, NULL), 0);
	assert_string_equal(out.s, "host-server 127.0.0.1\nserver 192.0.2.1\n");
	assert_int_equal(files_resolv(&args, &conf, NULL), 0);
	assert_string_equal(conf.s, "nameserver 127.0.0.11\noptions timeout:1 ndots:0\n");
	/* One that was asked for is one in the container. */
	args.dns = dns;
	args.dns_count = 1;
	strbuf_reset(&out);
	assert_int_equal(files_resolv_servers(&args, &out, NULL), 0);
	assert_string_equal(out.s, "server 127.0.0.1\n");
	args.dns_count = 0;
	args.host = "";
	strbuf_reset(&out);
	assert_int_equal(files_resolv_servers(&args, &out, NULL), 0);
	assert_string_equal(out.s, "server 8.8.8.8\nserver 8.8.4.4\n");
}

static void hosts_follow_the_networks(void **state)
{
	autostrbuf struct strbuf out = STRBUF_INIT(FILES_MAX);
	const struct netaddr drop[] = {addr("10.0.0.2"), {0}}, add[] = {addr("10.1.0.2")};
	const struct files_hosts_edit edit = {.text = "127.0.0.1\tlocalhost\n10.0.0.2\tweb\n"
						      "10.0.0.22\tother\n# mine",
					      .drop = drop,
					      .drop_count = 2,
					      .add = add,
					      .add_count = 1,
					      .hostname = "web"};

	(void)state;
	assert_int_equal(files_hosts_edit(&edit, &out, NULL), 0);
	assert_string_equal(out.s,
			    "127.0.0.1\tlocalhost\n10.0.0.22\tother\n# mine\n10.1.0.2\tweb\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_resolver_is_told_the_servers),
		cmocka_unit_test(hosts_follow_the_networks),
		cmocka_unit_test(hosts_names_the_container_and_extras),
		cmocka_unit_test(hosts_without_an_address_is_the_head),
		cmocka_unit_test(bad_extra_hosts_are_refused),
		cmocka_unit_test(host_gateway_needs_one),
		cmocka_unit_test(resolv_follows_the_host),
		cmocka_unit_test(resolv_takes_the_users_word),
		cmocka_unit_test(resolv_falls_back_when_only_loopback_is_left),
		cmocka_unit_test(bad_dns_is_refused),
		cmocka_unit_test(hostname_is_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
