/* Tables, templates, sizes and times in words. */
#include "cli/output.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/template.h"

#define OUTPUT_MAX     (256 << 20)
#define COLUMNS_MAX    32
#define COLUMN_PADDING 3 /* spaces between cells, as Docker's tab writer has them */

void output_quote(const char *s, struct strbuf *out)
{
	static const struct {
		char c;
		const char *text;
	} escapes[] = {
		{'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {'\t', "\\t"}, {'\r', "\\r"},
		{'\a', "\\a"}, {'\b', "\\b"},  {'\f', "\\f"}, {'\v', "\\v"},
	};

	strbuf_addc(out, '"');
	for (; *s; s++) {
		size_t i = 0;

		while (i < ARRAY_SIZE(escapes) && escapes[i].c != *s)
			i++;
		if (i < ARRAY_SIZE(escapes))
			strbuf_adds(out, escapes[i].text);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			strbuf_addf(out, "\\x%02x", (unsigned char)*s);
		else
			strbuf_addc(out, *s);
	}
	strbuf_addc(out, '"');
}

static void add_scaled(double value, double step, const char *const *units, size_t n, int digits,
		       struct strbuf *out)
{
	size_t i = 0;

	while (value >= step && i + 1 < n) {
		value /= step;
		i++;
	}
	strbuf_addf(out, "%.*g%s", digits, value, units[i]);
}

void output_size(double bytes, int digits, struct strbuf *out)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};

	add_scaled(bytes, 1000, units, ARRAY_SIZE(units), digits, out);
}

void output_size_binary(double bytes, struct strbuf *out)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

	add_scaled(bytes, 1024, units, ARRAY_SIZE(units), 4, out);
}

