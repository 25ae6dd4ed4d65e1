/* The functions of templates, and how values print. */
#include "base/template_priv.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"

#define TEMPLATE_STRING_MAX (16 << 20) /* bytes one function may make */

struct value value_of_json(const struct json *j)
{
	switch (json_type(j)) {
	case JSON_STRING:
		return (struct value){.kind = VALUE_STRING, .string = json_string(j) ?: ""};
	case JSON_BOOL:
		return (struct value){.kind = VALUE_BOOL, .integer = json_bool(j)};
	case JSON_INT:
		if (json_int_fits(j))
			return (struct value){.kind = VALUE_INT, .integer = json_int(j)};
		return (struct value){.kind = VALUE_JSON, .json = j};
	case JSON_NULL:
	case JSON_DOUBLE:
	case JSON_ARRAY:
	case JSON_OBJECT:
	default:
		return (struct value){.kind = VALUE_JSON, .json = j};
	}
}

bool value_is_true(const struct value *v)
{
	switch (v->kind) {
	case VALUE_STRING:
		return v->string[0] != '\0';
	case VALUE_INT:
	case VALUE_BOOL:
		return v->integer != 0;
	case VALUE_LIST:
		return v->count > 0;
	case VALUE_JSON:
	default:
		switch (json_type(v->json)) {
		case JSON_NULL:
			return false;
		case JSON_ARRAY:
		case JSON_OBJECT:
			return json_count(v->json) > 0;
		case JSON_DOUBLE:
		case JSON_INT:
			return json_double(v->json) != 0.0;
		case JSON_BOOL:
		case JSON_STRING:
		default:
			return true;
		}
	}
}

/* Printing as Go's fmt %v ------------------------------------------------------------------- */

static void print_json(const struct json *j, struct strbuf *out);

