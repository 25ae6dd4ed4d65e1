/* A message that is taken for a query gives replies that are an answer to it and within their size;
 * nothing that is one is taken for a query; and names files of any content are searched safely. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shim/dns.h"
#include "shim/names.h"

#include "fuzz.h"

static void check_reply(const struct dns_query *q, size_t size)
{
	uint8_t *buf = xcalloc(size, 1);
	struct netaddr a = netaddr_v4(0x0a000001);
	struct dns_query again;
	struct dns_reply r;
	unsigned rcode;
	size_t n;

	dns_reply_begin(&r, buf, size, q);
	for (int i = 0; i < 40; i++)
		dns_reply_address(&r, &a, 600);
	dns_reply_name(&r, q->name, 600);
	n = dns_reply_end(&r, DNS_NOERROR);
	if (n > size || !dns_is_answer(buf, n, q, q->id, &rcode) || rcode != DNS_NOERROR ||
	    dns_query_parse(buf, n, &again) >= 0)
		abort();
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct names_found found = {0};
	struct dns_query q;
	struct netaddr a;
	char name[DNS_NAME_MAX];
	int r = dns_query_parse(data, size, &q);

	if (r >= 0) {
		check_reply(&q, DNS_UDP_MIN);
		check_reply(&q, q.udp_size);
	}
	if (r == 0) {
		if (strlen(q.name) > 253 || q.udp_size < DNS_UDP_MIN || q.udp_size > DNS_UDP_MAX)
			abort();
		(void)dns_reverse_parse(q.name, &a);
		names_find((struct names_text){(const char *)data, size}, q.name, AF_UNSPEC,
			   &found);
	}
	names_find((struct names_text){(const char *)data, size}, "web", AF_UNSPEC, &found);
	for (size_t i = 0; i < found.n; i++)
		(void)names_reverse((struct names_text){(const char *)data, size}, &found.v[i],
				    name);
	return 0;
}
