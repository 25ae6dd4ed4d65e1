/* DNS messages: one question in, a few records out. */
#include "shim/dns.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define HEADER_SIZE 12
#define LABEL_MAX   63
#define POINTER     0xc0 /* the two high bits of a label's length (RFC 1035 section 4.1.4) */

#define FLAG_RESPONSE    0x8000u
#define FLAG_TRUNCATED   0x0200u
#define FLAG_RECURSION   0x0100u
#define FLAG_AVAILABLE   0x0080u
#define FLAGS_OPCODE     0x7800u
#define FLAGS_RCODE      0x000fu
#define QUESTION_POINTER 0xc00cu /* the name of the first question */

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* --- reading ------------------------------------------------------------------------------- */

/* A name without compression, as questions have it.  Returns the bytes it takes, or -EBADMSG. */
static ssize_t read_name(const uint8_t *p, size_t len, char ret[static DNS_NAME_MAX])
{
	size_t at = 0, n = 0;
	bool odd = false;

	for (;;) {
		size_t label;

		if (at >= len || p[at] > LABEL_MAX)
			return -EBADMSG;
		label = p[at++];
		if (label == 0)
			break;
		/* 255 bytes on the wire at most, so the text has room. */
		if (len - at < label || at + label > 254)
			return -EBADMSG;
		if (n > 0)
			ret[n++] = '.';
		for (size_t i = 0; i < label; i++) {
			uint8_t c = p[at + i];

			odd |= c <= ' ' || c == '.' || c == '\\' || c >= 0x7f;
			ret[n++] = (char)tolower(c);
		}
		at += label;
	}
	ret[odd ? 0 : n] = '\0';
	return (ssize_t)at;
}

/* Any name, only its length counts. */
static ssize_t skip_name(const uint8_t *p, size_t len)
{
	size_t at = 0;

	while (at < len) {
		if ((p[at] & POINTER) == POINTER)
			return len - at >= 2 ? (ssize_t)(at + 2) : -EBADMSG;
		if (p[at] > LABEL_MAX)
			return -EBADMSG;
		if (p[at] == 0)
			return (ssize_t)(at + 1);
		at += 1 + (size_t)p[at];
	}
	return -EBADMSG;
}

/* Look for the OPT record behind the question. */
static int read_records(const uint8_t *p, size_t len, size_t count, struct dns_query *q)
{
	for (size_t i = 0; i < count; i++) {
		ssize_t n = skip_name(p, len);
		size_t data;

		if (n < 0 || len - (size_t)n < 10)
			return -EBADMSG;
		p += n;
		len -= (size_t)n;
		data = get16(p + 8);
		if (len - 10 < data)
			return -EBADMSG;
		if (get16(p) == DNS_OPT) {
			q->edns = true;
			q->udp_size = get16(p + 2); /* where other records have their class */
		}
		p += 10 + data;
		len -= 10 + data;
	}
	if (q->udp_size < DNS_UDP_MIN)
		q->udp_size = DNS_UDP_MIN;
	if (q->udp_size > DNS_UDP_MAX)
		q->udp_size = DNS_UDP_MAX;
	return 0;
}

int dns_query_parse(const void *msg, size_t len, struct dns_query *ret)
{
	const uint8_t *p = msg;
	struct dns_query q = {.udp_size = DNS_UDP_MIN};
	unsigned flags;
	ssize_t n;

	if (len < HEADER_SIZE || (get16(p + 2) & FLAG_RESPONSE))
		return -EBADMSG;
	flags = get16(p + 2);
	q.id = get16(p);
	q.recursion = flags & FLAG_RECURSION;
	*ret = q;
	if (flags & FLAGS_OPCODE)
		return DNS_NOTIMP;
	if (get16(p + 4) != 1)
		return DNS_FORMERR;
	n = read_name(p + HEADER_SIZE, len - HEADER_SIZE, q.name);
	if (n < 0 || len - HEADER_SIZE - (size_t)n < 4)
		return DNS_FORMERR;
	q.question = p + HEADER_SIZE;
	q.question_len = (size_t)n + 4;
	q.type = get16(q.question + n);
	q.class_ = get16(q.question + n + 2);
	if (read_records(q.question + q.question_len, len - HEADER_SIZE - q.question_len,
			 (size_t)get16(p + 6) + get16(p + 8) + get16(p + 10), &q) < 0)
		return DNS_FORMERR;
	*ret = q;
	return 0;
}

static int reverse4(const char *name, size_t len, struct netaddr *ret)
{
	struct netaddr a = {.family = AF_INET};
	size_t at = 0;

	for (int i = 3; i >= 0; i--) {
		unsigned v = 0;
		size_t digits = 0;

		for (; at < len && isdigit((unsigned char)name[at]) && digits < 3; digits++)
			v = v * 10 + (unsigned)(name[at++] - '0');
		if (digits == 0 || v > 255 || at >= len || name[at++] != '.')
			return -EINVAL;
		a.b[i] = (uint8_t)v;
	}
	if (at != len)
		return -EINVAL;
	*ret = a;
	return 0;
}

