/* Frames of the log driver local, as read from files and sockets; what is decoded can be encoded again,
 * and is then the same.
 */
#include <stdlib.h>
#include <string.h>

#include "base/logentry.h"
#include "base/mem.h"
#include "fuzz.h"

static void check(const struct logentry *e)
{
	struct logentry copy = *e, again;
	struct logentry_attr attr;
	autofree char *out = NULL;
	size_t pos = 0, n;

	while (logentry_attr_next(e, &pos, &attr))
		if (attr.key_len + attr.value_len > e->attrs_len)
			abort();
	if (e->id_len > LOGENTRY_ID)
		return; /* not ours */
	copy.attrs_len = 0;
	out = xcalloc(LOGENTRY_ROOM(e->len, 0), 1);
	n = logentry_encode(out, &copy);
	if (n > LOGENTRY_ROOM(e->len, 0))
		abort();
	if (n - LOGENTRY_FRAME > LOGENTRY_MAX)
		return;
	if (logentry_next(out, n, &again) != (ssize_t)n || logentry_before(out, n) != (ssize_t)n ||
	    again.stream != e->stream || again.time_ns != e->time_ns || again.len != e->len ||
	    memcmp(again.line, e->line, e->len) != 0 || again.partial != e->partial)
		abort();
	if (e->partial && (again.last != e->last || again.ordinal != e->ordinal ||
			   again.id_len != e->id_len || memcmp(again.id, e->id, e->id_len) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	struct logentry e;
	size_t at = 0;
	ssize_t n;

	while ((n = logentry_next(p + at, size - at, &e)) > 0) {
		if ((size_t)n > size - at)
			abort();
		check(&e);
		at += (size_t)n;
		if (logentry_before(p, at) != n)
			abort();
	}
	for (at = size; (n = logentry_before(p, at)) > 0; at -= (size_t)n)
		if ((size_t)n > at)
			abort();
	return 0;
}
