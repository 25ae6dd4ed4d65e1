/* base/json.h - JSON (RFC 8259): a read-only DOM in an arena, and a writer.
 *
 * Integers keep all 64 bits (signed and unsigned); strings are checked to be UTF-8, \u escapes
 * included; depth is limited; duplicate keys are refused.  The result lives in the arena alone.
 * Strings may contain NUL: json_string_len tells; json_string refuses such a value, and a key that
 * contains one is refused while parsing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum json_type {
	JSON_NULL,
	JSON_BOOL,
	JSON_INT,    /* no fraction or exponent, fits int64 or uint64 */
	JSON_DOUBLE, /* any other number */
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

struct json; /* immutable, owned by its arena */

#define JSON_MAX_DEPTH        64
#define JSON_WRITER_MAX_DEPTH 256 /* room for a parsed value at any place in a document of ours */

/* Parse one document that fills `text` (len bytes, no NUL needed).  ERROR_INVALID with "line L
 * column C: ..." on failure (columns count bytes, both count from 1).  `text` is not referenced afterwards. */
int json_parse(struct arena *a, const char *text, size_t len, const struct json **ret,
	       struct error *err);

enum json_type json_type(const struct json *v); /* v may be NULL: JSON_NULL */
bool json_is_null(const struct json *v);        /* also for NULL, i.e. absent */
bool json_is_zero(const struct json *v); /* null, false, 0, 0.0, "", or empty: as if absent */

/* Borrowing accessors: they return the fallback (NULL, 0, false) on NULL or another type. */
const struct json *json_get(const struct json *obj,
			    const char *key); /* exact, then ASCII case-insensitive as Go does */
const struct json *json_at(const struct json *array, size_t i);
size_t json_count(const struct json *v); /* members or elements */
const char *json_key_at(const struct json *obj, size_t i);
const struct json *json_value_at(const struct json *obj, size_t i);
const char *json_string(const struct json *v);
const char *json_string_bytes(const struct json *v); /* also one that contains NUL */
size_t json_string_len(const struct json *v);
bool json_bool(const struct json *v);
int64_t json_int(const struct json *v);    /* 0 if it does not fit */
uint64_t json_uint(const struct json *v);  /* 0 if it does not fit */
bool json_int_fits(const struct json *v);  /* an integer within int64 */
bool json_uint_fits(const struct json *v); /* an integer within uint64 */
double json_double(const struct json *v);  /* of either number type */

/* Shorthands for the common json_string(json_get(obj, key)) and so on. */
const char *json_get_string(const struct json *obj, const char *key);
int64_t json_get_int(const struct json *obj, const char *key);
bool json_get_bool(const struct json *obj, const char *key);

#define json_array_foreach(it, arr)                                                                \
	for (size_t it##_i = 0; it##_i < json_count(arr) && ((it) = json_at((arr), it##_i), true); \
	     it##_i++)
#define json_object_foreach(k, it, obj)                                                     \
	for (size_t it##_i = 0;                                                             \
	     it##_i < json_count(obj) &&                                                    \
	     ((k) = json_key_at((obj), it##_i), (it) = json_value_at((obj), it##_i), true); \
	     it##_i++)

/* Writer: appends compact JSON to a strbuf; commas are its business.  Wrong nesting asserts.
 * Invalid UTF-8 bytes are written as U+FFFD.  HTML characters are not escaped. */
struct json_writer {
	struct strbuf *out; /* borrowed */
	unsigned depth;
	uint64_t has_member[JSON_WRITER_MAX_DEPTH / 64]; /* bit a level: a comma is due */
	uint64_t is_object[JSON_WRITER_MAX_DEPTH / 64];  /* bit a level: keys are due */
	bool after_key;
	unsigned pretty_indent; /* 0: compact; else spaces a level */
};
void json_writer_init(struct json_writer *w, struct strbuf *out);
void jw_object(struct json_writer *w); /* { */
void jw_object_end(struct json_writer *w);
void jw_array(struct json_writer *w); /* [ */
void jw_array_end(struct json_writer *w);
void jw_key(struct json_writer *w, const char *key);
void jw_string(struct json_writer *w, const char *s); /* NULL writes null */
void jw_stringn(struct json_writer *w, const char *s, size_t len);
void jw_stringf(struct json_writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void jw_int(struct json_writer *w, int64_t v);
void jw_uint(struct json_writer *w, uint64_t v);
void jw_double(struct json_writer *w, double v);
void jw_bool(struct json_writer *w, bool v);
void jw_null(struct json_writer *w);
void jw_value(struct json_writer *w, const struct json *v); /* copy a DOM value; NULL writes null */
void jw_raw(struct json_writer *w, const char *json, size_t len); /* valid JSON, trusted */
/* key + value in one call */
void jw_kstring(struct json_writer *w, const char *key, const char *s);
void jw_kint(struct json_writer *w, const char *key, int64_t v);
void jw_kuint(struct json_writer *w, const char *key, uint64_t v);
void jw_kbool(struct json_writer *w, const char *key, bool v);
void jw_knull(struct json_writer *w, const char *key);
void jw_kobject(struct json_writer *w, const char *key); /* "key":{ */
void jw_karray(struct json_writer *w, const char *key);  /* "key":[ */
void jw_kvalue(struct json_writer *w, const char *key, const struct json *v);
