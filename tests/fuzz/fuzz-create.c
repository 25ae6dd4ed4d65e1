/* Create bodies: what is accepted is stored, and comes back the same from the store. */
#include <stdlib.h>
#include <string.h>

#include "engine/config.h"

#include "fuzz.h"

#define MAX_OUTPUT ((size_t)64 << 20)

static char *stored(const struct container_spec *s)
{
	struct strbuf b = STRBUF_INIT(MAX_OUTPUT);
	struct json_writer w;

	json_writer_init(&w, &b);
	container_spec_write(s, &w);
	if (strbuf_error(&b) < 0)
		abort();
	return strbuf_take(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena *a = arena_new();
	autospec struct container_spec *s = NULL, *again = NULL;
	autofree char *first = NULL, *second = NULL;
	autostrv struct strv warnings = {0};
	autoerror struct error err = {0};
	const struct json *body;

	if (json_parse(a, (const char *)data, size, &body, NULL) < 0)
		return 0;
	if (container_spec_new(body, 151, &s, &warnings, &err) < 0) {
		if (!err.msg || err.kind == ERROR_INTERNAL)
			abort();
		return 0;
	}
	/* The body may serve as an image's configuration as well: the same names. */
	if (container_spec_merge_image(s, body, &err) < 0) {
		if (err.kind != ERROR_INVALID)
			abort();
		return 0;
	}
	first = stored(s);
	if (container_spec_load(first, strlen(first), &again, NULL) < 0)
		abort();
	second = stored(again);
	if (strcmp(first, second) != 0)
		abort();
	return 0;
}