static int by_key(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print_object(const struct json *j, struct strbuf *out)
{
	size_t n = json_count(j);
	autofree const char **keys = xcalloc(n + 1, sizeof(*keys));

	for (size_t i = 0; i < n; i++)
		keys[i] = json_key_at(j, i);
	qsort(keys, n, sizeof(*keys), by_key);
	strbuf_adds(out, "map[");
	for (size_t i = 0; i < n; i++) {
		strbuf_addf(out, "%s%s:", i ? " " : "", keys[i]);
		print_json(json_get(j, keys[i]), out);
	}
	strbuf_addc(out, ']');
}

static void print_json(const struct json *j, struct strbuf *out)
{
	struct json_writer w;

	switch (json_type(j)) {
	case JSON_NULL:
		strbuf_adds(out, "<nil>");
		break;
	case JSON_STRING:
		strbuf_adds(out, json_string(j) ?: "");
		break;
	case JSON_OBJECT:
		print_object(j, out);
		break;
	case JSON_ARRAY:
		strbuf_addc(out, '[');
		for (size_t i = 0; i < json_count(j); i++) {
			if (i)
				strbuf_addc(out, ' ');
			print_json(json_at(j, i), out);
		}
		strbuf_addc(out, ']');
		break;
	case JSON_BOOL:
	case JSON_INT:
	case JSON_DOUBLE:
	default:
		json_writer_init(&w, out);
		jw_value(&w, j);
		break;
	}
}

void value_print(const struct value *v, struct strbuf *out)
{
	switch (v->kind) {
	case VALUE_STRING:
		strbuf_adds(out, v->string);
		break;
	case VALUE_INT:
		strbuf_addf(out, "%lld", (long long)v->integer);
		break;
	case VALUE_BOOL:
		strbuf_adds(out, v->integer ? "true" : "false");
		break;
	case VALUE_LIST:
		strbuf_addc(out, '[');
		for (size_t i = 0; i < v->count; i++)
			strbuf_addf(out, "%s%s", i ? " " : "", v->list[i]);
		strbuf_addc(out, ']');
		break;
	case VALUE_JSON:
	default:
		if (json_is_null(v->json))
			strbuf_adds(out, "<no value>");
		else
			print_json(v->json, out);
		break;
	}
}

/* Functions --------------------------------------------------------------------------------- */

static int fail(const struct call *c, const char *what)
{
	return error_set(
		c->err, ERROR_INVALID, 0,
		"template parsing error: template: :1: executing \"\": error calling %s: %s",
		c->name, what);
}

static struct value string_value(const struct call *c, struct strbuf *b)
{
	return (struct value){.kind = VALUE_STRING,
			      .string = arena_strndup(c->arena, b->s, b->len)};
}

static const char *text_of(const struct call *c, size_t i)
{
	autostrbuf struct strbuf b = STRBUF_INIT(TEMPLATE_STRING_MAX);

	if (c->args[i].kind == VALUE_STRING)
		return c->args[i].string;
	value_print(&c->args[i], &b);
	return arena_strndup(c->arena, b.s, b.len);
}

static int fn_and(const struct call *c, struct value *ret)
{
	size_t i = 0;

	while (i + 1 < c->count && value_is_true(&c->args[i]))
		i++;
	*ret = c->args[i];
	return 0;
}

static int fn_or(const struct call *c, struct value *ret)
{
	size_t i = 0;

	while (i + 1 < c->count && !value_is_true(&c->args[i]))
		i++;
	*ret = c->args[i];
	return 0;
}

static int fn_not(const struct call *c, struct value *ret)
{
	*ret = (struct value){.kind = VALUE_BOOL, .integer = !value_is_true(&c->args[0])};
	return 0;
}

static int compare(const struct call *c, size_t i, int *ret)
{
	const struct value *a = &c->args[0], *b = &c->args[i];

	if (a->kind == VALUE_STRING && b->kind == VALUE_STRING) {
		int order = strcmp(a->string, b->string);

		*ret = (order > 0) - (order < 0);
		return 0;
	}
	if ((a->kind == VALUE_INT && b->kind == VALUE_INT) ||
	    (a->kind == VALUE_BOOL && b->kind == VALUE_BOOL)) {
		*ret = (a->integer > b->integer) - (a->integer < b->integer);
		return 0;
	}
	return fail(c, "incompatible types for comparison");
}

static int fn_eq(const struct call *c, struct value *ret)
{
	bool equal = false;

	for (size_t i = 1; i < c->count && !equal; i++) {
		int order, r = compare(c, i, &order);

		if (r < 0)
			return r;
		equal = order == 0;
	}
	*ret = (struct value){.kind = VALUE_BOOL, .integer = equal};
	return 0;
}

/* The other comparisons differ in the outcomes that they accept. */
static int fn_compare(const struct call *c, struct value *ret)
{
	static const struct {
		const char *name;
		bool less, equal, greater;
	} accepts[] = {
		{"ne", true, false, true},  {"lt", true, false, false}, {"le", true, true, false},
		{"gt", false, false, true}, {"ge", false, true, true},
	};
	int order, r = compare(c, 1, &order);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(accepts); i++)
		if (strcmp(c->name, accepts[i].name) == 0)
			*ret = (struct value){.kind = VALUE_BOOL,
					      .integer = order < 0    ? accepts[i].less
							 : order == 0 ? accepts[i].equal
								      : accepts[i].greater};
	return r;
}

static int fn_index(const struct call *c, struct value *ret)
{
	struct value v = c->args[0];

	for (size_t i = 1; i < c->count; i++) {
		const struct value *key = &c->args[i];

		if (v.kind == VALUE_LIST && key->kind == VALUE_INT) {
			if (key->integer < 0 || (size_t)key->integer >= v.count)
				return fail(c, "index out of range");
			v = (struct value){.kind = VALUE_STRING, .string = v.list[key->integer]};
		} else if (v.kind != VALUE_JSON) {
			return fail(c, "can't index item of this type");
		} else if (json_type(v.json) == JSON_ARRAY && key->kind == VALUE_INT) {
			if (key->integer < 0 || (size_t)key->integer >= json_count(v.json))
				return fail(c, "index out of range");
			v = value_of_json(json_at(v.json, (size_t)key->integer));
		} else if (json_type(v.json) == JSON_OBJECT && key->kind == VALUE_STRING) {
			v = value_of_json(json_get(v.json, key->string));
		} else {
			return fail(c, json_is_null(v.json) ? "index of untyped nil"
							    : "can't index item of this type");
		}
	}
	*ret = v;
	return 0;
}

static int fn_len(const struct call *c, struct value *ret)
{
	const struct value *v = &c->args[0];
	enum json_type type = v->kind == VALUE_JSON ? json_type(v->json) : JSON_NULL;
	size_t n;

	if (v->kind == VALUE_STRING)
		n = strlen(v->string);
	else if (v->kind == VALUE_LIST)
		n = v->count;
	else if (v->kind == VALUE_JSON && type != JSON_DOUBLE && type != JSON_INT)
		n = json_count(v->json);
	else
		return fail(c, "len of type int");
	*ret = (struct value){.kind = VALUE_INT, .integer = (int64_t)n};
	return 0;
}

