/* Documents to typed settings, by the table. */
#include "engine/settings.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "engine/logging.h"
#include "engine/runtimes.h"
#include "registry/trust.h"

#define TEXT_MAX ((size_t)1 << 20) /* bytes of one value */

static size_t row_count(void)
{
	size_t n = 0;

	while (settings_table[n].key)
		n++;
	assert(n <= SETTINGS_MAX);
	return n;
}

static ssize_t find_row(const char *key)
{
	for (ssize_t i = 0; settings_table[i].key; i++)
		if (str_eq(settings_table[i].key, key))
			return i;
	return -1;
}

/* ---- shapes ---------------------------------------------------------------------------------- */

static bool all_of(const struct json *v, enum json_type container, enum json_type member)
{
	if (json_type(v) != container)
		return false;
	for (size_t i = 0; i < json_count(v); i++) {
		const struct json *m =
			container == JSON_ARRAY ? json_at(v, i) : json_value_at(v, i);

		if (json_type(m) != member || (member == JSON_STRING && !json_string(m)))
			return false;
	}
	return true;
}

/* Sizes as Docker's users write them: a number, or "64m", "1GiB". */
static int parse_bytes(const struct json *v, int64_t *ret)
{
	static const char units[] = "bkmgtp";
	const char *s = json_string(v), *end;
	size_t digits = s ? strspn(s, "0123456789") : 0;
	autofree char *number = s ? xstrndup(s, digits) : NULL;
	const char *unit;
	uint64_t n;

	if (!s) {
		*ret = json_int(v);
		return json_int_fits(v) && *ret >= 0 ? 0 : -EINVAL;
	}
	if (str_parse_u64(number, &n) < 0 || n > INT64_MAX)
		return -EINVAL;
	end = s + digits + strspn(s + digits, " ");
	unit = *end ? strchr(units, *end | 0x20) : units;
	if (!unit)
		return -EINVAL;
	end += *end != '\0';
	if (unit > units && (*end | 0x20) == 'i')
		end++;
	if (unit > units && (*end | 0x20) == 'b')
		end++;
	if (*end || __builtin_mul_overflow((int64_t)n, 1LL << (10 * (unit - units)), ret))
		return -EINVAL;
	return 0;
}

static bool is_string(const struct json *v)
{
	return json_string(v);
}

static bool is_bool(const struct json *v)
{
	return json_type(v) == JSON_BOOL;
}

static bool is_int(const struct json *v)
{
	return json_int_fits(v) && json_int(v) >= INT_MIN && json_int(v) <= INT_MAX;
}

static bool is_bytes(const struct json *v)
{
	int64_t n;

	return parse_bytes(v, &n) >= 0;
}

static bool is_list(const struct json *v)
{
	return all_of(v, JSON_ARRAY, JSON_STRING);
}

static bool is_map(const struct json *v)
{
	return all_of(v, JSON_OBJECT, JSON_STRING);
}

static bool is_bools(const struct json *v)
{
	return all_of(v, JSON_OBJECT, JSON_BOOL);
}

static bool is_maps(const struct json *v)
{
	for (size_t i = 0; i < json_count(v); i++)
		if (!is_map(json_value_at(v, i)))
			return false;
	return json_type(v) == JSON_OBJECT;
}

static bool is_runtimes(const struct json *v)
{
	for (size_t i = 0; i < json_count(v); i++) {
		const struct json *m = json_value_at(v, i);
		bool has_path = !str_empty(json_get_string(m, "path"));

		if (has_path == !str_empty(json_get_string(m, "runtimeType")))
			return false;
	}
	return all_of(v, JSON_OBJECT, JSON_OBJECT);
}

static bool is_ulimits(const struct json *v)
{
	for (size_t i = 0; i < json_count(v); i++) {
		const struct json *m = json_value_at(v, i), *soft = json_get(m, "Soft");
		const struct json *hard = json_get(m, "Hard");

		if (!json_int_fits(soft) || !json_int_fits(hard))
			return false;
	}
	return all_of(v, JSON_OBJECT, JSON_OBJECT);
}

static bool is_pools(const struct json *v)
{
	for (size_t i = 0; i < json_count(v); i++)
		if (!json_get_string(json_at(v, i), "base") ||
		    !is_int(json_get(json_at(v, i), "size")))
			return false;
	return all_of(v, JSON_ARRAY, JSON_OBJECT);
}

static bool is_object(const struct json *v)
{
	return json_type(v) == JSON_OBJECT;
}

