/* The filters parameter. */
#include "api/filters.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/api_priv.h"
#include "base/clock.h"
#include "base/mem.h"

static bool is_allowed(const char *const *allowed, const char *key)
{
	for (; *allowed; allowed++)
		if (strcmp(*allowed, key) == 0)
			return true;
	return false;
}

static int parse_one(struct arena *a, struct filter *f, const struct json *v, struct error *err)
{
	bool is_map = json_type(v) == JSON_OBJECT;

	if (!is_map && json_type(v) != JSON_ARRAY)
		return error_set(err, ERROR_INVALID, 0, "invalid filter '%s'", f->key);
	f->values = arena_new0n(a, const char *, json_count(v) + 1);
	for (size_t i = 0; i < json_count(v); i++) {
		const char *s = is_map ? json_key_at(v, i) : json_string(json_at(v, i));

		if (!s)
			return error_set(err, ERROR_INVALID, 0, "invalid filter '%s'", f->key);
		f->values[f->n++] = s;
	}
	return 0;
}

int filters_parse(struct arena *a, const char *text, const char *const *allowed,
		  struct filters *ret, struct error *err)
{
	struct filters f = {0};
	const struct json *doc, *v;
	autoerror struct error why = {0};
	const char *key;

	if (str_empty(text)) {
		*ret = f;
		return 0;
	}
	if (json_parse(a, text, strlen(text), &doc, &why) < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid filter: %s", error_msg(&why));
	if (json_type(doc) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0, "invalid filter: expected an object");
	f.v = arena_new0n(a, struct filter, json_count(doc));
	json_object_foreach(key, v, doc) {
		int r;

		if (!is_allowed(allowed, key))
			return error_set(err, ERROR_INVALID, 0, "invalid filter '%s'", key);
		f.v[f.n].key = key;
		r = parse_one(a, &f.v[f.n], v, err);
		if (r < 0)
			return r;
		if (f.v[f.n].n > 0)
			f.n++;
	}
	*ret = f;
	return 0;
}

const struct filter *filters_get(const struct filters *f, const char *key)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].key, key) == 0)
			return &f->v[i];
	return NULL;
}

typedef bool (*compare_fn)(const char *pattern, const char *value);

static bool match_by(const struct filters *f, const char *key, const char *value, compare_fn fn)
{
	const struct filter *x = filters_get(f, key);

	if (!x)
		return true;
	for (size_t i = 0; i < x->n; i++)
		if (fn(x->values[i], value))
			return true;
	return false;
}

static bool is_equal(const char *pattern, const char *value)
{
	return strcmp(pattern, value) == 0;
}

static bool is_prefix(const char *pattern, const char *value)
{
	return str_has_prefix(value, pattern);
}

static bool is_pattern(const char *pattern, const char *value)
{
	regex_t re;
	bool found;

	if (strcmp(pattern, value) == 0)
		return true;
	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return strstr(value, pattern) != NULL;
	found = regexec(&re, value, 0, NULL, 0) == 0;
	regfree(&re);
	return found;
}

bool filters_match(const struct filters *f, const char *key, const char *value)
{
	return match_by(f, key, value, is_equal);
}

bool filters_match_prefix(const struct filters *f, const char *key, const char *value)
{
	return match_by(f, key, value, is_prefix);
}

bool filters_match_pattern(const struct filters *f, const char *key, const char *value)
{
	return match_by(f, key, value, is_pattern);
}

static bool has_label(const struct json *labels, const char *wanted)
{
	size_t len = strcspn(wanted, "=");

	for (size_t i = 0; i < json_count(labels); i++) {
		const char *name = json_key_at(labels, i), *value;

		if (strlen(name) != len || memcmp(name, wanted, len) != 0)
			continue;
		value = json_string(json_value_at(labels, i));
		return wanted[len] == '\0' || str_eq(value ? value : "", wanted + len + 1);
	}
	return false;
}

bool filters_match_labels(const struct filters *f, const char *key, const struct json *labels)
{
	const struct filter *x = filters_get(f, key);

	for (size_t i = 0; x && i < x->n; i++)
		if (!has_label(labels, x->values[i]))
			return false;
	return true;
}

int filters_bool(const struct filters *f, const char *key, bool missing, bool *ret,
		 struct error *err)
{
	const struct filter *x = filters_get(f, key);

	if (!x) {
		*ret = missing;
		return 0;
	}
	if (x->n == 1) {
		if (strcmp(x->values[0], "1") == 0 || strcasecmp(x->values[0], "true") == 0) {
			*ret = true;
			return 0;
		}
		if (strcmp(x->values[0], "0") == 0 || strcasecmp(x->values[0], "false") == 0) {
			*ret = false;
			return 0;
		}
	}
	return error_set(err, ERROR_INVALID, 0, "invalid filter '%s=[%s]'", key, x->values[0]);
}

/* Go's time.ParseDuration, as far as people write it: "1h30m", "90s", "1.5h". */
static int parse_duration(const char *s, int64_t *ret)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	double total = 0;

	if (*s == '\0')
		return -EINVAL;
	while (*s) {
		char *end;
		double v;
		size_t i = 0, n;

		if (!isdigit((unsigned char)*s))
			return -EINVAL;
		v = strtod(s, &end);
		n = strspn(end, "numsh");
		while (i < ARRAY_SIZE(units) &&
		       (strlen(units[i].name) != n || memcmp(units[i].name, end, n) != 0))
			i++;
		if (i == ARRAY_SIZE(units))
			return -EINVAL;
		total += v * units[i].ns;
		s = end + n;
	}
	if (total >= 9e18)
		return -ERANGE;
	*ret = (int64_t)total;
	return 0;
}

int filters_until(const struct filters *f, int64_t *ret, struct error *err)
{
	const struct filter *x = filters_get(f, "until");
	int64_t ns;

	*ret = INT64_MAX;
	if (!x)
		return 0;
	if (x->n > 1)
		return error_set(err, ERROR_INVALID, 0, "more than one until filter specified");
	if (clock_parse_rfc3339(x->values[0], ret) == 0)
		return 0;
	if (parse_duration(x->values[0], &ns) == 0) {
		*ret = clock_realtime_ns() - ns;
		return 0;
	}
	return api_parse_timestamp(x->values[0], ret, err);
}
