/* Lines of a json-file log, against the JSON parser: the fast reader takes what it takes. */
#include <stdlib.h>
#include <string.h>

#include "api/log_format.h"
#include "api/log_reader.h"
#include "base/json.h"

#include "fuzz.h"

#define MAX_OUTPUT ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autoarena struct arena *a = arena_new();
	autostrbuf struct strbuf scratch = STRBUF_INIT(MAX_OUTPUT), out = STRBUF_INIT(MAX_OUTPUT);
	struct log_format format = {.frames = true, .timestamps = true, .details = true};
	const char *line = (const char *)data;
	const struct json *v, *log;
	struct log_entry e;
	bool is_entry = log_entry_parse(line, size, &scratch, &e);

	if (is_entry) {
		(void)log_entry_time_ns(&e);
		log_format_add(&format, &e, &out);
	}
	if (json_parse(a, line, size, &v, NULL) < 0)
		return 0;
	/* Valid JSON with the members of an entry, each a string, is an entry with this text. */
	log = json_get(v, "log");
	if (json_type(v) != JSON_OBJECT || json_count(v) != 2 ||
	    strcmp(json_key_at(v, 0), "log") != 0 || strcmp(json_key_at(v, 1), "time") != 0 ||
	    line[0] != '{' || line[size - 1] != '}' || memchr(line, '\n', size) ||
	    memchr(line, '\r', size) || json_type(log) != JSON_STRING ||
	    json_type(json_get(v, "time")) != JSON_STRING || memmem(line, size, "\\u", 2))
		return 0;
	if (!is_entry || e.len != json_string_len(log) ||
	    (json_string(log) && memcmp(e.text, json_string(log), e.len) != 0))
		abort();
	return 0;
}
