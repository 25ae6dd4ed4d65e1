/* Percent-encoding and form-encoded queries. */
#include "http/url.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"

int url_decode(struct arena *a, const char *s, size_t len, bool form, char **ret)
{
	char *out = arena_alloc(a, len + 1), *p = out;

	for (size_t i = 0; i < len; i++) {
		int hi, lo;

		if (s[i] != '%') {
			*p++ = form && s[i] == '+' ? ' ' : s[i];
			continue;
		}
		if (len - i < 3)
			return -EINVAL;
		hi = hex_value(s[i + 1]);
		lo = hex_value(s[i + 2]);
		if (hi < 0 || lo < 0 || (hi == 0 && lo == 0))
			return -EINVAL;
		*p++ = (char)(hi << 4 | lo);
		i += 2;
	}
	*p = '\0';
	*ret = out;
	return 0;
}

static int parse_param(struct arena *a, const char *s, size_t len, struct url_param *ret)
{
	const char *eq = memchr(s, '=', len);
	size_t n = eq ? (size_t)(eq - s) : len;
	char *name, *value;
	int r;

	r = url_decode(a, s, n, true, &name);
	if (r < 0)
		return r;
	r = url_decode(a, eq ? eq + 1 : s + len, eq ? len - n - 1 : 0, true, &value);
	if (r < 0)
		return r;
	*ret = (struct url_param){.name = name, .value = value};
	return 0;
}

int url_parse_query(struct arena *a, const char *query, struct url_param **ret, size_t *ret_n)
{
	struct url_param *params;
	size_t max = 1, n = 0;
	int r;

	for (const char *p = query; *p; p++)
		if (*p == '&')
			max++;
	if (max > URL_PARAMS_MAX)
		return -E2BIG;
	params = arena_new0n(a, struct url_param, max);

	while (*query) {
		size_t len = strcspn(query, "&");

		if (len > 0) {
			r = parse_param(a, query, len, &params[n]);
			if (r < 0)
				return r;
			n++;
		}
		query += len;
		if (*query)
			query++;
	}
	*ret = params;
	*ret_n = n;
	return 0;
}

static void encode(struct strbuf *b, const char *s, const char *keep)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    strchr(keep, c))
			strbuf_addc(b, (char)c);
		else
			strbuf_addf(b, "%%%02X", c);
	}
}

void url_encode(struct strbuf *b, const char *s)
{
	encode(b, s, "-._~");
}

void url_encode_path(struct strbuf *b, const char *s)
{
	encode(b, s, "-._~/");
}
