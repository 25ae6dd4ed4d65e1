/* Command-line flags by tables. */
#include "cli/flags.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "cli/output.h"

#define VALUE_MAX (1 << 20) /* of what an error quotes */

/* Values ------------------------------------------------------------------------------------ */

int flags_parse_bool(const char *s, bool *ret)
{
	int r = units_parse_bool(s);

	if (r < 0)
		return r;
	*ret = r;
	return 0;
}

/* A decimal number with fraction, times `unit`, exact to the integer; *end behind it. */
static int parse_scaled(const char *s, uint64_t unit, const char **end, uint64_t *ret)
{
	uint64_t whole = 0, fraction = 0, scale = 1;
	const char *p = s;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
			return -ERANGE;
	if (p == s && *p != '.')
		return -EINVAL;
	if (*p == '.') {
		const char *start = ++p;

		for (; *p >= '0' && *p <= '9'; p++) {
			if (scale >= 1000000000)
				continue;
			fraction = fraction * 10 + (uint64_t)(*p - '0');
			scale *= 10;
		}
		if (p == start && start == s + 1)
			return -EINVAL;
	}
	if (__builtin_mul_overflow(whole, unit, &whole) || whole > INT64_MAX)
		return -ERANGE;
	/* unit < 2^60 and fraction < 10^9: go through 128 bits */
	*ret = whole + (uint64_t)((unsigned __int128)fraction * unit / scale);
	*end = p;
	return 0;
}

static uint64_t bytes_unit(char c)
{
	static const char letters[] = "bkmgtp";
	const char *p = c ? strchr(letters, c | 0x20) : NULL;

	return p ? 1ULL << (10 * (p - letters)) : 0;
}

int flags_parse_bytes(const char *s, int64_t *ret)
{
	const char *unit_at = s + strspn(s, "0123456789.");
	const char *rest = unit_at, *end;
	uint64_t unit = 1, value = 0;
	int r;

	while (*rest == ' ')
		rest++;
	if (*rest) {
		unit = bytes_unit(*rest++);
		if (!unit)
			return -EINVAL;
		/* "kb", "KiB", "b" */
		if (unit > 1 && (*rest == 'i' || *rest == 'I') && (rest[1] | 0x20) == 'b')
			rest += 2;
		else if (unit > 1 && (*rest | 0x20) == 'b')
			rest++;
		if (*rest)
			return -EINVAL;
	}
	r = parse_scaled(s, unit, &end, &value);
	if (r < 0 || end != unit_at)
		return r < 0 ? r : -EINVAL;
	*ret = (int64_t)value;
	return 0;
}

int flags_parse_cpus(const char *s, int64_t *ret_nano)
{
	const char *end;
	uint64_t value = 0;
	int r = parse_scaled(s, 1000000000, &end, &value);

	if (r < 0 || *end)
		return -EINVAL;
	*ret_nano = (int64_t)value;
	return 0;
}

