/* Heads, bodies and queries: the same outcome in whatever pieces they arrive, and nothing that the
 * parser let through could be taken for two different things. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "http/framing.h"
#include "http/head.h"
#include "http/url.h"

#include "fuzz.h"

#define MAX_OUTPUT ((size_t)64 << 20)

/* All at once and byte by byte; returns the head's end, *ret_start its first line. */
static ssize_t scan(const char *s, size_t len, size_t *ret_start)
{
	struct http_head_scan whole = {0}, bytes = {0};
	ssize_t n = http_head_scan(&whole, s, len), m = 0;

	for (size_t i = 1; i <= len && m == 0; i++)
		m = http_head_scan(&bytes, s, i);
	if (n != m || (n > 0 && whole.start != bytes.start))
		abort();
	*ret_start = whole.start;
	return n;
}

static void check_head(const struct http_head *h)
{
	if (h->n_headers > HTTP_HEADERS_MAX || (h->chunked && h->content_length >= 0))
		abort();
	for (size_t i = 0; i < h->n_headers; i++)
		if (!http_is_token(h->headers[i].name) ||
		    !http_is_field_value(h->headers[i].value) ||
		    !http_head_get(h, h->headers[i].name))
			abort();
	if (strpbrk(h->path, " \r\n") || strpbrk(h->query, " \r\n"))
		abort();
}

/* Returns how far the body goes or a negative error; its data is appended to b. */
static ssize_t decode(struct framing f, const char *s, size_t len, size_t piece, struct strbuf *b)
{
	size_t pos = 0, end = 0;

	while (!f.is_done && pos < len) {
		uint64_t data = framing_data(&f);
		ssize_t n;

		if (pos == end)
			end = len - end < piece ? len : end + piece;
		if (data > 0) {
			n = data < end - pos ? (ssize_t)data : (ssize_t)(end - pos);
			strbuf_add(b, s + pos, (size_t)n);
			framing_advance(&f, (size_t)n);
		} else {
			n = framing_skip(&f, s + pos, end - pos);
			if (n < 0)
				return n;
		}
		pos += (size_t)n;
	}
	return (ssize_t)pos;
}

static void check_body(const struct http_head *h, const char *s, size_t len)
{
	autostrbuf struct strbuf whole = STRBUF_INIT(MAX_OUTPUT), bytes = STRBUF_INIT(MAX_OUTPUT);
	struct framing f;
	ssize_t n, m;

	framing_init(&f, FRAMING_CHUNKED, 0);
	if (!h->chunked)
		framing_init(&f, FRAMING_LENGTH,
			     h->content_length > 0 ? (uint64_t)h->content_length : 0);
	n = decode(f, s, len, len, &whole);
	m = decode(f, s, len, 1, &bytes);
	if (n != m || whole.len != bytes.len || memcmp(whole.s, bytes.s, whole.len) != 0)
		abort();
}

static void check_query(struct arena *a, const char *query)
{
	autostrbuf struct strbuf b = STRBUF_INIT(MAX_OUTPUT);
	struct url_param *p = NULL, *q = NULL;
	size_t n = 0, m = 0;

	if (url_parse_query(a, query, &p, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		strbuf_addc(&b, '&');
		url_encode(&b, p[i].name);
		strbuf_addc(&b, '=');
		url_encode(&b, p[i].value);
	}
	if (url_parse_query(a, b.s, &q, &m) < 0 || n != m)
		abort();
	for (size_t i = 0; i < n; i++)
		if (strcmp(p[i].name, q[i].name) != 0 || strcmp(p[i].value, q[i].value) != 0)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena *a = arena_new();
	const char *s = (const char *)data, *why = NULL;
	struct http_head h;
	size_t start = 0;
	ssize_t n = scan(s, size, &start);
	int r;

	if (n <= 0)
		return 0;
	r = http_head_parse_request(a, s + start, (size_t)n - start, &h, &why);
	if (r == 0) {
		char *path;

		check_head(&h);
		check_body(&h, s + n, size - (size_t)n);
		check_query(a, h.query);
		if (url_decode(a, h.path, strlen(h.path), false, &path) == 0 &&
		    strlen(path) > strlen(h.path))
			abort();
	} else if (r < 400 || !why) {
		abort();
	}
	r = http_head_parse_response(a, s + start, (size_t)n - start, &h, &why);
	if (r == 0)
		check_head(&h);
	else if (r != -EBADMSG)
		abort();
	return 0;
}
