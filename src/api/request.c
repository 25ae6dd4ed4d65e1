/* Parameters, bodies and answers: what every handler does the same way. */
#include <string.h>
#include <strings.h>

#include "api/api_priv.h"
#include "base/arena.h"
#include "base/mem.h"

#define NS_PER_S 1000000000LL

void api_json_init(struct api_json *j)
{
	strbuf_init(&j->out, API_ANSWER_MAX);
	json_writer_init(&j->w, &j->out);
}

void api_json_names(struct json_writer *w, const char *key, const struct strv *names)
{
	if (names->n == 0) {
		jw_knull(w, key);
		return;
	}
	jw_karray(w, key);
	for (size_t i = 0; i < names->n; i++)
		jw_string(w, names->v[i]);
	jw_array_end(w);
}

void api_json_done(struct api_json *j)
{
	strbuf_done(&j->out);
}

int api_answer_json(struct api_call *c, int status, const struct strbuf *json, struct error *err)
{
	if (strbuf_error(json) < 0)
		return error_set(err, ERROR_INTERNAL, E2BIG, "write the answer");
	http_respond(c->req, status, API_TYPE_JSON, json->s, json->len);
	return 0;
}

int api_answer_empty(struct api_call *c, int status)
{
	http_respond(c->req, status, NULL, NULL, 0);
	return 0;
}

static ssize_t read_body(void *data, void *buf, size_t size, struct error *err)
{
	ssize_t n = http_body_read(data, buf, size);

	return n < 0 ? error_set(err, ERROR_INVALID, (int)-n, "read the request's body") : n;
}

struct stream_reader api_body_reader(struct api_call *c)
{
	return (struct stream_reader){.read = read_body, .data = c->req};
}

static int write_tar(void *data, const void *buf, size_t len, struct error *err)
{
	struct http_request *req = data;
	int r = http_is_started(req) ? 0 : http_start(req, 200, "application/x-tar");

	r = r < 0 ? r : http_write(req, buf, len);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "send the archive") : 0;
}

struct stream_writer api_tar_writer(struct api_call *c)
{
	return (struct stream_writer){.write = write_tar, .data = c->req};
}

const char *api_query(const struct api_call *c, const char *name)
{
	const char *s = http_query(c->req, name);

	return s ? s : "";
}

const char *const *api_query_all(const struct api_call *c, const char *name)
{
	size_t count = http_query_count(c->req), n = 0;
	const char **all = arena_new0n(http_request_arena(c->req), const char *, count + 1);

	for (size_t i = 0; i < count; i++) {
		const char *key, *value;

		http_query_at(c->req, i, &key, &value);
		if (strcmp(key, name) == 0)
			all[n++] = value;
	}
	return all;
}

bool api_query_bool(const struct api_call *c, const char *name)
{
	static const char *const no[] = {"", "0", "no", "false", "none"};
	const char *s = api_query(c, name);

	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (strcasecmp(s, no[i]) == 0)
			return false;
	return true;
}

bool api_query_bool_default(const struct api_call *c, const char *name, bool missing)
{
	return http_query(c->req, name) ? api_query_bool(c, name) : missing;
}

int api_query_int(const struct api_call *c, const char *name, int64_t *ret, struct error *err)
{
	const char *s = api_query(c, name);

	if (*s == '\0')
		return 0;
	if (str_parse_i64(s, ret) < 0)
		return error_set(err, ERROR_INVALID, 0, "invalid value \"%s\" for parameter '%s'",
				 s, name);
	return 0;
}

static int query_extent(const struct api_call *c, const char *name, const char *what, unsigned *ret,
			struct error *err)
{
	uint32_t n;

	if (str_parse_u32(api_query(c, name), &n) < 0 || n > UINT16_MAX)
		return error_set(err, ERROR_INVALID, 0, "invalid resize %s \"%s\"", what,
				 api_query(c, name));
	*ret = n;
	return 0;
}

int api_query_size(const struct api_call *c, unsigned *ret_rows, unsigned *ret_cols,
		   struct error *err)
{
	int r = query_extent(c, "h", "height", ret_rows, err);

	return r < 0 ? r : query_extent(c, "w", "width", ret_cols, err);
}

int api_body_parse(struct arena *a, const char *text, size_t len, const struct json **ret,
		   struct error *err)
{
	autoerror struct error why = {0};

	if (len == 0)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid JSON: got EOF while reading request body");
	if (json_parse(a, text, len, ret, &why) >= 0)
		return 0;
	/* base/json.h's words for a second document. */
	if (strstr(error_msg(&why), "expected the end of the text"))
		return error_set(err, ERROR_INVALID, 0, "unexpected content after JSON");
	return error_set(err, ERROR_INVALID, 0, "invalid JSON: %s", error_msg(&why));
}

int api_body(struct api_call *c, const struct json **ret, struct error *err)
{
	const char *type = http_request_content_type(c->req), *text;
	size_t len;

	if (*type == '\0' && !http_request_has_body(c->req)) {
		*ret = NULL;
		return 0;
	}
	if (strcmp(type, API_TYPE_JSON) != 0) {
		const char *sent = http_request_header(c->req, "Content-Type");

		return error_set(err, ERROR_INVALID, 0,
				 *type ? "unsupported Content-Type header (%s): must be "
					 "'application/json'"
				       : "malformed Content-Type header (%s)",
				 sent ? sent : "");
	}
	text = http_request_body(c->req, &len);
	if (len == 0 && !http_request_has_body(c->req)) {
		*ret = NULL;
		return 0;
	}
	return api_body_parse(http_request_arena(c->req), text, len, ret, err);
}

int api_parse_timestamp(const char *s, int64_t *ret, struct error *err)
{
	const char *dot = strchr(s, '.');
	size_t n = dot ? (size_t)(dot - s) : strlen(s);
	int64_t seconds, fraction = 0, unit = NS_PER_S;
	char head[24];

	if (n == 0 || n >= sizeof(head))
		goto invalid;
	memcpy(head, s, n);
	head[n] = '\0';
	if (str_parse_i64(head, &seconds) < 0 || seconds > INT64_MAX / NS_PER_S ||
	    seconds < INT64_MIN / NS_PER_S)
		goto invalid;
	for (const char *p = dot ? dot + 1 : ""; *p; p++) {
		if (*p < '0' || *p > '9')
			goto invalid;
		unit /= 10;
		fraction += (*p - '0') * unit;
	}
	*ret = seconds * NS_PER_S + (*s == '-' ? -fraction : fraction);
	return 0;
invalid:
	return error_set(err, ERROR_INVALID, 0, "failed to parse value as time or duration: \"%s\"",
			 s);
}

struct on_loop {
	int (*fn)(void *data, struct error *err);
	void *data;
	struct error *err;
	int r;
};

static void run_on_loop(void *data)
{
	struct on_loop *o = data;

	o->r = o->fn(o->data, o->err);
}

int api_on_loop(struct api_call *c, int (*fn)(void *data, struct error *err), void *data,
		struct error *err)
{
	struct on_loop o = {.fn = fn, .data = data, .err = err};

	loop_call(engine_loop(c->engine), run_on_loop, &o);
	return o.r;
}
