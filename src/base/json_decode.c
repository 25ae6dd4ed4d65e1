/* The walk from a JSON document into structs, one small function a type. */
#include "base/json_decode.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define PATH_MAX_BYTES 512u

/* Where the walk is: links on the stack, outermost last.  A name, or an index if name is NULL. */
struct step {
	const struct step *up;
	const char *name;
	size_t index;
};

struct json_decoder {
	struct arena *arena;
	const char *prefix;
	const struct step *at;
};

static void add_path(struct strbuf *b, const char *prefix, const struct step *s)
{
	if (!s) {
		strbuf_adds(b, prefix);
		return;
	}
	add_path(b, prefix, s->up);
	if (!s->name)
		strbuf_addf(b, "[%zu]", s->index);
	else
		strbuf_addf(b, "%s%s", b->len > 0 ? "." : "", s->name);
}

struct arena *json_decoder_arena(struct json_decoder *d)
{
	return d->arena;
}

int json_decoder_error(struct json_decoder *d, struct error *err, const char *fmt, ...)
{
	autostrbuf struct strbuf path = STRBUF_INIT(PATH_MAX_BYTES);
	autofree char *what = NULL;
	va_list ap;

	va_start(ap, fmt);
	what = xvasprintf(fmt, ap);
	va_end(ap);
	add_path(&path, d->prefix, d->at);
	if (path.len > 0)
		(void)error_set(err, ERROR_INVALID, 0, "%s: %s", path.s, what);
	else
		(void)error_set(err, ERROR_INVALID, 0, "%s", what);
	return -EINVAL;
}

static int expect(struct json_decoder *d, const struct json *v, enum json_type type,
		  struct error *err)
{
	static const char *const names[] = {
		[JSON_NULL] = "null",        [JSON_BOOL] = "a boolean",  [JSON_INT] = "an integer",
		[JSON_DOUBLE] = "a number",  [JSON_STRING] = "a string", [JSON_ARRAY] = "an array",
		[JSON_OBJECT] = "an object",
	};

	if (json_type(v) == type)
		return 0;
	return json_decoder_error(d, err, "expected %s, found %s", names[type],
				  names[json_type(v)]);
}

static int get_string(struct json_decoder *d, const struct json *v, const char **ret,
		      struct error *err)
{
	int r = expect(d, v, JSON_STRING, err);

	if (r < 0)
		return r;
	*ret = json_string(v);
	return *ret ? 0 : json_decoder_error(d, err, "the string contains NUL");
}

static int get_signed(struct json_decoder *d, const struct json *v, const int64_t range[2],
		      int64_t *ret, struct error *err)
{
	int r = expect(d, v, JSON_INT, err);

	if (r < 0)
		return r;
	if (!json_int_fits(v) || json_int(v) < range[0] || json_int(v) > range[1])
		return json_decoder_error(d, err, "expected an integer from %lld to %lld",
					  (long long)range[0], (long long)range[1]);
	*ret = json_int(v);
	return 0;
}

static int get_unsigned(struct json_decoder *d, const struct json *v, uint64_t max, uint64_t *ret,
			struct error *err)
{
	int r = expect(d, v, JSON_INT, err);

	if (r < 0)
		return r;
	if (!json_uint_fits(v) || json_uint(v) > max)
		return json_decoder_error(d, err, "expected an integer from 0 to %llu",
					  (unsigned long long)max);
	*ret = json_uint(v);
	return 0;
}

/* One a row's type: `v` is not null; `field` points into the struct. */
typedef int (*decode_fn)(struct json_decoder *d, const struct json *v, const struct json_field *row,
			 void *field, struct error *err);

static int decode_table(struct json_decoder *d, const struct json *v,
			const struct json_field *table, void *out, struct error *err);

#define DECODER(name)                                                                  \
	static int decode_##name(struct json_decoder *d, const struct json *v,         \
				 const struct json_field *row __attribute__((unused)), \
				 void *field, struct error *err)

