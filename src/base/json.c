/* The JSON parser and the read-only document it makes.
 *
 * One pass over the text.  Decoded strings are never longer than their source, so one buffer of the
 * text's size holds them all and each is a move of a cursor.  Members and elements of what is still
 * open are kept on a scratch stack; when an array or object closes, its part of the stack moves
 * into the arena as one flat block.  Lookup is linear: objects here are small, and comparing the
 * length first settles almost every member.
 */
#include "base/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct json {
	uint8_t type; /* enum json_type */
	bool big;     /* JSON_INT above INT64_MAX: in u */
	bool has_nul; /* JSON_STRING */
	uint32_t len; /* bytes, elements or members */
	union {
		bool b;
		int64_t i;
		uint64_t u;
		double d;
		const char *s;
		const struct json *elements;
		const struct json_member *members;
	};
};

struct json_member {
	const char *key;
	uint32_t key_len;
	uint32_t key_offset; /* in the text, for error messages */
	struct json value;
};

#define SCRATCH_MIN       64u
#define SCRATCH_FIRST_MAX 512u
#define PAIRWISE_MAX      32u  /* members compared each with each to find duplicates */
#define NUMBER_STACK_SIZE 128u /* longer numbers are copied to the heap for strtod */

struct parser {
	struct arena *arena;
	const char *text, *p, *end;
	char *strings; /* cursor in the buffer for decoded strings */
	unsigned depth;
	struct json_member *scratch;
	size_t scratch_n, scratch_cap;
	struct error *err;
};

static int fail_at(struct parser *ps, const char *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), cold));
static int fail_at(struct parser *ps, const char *at, const char *fmt, ...)
{
	autofree char *what = NULL;
	size_t line = 1;
	const char *line_start = ps->text;
	va_list ap;

	for (const char *c = ps->text; c < at; c++) {
		if (*c == '\n') {
			line++;
			line_start = c + 1;
		}
	}
	va_start(ap, fmt);
	what = xvasprintf(fmt, ap);
	va_end(ap);
	(void)error_set(ps->err, ERROR_INVALID, 0, "line %zu column %zu: %s", line,
			(size_t)(at - line_start) + 1, what);
	return -EINVAL;
}

static int fail_here(struct parser *ps, const char *expected)
{
	unsigned char c;

	if (ps->p >= ps->end)
		return fail_at(ps, ps->p, "expected %s, found the end of the text", expected);
	c = (unsigned char)*ps->p;
	if (c > 0x20 && c < 0x7f)
		return fail_at(ps, ps->p, "expected %s, found '%c'", expected, c);
	return fail_at(ps, ps->p, "expected %s, found byte 0x%02x", expected, c);
}

