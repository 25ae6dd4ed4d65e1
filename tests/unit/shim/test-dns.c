/* DNS messages as askers and servers write them, and as attackers do. */
#include "shim/dns.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static const uint8_t query[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
			       "\x03Web\x03"
			       "App\x00\x00\x01\x00\x01";
#define QUERY_LEN (sizeof(query) - 1)

static void a_query_is_read(void **state)
{
	struct dns_query q;

	(void)state;
	assert_int_equal(dns_query_parse(query, QUERY_LEN, &q), 0);
	assert_int_equal(q.id, 0x1234);
	assert_int_equal(q.type, DNS_A);
	assert_string_equal(q.name, "web.app");
	assert_true(q.recursion);
	assert_false(q.edns);
	assert_int_equal(q.udp_size, DNS_UDP_MIN);
	assert_int_equal(q.question_len, QUERY_LEN - 12);
}

/* Whatever its end, no byte behind it is read, and it is no query. */
static void a_query_that_is_cut_off_is_refused(void **state)
{
	(void)state;
	for (size_t n = 0; n < QUERY_LEN; n++) {
		uint8_t *copy = xmemdup(query, n > 0 ? n : 1);
		struct dns_query q;

		if (n < 12)
			assert_int_equal(dns_query_parse(copy, n, &q), -EBADMSG);
		else
			assert_int_equal(dns_query_parse(copy, n, &q), DNS_FORMERR);
		free(copy);
	}
}

static void an_opt_record_tells_how_much_is_taken(void **state)
{
	static const uint8_t opt[] = "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
	uint8_t msg[QUERY_LEN + sizeof(opt) - 1];
	struct dns_query q;

	(void)state;
	memcpy(msg, query, QUERY_LEN);
	memcpy(msg + QUERY_LEN, opt, sizeof(opt) - 1);
	msg[11] = 1;
	assert_int_equal(dns_query_parse(msg, sizeof(msg), &q), 0);
	assert_true(q.edns);
	assert_int_equal(q.udp_size, 1232);
	assert_int_equal(dns_query_parse(msg, sizeof(msg) - 1, &q), DNS_FORMERR);
}

static void what_is_no_query_is_not_answered(void **state)
{
	uint8_t msg[QUERY_LEN];
	struct dns_query q;

	(void)state;
	memcpy(msg, query, sizeof(msg));
	msg[2] |= 0x80; /* an answer: two resolvers must not talk to each other for ever */
	assert_int_equal(dns_query_parse(msg, sizeof(msg), &q), -EBADMSG);
	msg[2] = 0x28; /* UPDATE */
	assert_int_equal(dns_query_parse(msg, sizeof(msg), &q), DNS_NOTIMP);
	msg[2] = 1;
	msg[5] = 2; /* two questions */
	assert_int_equal(dns_query_parse(msg, sizeof(msg), &q), DNS_FORMERR);
	msg[5] = 1;
	msg[12] = 0xc0; /* compression, in a question */
	assert_int_equal(dns_query_parse(msg, sizeof(msg), &q), DNS_FORMERR);
}

static void a_name_that_text_would_not_show_is_nobodys(void **state)
{
	uint8_t msg[QUERY_LEN];
	struct dns_query q;

	(void)state;
	memcpy(msg, query, sizeof(msg));
	msg[14] = '.';
	assert_int_equal(dns_query_parse(msg, sizeof(msg), &q), 0);
	assert_string_equal(q.name, "");
	msg[14] = 0;
	assert_int_equal(dns_query_parse(msg, sizeof(msg), &q), 0);
	assert_string_equal(q.name, "");
}

static void a_reply_has_the_question_and_the_addresses(void **state)
{
	static const uint8_t want[] =
		"\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
		"\x03Web\x03"
		"App\x00\x00\x01\x00\x01"
		"\xc0\x0c\x00\x01\x00\x01\x00\x00\x02\x58\x00\x04\x0a\x01\x02\x03";
	struct netaddr a = netaddr_v4(0x0a010203);
	uint8_t buf[DNS_UDP_MIN];
	struct dns_reply r;
	struct dns_query q;
	unsigned rcode;
	size_t n;

	(void)state;
	assert_int_equal(dns_query_parse(query, QUERY_LEN, &q), 0);
	dns_reply_begin(&r, buf, sizeof(buf), &q);
	dns_reply_address(&r, &a, 600);
	n = dns_reply_end(&r, DNS_NOERROR);
	assert_int_equal(n, sizeof(want) - 1);
	assert_memory_equal(buf, want, n);
	assert_true(dns_is_answer(buf, n, &q, 0x1234, &rcode));
	assert_int_equal(rcode, DNS_NOERROR);
	assert_false(dns_is_answer(buf, n, &q, 0x1235, &rcode));
	buf[14] ^= 1; /* to another question */
	assert_false(dns_is_answer(buf, n, &q, 0x1234, &rcode));
}

static void a_reply_that_does_not_fit_says_so(void **state)
{
	struct netaddr a = netaddr_v4(1);
	uint8_t buf[DNS_UDP_MIN];
	struct dns_reply r;
	struct dns_query q;

	(void)state;
	assert_int_equal(dns_query_parse(query, QUERY_LEN, &q), 0);
	dns_reply_begin(&r, buf, sizeof(buf), &q);
	for (int i = 0; i < 100; i++)
		dns_reply_address(&r, &a, 600);
	assert_true(dns_reply_end(&r, DNS_NOERROR) <= sizeof(buf));
	assert_true(buf[2] & 0x02); /* TC */
	assert_int_equal(buf[7], (DNS_UDP_MIN - QUERY_LEN) / 16);
}

static void reverse_names(void **state)
{
	static const char six[] = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f"
				  ".ip6.arpa";
	struct netaddr a, b;

	(void)state;
	assert_int_equal(dns_reverse_parse("3.2.1.10.in-addr.arpa", &a), 0);
	b = netaddr_v4(0x0a010203);
	assert_true(netaddr_equal(&a, &b));
	assert_int_equal(dns_reverse_parse(six, &a), 0);
	assert_int_equal(netaddr_parse("fd00::1", &b), 0);
	assert_true(netaddr_equal(&a, &b));
	assert_int_equal(dns_reverse_parse("2.1.10.in-addr.arpa", &a), -EINVAL);
	assert_int_equal(dns_reverse_parse("256.2.1.10.in-addr.arpa", &a), -EINVAL);
	assert_int_equal(dns_reverse_parse("x.3.2.1.10.in-addr.arpa", &a), -EINVAL);
	assert_int_equal(dns_reverse_parse("1.ip6.arpa", &a), -EINVAL);
	assert_int_equal(dns_reverse_parse("in-addr.arpa", &a), -EINVAL);
	assert_int_equal(dns_reverse_parse("web", &a), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_is_read),
		cmocka_unit_test(a_query_that_is_cut_off_is_refused),
		cmocka_unit_test(an_opt_record_tells_how_much_is_taken),
		cmocka_unit_test(what_is_no_query_is_not_answered),
		cmocka_unit_test(a_name_that_text_would_not_show_is_nobodys),
		cmocka_unit_test(a_reply_has_the_question_and_the_addresses),
		cmocka_unit_test(a_reply_that_does_not_fit_says_so),
		cmocka_unit_test(reverse_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
