/* One line of the json-file log, written and read back.
 *
 * The escapes are those of Go's encoder, so that files are the same as Docker's byte for byte:
 * \" \\ \n \r, \u00xx for other control characters and < > &, \u2028, \u2029, and \ufffd for each
 * byte that is not UTF-8.
 */
#include "shim/logline.h"

#include <endian.h>
#include <string.h>

#include "base/mem.h"

/* 0: as it is; 1: \u00xx; 2: begins a sequence of several bytes; else the letter behind \. */
static const char classes[256] = {
	[0 ... 9] = 1, ['\n'] = 'n', [11 ... 12] = 1, ['\r'] = 'r',  [14 ... 31] = 1,   ['"'] = '"',
	['&'] = 1,     ['<'] = 1,    ['>'] = 1,       ['\\'] = '\\', [128 ... 255] = 2,
};

size_t logline_whole_chars(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;

	for (size_t back = 1; back <= 3 && back < len; back++) {
		unsigned char c = p[len - back];

		if (c < 0x80)
			break;
		if (c >= 0xc0) {
			size_t want = c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf8 ? 4 : 1;

			return want > back ? len - back : len;
		}
	}
	return len;
}

void logline_tail(struct strbuf *out, enum stream_kind stream, const char *attrs, int64_t now_ns)
{
	char when[CLOCK_RFC3339_SIZE];

	clock_format_rfc3339(now_ns, when);
	strbuf_addf(out, "\",\"stream\":\"%s\"", stream == STREAM_STDERR ? "stderr" : "stdout");
	if (attrs)
		strbuf_addf(out, ",\"attrs\":%s", attrs);
	strbuf_addf(out, ",\"time\":\"%s\"}\n", when);
}

static char *encode_special(char *d, const unsigned char **pp, const unsigned char *end)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *p = *pp;
	size_t n;

	if (classes[*p] > 2) {
		*d++ = '\\';
		*d++ = classes[*p];
		*pp = p + 1;
		return d;
	}
	if (classes[*p] == 1) {
		memcpy(d, "\\u00", 4);
		d[4] = hex[*p >> 4];
		d[5] = hex[*p & 15];
		*pp = p + 1;
		return d + 6;
	}

	n = utf8_sequence((const char *)p, (size_t)(end - p));
	*pp = p + (n ? n : 1);
	if (n == 0) {
		memcpy(d, "\\ufffd", 6);
		return d + 6;
	}
	if (n == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) {
		memcpy(d, "\\u202", 5);
		d[5] = hex[p[2] & 15];
		return d + 6;
	}
	memcpy(d, p, n);
	return d + n;
}

/* What one comparison looks at. */
typedef signed char bytes16 __attribute__((vector_size(16)));

/* How many bytes of class 0 `v` begins with: 0 to 16. */
static size_t plain_bytes(bytes16 v)
{
	bytes16 special = (v < 0x20)         /* as signed: 0x80 and above, too */
			  | ((v | 4) == '&') /* and '"' */
			  | ((v | 2) == '>') /* and '<' */
			  | (v == '\\');
	uint64_t half[2];

	memcpy(half, &special, sizeof(half));
	if (half[0])
		return (size_t)__builtin_ctzll(le64toh(half[0])) / 8;
	if (half[1])
		return 8 + (size_t)__builtin_ctzll(le64toh(half[1])) / 8;
	return 16;
}

/* The bytes of class 0 at *pp.  What is stored behind them is overwritten by what follows. */
static char *encode_plain(char *d, const unsigned char **pp, const unsigned char *end)
{
	const unsigned char *p = *pp;

	while (end - p >= 16) {
		bytes16 v;
		size_t n;

		memcpy(&v, p, 16);
		memcpy(d, &v, 16);
		n = plain_bytes(v);
		p += n;
		d += n;
		if (n < 16) {
			*pp = p;
			return d;
		}
	}
	while (p < end && classes[*p] == 0)
		*d++ = (char)*p++;
	*pp = p;
	return d;
}

static char *encode_head(char *d)
{
	memcpy(d, "{\"log\":\"", 8);
	return d + 8;
}

static char *encode_tail(char *d, bool ends, const char *tail, size_t len)
{
	size_t i = 0;

	if (ends) {
		*d++ = '\\';
		*d++ = 'n';
	}
	for (; len - i >= 16; i += 16) /* a call for so few bytes would take longer */
		memcpy(d + i, tail + i, 16);
	memcpy(d + i, tail + i, len - i);
	return d + len;
}

