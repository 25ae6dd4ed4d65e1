/* http/url.h - percent-encoding (RFC 3986) and form-encoded queries (WHATWG URL).  Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct strbuf;

#define URL_PARAMS_MAX 1000

struct url_param {
	const char *name, *value;
};

/* Into the arena; `form`: '+' is a space.  -EINVAL for a bad escape or a NUL. */
int url_decode(struct arena *a, const char *s, size_t len, bool form, char **ret);
/* "a=1&b&c=x+y", empty parts skipped.  -EINVAL as above, -E2BIG past URL_PARAMS_MAX. */
int url_parse_query(struct arena *a, const char *query, struct url_param **ret, size_t *ret_n);

/* Append s so that it is one path segment or one query name or value: all but unreserved
 * characters are escaped, '/' and '+' too. */
void url_encode(struct strbuf *b, const char *s);
/* The same, but '/' stays: a path. */
void url_encode_path(struct strbuf *b, const char *s);
