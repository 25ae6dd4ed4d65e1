/* Bounded strings, strict number parsing, hex, base64, UTF-8. */
#include "base/str.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

char strbuf_empty_[1];

void strbuf_init(struct strbuf *b, size_t max)
{
	*b = (struct strbuf)STRBUF_INIT(max);
}

void strbuf_done(struct strbuf *b)
{
	if (b->cap > 0)
		free(b->s);
	*b = (struct strbuf)STRBUF_INIT(b->max);
}

char *strbuf_reserve(struct strbuf *b, size_t n)
{
	size_t need, cap;

	if (b->err < 0)
		return NULL;
	if (n > b->max || b->len > b->max - n) {
		b->err = -E2BIG;
		return NULL;
	}
	need = b->len + n + 1;
	if (need > b->cap) {
		cap = b->cap ? b->cap : 64;
		while (cap < need)
			cap = cap > SIZE_MAX / 2 ? need : cap * 2;
		if (cap > b->max && need <= b->max)
			cap = b->max + 1;
		b->s = xrealloc(b->cap ? b->s : NULL, cap, 1);
		b->cap = cap;
		b->s[b->len] = '\0';
	}
	return b->s + b->len;
}

void strbuf_advance(struct strbuf *b, size_t n)
{
	assert(n < b->cap - b->len);
	b->len += n;
	b->s[b->len] = '\0';
}

void strbuf_add(struct strbuf *b, const void *data, size_t len)
{
	char *p;

	if (len == 0)
		return;
	p = strbuf_reserve(b, len);
	if (!p)
		return;
	memcpy(p, data, len);
	strbuf_advance(b, len);
}

