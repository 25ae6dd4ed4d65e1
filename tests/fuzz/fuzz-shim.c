/* What comes to a shim from others: configurations, messages, log lines.  A configuration that is
 * accepted writes and parses back; any output survives the log but for bytes that are not UTF-8. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "shim/logline.h"
#include "shim/protocol.h"

#include "fuzz.h"

static void config(const char *data, size_t size)
{
	autoarena struct arena *a = arena_new();
	autostrbuf struct strbuf out = STRBUF_INIT((size_t)64 << 20);
	struct shim_config c, again;
	struct json_writer w;

	if (shim_config_parse(a, data, size, &c, NULL) < 0)
		return;
	json_writer_init(&w, &out);
	shim_config_write(&w, &c);
	if (shim_config_parse(a, out.s, out.len, &again, NULL) < 0 || strcmp(c.id, again.id) != 0 ||
	    c.ports.n != again.ports.n || c.lower.n != again.lower.n)
		abort();
}

/* The same whether its end is known before or found on the way. */
static void next_line(const char *data, size_t len)
{
	static const char tail[] = "\",\"stream\":\"stdout\",\"time\":\"y\"}\n";
	autofree char *one = xcalloc(LOGLINE_ROOM(len, sizeof(tail)), 1);
	autofree char *two = xcalloc(LOGLINE_ROOM(len, sizeof(tail)), 1);
	const char *lf = memchr(data, '\n', len), *p = data;
	size_t n = logline_encode_next(one, &p, data + len, tail, sizeof(tail) - 1);

	if (!lf) {
		if (n != 0 || p != data)
			abort();
		return;
	}
	if (p != lf + 1 ||
	    n != logline_encode(two, data, (size_t)(lf - data), true, tail, sizeof(tail) - 1) ||
	    memcmp(one, two, n) != 0)
		abort();
}

static void line(const char *data, size_t size)
{
	static const char tail[] = "\",\"stream\":\"stderr\",\"time\":\"x\"}\n";
	size_t len = size < LOGLINE_MAX ? size : LOGLINE_MAX, n;
	autofree char *buf = xcalloc(LOGLINE_ROOM(len, sizeof(tail)), 1);
	autostrbuf struct strbuf text = STRBUF_INIT(8 * LOGLINE_MAX);
	enum stream_kind stream;

	n = logline_encode(buf, data, len, true, tail, sizeof(tail) - 1);
	if (n > LOGLINE_ROOM(len, sizeof(tail)) || !utf8_valid(buf, n))
		abort();
	if (!logline_decode(buf, n - 1, &stream, &text) || stream != STREAM_STDERR)
		abort();
	if (utf8_valid(data, len) &&
	    (text.len != len + 1 || memcmp(text.s, data, len) != 0 || text.s[len] != '\n'))
		abort();
	next_line(data, len);
	strbuf_reset(&text);
	(void)logline_decode(data, size, &stream, &text);
	if (len > 4 && logline_whole_chars(data, len) + 3 < len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	config((const char *)data, size);
	line((const char *)data, size);
	return 0;
}