size_t logline_encode(char *dst, const void *text, size_t len, bool ends, const char *tail,
		      size_t tail_len)
{
	const unsigned char *p = text, *end = p + len;
	char *d = encode_head(dst);

	while (p < end)
		d = classes[*p] == 0 ? encode_plain(d, &p, end) : encode_special(d, &p, end);
	return (size_t)(encode_tail(d, ends, tail, tail_len) - dst);
}

size_t logline_encode_next(char *dst, const char **text, const char *end, const char *tail,
			   size_t tail_len)
{
	const unsigned char *p = (const unsigned char *)*text;
	const unsigned char *stop = (const unsigned char *)end;
	char *d = encode_head(dst);

	for (;;) {
		if (p == stop)
			return 0;
		if (classes[*p] == 0)
			d = encode_plain(d, &p, stop);
		else if (*p == '\n')
			break;
		else
			d = encode_special(d, &p, stop);
	}
	*text = (const char *)p + 1;
	return (size_t)(encode_tail(d, true, tail, tail_len) - dst);
}

static void add_utf8(struct strbuf *out, unsigned c)
{
	char b[4];
	size_t n = 0;

	if (c < 0x80) {
		b[n++] = (char)c;
	} else if (c < 0x800) {
		b[n++] = (char)(0xc0 | c >> 6);
		b[n++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		b[n++] = (char)(0xe0 | c >> 12);
		b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		b[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		b[n++] = (char)(0xf0 | c >> 18);
		b[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		b[n++] = (char)(0x80 | (c & 0x3f));
	}
	strbuf_add(out, b, n);
}

static bool hex4(const char *p, const char *end, unsigned *ret)
{
	unsigned v = 0;

	if (end - p < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = p[i];

		if (c >= '0' && c <= '9')
			v = v * 16 + (unsigned)(c - '0');
		else if ((c | 32) >= 'a' && (c | 32) <= 'f')
			v = v * 16 + (unsigned)((c | 32) - 'a') + 10;
		else
			return false;
	}
	*ret = v;
	return true;
}

/* Behind \u: one unit, or two that make a surrogate pair. */
static const char *decode_unicode(const char *p, const char *end, struct strbuf *text)
{
	unsigned c, low;

	if (!hex4(p, end, &c))
		return NULL;
	p += 4;
	if (c >= 0xd800 && c < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
	    hex4(p + 2, end, &low) && low >= 0xdc00 && low < 0xe000) {
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		p += 6;
	}
	if (c >= 0xd800 && c < 0xe000)
		c = 0xfffd;
	add_utf8(text, c);
	return p;
}

/* The string from behind its opening quote; returns what is behind the closing one. */
static const char *decode_string(const char *p, const char *end, struct strbuf *text)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";

	while (p < end && *p != '"') {
		const char *run = p, *at;

		while (p < end && *p != '"' && *p != '\\')
			p++;
		strbuf_add(text, run, (size_t)(p - run));
		if (p >= end || *p == '"')
			continue;
		if (end - p < 2)
			return NULL;
		at = memchr(from, p[1], sizeof(from) - 1);
		if (at) {
			strbuf_addc(text, to[at - from]);
			p += 2;
		} else if (p[1] == 'u') {
			p = decode_unicode(p + 2, end, text);
			if (!p)
				return NULL;
		} else {
			return NULL;
		}
	}
	return p < end ? p + 1 : NULL;
}

bool logline_decode(const char *line, size_t len, enum stream_kind *ret_stream, struct strbuf *text)
{
	static const char head[] = "{\"log\":\"", out[] = ",\"stream\":\"stdout\"",
			  err[] = ",\"stream\":\"stderr\"";
	const char *p = line, *end = line + len;

	if (len < sizeof(head) || memcmp(line, head, sizeof(head) - 1) != 0 || end[-1] != '}')
		return false;
	p = decode_string(line + sizeof(head) - 1, end, text);
	if (!p || (size_t)(end - p) < sizeof(out))
		return false;
	if (memcmp(p, out, sizeof(out) - 1) == 0)
		*ret_stream = STREAM_STDOUT;
	else if (memcmp(p, err, sizeof(err) - 1) == 0)
		*ret_stream = STREAM_STDERR;
	else
		return false;
	return true;
}