static const struct {
	bool (*fits)(const struct json *v);
	const char *expected;
} types[] = {
	[SETTING_STRING] = {is_string, "a string"},
	[SETTING_BOOL] = {is_bool, "true or false"},
	[SETTING_INT] = {is_int, "an integer"},
	[SETTING_BYTES] = {is_bytes, "a size"},
	[SETTING_LIST] = {is_list, "an array of strings"},
	[SETTING_MAP] = {is_map, "an object of strings"},
	[SETTING_BOOLS] = {is_bools, "an object of true and false"},
	[SETTING_MAPS] = {is_maps, "an object of objects of strings"},
	[SETTING_RUNTIMES] = {is_runtimes,
			      "an object of runtimes, each with either path or runtimeType"},
	[SETTING_ULIMITS] = {is_ulimits, "an object of ulimits, each with Soft and Hard"},
	[SETTING_POOLS] = {is_pools, "an array of pools, each with base and size"},
	[SETTING_OBJECT] = {is_object, "an object"},
};
static_assert(ARRAY_SIZE(types) == SETTING_TYPE_COUNT, "a row for each type");

/* ---- values ---------------------------------------------------------------------------------- */

static struct json_strings strings_of(struct arena *a, const struct json *v)
{
	struct json_strings list = {.n = json_count(v)};

	list.v = arena_new0n(a, const char *, list.n + 1);
	for (size_t i = 0; i < list.n; i++)
		list.v[i] = json_string(json_at(v, i));
	return list;
}

static void store(struct settings *s, const struct setting *row, const struct json *v)
{
	void *field = (char *)s + row->offset;

	switch (row->type) {
	case SETTING_STRING:
		*(const char **)field = v ? json_string(v) : "";
		break;
	case SETTING_BOOL:
		*(bool *)field = json_bool(v);
		break;
	case SETTING_INT:
		*(int *)field = (int)json_int(v);
		break;
	case SETTING_BYTES:
		(void)parse_bytes(v, field); /* it fits: checked */
		break;
	case SETTING_LIST:
		*(struct json_strings *)field = strings_of(s->arena, v);
		break;
	case SETTING_MAP:
	case SETTING_BOOLS:
	case SETTING_MAPS:
	case SETTING_RUNTIMES:
	case SETTING_ULIMITS:
	case SETTING_POOLS:
	case SETTING_OBJECT:
		*(const struct json **)field = v;
		break;
	case SETTING_TYPE_COUNT:
		assert(!"a type of the table");
	}
}

static char *text_of(const struct json *v)
{
	autostrbuf struct strbuf out = STRBUF_INIT(TEXT_MAX);
	struct json_writer w;

	json_writer_init(&w, &out);
	jw_value(&w, v);
	return strbuf_take(&out);
}

static const struct json *copy_value(struct arena *a, const struct json *v)
{
	autofree char *text = v ? text_of(v) : NULL;
	const struct json *copy = NULL;

	/* What was parsed once can be parsed again. */
	if (text && json_parse(a, text, strlen(text), &copy, NULL) < 0)
		return NULL;
	return copy;
}

static const struct json *fallback_of(struct arena *a, const struct setting *row)
{
	const struct json *v = NULL;

	if (row->fallback && json_parse(a, row->fallback, strlen(row->fallback), &v, NULL) < 0)
		assert(!"a default of the table is JSON");
	return v;
}

static bool is_zero(const struct json *v)
{
	if (json_type(v) == JSON_BOOL)
		return !json_bool(v);
	if (json_type(v) == JSON_INT)
		return json_int(v) == 0 && json_int_fits(v);
	if (json_type(v) == JSON_STRING)
		return json_string_len(v) == 0;
	return json_count(v) == 0;
}

/* Of what there isn't, the default can be asked for. */
static bool is_default(const struct setting *row, const struct json *v)
{
	autofree char *text = text_of(v);

	/* Switches that are on by default cannot be turned off; other zeros mean the default. */
	if (is_zero(v))
		return !row->fallback || json_type(v) != JSON_BOOL;
	return str_eq(text, row->fallback);
}

static int check_value(const struct setting *row, const struct json *v, struct error *err)
{
	int r;

	if (!types[row->type].fits(v))
		return error_set(err, ERROR_INVALID, 0, "'%s': expected %s", row->key,
				 types[row->type].expected);
	r = row->check ? row->check(v, err) : 0;
	if (r < 0)
		return error_wrap(err, r, "%s", row->key);
	if (row->offset < 0 && !row->inert && !is_default(row, v))
		return error_set(err, ERROR_NOT_IMPLEMENTED, 0, "'%s' is not implemented",
				 row->key);
	return 0;
}

