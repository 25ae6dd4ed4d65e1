/* A unit property of an annotation that is accepted is valid JSON, and reads the same when its type is put in
 * front of it. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "linux/gvariant.h"

#include "fuzz.h"

#define OUTPUT_MAX ((size_t)1 << 20)

static int parse(const char *text, struct strbuf *out, char **type)
{
	struct json_writer w;

	json_writer_init(&w, out);
	return gvariant_parse(text, &w, type, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autostrbuf struct strbuf once = STRBUF_INIT(OUTPUT_MAX), twice = STRBUF_INIT(OUTPUT_MAX);
	autofree char *text = xstrndup((const char *)data, size), *again = NULL, *type = NULL,
		      *type_again = NULL;
	struct arena *arena = arena_new();
	const struct json *v;

	if (parse(text, &once, &type) >= 0) {
		if (json_parse(arena, once.s, once.len, &v, NULL) < 0)
			abort();
		again = xasprintf("@%s %s", type, text);
		if (parse(again, &twice, &type_again) < 0 || strcmp(type, type_again) != 0 ||
		    strcmp(once.s, twice.s) != 0)
			abort();
	}
	(void)arena_free(arena);
	return 0;
}