static inline void skip_space(struct parser *ps)
{
	const char *p = ps->p;

	while (p < ps->end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
		p++;
	ps->p = p;
}

/* An entry for each 16 bytes of text is more than most texts need, and saves most others the growing. */
static size_t first_scratch(const struct parser *ps)
{
	size_t n = (size_t)(ps->end - ps->text) / 16;

	return n < SCRATCH_MIN ? SCRATCH_MIN : n > SCRATCH_FIRST_MAX ? SCRATCH_FIRST_MAX : n;
}

static struct json_member *scratch_push(struct parser *ps)
{
	if (ps->scratch_n == ps->scratch_cap) {
		ps->scratch_cap = ps->scratch_cap ? 2 * ps->scratch_cap : first_scratch(ps);
		ps->scratch = xrealloc(ps->scratch, ps->scratch_cap, sizeof(*ps->scratch));
	}
	return &ps->scratch[ps->scratch_n++];
}

#define ONES  UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* Does one of 8 bytes end a plain run: a control character, a quote, a backslash, or not ASCII?
 * Subtracting borrows into a byte's high bit when it is below the subtrahend. */
static inline bool has_special(uint64_t w)
{
	uint64_t quote = w ^ ONES * '"', backslash = w ^ ONES * '\\';

	return ((w | (w - ONES * 0x20) | (quote - ONES) | (backslash - ONES)) & HIGHS) != 0;
}

static inline const char *skip_plain(const char *p, const char *end)
{
	uint64_t w;

	while (end - p >= 8) {
		memcpy(&w, p, 8);
		if (has_special(w))
			break;
		p += 8;
	}
	while (p < end && (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x80 && *p != '"' &&
	       *p != '\\')
		p++;
	return p;
}

static bool parse_hex4(const char *p, const char *end, uint32_t *ret)
{
	uint32_t v = 0;

	if (end - p < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	*ret = v;
	return true;
}

static char *put_utf8(char *out, uint32_t c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	}
	return out;
}

/* "\uXXXX", at the backslash; two of them if the first is a high surrogate. */
static int parse_unicode_escape(struct parser *ps, char **out)
{
	const char *start = ps->p;
	uint32_t c, low;

	if (!parse_hex4(start + 2, ps->end, &c))
		return fail_at(ps, start, "expected four hexadecimal digits after \\u");
	ps->p = start + 6;
	if (c >= 0xdc00 && c <= 0xdfff)
		return fail_at(ps, start, "low surrogate without a high one");
	if (c >= 0xd800 && c <= 0xdbff) {
		if (ps->end - ps->p < 6 || ps->p[0] != '\\' || ps->p[1] != 'u' ||
		    !parse_hex4(ps->p + 2, ps->end, &low) || low < 0xdc00 || low > 0xdfff)
			return fail_at(ps, start, "high surrogate without a low one");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		ps->p += 6;
	}
	*out = put_utf8(*out, c);
	return 0;
}

static int parse_escape(struct parser *ps, char **out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (ps->end - ps->p < 2)
		return fail_at(ps, ps->end, "the text ends within a string");
	if (ps->p[1] == 'u')
		return parse_unicode_escape(ps, out);
	at = ps->p[1] ? strchr(from, ps->p[1]) : NULL;
	if (!at)
		return fail_at(ps, ps->p, "unknown escape in a string");
	*(*out)++ = to[at - from];
	ps->p += 2;
	return 0;
}

/* A string, at its opening quote. */
static int parse_string(struct parser *ps, const char **ret, uint32_t *ret_len)
{
	const char *start = ps->p;
	char *s = ps->strings, *out = s;
	bool ascii = true;

	for (ps->p++;;) {
		const char *run = ps->p;

		ps->p = skip_plain(run, ps->end);
		memcpy(out, run, (size_t)(ps->p - run));
		out += ps->p - run;
		if (ps->p >= ps->end)
			return fail_at(ps, ps->end, "the text ends within a string");
		if (*ps->p == '"')
			break;
		if (*ps->p == '\\') {
			int r = parse_escape(ps, &out);

			if (r < 0)
				return r;
		} else if ((unsigned char)*ps->p >= 0x80) {
			ascii = false;
			*out++ = *ps->p++;
		} else {
			return fail_at(ps, ps->p, "control character 0x%02x in a string",
				       (unsigned char)*ps->p);
		}
	}
	ps->p++;
	/* Escapes made whole sequences, so what is invalid here was so in the text. */
	if (!ascii && !utf8_valid(s, (size_t)(out - s)))
		return fail_at(ps, start, "a string is not valid UTF-8");
	*out = '\0';
	ps->strings = out + 1;
	*ret = s;
	*ret_len = (uint32_t)(out - s);
	return 0;
}

static const char *skip_digits(const char *p, const char *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* strtod wants a NUL, and the program keeps the C locale. */
static int convert_double(struct parser *ps, const char *start, struct json *ret)
{
	size_t len = (size_t)(ps->p - start);
	char buf[NUMBER_STACK_SIZE];
	autofree char *heap = NULL;
	char *text = buf;

	if (len >= sizeof(buf))
		text = heap = xstrndup(start, len);
	else
		memcpy(buf, start, len);
	text[len] = '\0';
	ret->type = JSON_DOUBLE;
	ret->d = strtod(text, NULL);
	return isfinite(ret->d) ? 0 : fail_at(ps, start, "number out of range");
}

/* RFC 8259 section 6. */
static int parse_number(struct parser *ps, struct json *ret)
{
	const char *start = ps->p, *digits, *end = ps->end;
	bool negative = *start == '-', integer = true, fits = true;
	uint64_t v = 0;

	digits = ps->p = start + (negative ? 1 : 0);
	for (; ps->p < end && *ps->p >= '0' && *ps->p <= '9'; ps->p++)
		if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*ps->p - '0'), &v))
			fits = false;
	if (ps->p == digits)
		return fail_here(ps, "a digit");
	if (*digits == '0' && ps->p - digits > 1)
		return fail_at(ps, start, "number with a leading zero");
	if (ps->p < end && *ps->p == '.') {
		const char *fraction = ++ps->p;

		integer = false;
		ps->p = skip_digits(fraction, end);
		if (ps->p == fraction)
			return fail_here(ps, "a digit");
	}
	if (ps->p < end && (*ps->p | 0x20) == 'e') {
		const char *exponent;

		integer = false;
		ps->p++;
		if (ps->p < end && (*ps->p == '+' || *ps->p == '-'))
			ps->p++;
		exponent = ps->p;
		ps->p = skip_digits(exponent, end);
		if (ps->p == exponent)
			return fail_here(ps, "a digit");
	}
	if (!integer || !fits || (negative && v > (uint64_t)INT64_MAX + 1))
		return convert_double(ps, start, ret);
	ret->type = JSON_INT;
	ret->big = !negative && v > INT64_MAX;
	ret->u = negative ? 0 - v : v; /* two's complement: i reads the same bits */
	return 0;
}

