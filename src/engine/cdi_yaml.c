/* YAML as JSON, by libyaml's events. */
#include "engine/cdi_yaml.h"

#include <string.h>
#include <yaml.h>

#include "base/json.h"
#include "base/mem.h"

#define DEPTH_MAX 32

struct converter {
	yaml_parser_t parser;
	struct json_writer w;
	struct error *err;
	bool maps[DEPTH_MAX]; /* what is open: an object or an array */
	bool keyed[DEPTH_MAX];
	unsigned depth;
	bool any; /* the document has a value */
};

static int invalid(struct converter *c, const yaml_event_t *e, const char *what)
{
	return error_set(c->err, ERROR_INVALID, 0, "YAML, line %zu: %s", e->start_mark.line + 1,
			 what);
}

static void write_plain(struct json_writer *w, const char *s)
{
	int64_t n;

	if (str_eq(s, "true") || str_eq(s, "false"))
		jw_bool(w, str_eq(s, "true"));
	else if (str_eq(s, "null") || str_eq(s, "~") || !*s)
		jw_null(w);
	else if (str_parse_i64(s, &n) >= 0)
		jw_int(w, n);
	else
		jw_string(w, s);
}

static int scalar(struct converter *c, const yaml_event_t *e)
{
	const char *s = (const char *)e->data.scalar.value;
	unsigned at = c->depth - 1;

	if (memchr(s, '\0', e->data.scalar.length))
		return invalid(c, e, "a NUL in a string");
	if (c->depth && c->maps[at] && !c->keyed[at]) {
		jw_key(&c->w, s);
		c->keyed[at] = true;
		return 0;
	}
	if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		write_plain(&c->w, s);
	else
		jw_string(&c->w, s);
	if (c->depth)
		c->keyed[at] = false;
	c->any = true;
	return 0;
}

static int open_one(struct converter *c, const yaml_event_t *e, bool map)
{
	if (c->depth == DEPTH_MAX)
		return invalid(c, e, "too deep");
	if (c->depth && c->maps[c->depth - 1] && !c->keyed[c->depth - 1])
		return invalid(c, e, "a key that is no scalar");
	c->maps[c->depth] = map;
	c->keyed[c->depth++] = false;
	if (map)
		jw_object(&c->w);
	else
		jw_array(&c->w);
	c->any = true;
	return 0;
}

static int close_one(struct converter *c)
{
	c->depth--;
	if (c->maps[c->depth])
		jw_object_end(&c->w);
	else
		jw_array_end(&c->w);
	if (c->depth)
		c->keyed[c->depth - 1] = false;
	return 0;
}

/* 1: the document is over. */
static int on_event(struct converter *c, const yaml_event_t *e)
{
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		return scalar(c, e);
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		return open_one(c, e, e->type == YAML_MAPPING_START_EVENT);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		return close_one(c);
	case YAML_ALIAS_EVENT:
		return invalid(c, e, "aliases are not supported");
	case YAML_DOCUMENT_END_EVENT:
	case YAML_STREAM_END_EVENT:
		return 1;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_START_EVENT:
	default:
		return 0;
	}
}

int cdi_yaml_to_json(const char *text, size_t len, struct strbuf *out, struct error *err)
{
	struct converter c = {.err = err};
	int r = 0;

	if (!yaml_parser_initialize(&c.parser))
		return error_set(err, ERROR_INTERNAL, ENOMEM, "YAML parser");
	yaml_parser_set_input_string(&c.parser, (const unsigned char *)text, len);
	json_writer_init(&c.w, out);
	while (r == 0) {
		yaml_event_t e;

		if (!yaml_parser_parse(&c.parser, &e)) {
			r = error_set(err, ERROR_INVALID, 0, "YAML, line %zu: %s",
				      c.parser.problem_mark.line + 1,
				      c.parser.problem ? c.parser.problem : "not understood");
			break;
		}
		r = on_event(&c, &e);
		yaml_event_delete(&e);
	}
	if (r == 1 && !c.any)
		jw_null(&c.w);
	yaml_parser_delete(&c.parser);
	if (r >= 0 && strbuf_error(out) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "YAML document");
	return r < 0 ? r : 0;
}