static int fn_print(const struct call *c, struct value *ret)
{
	autostrbuf struct strbuf b = STRBUF_INIT(TEMPLATE_STRING_MAX);
	bool line = strcmp(c->name, "println") == 0;

	for (size_t i = 0; i < c->count; i++) {
		/* Go's Print puts spaces only between operands when neither is a string */
		if (i && (line ||
			  (c->args[i].kind != VALUE_STRING && c->args[i - 1].kind != VALUE_STRING)))
			strbuf_addc(&b, ' ');
		value_print(&c->args[i], &b);
	}
	if (line)
		strbuf_addc(&b, '\n');
	*ret = string_value(c, &b);
	return 0;
}

/* One verb: flags, width and precision are C's for s, d, x and q; v prints plainly. */
static int print_verb(const struct call *c, const char *spec, size_t len, size_t i,
		      struct strbuf *b)
{
	static const char flags[] = "-+# 0123456789.";
	char verb = spec[len - 1];
	char fmt[24];

	if (len > 12 || strspn(spec + 1, flags) < len - 2)
		return fail(c, "bad format");
	if (i >= c->count) {
		strbuf_addf(b, "%%!%c(MISSING)", verb);
		return 0;
	}
	if (strchr("dxXo", verb) && c->args[i].kind == VALUE_INT) {
		(void)snprintf(fmt, sizeof(fmt), "%.*sll%c", (int)len - 1, spec, verb);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		strbuf_addf(b, fmt, (long long)c->args[i].integer);
		return 0;
	}
	if (!strchr("svqt", verb)) {
		strbuf_addf(b, "%%!%c(string=%s)", verb, text_of(c, i));
		return 0;
	}
	(void)snprintf(fmt, sizeof(fmt), verb == 'q' ? "\"%.*ss\"" : "%.*ss", (int)len - 1, spec);
	strbuf_addf(b, fmt, text_of(c, i));
#pragma GCC diagnostic pop
	return 0;
}

static int fn_printf(const struct call *c, struct value *ret)
{
	autostrbuf struct strbuf b = STRBUF_INIT(TEMPLATE_STRING_MAX);
	const char *p = text_of(c, 0);
	size_t arg = 1;

	while (*p) {
		size_t plain = strcspn(p, "%");
		size_t len;
		int r;

		strbuf_add(&b, p, plain);
		p += plain;
		if (!*p)
			break;
		len = 1 + strspn(p + 1, "-+# 0123456789.") + 1;
		if (p[1] == '%') {
			strbuf_addc(&b, '%');
			p += 2;
			continue;
		}
		if (!p[len - 1])
			return fail(c, "format ends in a %");
		r = print_verb(c, p, len, arg++, &b);
		if (r < 0)
			return r;
		p += len;
	}
	*ret = string_value(c, &b);
	return 0;
}

static int fn_json(const struct call *c, struct value *ret)
{
	autostrbuf struct strbuf b = STRBUF_INIT(TEMPLATE_STRING_MAX);
	const struct value *v = &c->args[0];
	struct json_writer w;

	json_writer_init(&w, &b);
	switch (v->kind) {
	case VALUE_STRING:
		jw_string(&w, v->string);
		break;
	case VALUE_INT:
		jw_int(&w, v->integer);
		break;
	case VALUE_BOOL:
		jw_bool(&w, v->integer);
		break;
	case VALUE_LIST:
		jw_array(&w);
		for (size_t i = 0; i < v->count; i++)
			jw_string(&w, v->list[i]);
		jw_array_end(&w);
		break;
	case VALUE_JSON:
	default:
		jw_value(&w, v->json);
		break;
	}
	*ret = string_value(c, &b);
	return 0;
}

static int fn_join(const struct call *c, struct value *ret)
{
	autostrbuf struct strbuf b = STRBUF_INIT(TEMPLATE_STRING_MAX);
	const struct value *v = &c->args[0];
	const char *separator = text_of(c, 1);
	size_t n = v->kind == VALUE_LIST ? v->count : json_count(v->json);

	if (v->kind != VALUE_LIST && v->kind != VALUE_JSON)
		return fail(c, "wants a list");
	for (size_t i = 0; i < n; i++) {
		if (i)
			strbuf_adds(&b, separator);
		if (v->kind == VALUE_LIST)
			strbuf_adds(&b, v->list[i]);
		else
			print_json(json_at(v->json, i), &b);
	}
	*ret = string_value(c, &b);
	return 0;
}

