/* shim/dns.h - DNS messages (RFC 1035), as far as a resolver needs them that answers for some names
 * and passes the rest on.  Messages come from containers and from the network: every length is
 * checked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "linux/netaddr.h"

#define DNS_NAME_MAX    256   /* bytes of a name as text, with NUL */
#define DNS_MESSAGE_MAX 65535 /* over TCP */
#define DNS_UDP_MIN     512   /* what every asker takes over UDP */
#define DNS_UDP_MAX     4096  /* what we send over UDP at most */

enum dns_type { DNS_A = 1, DNS_PTR = 12, DNS_AAAA = 28, DNS_OPT = 41, DNS_ANY = 255 };
enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
};

struct dns_query {
	uint16_t id, type, class_;
	bool recursion;          /* was asked for */
	bool edns;               /* has an OPT record (RFC 6891) */
	size_t udp_size;         /* bytes that the asker takes, DNS_UDP_MIN to DNS_UDP_MAX */
	const uint8_t *question; /* borrowed from the message */
	size_t question_len;
	/* Lower case, without the last dot; "" is the root, and what no host name can be: a name with
	 * bytes in it that text would not show is one that nobody has here. */
	char name[DNS_NAME_MAX];
};
/* 0; or -EBADMSG for what deserves no answer (no header, or an answer itself); or the positive rcode of
 * the answer that it deserves, with as much of *ret filled as dns_reply_begin needs. */
int dns_query_parse(const void *msg, size_t len, struct dns_query *ret);

/* "4.3.2.1.in-addr.arpa" and the like of ip6.arpa. */
int dns_reverse_parse(const char *name, struct netaddr *ret); /* -EINVAL */

struct dns_reply {
	uint8_t *buf; /* borrowed */
	size_t size, len;
	unsigned answers;
	bool truncated;
	const struct dns_query *query; /* borrowed */
};
/* size: at least DNS_UDP_MIN bytes.  Records that do not fit set the TC bit. */
void dns_reply_begin(struct dns_reply *r, uint8_t *buf, size_t size, const struct dns_query *q);
void dns_reply_address(struct dns_reply *r, const struct netaddr *a, uint32_t ttl_s);
void dns_reply_name(struct dns_reply *r, const char *name, uint32_t ttl_s); /* a PTR record */
size_t dns_reply_end(struct dns_reply *r, enum dns_rcode rcode);            /* length */

/* Is this an answer to the question of `q`, under the id that it was passed on with?  *ret_rcode. */
bool dns_is_answer(const void *msg, size_t len, const struct dns_query *q, uint16_t id,
		   unsigned *ret_rcode);
void dns_set_id(void *msg, uint16_t id); /* of a message with a header */