static int parse_value(struct parser *ps, struct json *ret);

static int parse_array(struct parser *ps, struct json *ret)
{
	size_t base = ps->scratch_n, n;
	struct json *elements;

	ps->p++;
	skip_space(ps);
	if (ps->p < ps->end && *ps->p == ']') {
		ps->p++;
		ret->type = JSON_ARRAY;
		return 0;
	}
	for (;;) {
		struct json value = {0};
		int r = parse_value(ps, &value);

		if (r < 0)
			return r;
		scratch_push(ps)->value = value;
		skip_space(ps);
		if (ps->p >= ps->end || (*ps->p != ',' && *ps->p != ']'))
			return fail_here(ps, "',' or ']'");
		if (*ps->p++ == ']')
			break;
	}
	n = ps->scratch_n - base;
	elements = arena_new0n(ps->arena, struct json, n);
	for (size_t i = 0; i < n; i++)
		elements[i] = ps->scratch[base + i].value;
	ps->scratch_n = base;
	*ret = (struct json){.type = JSON_ARRAY, .len = (uint32_t)n, .elements = elements};
	return 0;
}

static inline bool same_key(const struct json_member *a, const struct json_member *b)
{
	return a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
}

static int compare_keys(const void *a, const void *b)
{
	const struct json_member *x = *(const struct json_member *const *)a;
	const struct json_member *y = *(const struct json_member *const *)b;
	int r;

	if (x->key_len != y->key_len)
		return x->key_len < y->key_len ? -1 : 1;
	r = memcmp(x->key, y->key, x->key_len);
	return r ? r : x->key_offset < y->key_offset ? -1 : 1;
}

/* The second of two members with one key, or NULL.  Large objects are sorted: what outsiders send
 * must not cost the square of its size. */
static const struct json_member *find_duplicate(const struct json_member *m, size_t n)
{
	autofree const struct json_member **sorted = NULL;

	if (n <= PAIRWISE_MAX) {
		for (size_t i = 1; i < n; i++)
			for (size_t j = 0; j < i; j++)
				if (same_key(&m[i], &m[j]))
					return &m[i];
		return NULL;
	}
	sorted = xnew0n(const struct json_member *, n);
	for (size_t i = 0; i < n; i++)
		sorted[i] = &m[i];
	qsort(sorted, n, sizeof(*sorted), compare_keys);
	for (size_t i = 1; i < n; i++)
		if (same_key(sorted[i - 1], sorted[i]))
			return sorted[i];
	return NULL;
}

