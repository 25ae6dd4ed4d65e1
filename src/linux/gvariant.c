/* GVariant's text form; see the header.
 *
 * The type of a value is not always in the text: an empty array has none, and a number is an int32
 * unless something says otherwise.  So a value is read with the type that is expected of it, or with
 * none, and tells the type that it has.
 */
#include "linux/gvariant.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

#define DEPTH_MAX 16
#define TYPE_MAX  255 /* bytes, D-Bus's limit for a signature */

struct parser {
	const char *p;
	struct json_writer *w;
	unsigned depth;
};

static const struct {
	const char *keyword;
	char type;
} keywords[] = {
	{"boolean", 'b'}, {"byte", 'y'},       {"int16", 'n'},     {"uint16", 'q'}, {"int32", 'i'},
	{"uint32", 'u'},  {"int64", 'x'},      {"uint64", 't'},    {"double", 'd'}, {"string", 's'},
	{"handle", 'h'},  {"objectpath", 'o'}, {"signature", 'g'},
};

static void skip_space(struct parser *p)
{
	p->p += strspn(p->p, " \t\n\r");
}

static bool take(struct parser *p, char c)
{
	skip_space(p);
	if (*p->p != c)
		return false;
	p->p++;
	return true;
}

/* One complete type; 0 if there is none. */
static size_t type_length(const char *s, unsigned depth)
{
	char close = *s == '(' ? ')' : '}';
	size_t i = 1;

	if (depth > DEPTH_MAX)
		return 0;
	if (*s == 'a') {
		size_t n = type_length(s + 1, depth + 1);

		return n ? n + 1 : 0;
	}
	if (*s != '(' && *s != '{')
		return *s && strchr("ybnqiuxtdsogv", *s) ? 1 : 0;
	while (s[i] != close) {
		size_t n = s[i] ? type_length(s + i, depth + 1) : 0;

		if (n == 0)
			return 0;
		i += n;
	}
	return i + 1;
}

static int value(struct parser *p, const char *expected, struct strbuf *type);

static int text(struct parser *p, char type_, struct strbuf *type)
{
	autostrbuf struct strbuf s = STRBUF_INIT((size_t)64 << 10);
	char quote = *p->p++;

	while (*p->p != quote) {
		if (*p->p == '\0')
			return -EINVAL;
		if (*p->p == '\\') {
			static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
			const char *escape;

			p->p++;
			if (*p->p == '\0' || *p->p == 'u' || *p->p == 'U')
				return -EINVAL; /* write the character itself */
			escape = strchr(from, *p->p);
			strbuf_addc(&s, escape ? to[escape - from] : *p->p);
		} else {
			strbuf_addc(&s, *p->p);
		}
		p->p++;
	}
	p->p++;
	if (strbuf_error(&s) < 0)
		return -E2BIG;
	jw_string(p->w, s.s);
	strbuf_addc(type, type_);
	return 0;
}

static int integer_in(char type, const char *digits, bool negative, struct json_writer *w)
{
	static const struct {
		char type;
		uint64_t max, min; /* min: how far below zero */
	} ranges[] = {
		{'y', UINT8_MAX, 0},  {'n', INT16_MAX, (uint64_t)INT16_MAX + 1},
		{'q', UINT16_MAX, 0}, {'i', INT32_MAX, (uint64_t)INT32_MAX + 1},
		{'u', UINT32_MAX, 0}, {'x', INT64_MAX, (uint64_t)INT64_MAX + 1},
		{'t', UINT64_MAX, 0},
	};
	char *end = NULL;
	uint64_t v;

	errno = 0;
	v = strtoull(digits, &end, 0); /* 0x and octal too */
	if (errno != 0 || end == digits || *end)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		if (ranges[i].type != type)
			continue;
		if (v > (negative ? ranges[i].min : ranges[i].max))
			return -ERANGE;
		if (negative)
			jw_int(w, v ? -(int64_t)(v - 1) - 1 : 0);
		else
			jw_uint(w, v);
		return 0;
	}
	return -EINVAL;
}

