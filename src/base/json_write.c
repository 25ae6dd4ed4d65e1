/* The JSON writer: punctuation follows from the nesting, kept as two bits a level. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

static inline bool level_bit(const uint64_t *bits, unsigned depth)
{
	return bits[(depth - 1) / 64] >> ((depth - 1) % 64) & 1;
}

static inline void set_level_bit(uint64_t *bits, unsigned depth, bool on)
{
	uint64_t mask = UINT64_C(1) << ((depth - 1) % 64);

	bits[(depth - 1) / 64] =
		on ? bits[(depth - 1) / 64] | mask : bits[(depth - 1) / 64] & ~mask;
}

void json_writer_init(struct json_writer *w, struct strbuf *out)
{
	*w = (struct json_writer){.out = out};
}

static void newline(struct json_writer *w)
{
	if (w->pretty_indent == 0)
		return;
	strbuf_addc(w->out, '\n');
	for (size_t i = 0; i < (size_t)w->depth * w->pretty_indent; i++)
		strbuf_addc(w->out, ' ');
}

/* Before a key, or before an element of an array. */
static void separate(struct json_writer *w)
{
	if (level_bit(w->has_member, w->depth))
		strbuf_addc(w->out, ',');
	set_level_bit(w->has_member, w->depth, true);
	newline(w);
}

static void before_value(struct json_writer *w)
{
	if (w->after_key) {
		w->after_key = false;
		return;
	}
	if (w->depth == 0)
		return;
	assert(!level_bit(w->is_object, w->depth)); /* a member needs its key */
	separate(w);
}

static void nest(struct json_writer *w, bool is_object)
{
	before_value(w);
	assert(w->depth < JSON_WRITER_MAX_DEPTH);
	w->depth++;
	set_level_bit(w->has_member, w->depth, false);
	set_level_bit(w->is_object, w->depth, is_object);
	strbuf_addc(w->out, is_object ? '{' : '[');
}

static void unnest(struct json_writer *w, bool is_object)
{
	bool any;

	assert(w->depth > 0 && !w->after_key && level_bit(w->is_object, w->depth) == is_object);
	any = level_bit(w->has_member, w->depth);
	w->depth--;
	if (any)
		newline(w);
	strbuf_addc(w->out, is_object ? '}' : ']');
}

void jw_object(struct json_writer *w)
{
	nest(w, true);
}

void jw_object_end(struct json_writer *w)
{
	unnest(w, true);
}

void jw_array(struct json_writer *w)
{
	nest(w, false);
}

void jw_array_end(struct json_writer *w)
{
	unnest(w, false);
}