/* values: by row, living in `a`, which is taken. */
static int build(struct arena *a, const struct json **values, struct settings **ret,
		 struct error *err)
{
	struct settings *s = xnew0(struct settings);

	s->arena = a;
	s->values = values;
	for (size_t i = 0; settings_table[i].key; i++) {
		const struct setting *row = &settings_table[i];
		int r = values[i] ? check_value(row, values[i], err) : 0;

		if (r < 0) {
			(void)settings_free(s);
			return r;
		}
		if (row->offset >= 0)
			store(s, row, values[i] ? values[i] : fallback_of(a, row));
	}
	s->tls = s->tls || s->tls_verify;
	if (logging_validate_defaults(s->log_driver, s->log_opts, err) < 0) {
		(void)settings_free(s);
		return error_wrap(err, -EINVAL, "failed to set log opts");
	}
	if (runtimes_check(s, err) < 0) {
		(void)settings_free(s);
		return -EINVAL;
	}
	if (trust_policy_new(s->signature_policy, &s->trust, err) < 0) {
		(void)settings_free(s);
		return error_wrap(err, -EINVAL, "signature-policy");
	}
	*ret = s;
	return 0;
}

/* ---- sources --------------------------------------------------------------------------------- */

/* The file's members, those of "proxies" among them, by row. */
struct members {
	const struct json *v[SETTINGS_MAX];
	struct strbuf unknown; /* names */
	struct arena *arena;   /* borrowed */
};

/* Docker ignores them, for they were once written by everybody. */
static bool is_obsolete(const char *key)
{
	return str_eq(key, "deprecated-key-path") ||
	       str_eq(key, "allow-nondistributable-artifacts");
}

/* What was one string and became a list. */
static const struct json *list_of(struct arena *a, const struct json *v)
{
	autofree char *text = text_of(v);
	const char *list = arena_printf(a, "[%s]", text);
	const struct json *ret = NULL;

	return json_parse(a, list, strlen(list), &ret, NULL) < 0 ? v : ret;
}

static int collect(struct members *m, const struct json *doc, struct error *err)
{
	const struct json *v;
	const char *key;

	json_object_foreach(key, v, doc) {
		bool old_name = str_eq(key, "host-gateway-ip");
		ssize_t row = find_row(old_name ? "host-gateway-ips" : key);

		if (json_is_null(v))
			continue; /* not given */
		if (str_eq(key, "proxies") && json_type(v) == JSON_OBJECT) {
			int r = collect(m, v, err);

			if (r < 0)
				return r;
		} else if (row >= 0 && m->v[row]) {
			return error_set(err, ERROR_INVALID, 0,
					 "host-gateway-ip and host-gateway-ips must not both be "
					 "specified in the config file");
		} else if (row >= 0) {
			m->v[row] = old_name ? list_of(m->arena, v) : v;
		} else if (!is_obsolete(key)) {
			strbuf_addf(&m->unknown, "%s%s", m->unknown.len ? ", " : "", key);
		}
	}
	return 0;
}

/* As Go prints values: strings bare, arrays [a b]. */
static void add_plain(struct strbuf *out, const struct json *v)
{
	autofree char *text = text_of(v);

	if (json_type(v) == JSON_ARRAY) {
		strbuf_addc(out, '[');
		for (size_t i = 0; i < json_count(v); i++) {
			strbuf_adds(out, i ? " " : "");
			add_plain(out, json_at(v, i));
		}
		strbuf_addc(out, ']');
		return;
	}
	strbuf_adds(out, json_string(v) ? json_string(v) : text);
}

static int refuse_conflicts(const struct json *const *flags, const struct members *file,
			    struct error *err)
{
	autostrbuf struct strbuf names = STRBUF_INIT(TEXT_MAX);

	for (size_t i = 0; settings_table[i].key; i++) {
		if (!flags[i] || !file->v[i] || settings_table[i].flags & SETTING_MERGED)
			continue;
		strbuf_addf(&names, "%s%s: (from flag: ", names.len ? ", " : "",
			    settings_table[i].key);
		add_plain(&names, flags[i]);
		strbuf_adds(&names, ", from file: ");
		add_plain(&names, file->v[i]);
		strbuf_addc(&names, ')');
	}
	if (names.len == 0)
		return 0;
	return error_set(err, ERROR_INVALID, 0,
			 "the following directives are specified both as a flag and in the "
			 "configuration file: %s",
			 names.s);
}