static int number(struct parser *p, char wanted, struct strbuf *type)
{
	size_t len = strspn(p->p, "+-.0123456789abcdefxABCDEFX");
	autofree char *word = xstrndup(p->p, len);
	bool hex = strpbrk(word, "xX");
	bool real = wanted == 'd' || (!wanted && !hex && strpbrk(word, ".eE"));
	const char *digits = word + strspn(word, "+-");
	char *end = NULL;
	int r = 0;

	if (len == 0 || digits - word > 1 || *digits < '0' || *digits > '9')
		return -EINVAL;
	p->p += len;
	if (real) {
		double d = strtod(word, &end);

		if (*end)
			return -EINVAL;
		jw_double(p->w, d);
	} else {
		r = integer_in(wanted ? wanted : 'i', digits, word[0] == '-', p->w);
	}
	strbuf_addc(type, real ? 'd' : wanted ? wanted : 'i');
	return r;
}

/* "[a, b]"; the first element tells the type of all. */
static int array(struct parser *p, const char *expected, struct strbuf *type)
{
	autostrbuf struct strbuf element = STRBUF_INIT(TYPE_MAX);
	size_t n = 0;

	if (expected)
		strbuf_adds(&element, expected + 1);
	p->p++;
	jw_array(p->w);
	while (!take(p, ']')) {
		autostrbuf struct strbuf this = STRBUF_INIT(TYPE_MAX);
		int r;

		if (n++ > 0 && !take(p, ','))
			return -EINVAL;
		r = value(p, element.len ? element.s : NULL, &this);
		if (r < 0)
			return r;
		if (element.len == 0)
			strbuf_adds(&element, this.s);
		else if (strcmp(element.s, this.s) != 0)
			return -EINVAL;
	}
	jw_array_end(p->w);
	strbuf_addf(type, "a%s", element.s);
	return element.len ? 0 : -EINVAL; /* "@as []" says of what it is empty */
}

/* "(a, b)" */
static int tuple(struct parser *p, const char *expected, struct strbuf *type)
{
	const char *next = expected ? expected + 1 : NULL;
	size_t n = 0;

	p->p++;
	jw_array(p->w);
	strbuf_addc(type, '(');
	while (!take(p, ')')) {
		autofree char *one = next ? xstrndup(next, type_length(next, 0)) : NULL;
		int r;

		if (n++ > 0 && !take(p, ','))
			return -EINVAL;
		skip_space(p);
		if (*p->p == ')') /* "(1,)" */
			continue;
		if (one && *one == '\0')
			return -EINVAL;
		r = value(p, one, type);
		if (r < 0)
			return r;
		if (next)
			next += strlen(one);
	}
	jw_array_end(p->w);
	strbuf_addc(type, ')');
	return n > 0 && (!next || *next == ')') ? 0 : -EINVAL;
}

/* "{k: v, ...}" is an array of entries. */
static int dictionary(struct parser *p, const char *expected, struct strbuf *type)
{
	autostrbuf struct strbuf key = STRBUF_INIT(TYPE_MAX), item = STRBUF_INIT(TYPE_MAX);
	size_t n = 0;

	if (expected) { /* a{kv} */
		strbuf_add(&key, expected + 2, 1);
		strbuf_add(&item, expected + 3, type_length(expected + 3, 0));
	}
	p->p++;
	jw_array(p->w);
	while (!take(p, '}')) {
		autostrbuf struct strbuf k = STRBUF_INIT(TYPE_MAX), v = STRBUF_INIT(TYPE_MAX);
		int r;

		if (n++ > 0 && !take(p, ','))
			return -EINVAL;
		jw_array(p->w);
		r = value(p, key.len ? key.s : NULL, &k);
		if (r == 0 && !take(p, ':'))
			r = -EINVAL;
		if (r == 0)
			r = value(p, item.len ? item.s : NULL, &v);
		if (r < 0)
			return r;
		jw_array_end(p->w);
		if ((key.len && strcmp(key.s, k.s) != 0) ||
		    (item.len && strcmp(item.s, v.s) != 0) || k.len != 1)
			return -EINVAL;
		if (n == 1) {
			strbuf_reset(&key);
			strbuf_reset(&item);
			strbuf_adds(&key, k.s);
			strbuf_adds(&item, v.s);
		}
	}
	jw_array_end(p->w);
	strbuf_addf(type, "a{%s%s}", key.s, item.s);
	return key.len ? 0 : -EINVAL;
}

