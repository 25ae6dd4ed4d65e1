/* cli/output.h - what commands print: aligned tables, --format templates, sizes and times in words. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "cli/cli.h"

struct output_column {
	const char *field;  /* member of a row: "ID" */
	const char *header; /* "CONTAINER ID" */
};

struct output_list {
	const struct output_column *columns; /* all that a template may name; ends without field */
	const char *default_format;          /* "table {{.ID}}\t{{.Names}}" */
	const char *format; /* --format, or NULL: "json", "table", "table T", "raw T" or T */
	bool no_headers;
};

/* `rows`: a JSON array of objects with the columns' fields. */
int output_list(struct cli *cli, const struct output_list *list, const struct json *rows,
		struct error *err);
/* The same into a buffer. */
int output_list_text(struct cli *cli, const struct output_list *list, const struct json *rows,
		     struct strbuf *ret, struct error *err);
/* Lines of cells separated by tabs, aligned; the last cell of a line is not padded.  Columns are at least
 * column_min wide: lists' are OUTPUT_COLUMN_MIN. */
#define OUTPUT_COLUMN_MIN 10
void output_aligned(const char *text, size_t column_min, struct strbuf *out);

/* Inspect: an array of documents as indented JSON, or one template line each. */
int output_documents(struct cli *cli, const struct json *const *documents, size_t n,
		     const char *format, struct error *err);

/* Docker's words. */
void output_quote(const char *s, struct strbuf *out);           /* as Go's %q: "a \"b\"" */
void output_size(double bytes, int digits, struct strbuf *out); /* "4.27MB" */
void output_size_binary(double bytes, struct strbuf *out);      /* "4.273MiB" */
void output_duration(int64_t seconds, struct strbuf *out);      /* "About a minute" */
/* Members `field` ("3 minutes ago") and "CreatedAt" for a time in seconds since 1970. */
void output_age(int64_t created, const char *field, struct json_writer *w);
const char *output_short_id(struct cli *cli, const char *id, bool full); /* "0123456789ab" */
