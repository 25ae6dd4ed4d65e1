/* api/filters.h - the `filters` parameter: {"key":{"value":true}} and the older {"key":["value"]}. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/json_decode.h"

struct filter {
	const char *key;
	const char **values;
	size_t n;
};
struct filters {
	struct filter *v; /* in the arena */
	size_t n;
};

/* `text` may be NULL or "".  allowed: NULL-terminated keys.  ERROR_INVALID: "invalid filter 'x'". */
int filters_parse(struct arena *a, const char *text, const char *const *allowed,
		  struct filters *ret, struct error *err);

const struct filter *filters_get(const struct filters *f,
				 const char *key); /* NULL: not asked for */
/* Is there no such filter, or is `value` one of its values? */
bool filters_match(const struct filters *f, const char *key, const char *value);
/* The same, where a value may be the beginning of `value` (ids). */
bool filters_match_prefix(const struct filters *f, const char *key, const char *value);
/* The same, where values are regular expressions or parts of `value` (names). */
bool filters_match_pattern(const struct filters *f, const char *key, const char *value);
/* "k" and "k=v" must all hold of the labels (an object of strings, or NULL). */
bool filters_match_labels(const struct filters *f, const char *key, const struct json *labels);
/* until: a timestamp in ns, or a duration back from now ("10m", "1h30m"); INT64_MAX if absent. */
int filters_until(const struct filters *f, int64_t *ret, struct error *err);
/* "true", "1", "false", "0".  ERROR_INVALID otherwise.  Absent: missing. */
int filters_bool(const struct filters *f, const char *key, bool missing, bool *ret,
		 struct error *err);
