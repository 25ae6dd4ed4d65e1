/* Log entries as the API sends them. */
#include "api/log_format.h"

#include <string.h>

#include "api/log_reader.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

#define PREFIX_MAX      ((size_t)64 << 10) /* bytes of time and details */
#define FRACTION_DIGITS 9
#define FRAME_HEAD      8

/* Go's RFC3339NanoFixed: always nine digits. */
static void add_time(struct strbuf *b, const struct log_entry *e)
{
	const char *end, *p = e->time;
	size_t digits = 0;

	if (!e->time) {
		char text[CLOCK_RFC3339_SIZE];

		clock_format_rfc3339_fixed(e->time_ns, text);
		strbuf_addf(b, "%s ", text);
		return;
	}
	end = e->time + e->time_len;
	while (p < end && *p != '.' && *p != 'Z' && *p != '+' &&
	       !(*p == '-' && p > e->time + strlen("2006-01-02")))
		p++;
	strbuf_add(b, e->time, (size_t)(p - e->time));
	strbuf_addc(b, '.');
	if (p < end && *p == '.')
		for (p++; p < end && *p >= '0' && *p <= '9'; p++, digits++)
			strbuf_addc(b, *p);
	for (; digits < FRACTION_DIGITS; digits++)
		strbuf_addc(b, '0');
	strbuf_add(b, p, (size_t)(end - p));
	strbuf_addc(b, ' ');
}

/* Go's url.QueryEscape. */
static void add_escaped(struct strbuf *b, const char *s)
{
	for (; *s; s++) {
		unsigned char ch = (unsigned char)*s;

		if ((ch >= '0' && ch <= '9') || (ch >= 'A' && ch <= 'Z') ||
		    (ch >= 'a' && ch <= 'z') || strchr("-_.~", ch))
			strbuf_addc(b, (char)ch);
		else if (ch == ' ')
			strbuf_addc(b, '+');
		else
			strbuf_addf(b, "%%%02X", ch);
	}
}

static void add_details(struct strbuf *b, const struct log_entry *e)
{
	autoarena struct arena *a = arena_new();
	const struct json *attrs = NULL;

	if (e->attrs && json_parse(a, e->attrs, e->attrs_len, &attrs, NULL) < 0)
		attrs = NULL;
	for (size_t i = 0; i < json_count(attrs); i++) {
		const char *value = json_string(json_value_at(attrs, i));

		if (i > 0)
			strbuf_addc(b, ',');
		add_escaped(b, json_key_at(attrs, i));
		strbuf_addc(b, '=');
		add_escaped(b, value ? value : "");
	}
	strbuf_addc(b, ' ');
}

/* A frame's length, behind its stream and three zeros. */
static void put_length(char *frame, size_t len)
{
	for (unsigned i = 0; i < 4; i++)
		frame[4 + i] = (char)(len >> (24 - 8 * i));
}

static size_t frame_length(const char *frame)
{
	size_t len = 0;

	for (unsigned i = 0; i < 4; i++)
		len = len << 8 | (unsigned char)frame[4 + i];
	return len;
}

/* The frame that `len` bytes more go into: the last one, or a new one. */
static void add_frame(struct log_format *f, enum log_stream stream, size_t len, struct strbuf *out)
{
	char head[FRAME_HEAD] = {(char)stream};

	if (f->join && out->len > 0 && out->s[f->frame] == (char)stream) {
		put_length(out->s + f->frame, frame_length(out->s + f->frame) + len);
		return;
	}
	f->frame = out->len;
	put_length(head, len);
	strbuf_add(out, head, sizeof(head));
}

static void add_prefix(const struct log_format *f, const struct log_entry *e, struct strbuf *prefix)
{
	if (f->timestamps)
		add_time(prefix, e);
	if (f->details)
		add_details(prefix, e);
}

void log_format_add(struct log_format *f, const struct log_entry *e, struct strbuf *out)
{
	autostrbuf struct strbuf prefix = STRBUF_INIT(PREFIX_MAX);

	/* A long line is written in parts, which make one line again here. */
	if (!f->in_line[e->stream])
		add_prefix(f, e, &prefix);
	f->in_line[e->stream] = e->len == 0 || e->text[e->len - 1] != '\n';
	if (f->frames)
		add_frame(f, e->stream, prefix.len + e->len, out);
	if (prefix.len > 0)
		strbuf_add(out, prefix.s, prefix.len);
	strbuf_add(out, e->text, e->len);
}