static int parse_member(struct parser *ps, struct json_member *ret)
{
	const char *start = ps->p;
	int r;

	if (ps->p >= ps->end || *ps->p != '"')
		return fail_here(ps, "a string as key");
	r = parse_string(ps, &ret->key, &ret->key_len);
	if (r < 0)
		return r;
	if (memchr(ret->key, '\0', ret->key_len))
		return fail_at(ps, start, "a key contains NUL");
	ret->key_offset = (uint32_t)(start - ps->text);
	skip_space(ps);
	if (ps->p >= ps->end || *ps->p != ':')
		return fail_here(ps, "':'");
	ps->p++;
	return parse_value(ps, &ret->value);
}

static int parse_object(struct parser *ps, struct json *ret)
{
	size_t base = ps->scratch_n, n;
	const struct json_member *members, *twice;

	ps->p++;
	skip_space(ps);
	if (ps->p < ps->end && *ps->p == '}') {
		ps->p++;
		ret->type = JSON_OBJECT;
		return 0;
	}
	for (;;) {
		struct json_member member = {0};
		int r;

		skip_space(ps);
		r = parse_member(ps, &member);
		if (r < 0)
			return r;
		*scratch_push(ps) = member;
		skip_space(ps);
		if (ps->p >= ps->end || (*ps->p != ',' && *ps->p != '}'))
			return fail_here(ps, "',' or '}'");
		if (*ps->p++ == '}')
			break;
	}
	n = ps->scratch_n - base;
	members = arena_memdup(ps->arena, ps->scratch + base, n * sizeof(*members));
	ps->scratch_n = base;
	twice = find_duplicate(members, n);
	if (twice)
		return fail_at(ps, ps->text + twice->key_offset, "duplicate key '%.64s'",
			       twice->key);
	*ret = (struct json){.type = JSON_OBJECT, .len = (uint32_t)n, .members = members};
	return 0;
}

static int parse_word(struct parser *ps, const char *word, struct json *ret, struct json value)
{
	size_t n = strlen(word);

	if ((size_t)(ps->end - ps->p) < n || memcmp(ps->p, word, n) != 0)
		return fail_here(ps, "a value");
	ps->p += n;
	*ret = value;
	return 0;
}

static int parse_nested(struct parser *ps, struct json *ret)
{
	int r;

	if (ps->depth == JSON_MAX_DEPTH)
		return fail_at(ps, ps->p, "nested deeper than %d levels", JSON_MAX_DEPTH);
	ps->depth++;
	r = *ps->p == '{' ? parse_object(ps, ret) : parse_array(ps, ret);
	ps->depth--;
	return r;
}

/* *ret is zeroed by the caller. */
static int parse_value(struct parser *ps, struct json *ret)
{
	int r;

	skip_space(ps);
	if (ps->p >= ps->end)
		return fail_here(ps, "a value");
	switch (*ps->p) {
	case '{':
	case '[':
		return parse_nested(ps, ret);
	case '"':
		r = parse_string(ps, &ret->s, &ret->len);
		if (r < 0)
			return r;
		ret->type = JSON_STRING;
		ret->has_nul = memchr(ret->s, '\0', ret->len) != NULL;
		return 0;
	case 't':
		return parse_word(ps, "true", ret, (struct json){.type = JSON_BOOL, .b = true});
	case 'f':
		return parse_word(ps, "false", ret, (struct json){.type = JSON_BOOL});
	case 'n':
		return parse_word(ps, "null", ret, (struct json){.type = JSON_NULL});
	default:
		if (*ps->p == '-' || (*ps->p >= '0' && *ps->p <= '9'))
			return parse_number(ps, ret);
		return fail_here(ps, "a value");
	}
}

int json_parse(struct arena *a, const char *text, size_t len, const struct json **ret,
	       struct error *err)
{
	struct parser ps = {.arena = a, .text = text, .p = text, .end = text + len, .err = err};
	struct json *root;
	int r;

