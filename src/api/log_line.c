/* One line of a json-file log, decoded without a document. */
#include "api/log_line.h"

#include <string.h>

#include "api/log_reader.h"
#include "base/clock.h"
#include "base/str.h"

struct cursor {
	const char *p, *end;
};

/* The closing quote of a string whose first character is at p; NULL without one. */
static const char *string_end(const char *p, const char *end)
{
	for (const char *q = p; (q = memchr(q, '"', (size_t)(end - q))); q++) {
		const char *b = q;

		while (b > p && b[-1] == '\\')
			b--;
		if ((q - b) % 2 == 0)
			return q;
	}
	return NULL;
}

static bool take(struct cursor *c, char ch)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
		c->p++;
	if (c->p == c->end || *c->p != ch)
		return false;
	c->p++;
	return true;
}

static bool take_string(struct cursor *c, const char **ret, size_t *ret_len)
{
	const char *q;

	if (!take(c, '"'))
		return false;
	q = string_end(c->p, c->end);
	if (!q)
		return false;
	*ret = c->p;
	*ret_len = (size_t)(q - c->p);
	c->p = q + 1;
	return true;
}

/* Any other value: an object with whatever is in it, or a word. */
static bool take_value(struct cursor *c, const char **ret, size_t *ret_len)
{
	const char *s;
	size_t len, depth = 0;

	while (c->p < c->end && *c->p == ' ')
		c->p++;
	*ret = c->p;
	for (; c->p < c->end; c->p++) {
		if (*c->p == '"') {
			if (!take_string(c, &s, &len))
				return false;
			c->p--;
		} else if (*c->p == '{' || *c->p == '[') {
			depth++;
		} else if (depth > 0 && (*c->p == '}' || *c->p == ']')) {
			depth--;
		} else if (depth == 0 && (*c->p == ',' || *c->p == '}')) {
			break;
		}
	}
	*ret_len = (size_t)(c->p - *ret);
	return depth == 0;
}

static int hex4(const char *p, const char *end, unsigned *ret)
{
	unsigned v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char ch = p[i];
		int d = ch >= '0' && ch <= '9'   ? ch - '0'
			: ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
			: ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
						 : -1;

		if (d < 0)
			return -1;
		v = v * 16 + (unsigned)d;
	}
	*ret = v;
	return 0;
}

static void add_utf8(struct strbuf *b, unsigned cp)
{
	char s[4];
	size_t n = 0;

	if (cp < 0x80) {
		s[n++] = (char)cp;
	} else if (cp < 0x800) {
		s[n++] = (char)(0xc0 | cp >> 6);
		s[n++] = (char)(0x80 | (cp & 0x3f));
	} else if (cp < 0x10000) {
		s[n++] = (char)(0xe0 | cp >> 12);
		s[n++] = (char)(0x80 | (cp >> 6 & 0x3f));
		s[n++] = (char)(0x80 | (cp & 0x3f));
	} else {
		s[n++] = (char)(0xf0 | cp >> 18);
		s[n++] = (char)(0x80 | (cp >> 12 & 0x3f));
		s[n++] = (char)(0x80 | (cp >> 6 & 0x3f));
		s[n++] = (char)(0x80 | (cp & 0x3f));
	}
	strbuf_add(b, s, n);
}

/* \uXXXX at p (behind the u); surrogates come in pairs, or are U+FFFD.  Returns what follows. */
static const char *add_unicode(struct strbuf *b, const char *p, const char *end)
{
	unsigned cp, low;

	if (hex4(p, end, &cp) < 0)
		return NULL;
	p += 4;
	if (cp >= 0xd800 && cp < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
	    hex4(p + 2, end, &low) == 0 && low >= 0xdc00 && low < 0xe000) {
		cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
		p += 6;
	} else if (cp >= 0xd800 && cp < 0xe000) {
		cp = 0xfffd;
	}
	add_utf8(b, cp);
	return p;
}

static bool unescape(struct strbuf *b, const char *p, size_t len)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *end = p + len;

	while (p < end) {
		const char *bs = memchr(p, '\\', (size_t)(end - p)), *f;

		strbuf_add(b, p, (size_t)((bs ? bs : end) - p));
		if (!bs)
			break;
		if (bs + 1 == end)
			return false;
		p = bs + 2;
		if (bs[1] == 'u') {
			p = add_unicode(b, p, end);
			if (!p)
				return false;
		} else {
			f = strchr(from, bs[1]);
			if (!f || *f == '\0')
				return false;
			strbuf_addc(b, to[f - from]);
		}
	}
	return strbuf_error(b) == 0;
}