/* "<value>": written when its type is known, which is behind it. */
static int variant(struct parser *p, struct strbuf *type)
{
	autostrbuf struct strbuf inner = STRBUF_INIT(TYPE_MAX), out = STRBUF_INIT((size_t)64 << 10);
	struct json_writer w, *outer = p->w;
	int r;

	p->p++;
	json_writer_init(&w, &out);
	p->w = &w;
	r = value(p, NULL, &inner);
	p->w = outer;
	if (r < 0)
		return r;
	if (strbuf_error(&out) < 0 || !take(p, '>'))
		return -EINVAL;
	jw_array(outer);
	jw_string(outer, inner.s);
	jw_raw(outer, out.s, out.len);
	jw_array_end(outer);
	strbuf_addc(type, 'v');
	return 0;
}

/* "true", and "uint64 " or "@t " in front of a value. */
static int word(struct parser *p, const char *expected, struct strbuf *type)
{
	size_t len = strspn(p->p, "abcdefghijklmnopqrstuvwxyz0123456789");
	bool yes = len == 4 && memcmp(p->p, "true", 4) == 0;

	if (yes || (len == 5 && memcmp(p->p, "false", 5) == 0)) {
		p->p += len;
		jw_bool(p->w, yes);
		strbuf_addc(type, 'b');
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(keywords); i++) {
		const char own[] = {keywords[i].type, '\0'};

		if (strlen(keywords[i].keyword) != len ||
		    memcmp(p->p, keywords[i].keyword, len) != 0)
			continue;
		p->p += len;
		return expected && strcmp(expected, own) != 0 ? -EINVAL : value(p, own, type);
	}
	return -EINVAL;
}

static int annotated(struct parser *p, const char *expected, struct strbuf *type)
{
	autofree char *own = NULL;
	size_t len = type_length(++p->p, 0);

	if (len == 0 || len > TYPE_MAX)
		return -EINVAL;
	own = xstrndup(p->p, len);
	p->p += len;
	return expected && strcmp(expected, own) != 0 ? -EINVAL : value(p, own, type);
}

static int value_inside(struct parser *p, const char *expected, struct strbuf *type)
{
	char wanted = expected && expected[1] == '\0' ? expected[0] : '\0';

	skip_space(p);
	switch (*p->p) {
	case '\'':
	case '"':
		return expected && (!wanted || !strchr("sog", wanted))
			       ? -EINVAL
			       : text(p, wanted ? wanted : 's', type);
	case '[':
		return expected && expected[0] != 'a' ? -EINVAL : array(p, expected, type);
	case '(':
		return expected && expected[0] != '(' ? -EINVAL : tuple(p, expected, type);
	case '{':
		return expected && !str_has_prefix(expected, "a{") ? -EINVAL
								   : dictionary(p, expected, type);
	case '<':
		return variant(p, type);
	case '@':
		return annotated(p, expected, type);
	default:
		return (*p->p >= '0' && *p->p <= '9') || strchr("+-", *p->p)
			       ? number(p, wanted, type)
			       : word(p, expected, type);
	}
}

/* The value has the type that was expected of it, if any. */
static int value(struct parser *p, const char *expected, struct strbuf *type)
{
	autostrbuf struct strbuf own = STRBUF_INIT(TYPE_MAX);
	int r;

	if (++p->depth > DEPTH_MAX)
		return -EINVAL;
	skip_space(p);
	if (*p->p == '\0')
		return -EINVAL;
	r = value_inside(p, expected, &own);
	p->depth--;
	if (r == 0 && (strbuf_error(&own) < 0 || (expected && strcmp(expected, own.s) != 0)))
		r = -EINVAL;
	if (r == 0)
		strbuf_adds(type, own.s);
	return r;
}

int gvariant_parse(const char *text_, struct json_writer *w, char **ret_type, struct error *err)
{
	/* A failure leaves half of a value: it is written apart. */
	autostrbuf struct strbuf out = STRBUF_INIT((size_t)256 << 10), type = STRBUF_INIT(TYPE_MAX);
	struct json_writer apart;
	struct parser p = {.p = text_, .w = &apart};
	int r;

	json_writer_init(&apart, &out);
	r = value(&p, NULL, &type);
	if (r == 0) {
		skip_space(&p);
		r = *p.p || strbuf_error(&out) < 0 || strbuf_error(&type) < 0 ? -EINVAL : 0;
	}
	if (r < 0)
		return error_set(err, ERROR_INVALID, 0, "'%s' is no value in GVariant's text form",
				 text_);
	jw_raw(w, out.s, out.len);
	*ret_type = strbuf_take(&type);
	return 0;
}