	if (len >= UINT32_MAX) {
		(void)error_set(err, ERROR_INVALID, 0, "a JSON text of %zu bytes is too long", len);
		return -E2BIG;
	}
	ps.strings = arena_alloc(a, len + 1);
	root = arena_new0(a, struct json);
	r = parse_value(&ps, root);
	if (r == 0) {
		skip_space(&ps);
		if (ps.p < ps.end)
			r = fail_here(&ps, "the end of the text");
	}
	free(ps.scratch);
	if (r < 0)
		return r;
	*ret = root;
	return 0;
}

enum json_type json_type(const struct json *v)
{
	return v ? (enum json_type)v->type : JSON_NULL;
}

bool json_is_null(const struct json *v)
{
	return !v || v->type == JSON_NULL;
}

bool json_is_zero(const struct json *v)
{
	switch (json_type(v)) {
	case JSON_NULL:
		return true;
	case JSON_BOOL:
		return !json_bool(v);
	case JSON_INT:
	case JSON_DOUBLE:
		return !(json_double(v) > 0) && !(json_double(v) < 0);
	case JSON_STRING:
		return json_string_len(v) == 0;
	case JSON_ARRAY:
	case JSON_OBJECT:
		break;
	}
	return json_count(v) == 0;
}

static inline unsigned char ascii_lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static bool equal_ignoring_case(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	return true;
}

const struct json *json_get(const struct json *obj, const char *key)
{
	size_t len;

	if (!obj || obj->type != JSON_OBJECT)
		return NULL;
	len = strlen(key);
	for (size_t i = 0; i < obj->len; i++)
		if (obj->members[i].key_len == len && memcmp(obj->members[i].key, key, len) == 0)
			return &obj->members[i].value;
	for (size_t i = 0; i < obj->len; i++)
		if (obj->members[i].key_len == len &&
		    equal_ignoring_case(obj->members[i].key, key, len))
			return &obj->members[i].value;
	return NULL;
}

const struct json *json_at(const struct json *array, size_t i)
{
	return array && array->type == JSON_ARRAY && i < array->len ? &array->elements[i] : NULL;
}

size_t json_count(const struct json *v)
{
	return v && (v->type == JSON_ARRAY || v->type == JSON_OBJECT) ? v->len : 0;
}

const char *json_key_at(const struct json *obj, size_t i)
{
	return obj && obj->type == JSON_OBJECT && i < obj->len ? obj->members[i].key : NULL;
}

const struct json *json_value_at(const struct json *obj, size_t i)
{
	return obj && obj->type == JSON_OBJECT && i < obj->len ? &obj->members[i].value : NULL;
}

const char *json_string(const struct json *v)
{
	return v && v->type == JSON_STRING && !v->has_nul ? v->s : NULL;
}

const char *json_string_bytes(const struct json *v)
{
	return v && v->type == JSON_STRING ? v->s : NULL;
}

size_t json_string_len(const struct json *v)
{
	return v && v->type == JSON_STRING ? v->len : 0;
}

bool json_bool(const struct json *v)
{
	return v && v->type == JSON_BOOL && v->b;
}

bool json_int_fits(const struct json *v)
{
	return v && v->type == JSON_INT && !v->big;
}

bool json_uint_fits(const struct json *v)
{
	return v && v->type == JSON_INT && (v->big || v->i >= 0);
}

int64_t json_int(const struct json *v)
{
	return json_int_fits(v) ? v->i : 0;
}

uint64_t json_uint(const struct json *v)
{
	return json_uint_fits(v) ? v->u : 0;
}

double json_double(const struct json *v)
{
	if (!v)
		return 0;
	if (v->type == JSON_INT)
		return v->big ? (double)v->u : (double)v->i;
	return v->type == JSON_DOUBLE ? v->d : 0;
}

const char *json_get_string(const struct json *obj, const char *key)
{
	return json_string(json_get(obj, key));
}

int64_t json_get_int(const struct json *obj, const char *key)
{
	return json_int(json_get(obj, key));
}

bool json_get_bool(const struct json *obj, const char *key)
{
	return json_bool(json_get(obj, key));
}