static bool is_word(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(s, word, len) == 0;
}

/* The raw members of a line. */
struct raw {
	const char *log, *stream, *time, *attrs;
	size_t log_len, stream_len, time_len, attrs_len;
};

static bool parse_any(const char *line, size_t len, struct raw *r)
{
	struct cursor c = {line, line + len};
	const char *key, *value;
	size_t key_len, value_len;

	*r = (struct raw){0};
	if (!take(&c, '{'))
		return false;
	do {
		if (!take_string(&c, &key, &key_len) || !take(&c, ':'))
			return false;
		if (is_word(key, key_len, "log")) {
			if (!take_string(&c, &r->log, &r->log_len))
				return false;
		} else if (is_word(key, key_len, "stream")) {
			if (!take_string(&c, &r->stream, &r->stream_len))
				return false;
		} else if (is_word(key, key_len, "time")) {
			if (!take_string(&c, &r->time, &r->time_len))
				return false;
		} else {
			if (!take_value(&c, &value, &value_len))
				return false;
			if (is_word(key, key_len, "attrs")) {
				r->attrs = value;
				r->attrs_len = value_len;
			}
		}
	} while (take(&c, ','));
	return take(&c, '}') && c.p == c.end && r->log && r->time;
}

/* The line as our shims and dockerd write it, without attributes: most are. */
static bool parse_usual(const char *line, size_t len, struct raw *r)
{
	static const char head[] = "{\"log\":\"", stream[] = ",\"stream\":\"std",
			  time[] = "\",\"time\":\"", tail[] = "\"}";
	enum { HEAD = sizeof(head) - 1, STREAM = sizeof(stream) - 1, TIME = sizeof(time) - 1 };
	const char *p, *end;

	if (len < HEAD || memcmp(line, head, HEAD) != 0)
		return false;
	*r = (struct raw){.log = line + HEAD, .stream_len = 6};
	p = string_end(r->log, line + len);
	end = line + len - (sizeof(tail) - 1);
	if (!p || end - p < 1 + STREAM + 3 + TIME || memcmp(end, tail, sizeof(tail) - 1) != 0)
		return false;
	r->log_len = (size_t)(p++ - r->log);
	if (memcmp(p, stream, STREAM) != 0)
		return false;
	r->stream = p + STREAM - 3;
	p += STREAM + 3;
	if (memcmp(p, time, TIME) != 0)
		return false;
	r->time = p + TIME;
	r->time_len = (size_t)(end - r->time);
	return r->time_len < CLOCK_RFC3339_SIZE && !memchr(r->time, '"', r->time_len) &&
	       !memchr(r->time, '\\', r->time_len);
}

static bool parse_raw(const char *line, size_t len, struct raw *r)
{
	return parse_usual(line, len, r) || parse_any(line, len, r);
}

bool log_entry_parse(const char *line, size_t len, struct strbuf *scratch, struct log_entry *ret)
{
	struct raw r;

	if (!parse_raw(line, len, &r))
		return false;
	ret->stream =
		r.stream && is_word(r.stream, r.stream_len, "stderr") ? LOG_STDERR : LOG_STDOUT;
	ret->text = r.log;
	ret->len = r.log_len;
	if (memchr(r.log, '\\', r.log_len)) {
		strbuf_reset(scratch);
		if (!unescape(scratch, r.log, r.log_len))
			return false;
		ret->text = scratch->s;
		ret->len = scratch->len;
	}
	ret->time = r.time;
	ret->time_len = r.time_len;
	ret->attrs = r.attrs;
	ret->attrs_len = r.attrs_len;
	return true;
}

int64_t log_entry_time_ns(const struct log_entry *e)
{
	char text[CLOCK_RFC3339_SIZE];
	int64_t ns;

	if (!e->time)
		return e->time_ns;
	if (e->time_len >= sizeof(text))
		return 0;
	memcpy(text, e->time, e->time_len);
	text[e->time_len] = '\0';
	return clock_parse_rfc3339(text, &ns) < 0 ? 0 : ns;
}

bool log_line_ends(const char *line, size_t len)
{
	struct raw r;
	size_t slashes = 0;

	if (!parse_raw(line, len, &r) || r.log_len < 2 || r.log[r.log_len - 1] != 'n')
		return false;
	while (slashes < r.log_len - 1 && r.log[r.log_len - 2 - slashes] == '\\')
		slashes++;
	return slashes % 2 == 1;
}