/* Both objects' members; the flags' stand first. */
static const struct json *merge(struct arena *a, const struct json *x, const struct json *y)
{
	autostrbuf struct strbuf out = STRBUF_INIT(TEXT_MAX);
	const struct json *v, *merged = NULL;
	struct json_writer w;
	const char *key;

	json_writer_init(&w, &out);
	jw_object(&w);
	json_object_foreach(key, v, x)
		jw_kvalue(&w, key, v);
	json_object_foreach(key, v, y)
		if (!json_get(x, key))
			jw_kvalue(&w, key, v);
	jw_object_end(&w);
	return json_parse(a, out.s, out.len, &merged, NULL) < 0 ? NULL : merged;
}

static int combine(const struct settings_source *source, struct members *file, struct arena *a,
		   const struct json **values, struct error *err)
{
	const struct json *flags[SETTINGS_MAX] = {0};
	int r;

	for (size_t i = 0; settings_table[i].key; i++)
		flags[i] = json_get(source->flags, settings_table[i].key);
	if (source->file && json_type(source->file) != JSON_OBJECT)
		return error_set(err, ERROR_INVALID, 0, "expected an object");
	r = collect(file, source->file, err);
	if (r >= 0 && file->unknown.len > 0)
		r = error_set(err, ERROR_INVALID, 0,
			      "the following directives don't match any configuration option: %s",
			      file->unknown.s);
	r = r < 0 ? r : refuse_conflicts(flags, file, err);
	if (r < 0)
		return r;
	for (size_t i = 0; settings_table[i].key; i++)
		values[i] = flags[i] && file->v[i]
				    ? merge(a, flags[i], file->v[i])
				    : copy_value(a, flags[i] ? flags[i] : file->v[i]);
	return 0;
}

int settings_new(const struct settings_source *source, struct settings **ret, struct error *err)
{
	struct arena *a = arena_new();
	struct members file = {.unknown = STRBUF_INIT(TEXT_MAX), .arena = a};
	const struct json **values = arena_new0n(a, const struct json *, row_count());
	int r = combine(source, &file, a, values, err);

	strbuf_done(&file.unknown);
	if (r < 0) {
		(void)arena_free(a);
		return r;
	}
	return build(a, values, ret, err);
}

static bool same(const struct json *x, const struct json *y)
{
	autofree char *a = x ? text_of(x) : NULL, *b = y ? text_of(y) : NULL;

	return str_eq(a, b);
}

int settings_reload(const struct settings *now, const struct settings *fresh, struct settings **ret,
		    struct strbuf *ret_kept, struct error *err)
{
	struct arena *a = arena_new();
	const struct json **values = arena_new0n(a, const struct json *, row_count());

	for (size_t i = 0; settings_table[i].key; i++) {
		bool loads = settings_table[i].flags & SETTING_RELOADABLE;

		values[i] = copy_value(a, (loads ? fresh : now)->values[i]);
		if (!loads && ret_kept && !same(now->values[i], fresh->values[i]))
			strbuf_addf(ret_kept, "%s%s", ret_kept->len ? ", " : "",
				    settings_table[i].key);
	}
	return build(a, values, ret, err);
}

struct settings *settings_free(struct settings *s)
{
	if (!s)
		return NULL;
	(void)trust_policy_free(s->trust);
	(void)arena_free(s->arena);
	free(s);
	return NULL;
}

/* ---- asking ---------------------------------------------------------------------------------- */

void settings_write(const struct settings *s, size_t i, struct json_writer *w)
{
	static const char *const zero[SETTING_TYPE_COUNT] = {
		[SETTING_STRING] = "\"\"", [SETTING_BOOL] = "false", [SETTING_INT] = "0",
		[SETTING_BYTES] = "0",     [SETTING_LIST] = "[]",    [SETTING_POOLS] = "[]",
	};
	const struct setting *row = &settings_table[i];
	const char *text = row->fallback ? row->fallback : zero[row->type] ? zero[row->type] : "{}";

	if (s->values[i])
		jw_value(w, s->values[i]);
	else
		jw_raw(w, text, strlen(text));
}

bool settings_feature(const struct settings *s, const char *name)
{
	return json_get_bool(s->features, name);
}

const char *settings_cgroup_driver(const struct settings *s)
{
	static const char prefix[] = "native.cgroupdriver=";

	for (size_t i = 0; i < s->exec_opts.n; i++)
		if (str_has_prefix(s->exec_opts.v[i], prefix))
			return s->exec_opts.v[i] + sizeof(prefix) - 1;
	return "cgroupfs";
}
