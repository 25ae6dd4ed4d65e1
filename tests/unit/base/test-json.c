/* The JSON parser: known documents, refusals with their position, and json-c as oracle. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Both have these names; theirs are only needed by their header. */
#define json_type jc_type
#define json_bool jc_bool
#include <json-c/json.h>
#undef json_type
#undef json_bool

#include "base/json.h"

static const struct json *parse(struct arena *a, const char *text)
{
	autoerror struct error err = {0};
	const struct json *v = NULL;

	if (json_parse(a, text, strlen(text), &v, &err) < 0)
		fail_msg("%s: %s", text, error_msg(&err));
	return v;
}

/* Refused with this message; an empty one: any. */
static void assert_refused_len(const char *text, size_t len, const char *msg)
{
	autoarena struct arena *a = arena_new();
	autoerror struct error err = {0};
	const struct json *v = NULL;

	assert_true(json_parse(a, text, len, &v, &err) < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	assert_null(v);
	assert_int_equal(strncmp(error_msg(&err), "line ", 5), 0);
	if (*msg)
		assert_string_equal(error_msg(&err), msg);
}

static void assert_refused(const char *text, const char *msg)
{
	assert_refused_len(text, strlen(text), msg);
}

static void test_types(void **state)
{
	autoarena struct arena *a = arena_new();
	const struct json *v = parse(a, " {\"n\":null,\"t\":true,\"f\":false,\"i\":-5,\"d\":2.5e1,"
					"\"s\":\"x\",\"a\":[1,[],{}],\"o\":{\"k\":\"v\"}}\r\n\t ");

	(void)state;
	assert_int_equal(json_type(v), JSON_OBJECT);
	assert_int_equal(json_count(v), 8);
	assert_int_equal(json_type(json_get(v, "n")), JSON_NULL);
	assert_true(json_is_null(json_get(v, "n")));
	assert_true(json_is_null(json_get(v, "absent")));
	assert_null(json_get(v, "absent"));
	assert_true(json_get_bool(v, "t"));
	assert_false(json_get_bool(v, "f"));
	assert_int_equal(json_type(json_get(v, "f")), JSON_BOOL);
	assert_int_equal(json_get_int(v, "i"), -5);
	assert_int_equal(json_type(json_get(v, "d")), JSON_DOUBLE);
	assert_true(json_double(json_get(v, "d")) == 25.0);
	assert_true(json_double(json_get(v, "i")) == -5.0);
	assert_string_equal(json_get_string(v, "s"), "x");
	assert_int_equal(json_count(json_get(v, "a")), 3);
	assert_int_equal(json_int(json_at(json_get(v, "a"), 0)), 1);
	assert_int_equal(json_type(json_at(json_get(v, "a"), 1)), JSON_ARRAY);
	assert_int_equal(json_count(json_at(json_get(v, "a"), 1)), 0);
	assert_int_equal(json_type(json_at(json_get(v, "a"), 2)), JSON_OBJECT);
	assert_null(json_at(json_get(v, "a"), 3));
	assert_string_equal(json_get_string(json_get(v, "o"), "k"), "v");
	assert_string_equal(json_key_at(v, 7), "o");
	assert_ptr_equal(json_value_at(v, 7), json_get(v, "o"));
	assert_null(json_key_at(v, 8));
	assert_null(json_value_at(v, 8));
}

static void test_wrong_type_gives_fallback(void **state)
{
	autoarena struct arena *a = arena_new();
	const struct json *v = parse(a, "[\"s\",7,1.5,true,{\"a\":1}]");

	(void)state;
	assert_null(json_get(v, "a"));
	assert_null(json_at(json_at(v, 4), 0));
	assert_null(json_key_at(v, 0));
	assert_null(json_string(json_at(v, 1)));
	assert_int_equal(json_string_len(json_at(v, 1)), 0);
	assert_int_equal(json_int(json_at(v, 0)), 0);
	assert_int_equal(json_int(json_at(v, 2)), 0);
	assert_false(json_int_fits(json_at(v, 2)));
	assert_false(json_bool(json_at(v, 1)));
	assert_true(json_double(json_at(v, 0)) == 0);
	assert_int_equal(json_count(json_at(v, 0)), 0);
	assert_int_equal(json_type(NULL), JSON_NULL);
	assert_int_equal(json_count(NULL), 0);
	assert_null(json_string(NULL));
	assert_false(json_bool(NULL));
	assert_true(json_double(NULL) == 0);
}

static void test_integers(void **state)
{
	autoarena struct arena *a = arena_new();
	const struct json *v = parse(a, "[9223372036854775807,-9223372036854775808,"
					"18446744073709551615,9223372036854775808,"
					"18446744073709551616,-9223372036854775809,0,-0]");

	(void)state;
	assert_true(json_int(json_at(v, 0)) == INT64_MAX);
	assert_true(json_uint(json_at(v, 0)) == INT64_MAX);
	assert_true(json_int(json_at(v, 1)) == INT64_MIN);
	assert_false(json_uint_fits(json_at(v, 1)));
	assert_true(json_uint(json_at(v, 1)) == 0);
	assert_true(json_uint(json_at(v, 2)) == UINT64_MAX);
	assert_false(json_int_fits(json_at(v, 2)));
	assert_true(json_int(json_at(v, 2)) == 0);
	assert_true(json_uint(json_at(v, 3)) == (uint64_t)INT64_MAX + 1);
	assert_false(json_int_fits(json_at(v, 3)));
	assert_true(json_double(json_at(v, 3)) == 9223372036854775808.0);
	assert_int_equal(json_type(json_at(v, 4)), JSON_DOUBLE);
	assert_true(json_double(json_at(v, 4)) == 18446744073709551616.0);
	assert_int_equal(json_type(json_at(v, 5)), JSON_DOUBLE);
	assert_true(json_int_fits(json_at(v, 6)) && json_uint_fits(json_at(v, 6)));
	assert_true(json_int_fits(json_at(v, 7)) && json_uint_fits(json_at(v, 7)));
}

static void test_doubles(void **state)
{
	static const char *const invalid[] = {
		"01",  "-01", "1.",  ".5",       "1e",        "1e+",   "+1",     "-",  "1.e1",
		"0x1", "1_0", "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "00", "1 2"};
	autoarena struct arena *a = arena_new();
	char longest[400] = "0.";

	(void)state;
	assert_true(json_double(parse(a, "1e0")) == 1.0);
	assert_true(json_double(parse(a, "-1.25E+2")) == -125.0);
	assert_true(json_double(parse(a, "5e-324")) > 0);
	assert_true(json_double(parse(a, "1e-999")) == 0);
	assert_true(json_double(parse(a, "1.7976931348623157e308")) > 1e308);
	assert_true(json_double(parse(a, "0.1")) == 0.1);
	memset(longest + 2, '3', 390);
	assert_true(fabs(json_double(parse(a, longest)) - 1.0 / 3) < 1e-15);
	for (size_t i = 0; i < ARRAY_SIZE(invalid); i++)
		assert_refused(invalid[i], "");
}

static void test_strings(void **state)
{
	autoarena struct arena *a = arena_new();
	const struct json *v;

	(void)state;
	assert_string_equal(json_string(parse(a, "\"\"")), "");
	assert_string_equal(json_string(parse(a, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"")),
			    "\"\\/\b\f\n\r\t");
	assert_string_equal(json_string(parse(a, "\"\\u0041\\u00e9\\u20AC\"")),
			    "A\xc3\xa9\xe2\x82\xac");
	assert_string_equal(json_string(parse(a, "\"\\ud83d\\ude00\\uD800\\uDC00\\udbff\\udfff\"")),
			    "\xf0\x9f\x98\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
	assert_string_equal(json_string(parse(a, "\"\xf0\x9f\x98\x80 \x7f\"")),
			    "\xf0\x9f\x98\x80 \x7f");
	/* Around the eight bytes that are looked at together. */
	for (int n = 0; n < 40; n++) {
		char text[128], expected[100];

		(void)snprintf(expected, sizeof(expected), "%.*s\"%.*s", n,
			       "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqr", 40 - n,
			       "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQR");
		(void)snprintf(text, sizeof(text), "\"%.*s\\%s\"", n, expected, expected + n);
		assert_string_equal(json_string(parse(a, text)), expected);
	}
	v = parse(a, "\"a\\u0000b\"");
	assert_null(json_string(v));
	assert_int_equal(json_string_len(v), 3);
	assert_memory_equal(json_string_bytes(v), "a\0b", 4);
}

static void test_bad_strings(void **state)
{
	(void)state;
	assert_refused("\"abc", "line 1 column 5: the text ends within a string");
	assert_refused("\"abc\\", "line 1 column 6: the text ends within a string");
	assert_refused("\"a\\x\"", "line 1 column 3: unknown escape in a string");
	assert_refused("\"a\nb\"", "line 1 column 3: control character 0x0a in a string");
	assert_refused_len("\"a\0b\"", 5, "line 1 column 3: control character 0x00 in a string");
	assert_refused_len("\"a\\\0\"", 5, "line 1 column 3: unknown escape in a string");
	assert_refused("\"\\u12g4\"",
		       "line 1 column 2: expected four hexadecimal digits after \\u");
	assert_refused("\"\\u123", "");
	assert_refused("\"\\udc00\"", "line 1 column 2: low surrogate without a high one");
	assert_refused("\"\\ud800\"", "line 1 column 2: high surrogate without a low one");
	assert_refused("\"\\ud800\\u0041\"", "line 1 column 2: high surrogate without a low one");
	assert_refused("\"\\ud800\\ud800\"", "line 1 column 2: high surrogate without a low one");
	assert_refused("\"\\ud800\\udc0", "");
	assert_refused("[\n \"\xff\"]", "line 2 column 2: a string is not valid UTF-8");
	assert_refused("\"\xed\xa0\x80\"", ""); /* a surrogate, encoded */
	assert_refused("\"\xc3\"", "");         /* cut by the quote */
	assert_refused("\"\xc3\\u00a9\"", "");  /* and by an escape */
	assert_refused("'a'", "line 1 column 1: expected a value, found '''");
}

static void test_bad_structure(void **state)
{
	static const char *const invalid[] = {
		"[",
		"{",
		"]",
		"}",
		"[1",
		"[1,",
		"[1,]",
		"[,1]",
		"[1 2]",
		"[1}",
		"{\"a\"",
		"{\"a\":",
		"{\"a\":1",
		"{\"a\":1,",
		"{\"a\":1,}",
		"{a:1}",
		"{1:2}",
		"{\"a\" 1}",
		"{\"a\":1 \"b\":2}",
		"tru",
		"nul",
		"truex",
		"fals",
		"True",
		"[] []",
		"\xef\xbb\xbf[]",
		"// x\n1",
		"[1]x",
		"\v1",
		"\xa0"
		"1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(invalid); i++)
		assert_refused(invalid[i], "");
	assert_refused("", "line 1 column 1: expected a value, found the end of the text");
	assert_refused("\n\n  ", "line 3 column 3: expected a value, found the end of the text");
	assert_refused("{\"a\":1,\n  b}", "line 2 column 3: expected a string as key, found 'b'");
	assert_refused("[1 2]", "line 1 column 4: expected ',' or ']', found '2'");
	assert_refused("{\"a\" 1}", "line 1 column 6: expected ':', found '1'");
	assert_refused("1 \x01", "line 1 column 3: expected the end of the text, found byte 0x01");
	assert_refused_len("1\0", 2,
			   "line 1 column 2: expected the end of the text, found byte 0x00");
}

static void test_only_len_bytes_are_read(void **state)
{
	autoarena struct arena *a = arena_new();
	const struct json *v = NULL;

	(void)state;
	assert_int_equal(json_parse(a, "12345", 3, &v, NULL), 0);
	assert_int_equal(json_int(v), 123);
	assert_int_equal(json_parse(a, "truex", 4, &v, NULL), 0);
	assert_refused_len("\"ab\"", 3, "");
	assert_refused_len("true", 3, "");
	assert_refused_len("{\"a\":1}", 6, "");
	assert_refused_len("\"\\u0041\"", 6, "");
}

static void test_depth(void **state)
{
	autoarena struct arena *a = arena_new();
	char text[2 * JSON_MAX_DEPTH + 3];
	const struct json *v;

	(void)state;
	memset(text, '[', JSON_MAX_DEPTH);
	memset(text + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
	text[2 * JSON_MAX_DEPTH] = '\0';
	v = parse(a, text);
	for (int i = 1; i < JSON_MAX_DEPTH; i++)
		v = json_at(v, 0);
	assert_int_equal(json_type(v), JSON_ARRAY);
	assert_int_equal(json_count(v), 0);
	memset(text, '[', JSON_MAX_DEPTH + 1);
	memset(text + JSON_MAX_DEPTH + 1, ']', JSON_MAX_DEPTH + 1);
	text[2 * JSON_MAX_DEPTH + 2] = '\0';
	assert_refused(text, "line 1 column 65: nested deeper than 64 levels");
	/* Depth, not number: siblings do not count. */
	(void)parse(a,
		    "[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
		    "[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],"
		    "[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]");
}

static void test_duplicates(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(1 << 20);
	autoarena struct arena *a = arena_new();

	(void)state;
	assert_refused("{\"a\":1,\n\"a\":2}", "line 2 column 1: duplicate key 'a'");
	assert_refused("{\"a\":1,\"\\u0061\":2}", "line 1 column 8: duplicate key 'a'");
	assert_refused("{\"\":1,\"\":2}", "");
	assert_refused("{\"a\\u0000\":1}", "line 1 column 2: a key contains NUL");
	(void)parse(a, "{\"a\":1,\"A\":2,\"b\":{\"a\":1}}");
	/* Beyond what is compared pairwise. */
	for (int n = 30; n < 400; n += 7) {
		strbuf_reset(&b);
		for (int i = 0; i < n; i++)
			strbuf_addf(&b, "%s\"k%d\":%d", i ? "," : "{", i * 7919 % 1000, i);
		strbuf_addc(&b, '}');
		assert_int_equal(json_count(parse(a, b.s)), n);
		strbuf_drop(&b, 1);
		b.s[b.len - 1] = ',';
		strbuf_adds(&b, "\n\"k0\":0}");
		{
			autofree char *text = xasprintf("{%s", b.s);

			assert_refused(text, "line 2 column 1: duplicate key 'k0'");
		}
	}
}

static void test_lookup_ignores_case_second(void **state)
{
	autoarena struct arena *a = arena_new();
	const struct json *v = parse(a, "{\"IMAGE\":1,\"image\":2,\"Hostname\":3,\"@x\":4}");

	(void)state;
	assert_int_equal(json_get_int(v, "image"), 2);
	assert_int_equal(json_get_int(v, "IMAGE"), 1);
	assert_int_equal(json_get_int(v, "Image"), 1);
	assert_int_equal(json_get_int(v, "hostname"), 3);
	assert_null(json_get(v, "`x")); /* only letters have case: '@' | 0x20 is '`' */
	assert_null(json_get(v, "hostnam"));
	assert_null(json_get(v, "hostnamee"));
}

static void test_foreach(void **state)
{
	autoarena struct arena *a = arena_new();
	const struct json *v = parse(a, "{\"a\":[1,2,3],\"b\":[]}"), *it;
	const char *key;
	int64_t sum = 0;
	char keys[8] = "";

	(void)state;
	json_array_foreach(it, json_get(v, "a"))
		sum += json_int(it);
	json_array_foreach(it, json_get(v, "b"))
		sum += 100;
	assert_int_equal(sum, 6);
	sum = 0;
	json_object_foreach(key, it, v) {
		keys[sum++] = *key;
		assert_int_equal(json_type(it), JSON_ARRAY);
	}
	assert_string_equal(keys, "ab");
}

/* A corpus from a fixed seed, and json-c's opinion of it. */

static uint64_t seed;

static uint32_t next_random(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32) % below;
}

static void add_space(struct strbuf *b)
{
	static const char space[] = " \n\t\r";

	while (next_random(4) == 0)
		strbuf_addc(b, space[next_random(4)]);
}

static void add_random_string(struct strbuf *b, const char *prefix)
{
	static const char *const parts[] = {"a",
					    "\\n",
					    "\\u00e9",
					    "\xc3\xa9",
					    "\\\"",
					    "\\ud83d\\ude00",
					    "longer run of text",
					    "\xf0\x9f\x98\x80",
					    "\\/",
					    "\\\\",
					    "0",
					    "\xe2\x82\xac",
					    "\\u0001"};

	strbuf_addf(b, "\"%s", prefix);
	for (uint32_t n = next_random(6); n > 0; n--)
		strbuf_adds(b, parts[next_random(ARRAY_SIZE(parts))]);
	strbuf_addc(b, '"');
}

static void add_random_number(struct strbuf *b)
{
	uint64_t wide = (uint64_t)next_random(UINT32_MAX) << 32 | next_random(UINT32_MAX);

	switch (next_random(6)) {
	case 0:
		strbuf_addf(b, "%u", next_random(1000));
		break;
	case 1:
		strbuf_addf(b, "-%u", next_random(1000));
		break;
	case 2:
		strbuf_addf(b, "%llu", (unsigned long long)wide);
		break;
	case 3:
		strbuf_addf(b, "%lld", (long long)(int64_t)wide);
		break;
	case 4:
		strbuf_addf(b, "%u.%u", next_random(1000), next_random(1000));
		break;
	default:
		strbuf_addf(b, "%s%u.%ue%s%u", next_random(2) ? "-" : "", next_random(10),
			    next_random(100000), next_random(2) ? "+" : "-", next_random(300));
	}
}

static void add_random_value(struct strbuf *b, unsigned depth)
{
	static const char *const words[] = {"null", "true", "false"};
	uint32_t n = next_random(7), kind = next_random(depth > 0 ? 6 : 4);
	char prefix[16];

	add_space(b);
	if (kind == 0)
		strbuf_adds(b, words[next_random(3)]);
	else if (kind == 1 || kind == 2)
		add_random_number(b);
	else if (kind == 3)
		add_random_string(b, "");
	else
		strbuf_addc(b, kind == 4 ? '[' : '{');
	for (uint32_t i = 0; kind >= 4 && i < n; i++) {
		if (i > 0)
			strbuf_addc(b, ',');
		if (kind == 5) {
			add_space(b);
			(void)snprintf(prefix, sizeof(prefix), "%u", i);
			add_random_string(b, prefix);
			add_space(b);
			strbuf_addc(b, ':');
		}
		add_random_value(b, depth - 1);
	}
	add_space(b);
	if (kind >= 4)
		strbuf_addc(b, kind == 4 ? ']' : '}');
}

static void assert_same(const struct json *ours, struct json_object *theirs)
{
	struct json_object *other;

	switch (json_type(ours)) {
	case JSON_NULL:
		assert_null(theirs);
		break;
	case JSON_BOOL:
		assert_int_equal(json_object_get_type(theirs), json_type_boolean);
		assert_int_equal(json_bool(ours), json_object_get_boolean(theirs));
		break;
	case JSON_INT:
		assert_int_equal(json_object_get_type(theirs), json_type_int);
		if (json_int_fits(ours))
			assert_true(json_int(ours) == json_object_get_int64(theirs));
		else
			assert_true(json_uint(ours) == json_object_get_uint64(theirs));
		break;
	case JSON_DOUBLE:
		/* Integers past 64 bits: json-c clamps them, we keep the magnitude. */
		if (json_object_get_type(theirs) == json_type_int)
			assert_true(fabs(json_double(ours)) >= 9223372036854775808.0);
		else
			assert_true(json_double(ours) == json_object_get_double(theirs));
		break;
	case JSON_STRING:
		assert_int_equal(json_object_get_type(theirs), json_type_string);
		assert_int_equal(json_string_len(ours), json_object_get_string_len(theirs));
		assert_memory_equal(json_string_bytes(ours), json_object_get_string(theirs),
				    json_string_len(ours));
		break;
	case JSON_ARRAY:
		assert_int_equal(json_object_get_type(theirs), json_type_array);
		assert_int_equal(json_count(ours), json_object_array_length(theirs));
		for (size_t i = 0; i < json_count(ours); i++)
			assert_same(json_at(ours, i), json_object_array_get_idx(theirs, i));
		break;
	case JSON_OBJECT:
		assert_int_equal(json_object_get_type(theirs), json_type_object);
		assert_int_equal(json_count(ours), json_object_object_length(theirs));
		for (size_t i = 0; i < json_count(ours); i++) {
			assert_true(
				json_object_object_get_ex(theirs, json_key_at(ours, i), &other));
			assert_same(json_value_at(ours, i), other);
		}
		break;
	}
}

/* Returns whether json-c takes the text too; if so, *ret is its tree. */
static bool oracle_parse(const char *text, size_t len, struct json_object **ret)
{
	struct json_tokener *tok = json_tokener_new_ex(JSON_MAX_DEPTH + 1);
	bool ok;

	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	/* With its NUL, which ends a number at the top. */
	*ret = json_tokener_parse_ex(tok, text, (int)len + 1);
	ok = json_tokener_get_error(tok) == json_tokener_success;
	json_tokener_free(tok);
	return ok;
}

static void check_against_oracle(const char *text, size_t len, bool must_parse)
{
	autoarena struct arena *a = arena_new();
	const struct json *ours = NULL;
	struct json_object *theirs = NULL;

	if (json_parse(a, text, len, &ours, NULL) < 0) {
		assert_false(must_parse);
		return;
	}
	if (!oracle_parse(text, len, &theirs))
		fail_msg("json-c refuses what we take: %s", text);
	assert_same(ours, theirs);
	(void)json_object_put(theirs);
}

static void test_oracle_corpus(void **state)
{
	autostrbuf struct strbuf b = STRBUF_INIT(1 << 20);

	(void)state;
	seed = UINT64_C(0x9e3779b97f4a7c15);
	for (int i = 0; i < 3000; i++) {
		strbuf_reset(&b);
		add_random_value(&b, 5);
		assert_int_equal(strbuf_error(&b), 0);
		check_against_oracle(b.s, b.len, true);
	}
}

/* Damaged documents: whatever of them we still take, json-c takes and reads alike. */
static void test_oracle_mutations(void **state)
{
	static const char bytes[] = "{}[],:\"\\0123456789eE+-.utnfr \n\x01\x80\xc3";
	autostrbuf struct strbuf b = STRBUF_INIT(1 << 20);

	(void)state;
	seed = UINT64_C(0xd1b54a32d192ed03);
	for (int i = 0; i < 6000; i++) {
		strbuf_reset(&b);
		add_random_value(&b, 3);
		for (uint32_t n = 1 + next_random(3); n > 0 && b.len > 0; n--)
			b.s[next_random((uint32_t)b.len)] = bytes[next_random(sizeof(bytes) - 1)];
		check_against_oracle(b.s, b.len, false);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_wrong_type_gives_fallback),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_doubles),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_bad_strings),
		cmocka_unit_test(test_bad_structure),
		cmocka_unit_test(test_only_len_bytes_are_read),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_lookup_ignores_case_second),
		cmocka_unit_test(test_foreach),
		cmocka_unit_test(test_oracle_corpus),
		cmocka_unit_test(test_oracle_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
