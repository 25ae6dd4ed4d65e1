/* base/json_decode.h - typed structs from JSON by static tables; errors name the field's path.
 *
 * A table describes a struct: each row a JSON member, its type and offsetof.  Unknown members are
 * ignored; null leaves the zero value, as does absence.  Everything decoded lives in the arena
 * (strings are borrowed from the DOM).  Strings with a NUL in them are refused.
 *
 *     static const struct json_field user_fields[] = {
 *             JSON_FIELD(struct user, "uid", JSON_DECODE_U32, uid, JSON_REQUIRED),
 *             JSON_FIELD_SUB(struct proc, "user", JSON_DECODE_OBJECT, user, user_fields, 0),
 *             { 0 } };
 */
#pragma once

#include <stddef.h>

#include "base/json.h"

enum json_decode_type {
	JSON_DECODE_STRING,     /* const char * */
	JSON_DECODE_BOOL,       /* bool */
	JSON_DECODE_INT,        /* int, range-checked */
	JSON_DECODE_U32,        /* uint32_t */
	JSON_DECODE_U16,        /* uint16_t */
	JSON_DECODE_I64,        /* int64_t */
	JSON_DECODE_U64,        /* uint64_t */
	JSON_DECODE_DOUBLE,     /* double */
	JSON_DECODE_OPT_BOOL,   /* const bool *, NULL when absent or null */
	JSON_DECODE_OPT_I64,    /* const int64_t * */
	JSON_DECODE_OPT_U64,    /* const uint64_t * */
	JSON_DECODE_OPT_U32,    /* const uint32_t * */
	JSON_DECODE_OPT_INT,    /* const int * */
	JSON_DECODE_STRINGS,    /* struct json_strings */
	JSON_DECODE_STRING_MAP, /* struct json_string_map, in document order */
	JSON_DECODE_OBJECT,     /* a nested struct, in place; sub = its table */
	JSON_DECODE_OBJECT_PTR, /* pointer to a nested struct, NULL when absent; sub, sub_size */
	JSON_DECODE_OBJECTS,    /* struct json_objects: an array of structs; sub, sub_size */
	JSON_DECODE_VALUE,      /* const struct json *, as it is */
	JSON_DECODE_CUSTOM,     /* sub_fn decides */
};

struct json_strings {
	const char **v; /* NULL-terminated; NULL when absent */
	size_t n;
};
struct json_string_map {
	const char **keys, **values;
	size_t n;
};
struct json_objects {
	void *v; /* array of n structs of the row's sub_size */
	size_t n;
};

enum json_decode_flags {
	JSON_REQUIRED = 1, /* neither absent nor null */
	JSON_NONEMPTY = 2, /* a string, array or map that is there has something in it */
};

struct json_decoder; /* the walk: arena and path */
typedef int (*json_decode_fn)(struct json_decoder *d, const struct json *v, void *field,
			      struct error *err);

struct json_field {
	const char *name; /* NULL ends the table */
	enum json_decode_type type;
	size_t offset;
	unsigned flags;
	const struct json_field *sub;
	size_t sub_size;
	json_decode_fn fn;
};
#define JSON_FIELD(st, name_, type_, member, flags_)                              \
	{                                                                         \
		.name = (name_), .type = (type_), .offset = offsetof(st, member), \
		.flags = (flags_)                                                 \
	}
#define JSON_FIELD_SUB(st, name_, type_, member, table, flags_)                   \
	{                                                                         \
		.name = (name_), .type = (type_), .offset = offsetof(st, member), \
		.flags = (flags_), .sub = (table)                                 \
	}
#define JSON_FIELD_PTR(st, name_, type_, member, table, subtype, flags_)          \
	{                                                                         \
		.name = (name_), .type = (type_), .offset = offsetof(st, member), \
		.flags = (flags_), .sub = (table), .sub_size = sizeof(subtype)    \
	}
#define JSON_FIELD_FN(st, name_, member, fn_, flags_)                                        \
	{                                                                                    \
		.name = (name_), .type = JSON_DECODE_CUSTOM, .offset = offsetof(st, member), \
		.flags = (flags_), .fn = (fn_)                                               \
	}

/* Decode object `v` into `out` (zeroed by the caller).  `path` is the prefix for errors ("" at
 * the top).  ERROR_INVALID: "linux.resources.memory.limit: expected an integer". */
int json_decode(struct arena *a, const struct json *v, const struct json_field *table, void *out,
		const char *path, struct error *err);

/* For custom rows: the arena, and an ERROR_INVALID that carries the current path. */
struct arena *json_decoder_arena(struct json_decoder *d);
int json_decoder_error(struct json_decoder *d, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* For custom rows: decode a nested object below the current path. */
int json_decoder_object(struct json_decoder *d, const struct json *v,
			const struct json_field *table, void *out, struct error *err);
/* The same for the member i of an object whose keys are names of the user's. */
int json_decoder_member(struct json_decoder *d, const struct json *obj, size_t i,
			const struct json_field *table, void *out, struct error *err);