static int reverse6(const char *name, size_t len, struct netaddr *ret)
{
	static const char digits[] = "0123456789abcdef";
	struct netaddr a = {.family = AF_INET6};

	if (len != 64)
		return -EINVAL;
	for (size_t i = 0; i < 32; i++) {
		const char *d = memchr(digits, name[2 * i], 16);

		if (!d || name[2 * i + 1] != '.')
			return -EINVAL;
		a.b[15 - i / 2] |= (uint8_t)((d - digits) << (i % 2 ? 4 : 0));
	}
	*ret = a;
	return 0;
}

int dns_reverse_parse(const char *name, struct netaddr *ret)
{
	static const char suffix4[] = "in-addr.arpa", suffix6[] = "ip6.arpa";

	if (str_has_suffix(name, suffix4))
		return reverse4(name, strlen(name) - strlen(suffix4), ret);
	if (str_has_suffix(name, suffix6))
		return reverse6(name, strlen(name) - strlen(suffix6), ret);
	return -EINVAL;
}

bool dns_is_answer(const void *msg, size_t len, const struct dns_query *q, uint16_t id,
		   unsigned *ret_rcode)
{
	const uint8_t *p = msg;

	if (len < HEADER_SIZE || get16(p) != id || !(get16(p + 2) & FLAG_RESPONSE))
		return false;
	/* An error may come without the question. */
	if (get16(p + 4) == 1 && (len - HEADER_SIZE < q->question_len ||
				  memcmp(p + HEADER_SIZE, q->question, q->question_len) != 0))
		return false;
	*ret_rcode = get16(p + 2) & FLAGS_RCODE;
	return true;
}

void dns_set_id(void *msg, uint16_t id)
{
	put16(msg, id);
}

/* --- writing ------------------------------------------------------------------------------- */

#define OPT_SIZE 11 /* bytes of an OPT record without options */

void dns_reply_begin(struct dns_reply *r, uint8_t *buf, size_t size, const struct dns_query *q)
{
	*r = (struct dns_reply){.buf = buf, .size = size, .len = HEADER_SIZE, .query = q};
	memset(buf, 0, HEADER_SIZE);
	if (q->question_len == 0)
		return;
	memcpy(buf + r->len, q->question, q->question_len);
	r->len += q->question_len;
	if (q->edns)
		r->size -= OPT_SIZE; /* kept for the end */
}

/* A record's head; its data follows. */
static uint8_t *add_record(struct dns_reply *r, uint16_t type, uint32_t ttl_s, size_t data)
{
	uint8_t *p = r->buf + r->len;

	if (r->size - r->len < 12 + data) {
		r->truncated = true;
		return NULL;
	}
	put16(p, QUESTION_POINTER);
	put16(p + 2, type);
	put16(p + 4, 1 /* IN */);
	put16(p + 6, ttl_s >> 16);
	put16(p + 8, ttl_s & 0xffff);
	put16(p + 10, (unsigned)data);
	r->len += 12 + data;
	r->answers++;
	return p + 12;
}

void dns_reply_address(struct dns_reply *r, const struct netaddr *a, uint32_t ttl_s)
{
	uint16_t type = a->family == AF_INET ? DNS_A : DNS_AAAA;
	uint8_t *data = add_record(r, type, ttl_s, netaddr_len(a));

	if (data)
		memcpy(data, a->b, netaddr_len(a));
}

void dns_reply_name(struct dns_reply *r, const char *name, uint32_t ttl_s)
{
	uint8_t wire[DNS_NAME_MAX + 1];
	size_t n = 0;
	uint8_t *data;

	while (*name) {
		size_t label = strcspn(name, ".");

		if (label == 0 || label > LABEL_MAX || n + label + 2 > 255)
			return; /* no name for DNS */
		wire[n++] = (uint8_t)label;
		memcpy(wire + n, name, label);
		n += label;
		name += label + (name[label] == '.');
	}
	wire[n++] = 0;
	data = add_record(r, DNS_PTR, ttl_s, n);
	if (data)
		memcpy(data, wire, n);
}

size_t dns_reply_end(struct dns_reply *r, enum dns_rcode rcode)
{
	const struct dns_query *q = r->query;
	unsigned flags = FLAG_RESPONSE | FLAG_AVAILABLE | (unsigned)rcode;

	if (q->recursion)
		flags |= FLAG_RECURSION;
	if (r->truncated)
		flags |= FLAG_TRUNCATED;
	put16(r->buf, q->id);
	put16(r->buf + 2, flags);
	put16(r->buf + 4, q->question_len > 0 ? 1 : 0);
	put16(r->buf + 6, r->answers);
	if (q->edns && q->question_len > 0) {
		uint8_t *p = r->buf + r->len;

		memset(p, 0, OPT_SIZE);
		put16(p + 1, DNS_OPT);
		put16(p + 3, DNS_UDP_MAX);
		put16(r->buf + 10, 1);
		r->len += OPT_SIZE;
	}
	return r->len;
}