static void add_escape(struct strbuf *out, unsigned char c)
{
	static const char short_names[0x20] = {
		['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',
	};
	static const char hex[] = "0123456789abcdef";
	char buf[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

	if (c == '"' || c == '\\') {
		buf[1] = (char)c;
		strbuf_add(out, buf, 2);
	} else if (short_names[c]) {
		buf[1] = short_names[c];
		strbuf_add(out, buf, 2);
	} else {
		strbuf_add(out, buf, 6);
	}
}

static void add_quoted(struct strbuf *out, const char *s, size_t len)
{
	size_t run = 0, i = 0; /* s[run..i) goes out as it is */

	strbuf_addc(out, '"');
	while (i < len) {
		unsigned char c = (unsigned char)s[i];
		size_t n = 1;

		if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
			i++;
			continue;
		}
		if (c >= 0x80 && (n = utf8_sequence(s + i, len - i)) > 0) {
			i += n;
			continue;
		}
		strbuf_add(out, s + run, i - run);
		if (c >= 0x80)
			strbuf_adds(out, "\xef\xbf\xbd"); /* U+FFFD */
		else
			add_escape(out, c);
		run = ++i;
	}
	strbuf_add(out, s + run, len - run);
	strbuf_addc(out, '"');
}

void jw_key(struct json_writer *w, const char *key)
{
	assert(w->depth > 0 && !w->after_key && level_bit(w->is_object, w->depth));
	separate(w);
	add_quoted(w->out, key, strlen(key));
	strbuf_addc(w->out, ':');
	if (w->pretty_indent > 0)
		strbuf_addc(w->out, ' ');
	w->after_key = true;
}

void jw_stringn(struct json_writer *w, const char *s, size_t len)
{
	before_value(w);
	add_quoted(w->out, s, len);
}

void jw_string(struct json_writer *w, const char *s)
{
	if (s)
		jw_stringn(w, s, strlen(s));
	else
		jw_null(w);
}

void jw_stringf(struct json_writer *w, const char *fmt, ...)
{
	autofree char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	jw_string(w, s);
}

static void add_digits(struct json_writer *w, bool negative, uint64_t v)
{
	char buf[24], *p = buf + sizeof(buf);

	before_value(w);
	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	if (negative)
		*--p = '-';
	strbuf_add(w->out, p, (size_t)(buf + sizeof(buf) - p));
}

void jw_int(struct json_writer *w, int64_t v)
{
	add_digits(w, v < 0, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void jw_uint(struct json_writer *w, uint64_t v)
{
	add_digits(w, false, v);
}

/* The shortest digits that read back as the same number. */
void jw_double(struct json_writer *w, double v)
{
	char buf[40];

	if (!isfinite(v)) { /* JSON has no word for it */
		jw_null(w);
		return;
	}
	for (int precision = 15; precision <= 17; precision++) {
		(void)snprintf(buf, sizeof(buf), "%.*g", precision, v);
		if (strtod(buf, NULL) == v)
			break;
	}
	before_value(w);
	/* "-0" would read back as the integer, which has no sign. */
	strbuf_adds(w->out, v == 0 && signbit(v) ? "-0.0" : buf);
}

void jw_bool(struct json_writer *w, bool v)
{
	before_value(w);
	strbuf_adds(w->out, v ? "true" : "false");
}

void jw_null(struct json_writer *w)
{
	before_value(w);
	strbuf_adds(w->out, "null");
}

void jw_value(struct json_writer *w, const struct json *v)
{
	switch (json_type(v)) {
	case JSON_NULL:
		jw_null(w);
		break;
	case JSON_BOOL:
		jw_bool(w, json_bool(v));
		break;
	case JSON_INT:
		if (json_int_fits(v))
			jw_int(w, json_int(v));
		else
			jw_uint(w, json_uint(v));
		break;
	case JSON_DOUBLE:
		jw_double(w, json_double(v));
		break;
	case JSON_STRING:
		jw_stringn(w, json_string_bytes(v), json_string_len(v));
		break;
	case JSON_ARRAY:
		jw_array(w);
		for (size_t i = 0; i < json_count(v); i++)
			jw_value(w, json_at(v, i));
		jw_array_end(w);
		break;
	case JSON_OBJECT:
		jw_object(w);
		for (size_t i = 0; i < json_count(v); i++)
			jw_kvalue(w, json_key_at(v, i), json_value_at(v, i));
		jw_object_end(w);
		break;
	}
}

void jw_raw(struct json_writer *w, const char *json, size_t len)
{
	before_value(w);
	strbuf_add(w->out, json, len);
}

void jw_kstring(struct json_writer *w, const char *key, const char *s)
{
	jw_key(w, key);
	jw_string(w, s);
}

void jw_kint(struct json_writer *w, const char *key, int64_t v)
{
	jw_key(w, key);
	jw_int(w, v);
}

void jw_kuint(struct json_writer *w, const char *key, uint64_t v)
{
	jw_key(w, key);
	jw_uint(w, v);
}

void jw_kbool(struct json_writer *w, const char *key, bool v)
{
	jw_key(w, key);
	jw_bool(w, v);
}

void jw_knull(struct json_writer *w, const char *key)
{
	jw_key(w, key);
	jw_null(w);
}

void jw_kobject(struct json_writer *w, const char *key)
{
	jw_key(w, key);
	jw_object(w);
}

void jw_karray(struct json_writer *w, const char *key)
{
	jw_key(w, key);
	jw_array(w);
}

void jw_kvalue(struct json_writer *w, const char *key, const struct json *v)
{
	jw_key(w, key);
	jw_value(w, v);
}