DECODER(string)
{
	const char *s;
	int r = get_string(d, v, &s, err);

	if (r < 0)
		return r;
	if ((row->flags & JSON_NONEMPTY) && *s == '\0')
		return json_decoder_error(d, err, "must not be empty");
	*(const char **)field = s;
	return 0;
}

DECODER(bool)
{
	int r = expect(d, v, JSON_BOOL, err);

	if (r == 0)
		*(bool *)field = json_bool(v);
	return r;
}

DECODER(int)
{
	static const int64_t range[] = {INT_MIN, INT_MAX};
	int64_t i;
	int r = get_signed(d, v, range, &i, err);

	if (r == 0)
		*(int *)field = (int)i;
	return r;
}

DECODER(i64)
{
	static const int64_t range[] = {INT64_MIN, INT64_MAX};

	return get_signed(d, v, range, field, err);
}

DECODER(u16)
{
	uint64_t u;
	int r = get_unsigned(d, v, UINT16_MAX, &u, err);

	if (r == 0)
		*(uint16_t *)field = (uint16_t)u;
	return r;
}

DECODER(u32)
{
	uint64_t u;
	int r = get_unsigned(d, v, UINT32_MAX, &u, err);

	if (r == 0)
		*(uint32_t *)field = (uint32_t)u;
	return r;
}

DECODER(u64)
{
	return get_unsigned(d, v, UINT64_MAX, field, err);
}

DECODER(double)
{
	if (json_type(v) != JSON_INT) {
		int r = expect(d, v, JSON_DOUBLE, err);

		if (r < 0)
			return r;
	}
	*(double *)field = json_double(v);
	return 0;
}

/* Pointers to a number: absent and 0 are different things. */
#define OPTIONAL_DECODER(name, type)                      \
	DECODER(opt_##name)                               \
	{                                                 \
		type *p = arena_new0(d->arena, type);     \
		int r = decode_##name(d, v, row, p, err); \
                                                          \
		if (r == 0)                               \
			*(const type **)field = p;        \
		return r;                                 \
	}                                                 \
	struct swallow_semicolon_

OPTIONAL_DECODER(bool, bool);
OPTIONAL_DECODER(int, int);
OPTIONAL_DECODER(i64, int64_t);
OPTIONAL_DECODER(u32, uint32_t);
OPTIONAL_DECODER(u64, uint64_t);

static int expect_some(struct json_decoder *d, const struct json *v, const struct json_field *row,
		       enum json_type type, struct error *err)
{
	int r = expect(d, v, type, err);

	if (r == 0 && (row->flags & JSON_NONEMPTY) && json_count(v) == 0)
		r = json_decoder_error(d, err, "must not be empty");
	return r;
}

DECODER(strings)
{
	struct json_strings *out = field;
	size_t n = json_count(v);
	struct step step = {.up = d->at};
	const char **strings;
	int r = expect_some(d, v, row, JSON_ARRAY, err);

	if (r < 0)
		return r;
	strings = arena_new0n(d->arena, const char *, n + 1);
	d->at = &step;
	for (; r == 0 && step.index < n; step.index++)
		r = get_string(d, json_at(v, step.index), &strings[step.index], err);
	d->at = step.up;
	if (r == 0)
		*out = (struct json_strings){.v = strings, .n = n};
	return r;
}

DECODER(string_map)
{
	struct json_string_map *out = field;
	size_t n = json_count(v);
	struct step step = {.up = d->at};
	const char **keys, **values;
	int r = expect_some(d, v, row, JSON_OBJECT, err);

	if (r < 0)
		return r;
	keys = arena_new0n(d->arena, const char *, n + 1);
	values = arena_new0n(d->arena, const char *, n + 1);
	d->at = &step;
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct json *value = json_value_at(v, i);

		keys[i] = step.name = json_key_at(v, i);
		values[i] = ""; /* what Go makes of null */
		if (!json_is_null(value))
			r = get_string(d, value, &values[i], err);
	}
	d->at = step.up;
	if (r == 0)
		*out = (struct json_string_map){.keys = keys, .values = values, .n = n};
	return r;
}

DECODER(object)
{
	return decode_table(d, v, row->sub, field, err);
}

