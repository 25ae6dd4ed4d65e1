/* What parses is written, and parses again to the same text; every lookup stays in bounds. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

#include "fuzz.h"

#define MAX_OUTPUT ((size_t)64 << 20)

static void write_out(const struct json *v, struct strbuf *b)
{
	struct json_writer w;

	json_writer_init(&w, b);
	jw_value(&w, v);
	if (strbuf_error(b) < 0)
		abort();
}

static void visit(const struct json *v)
{
	for (size_t i = 0; i < json_count(v); i++) {
		const char *key = json_key_at(v, i);

		/* Keys are unique, so the exact match is this very member. */
		if (key && json_get(v, key) != json_value_at(v, i))
			abort();
		visit(key ? json_value_at(v, i) : json_at(v, i));
	}
	if (json_string(v) && strlen(json_string(v)) != json_string_len(v))
		abort();
	if (json_string_bytes(v) && !utf8_valid(json_string_bytes(v), json_string_len(v)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena *a = arena_new();
	autostrbuf struct strbuf first = STRBUF_INIT(MAX_OUTPUT), second = STRBUF_INIT(MAX_OUTPUT);
	autoerror struct error err = {0};
	const struct json *v;

	if (json_parse(a, (const char *)data, size, &v, &err) < 0) {
		if (!err.msg || err.kind != ERROR_INVALID)
			abort();
		return 0;
	}
	visit(v);
	write_out(v, &first);
	if (json_parse(a, first.s, first.len, &v, NULL) < 0)
		abort();
	write_out(v, &second);
	if (first.len != second.len || memcmp(first.s, second.s, first.len) != 0)
		abort();
	return 0;
}