void output_duration(int64_t seconds, struct strbuf *out)
{
	static const struct {
		int64_t below; /* seconds */
		int64_t unit;  /* 0: the text as it is */
		const char *text;
	} steps[] = {
		{1, 0, "Less than a second"},
		{2, 0, "1 second"},
		{60, 1, "seconds"},
		{120, 0, "About a minute"},
		{3600, 60, "minutes"},
		{7200, 0, "About an hour"},
		{48 * 3600, 3600, "hours"},
		{14 * 86400, 86400, "days"},
		{60 * 86400, 7 * 86400, "weeks"},
		{730 * 86400, 30 * 86400, "months"},
		{INT64_MAX, 365 * 86400, "years"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		if (seconds >= steps[i].below)
			continue;
		if (steps[i].unit)
			strbuf_addf(out, "%lld %s", (long long)(seconds / steps[i].unit),
				    steps[i].text);
		else
			strbuf_adds(out, steps[i].text);
		return;
	}
}

void output_age(int64_t created, const char *field, struct json_writer *w)
{
	autostrbuf struct strbuf age = STRBUF_INIT(64);
	char text[CLOCK_RFC3339_SIZE];

	output_duration(clock_realtime_ns() / 1000000000 - created, &age);
	strbuf_adds(&age, " ago");
	jw_kstring(w, field, age.s);
	clock_format_rfc3339(created * 1000000000, text);
	text[10] = ' ';
	text[19] = '\0';
	jw_key(w, "CreatedAt");
	jw_stringf(w, "%s +0000 UTC", text);
}

const char *output_short_id(struct cli *cli, const char *id, bool full)
{
	if (full || !id)
		return id ? id : "";
	if (str_has_prefix(id, "sha256:"))
		id += strlen("sha256:");
	return arena_strndup(cli->arena, id, 12);
}

/* Columns in terminal cells: UTF-8 continuation bytes take none. */
static size_t width_of(const char *s, size_t len)
{
	size_t width = 0;

	for (size_t i = 0; i < len; i++)
		width += ((unsigned char)s[i] & 0xc0) != 0x80;
	return width;
}

void output_aligned(const char *text, size_t column_min, struct strbuf *out)
{
	size_t widths[COLUMNS_MAX] = {0};
	const char *p;

	for (int pass = 0; pass < 2; pass++) {
		size_t column = 0;

		for (p = text; *p;) {
			size_t len = strcspn(p, "\t\n"), width = width_of(p, len);
			bool last = p[len] != '\t';

			if (column >= COLUMNS_MAX)
				column = COLUMNS_MAX - 1;
			if (pass == 0 && !last) {
				width += COLUMN_PADDING;
				width = width < column_min ? column_min : width;
				widths[column] = width > widths[column] ? width : widths[column];
			} else if (pass == 1) {
				strbuf_add(out, p, len);
				if (last)
					strbuf_addc(out, '\n');
				else
					strbuf_addf(out, "%*s", (int)(widths[column] - width), "");
			}
			column = last ? 0 : column + 1;
			p += len + (p[len] != '\0');
		}
	}
}

/* A template's "\t" and "\n" as shells pass them. */
static const char *unescape(struct cli *cli, const char *s)
{
	char *out = arena_alloc(cli->arena, strlen(s) + 1), *p = out;

	for (; *s; s++) {
		if (s[0] == '\\' && (s[1] == 't' || s[1] == 'n')) {
			*p++ = s[1] == 't' ? '\t' : '\n';
			s++;
		} else {
			*p++ = *s;
		}
	}
	*p = '\0';
	return out;
}

static int print_headers(struct cli *cli, const struct output_list *list, const struct template *t,
			 struct strbuf *out, struct error *err)
{
	autostrbuf struct strbuf b = STRBUF_INIT(65536);
	const struct json *headers;
	struct json_writer w;
	int r;

	json_writer_init(&w, &b);
	jw_object(&w);
	for (const struct output_column *c = list->columns; c->field; c++)
		jw_kstring(&w, c->field, c->header);
	jw_kstring(&w, "Label", "");
	jw_object_end(&w);
	r = json_parse(cli->arena, b.s, b.len, &headers, err);
	if (r == 0)
		r = template_execute(t, headers, out, err);
	strbuf_addc(out, '\n');
	return r;
}

static int by_field(const void *a, const void *b)
{
	return strcmp(((const struct output_column *)a)->field,
		      ((const struct output_column *)b)->field);
}

/* JSON as Go writes it: what HTML would take for markup is escaped. */
static void add_escaped(struct strbuf *out, const char *s)
{
	for (; *s; s++) {
		if (strchr("<>&", *s))
			strbuf_addf(out, "\\u%04x", (unsigned)*s);
		else
			strbuf_addc(out, *s);
	}
}

/* Format "json": an object a row, of the columns in the order of their names. */
static int list_json(const struct output_list *list, const struct json *rows, struct strbuf *out,
		     struct error *err)
{
	struct output_column columns[COLUMNS_MAX];
	const struct json *row;
	size_t n = 0;

	while (list->columns[n].field && n < COLUMNS_MAX) {
		columns[n] = list->columns[n];
		n++;
	}
	qsort(columns, n, sizeof(*columns), by_field);
	json_array_foreach(row, rows) {
		autostrbuf struct strbuf text = STRBUF_INIT(OUTPUT_MAX);
		struct json_writer w;

		json_writer_init(&w, &text);
		jw_object(&w);
		for (size_t i = 0; i < n; i++)
			if (json_get(row, columns[i].field))
				jw_kvalue(&w, columns[i].field, json_get(row, columns[i].field));
		jw_object_end(&w);
		add_escaped(out, text.s);
		strbuf_addc(out, '\n');
		if (strbuf_error(&text) < 0)
			return error_set(err, ERROR_INVALID, E2BIG, "row of a list");
	}
	return 0;
}

int output_list_text(struct cli *cli, const struct output_list *list, const struct json *rows,
		     struct strbuf *ret, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(OUTPUT_MAX);
	const char *format = str_empty(list->format) ? list->default_format : list->format;
	const struct template *t = NULL;
	const struct json *row;
	bool table = str_has_prefix(format, "table");
	int r;

	if (strcmp(format, "json") == 0 || strcmp(format, "{{json .}}") == 0)
		return list_json(list, rows, ret, err);
	if (strcmp(format, "table") == 0)
		format = list->default_format;
	if (table)
		format += strlen("table") + strspn(format + strlen("table"), " ");
	r = template_parse(cli->arena, unescape(cli, format), &t, err);
	if (r == 0 && table && !list->no_headers)
		r = print_headers(cli, list, t, &out, err);
	json_array_foreach(row, rows) {
		if (r == 0)
			r = template_execute(t, row, &out, err);
		strbuf_addc(&out, '\n');
	}
	if (r < 0)
		return r;
	if (table)
		output_aligned(out.s, OUTPUT_COLUMN_MIN, ret);
	else
		strbuf_add(ret, out.s, out.len);
	return 0;
}

int output_list(struct cli *cli, const struct output_list *list, const struct json *rows,
		struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(OUTPUT_MAX);
	int r = output_list_text(cli, list, rows, &out, err);

	if (r >= 0 && strbuf_error(&out) < 0)
		r = error_set(err, ERROR_INVALID, E2BIG, "list");
	if (r >= 0)
		(void)fputs(out.s, stdout);
	return r;
}

int output_documents(struct cli *cli, const struct json *const *documents, size_t n,
		     const char *format, struct error *err)
{
	autostrbuf struct strbuf out = STRBUF_INIT(OUTPUT_MAX);
	struct json_writer w;

	if (str_empty(format)) {
		json_writer_init(&w, &out);
		w.pretty_indent = 4;
		jw_array(&w);
		for (size_t i = 0; i < n; i++)
			jw_value(&w, documents[i]);
		jw_array_end(&w);
		printf("%s\n", out.s);
		return 0;
	}
	for (size_t i = 0; i < n; i++) {
		const struct template *t = NULL;
		int r = template_parse(cli->arena,
				       strcmp(format, "json") == 0 ? "{{json .}}"
								   : unescape(cli, format),
				       &t, err);

		if (r == 0)
			r = template_execute(t, documents[i], &out, err);
		if (r < 0)
			return r;
		strbuf_addc(&out, '\n');
	}
	(void)fputs(out.s, stdout);
	return 0;
}