DECODER(object_ptr)
{
	void *p = arena_alloc(d->arena, row->sub_size);
	int r = decode_table(d, v, row->sub, p, err);

	if (r == 0)
		*(void **)field = p;
	return r;
}

DECODER(objects)
{
	struct json_objects *out = field;
	size_t n = json_count(v);
	struct step step = {.up = d->at};
	char *objects;
	int r = expect_some(d, v, row, JSON_ARRAY, err);

	if (r < 0)
		return r;
	/* Each of the n took at least two bytes of the text, so the text's limit bounds this. */
	objects = arena_alloc(d->arena, n * row->sub_size);
	d->at = &step;
	for (; r == 0 && step.index < n; step.index++)
		r = decode_table(d, json_at(v, step.index), row->sub,
				 objects + step.index * row->sub_size, err);
	d->at = step.up;
	if (r == 0)
		*out = (struct json_objects){.v = objects, .n = n};
	return r;
}

DECODER(value)
{
	(void)d;
	(void)err;
	*(const struct json **)field = v;
	return 0;
}

DECODER(custom)
{
	return row->fn(d, v, field, err);
}

static const decode_fn decoders[] = {
	[JSON_DECODE_STRING] = decode_string,
	[JSON_DECODE_BOOL] = decode_bool,
	[JSON_DECODE_INT] = decode_int,
	[JSON_DECODE_U32] = decode_u32,
	[JSON_DECODE_U16] = decode_u16,
	[JSON_DECODE_I64] = decode_i64,
	[JSON_DECODE_U64] = decode_u64,
	[JSON_DECODE_DOUBLE] = decode_double,
	[JSON_DECODE_OPT_BOOL] = decode_opt_bool,
	[JSON_DECODE_OPT_I64] = decode_opt_i64,
	[JSON_DECODE_OPT_U64] = decode_opt_u64,
	[JSON_DECODE_OPT_U32] = decode_opt_u32,
	[JSON_DECODE_OPT_INT] = decode_opt_int,
	[JSON_DECODE_STRINGS] = decode_strings,
	[JSON_DECODE_STRING_MAP] = decode_string_map,
	[JSON_DECODE_OBJECT] = decode_object,
	[JSON_DECODE_OBJECT_PTR] = decode_object_ptr,
	[JSON_DECODE_OBJECTS] = decode_objects,
	[JSON_DECODE_VALUE] = decode_value,
	[JSON_DECODE_CUSTOM] = decode_custom,
};
static_assert(ARRAY_SIZE(decoders) == JSON_DECODE_CUSTOM + 1, "a decoder for each type");

static int decode_table(struct json_decoder *d, const struct json *v,
			const struct json_field *table, void *out, struct error *err)
{
	struct step step = {.up = d->at};
	int r = expect(d, v, JSON_OBJECT, err);

	if (r < 0)
		return r;
	d->at = &step;
	for (const struct json_field *row = table; r == 0 && row->name; row++) {
		const struct json *member = json_get(v, row->name);

		step.name = row->name;
		if (!json_is_null(member))
			r = decoders[row->type](d, member, row, (char *)out + row->offset, err);
		else if (row->flags & JSON_REQUIRED)
			r = json_decoder_error(d, err, "is required");
	}
	d->at = step.up;
	return r;
}

int json_decode(struct arena *a, const struct json *v, const struct json_field *table, void *out,
		const char *path, struct error *err)
{
	struct json_decoder d = {.arena = a, .prefix = path};

	return decode_table(&d, v, table, out, err);
}

int json_decoder_object(struct json_decoder *d, const struct json *v,
			const struct json_field *table, void *out, struct error *err)
{
	return decode_table(d, v, table, out, err);
}

int json_decoder_member(struct json_decoder *d, const struct json *obj, size_t i,
			const struct json_field *table, void *out, struct error *err)
{
	const struct step step = {.up = d->at, .name = json_key_at(obj, i)};
	int r;

	d->at = &step;
	r = decode_table(d, json_value_at(obj, i), table, out, err);
	d->at = step.up;
	return r;
}