static int fn_split(const struct call *c, struct value *ret)
{
	const char *s = text_of(c, 0), *separator = text_of(c, 1);
	size_t step = strlen(separator), n = 0, max = strlen(s) + 2;
	const char **list = arena_alloc(c->arena, max * sizeof(*list));

	while (step) {
		const char *end = strstr(s, separator);

		if (!end)
			break;
		list[n++] = arena_strndup(c->arena, s, (size_t)(end - s));
		s = end + step;
	}
	list[n++] = s;
	*ret = (struct value){.kind = VALUE_LIST, .list = list, .count = n};
	return 0;
}

/* lower, upper, title */
static int fn_case(const struct call *c, struct value *ret)
{
	char *s = arena_strdup(c->arena, text_of(c, 0));
	bool start = true;

	for (char *p = s; *p; p++) {
		unsigned char byte = (unsigned char)*p;

		if (c->name[0] == 'u' || (c->name[0] == 't' && start))
			*p = (char)toupper(byte);
		else if (c->name[0] == 'l')
			*p = (char)tolower(byte);
		start = !isalnum(byte);
	}
	*ret = (struct value){.kind = VALUE_STRING, .string = s};
	return 0;
}

static int fn_pad(const struct call *c, struct value *ret)
{
	autostrbuf struct strbuf b = STRBUF_INIT(TEMPLATE_STRING_MAX);
	const char *s = text_of(c, 0);

	if (c->args[1].kind != VALUE_INT || c->args[2].kind != VALUE_INT ||
	    c->args[1].integer < 0 || c->args[2].integer < 0 || c->args[1].integer > 4096 ||
	    c->args[2].integer > 4096)
		return fail(c, "wants two widths");
	if (*s)
		strbuf_addf(&b, "%*s%s%*s", (int)c->args[1].integer, "", s, (int)c->args[2].integer,
			    "");
	*ret = string_value(c, &b);
	return 0;
}

static int fn_truncate(const struct call *c, struct value *ret)
{
	const char *s = text_of(c, 0);
	size_t len = strlen(s);

	if (c->args[1].kind != VALUE_INT || c->args[1].integer < 0)
		return fail(c, "wants a length");
	if ((uint64_t)c->args[1].integer < len)
		len = (size_t)c->args[1].integer;
	*ret = (struct value){.kind = VALUE_STRING, .string = arena_strndup(c->arena, s, len)};
	return 0;
}

static const struct function {
	const char *name;
	size_t min, max; /* arguments */
	template_fn fn;
} functions[] = {
	{"and", 1, SIZE_MAX, fn_and},
	{"or", 1, SIZE_MAX, fn_or},
	{"not", 1, 1, fn_not},
	{"eq", 2, SIZE_MAX, fn_eq},
	{"ne", 2, 2, fn_compare},
	{"lt", 2, 2, fn_compare},
	{"le", 2, 2, fn_compare},
	{"gt", 2, 2, fn_compare},
	{"ge", 2, 2, fn_compare},
	{"index", 1, SIZE_MAX, fn_index},
	{"len", 1, 1, fn_len},
	{"print", 0, SIZE_MAX, fn_print},
	{"println", 0, SIZE_MAX, fn_print},
	{"printf", 1, SIZE_MAX, fn_printf},
	{"json", 1, 1, fn_json},
	{"join", 2, 2, fn_join},
	{"split", 2, 2, fn_split},
	{"lower", 1, 1, fn_case},
	{"upper", 1, 1, fn_case},
	{"title", 1, 1, fn_case},
	{"pad", 3, 3, fn_pad},
	{"truncate", 2, 2, fn_truncate},
};

/* Counts the arguments before the function itself sees them. */
static int checked(const struct call *c, struct value *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		const struct function *f = &functions[i];

		if (strcmp(f->name, c->name) != 0)
			continue;
		if (c->count < f->min || c->count > f->max)
			return fail(c, "wrong number of args");
		return f->fn(c, ret);
	}
	return fail(c, "no such function");
}

template_fn template_function(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		if (strcmp(functions[i].name, name) == 0)
			return checked;
	return NULL;
}