int flags_parse_duration(const char *s, int64_t *ret_ns)
{
	static const struct {
		const char *suffix;
		uint64_t ns;
	} units[] = {
		{"ns", 1},         {"us", 1000},       {"ms", 1000000},
		{"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000},
	};
	int64_t total = 0;

	if (strcmp(s, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	if (!*s)
		return -EINVAL;
	while (*s) {
		const char *suffix = s + strspn(s, "0123456789."), *end;
		size_t len = strcspn(suffix, "0123456789.");
		uint64_t value = 0;
		size_t i;

		for (i = 0; i < ARRAY_SIZE(units); i++)
			if (strlen(units[i].suffix) == len &&
			    strncmp(units[i].suffix, suffix, len) == 0)
				break;
		if (i == ARRAY_SIZE(units) || parse_scaled(s, units[i].ns, &end, &value) < 0 ||
		    end != suffix || __builtin_add_overflow(total, (int64_t)value, &total))
			return -EINVAL;
		s = suffix + len;
	}
	*ret_ns = total;
	return 0;
}

static int set_bool(void *field, const char *value)
{
	return flags_parse_bool(value, field);
}

static int set_string(void *field, const char *value)
{
	*(const char **)field = value;
	return 0;
}

static int set_list(void *field, const char *value)
{
	strv_add(field, value);
	return 0;
}

static int set_csv(void *field, const char *value)
{
	for (;;) {
		size_t n = strcspn(value, ",");

		strv_add_take(field, xstrndup(value, n));
		if (!value[n])
			return 0;
		value += n + 1;
	}
}

static int set_int(void *field, const char *value)
{
	return str_parse_int(value, field);
}

static int set_i64(void *field, const char *value)
{
	return str_parse_i64(value, field);
}

static int set_u16(void *field, const char *value)
{
	uint32_t v = 0;
	int r = str_parse_u32(value, &v);

	if (r < 0 || v > UINT16_MAX)
		return r < 0 ? r : -ERANGE;
	*(uint16_t *)field = (uint16_t)v;
	return 0;
}

static int set_bytes(void *field, const char *value)
{
	/* Docker takes -1 for "unlimited", in --memory-swap */
	if (strcmp(value, "-1") == 0) {
		*(int64_t *)field = -1;
		return 0;
	}
	return flags_parse_bytes(value, field);
}

static int set_cpus(void *field, const char *value)
{
	return flags_parse_cpus(value, field);
}

static int set_duration(void *field, const char *value)
{
	return flags_parse_duration(value, field);
}

static const struct {
	int (*set)(void *field, const char *value);
	const char *placeholder;
	const char *before, *after; /* around an invalid value in what it is told */
} types[] = {
	[FLAG_BOOL] = {set_bool, "", "strconv.ParseBool: parsing \"", "\": invalid syntax"},
	[FLAG_STRING] = {set_string, "string", "invalid: ", ""},
	[FLAG_LIST] = {set_list, "list", "invalid: ", ""},
	[FLAG_CSV] = {set_csv, "strings", "invalid: ", ""},
	[FLAG_INT] = {set_int, "int", "strconv.ParseInt: parsing \"", "\": invalid syntax"},
	[FLAG_I64] = {set_i64, "int", "strconv.ParseInt: parsing \"", "\": invalid syntax"},
	[FLAG_U16] = {set_u16, "uint16", "strconv.ParseUint: parsing \"", "\": invalid syntax"},
	[FLAG_BYTES] = {set_bytes, "bytes", "invalid size: '", "'"},
	[FLAG_CPUS] = {set_cpus, "decimal", "failed to parse ", " as a rational number"},
	[FLAG_DURATION] = {set_duration, "duration", "time: invalid duration \"", "\""},
};
static_assert(ARRAY_SIZE(types) == FLAG_TYPE_COUNT, "a row for each type");

/* Parsing ----------------------------------------------------------------------------------- */

struct parser {
	const struct flag *table;
	void *options;
	int argc, next; /* next: the first argument not looked at yet */
	char **argv;
	struct flags_parsed *ret;
	struct error *err;
};

static const struct flag *find_long(const struct flag *table, const char *name, size_t len)
{
	for (const struct flag *f = table; f->name; f++)
		if (strncmp(f->name, name, len) == 0 && f->name[len] == '\0')
			return f;
	return NULL;
}

static const struct flag *find_short(const struct flag *table, char c)
{
	for (const struct flag *f = table; f->name; f++)
		if (f->shorthand == c)
			return f;
	return NULL;
}

static int set_value(struct parser *p, const struct flag *f, const char *value)
{
	int r = types[f->type].set((char *)p->options + f->offset, value);
	autoerror struct error why = {0};
	autostrbuf struct strbuf quoted = STRBUF_INIT(VALUE_MAX);
	char names[64] = "";

	p->ret->changed[f - p->table] = true;
	if (r == 0 && f->check)
		r = f->check(value, &why);
	else if (r == -ERANGE)
		r = error_set(&why, ERROR_INVALID, 0, "value out of range");
	else if (r < 0)
		r = error_set(&why, ERROR_INVALID, 0, "%s%s%s", types[f->type].before, value,
			      types[f->type].after);
	if (r >= 0)
		return 0;
	if (f->shorthand)
		(void)snprintf(names, sizeof(names), "-%c, ", f->shorthand);
	output_quote(value, &quoted);
	return error_set(p->err, ERROR_INVALID, 0, "invalid argument %s for \"%s--%s\" flag: %s",
			 quoted.s, names, f->name, error_msg(&why));
}

static int parse_long(struct parser *p, const char *arg)
{
	size_t len = strcspn(arg, "=");
	const struct flag *f = find_long(p->table, arg, len);

	if (!f) {
		if (strcmp(arg, "help") == 0) {
			p->ret->help = true;
			return 0;
		}
		return error_set(p->err, ERROR_INVALID, 0, "unknown flag: --%.*s", (int)len, arg);
	}
	if (arg[len] == '=')
		return set_value(p, f, arg + len + 1);
	if (f->type == FLAG_BOOL)
		return set_value(p, f, "true");
	if (p->next == p->argc)
		return error_set(p->err, ERROR_INVALID, 0, "flag needs an argument: --%s", f->name);
	return set_value(p, f, p->argv[p->next++]);
}

static int parse_short(struct parser *p, const char *arg)
{
	for (const char *c = arg; *c; c++) {
		const struct flag *f = find_short(p->table, *c);
		int r;

		if (!f) {
			if (*c == 'h') {
				p->ret->help = true;
				return 0;
			}
			return error_set(p->err, ERROR_INVALID, 0,
					 "unknown shorthand flag: '%c' in -%s", *c, arg);
		}
		if (c[1] == '=')
			return set_value(p, f, c + 2);
		if (f->type == FLAG_BOOL) {
			r = set_value(p, f, "true");
			if (r < 0)
				return r;
			continue;
		}
		if (c[1])
			return set_value(p, f, c + 1);
		if (p->next == p->argc)
			return error_set(p->err, ERROR_INVALID, 0,
					 "flag needs an argument: '%c' in -%s", *c, arg);
		return set_value(p, f, p->argv[p->next++]);
	}
	return 0;
}

int flags_parse(const struct flag *table, void *options, int argc, char **argv,
		bool stop_at_argument, struct flags_parsed *ret, struct error *err)
{
	struct flags_parsed parsed = {.args = argv};
	struct parser p = {.table = table,
			   .options = options,
			   .argc = argc,
			   .argv = argv,
			   .ret = &parsed,
			   .err = err};

	/* Arguments move to argv's front, over places that have been read. */
	while (p.next < argc) {
		char *arg = argv[p.next++];
		int r;

		if (strcmp(arg, "--") == 0 || arg[0] != '-' || arg[1] == '\0') {
			bool end = strcmp(arg, "--") == 0, rest = end || stop_at_argument;

			if (!end)
				argv[parsed.arg_count++] = arg;
			while (rest && p.next < argc)
				argv[parsed.arg_count++] = argv[p.next++];
			continue;
		}
		r = arg[1] == '-' ? parse_long(&p, arg + 2) : parse_short(&p, arg + 1);
		if (r < 0)
			return r;
	}
	*ret = parsed;
	return 0;
}

bool flags_changed(const struct flag *table, const struct flags_parsed *parsed, const char *name)
{
	const struct flag *f = find_long(table, name, strlen(name));

	assert(f);
	return parsed->changed[f - table];
}

/* Help -------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct flag *const *)a)->name,
		      (*(const struct flag *const *)b)->name);
}

static const char *placeholder(const struct flag *f)
{
	return f->placeholder ? f->placeholder : types[f->type].placeholder;
}

void flags_usage(const struct flag *table, struct strbuf *out)
{
	const struct flag *sorted[FLAGS_MAX];
	size_t n = 0, width = 0;

	for (const struct flag *f = table; f->name; f++) {
		size_t w = strlen(f->name) + strlen(placeholder(f)) + 1;

		assert(n < FLAGS_MAX);
		if (f->hidden)
			continue;
		sorted[n++] = f;
		width = w > width ? w : width;
	}
	qsort(sorted, n, sizeof(*sorted), by_name);
	for (size_t i = 0; i < n; i++) {
		const struct flag *f = sorted[i];
		int used = (int)(strlen(f->name) + strlen(placeholder(f)) + 1);

		if (f->shorthand)
			strbuf_addf(out, "  -%c, ", f->shorthand);
		else
			strbuf_adds(out, "      ");
		strbuf_addf(out, "--%s %s%*s   %s\n", f->name, placeholder(f), (int)width - used,
			    "", f->help);
	}
}