void strbuf_adds(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

void strbuf_addc(struct strbuf *b, char c)
{
	if (b->err == 0 && b->cap - b->len > 1 && b->len < b->max) {
		b->s[b->len++] = c;
		b->s[b->len] = '\0';
		return;
	}
	strbuf_add(b, &c, 1);
}

void strbuf_vaddf(struct strbuf *b, const char *fmt, va_list ap)
{
	char buf[256], *p;
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(buf, sizeof(buf), fmt, ap);
	if (n < 0)
		abort();
	if ((size_t)n < sizeof(buf)) {
		strbuf_add(b, buf, (size_t)n);
	} else if ((p = strbuf_reserve(b, (size_t)n)) != NULL) {
		(void)vsnprintf(p, (size_t)n + 1, fmt, again);
		strbuf_advance(b, (size_t)n);
	}
	va_end(again);
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(b, fmt, ap);
	va_end(ap);
}

void strbuf_drop(struct strbuf *b, size_t n)
{
	assert(n <= b->len);
	if (n == 0)
		return;
	memmove(b->s, b->s + n, b->len - n + 1);
	b->len -= n;
}

void strbuf_reset(struct strbuf *b)
{
	b->len = 0;
	b->err = 0;
	if (b->cap > 0)
		b->s[0] = '\0';
}

int strbuf_error(const struct strbuf *b)
{
	return b->err;
}

char *strbuf_take(struct strbuf *b)
{
	char *s = b->cap > 0 ? b->s : xstrdup("");

	*b = (struct strbuf)STRBUF_INIT(b->max);
	return s;
}

int str_parse_u64(const char *s, uint64_t *ret)
{
	uint64_t v = 0;

	if (str_empty(s))
		return -EINVAL;
	for (const char *p = s; *p; p++)
		if (*p < '0' || *p > '9')
			return -EINVAL;
	for (; *s; s++)
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return -ERANGE;
	*ret = v;
	return 0;
}

int str_parse_i64(const char *s, int64_t *ret)
{
	bool negative = s && s[0] == '-';
	uint64_t v;
	int r;

	r = str_parse_u64(negative ? s + 1 : s, &v);
	if (r < 0)
		return r;
	if (v > (uint64_t)INT64_MAX + (negative ? 1 : 0))
		return -ERANGE;
	*ret = negative ? (int64_t)(0 - v) : (int64_t)v;
	return 0;
}

int str_parse_u32(const char *s, uint32_t *ret)
{
	uint64_t v;
	int r = str_parse_u64(s, &v);

	if (r < 0)
		return r;
	if (v > UINT32_MAX)
		return -ERANGE;
	*ret = (uint32_t)v;
	return 0;
}

int str_parse_int(const char *s, int *ret)
{
	int64_t v;
	int r = str_parse_i64(s, &v);

	if (r < 0)
		return r;
	if (v < INT_MIN || v > INT_MAX)
		return -ERANGE;
	*ret = (int)v;
	return 0;
}

int str_parse_octal(const char *s, uint32_t *ret)
{
	uint32_t v = 0;

	if (str_empty(s))
		return -EINVAL;
	for (const char *p = s; *p; p++)
		if (*p < '0' || *p > '7')
			return -EINVAL;
	for (; *s; s++) {
		if (v > UINT32_MAX / 8)
			return -ERANGE;
		v = v * 8 + (uint32_t)(*s - '0');
	}
	*ret = v;
	return 0;
}

bool str_eq(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool str_empty(const char *s)
{
	return !s || *s == '\0';
}

bool str_is_one_of(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (str_eq(*list, s))
			return true;
	return false;
}

size_t str_path_depth(const char *path)
{
	size_t n = 0;

	for (; *path; path++)
		n += path[0] == '/' && path[1] != '\0' && path[1] != '/';
	return n;
}

bool str_has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_has_suffix(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool str_copy(char *dst, size_t size, const char *src)
{
	size_t n = strlen(src), fit;

	assert(size > 0);
	fit = n < size ? n : size - 1;
	memcpy(dst, src, fit);
	dst[fit] = '\0';
	return fit == n;
}

const char *str_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.  The second byte's range
 * depends on the first; the others are 80..BF. */
size_t utf8_sequence(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned char c, low = 0x80, high = 0xbf;
	size_t more;

	if (len == 0)
		return 0;
	c = p[0];
	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	if (c == 0xe0)
		low = 0xa0;
	else if (c == 0xed)
		high = 0x9f;
	else if (c == 0xf0)
		low = 0x90;
	else if (c == 0xf4)
		high = 0x8f;
	if (len <= more || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i <= more; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return more + 1;
}

bool utf8_valid(const char *s, size_t len)
{
	while (len > 0) {
		size_t n = (unsigned char)*s < 0x80 ? 1 : utf8_sequence(s, len);

		if (n == 0)
			return false;
		s += n;
		len -= n;
	}
	return true;
}

static const char hex_digits[] = "0123456789abcdef";

void hex_encode(const void *data, size_t len, char *ret)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++) {
		*ret++ = hex_digits[p[i] >> 4];
		*ret++ = hex_digits[p[i] & 15];
	}
	*ret = '\0';
}

int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_decode(const char *s, size_t len, void *ret)
{
	unsigned char *out = ret;

	if (len % 2 != 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (hex_value(s[i]) < 0)
			return -EINVAL;
	for (size_t i = 0; i < len; i += 2)
		*out++ = (unsigned char)(hex_value(s[i]) << 4 | hex_value(s[i + 1]));
	return 0;
}

bool str_is_hex(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
			return false;
	return true;
}

static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	if (c == '/' || c == '_')
		return 63;
	return -1;
}

int base64_decode(const char *s, size_t len, struct strbuf *b)
{
	size_t padding = 0;
	uint32_t bits = 0;
	unsigned n_bits = 0;

	while (len > 0 && padding < 2 && s[len - 1] == '=') {
		len--;
		padding++;
	}
	if (len % 4 == 1 || (padding > 0 && (len + padding) % 4 != 0))
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (base64_value(s[i]) < 0)
			return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		bits = bits << 6 | (uint32_t)base64_value(s[i]);
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			strbuf_addc(b, (char)(bits >> n_bits & 0xff));
		}
	}
	return 0;
}

void base64_encode(const void *data, size_t len, struct strbuf *b)
{
	const unsigned char *p = data;

	for (; len > 0;) {
		size_t n = len < 3 ? len : 3;
		uint32_t bits = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) |
				(n > 2 ? p[2] : 0);

		strbuf_addc(b, base64_digits[bits >> 18]);
		strbuf_addc(b, base64_digits[bits >> 12 & 63]);
		strbuf_addc(b, n > 1 ? base64_digits[bits >> 6 & 63] : '=');
		strbuf_addc(b, n > 2 ? base64_digits[bits & 63] : '=');
		p += n;
		len -= n;
	}
}

void strv_add_take(struct strv *v, char *s_take)
{
	if (v->n + 1 >= v->cap) {
		v->cap = v->cap ? 2 * v->cap : 8;
		v->v = xrealloc(v->v, v->cap, sizeof(*v->v));
	}
	v->v[v->n++] = s_take;
	v->v[v->n] = NULL;
}

void strv_add(struct strv *v, const char *s)
{
	strv_add_take(v, xstrdup(s));
}

void strv_addf(struct strv *v, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	strv_add_take(v, s);
}

bool strv_has(const struct strv *v, const char *s)
{
	for (size_t i = 0; i < v->n; i++)
		if (str_eq(v->v[i], s))
			return true;
	return false;
}

void strv_done(struct strv *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->v[i]);
	free(v->v);
	*v = (struct strv){0};
}
