/* Frames of a client: the same pieces of data and the same end in whatever parts they arrive, nothing longer
 * than what was sent, and no control frame past its limit. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "http/websocket.h"

#include "fuzz.h"

#define MAX_OUTPUT ((size_t)64 << 20)

/* What was understood, as text: data as it is, each control frame with its kind.  Returns the first error. */
static int parse(const uint8_t *data, size_t size, size_t part, struct strbuf *data_out,
		 struct strbuf *controls)
{
	autofree char *copy = xmemdup(data, size);
	struct websocket_parser p = {0};
	struct websocket_piece piece;

	for (size_t at = 0, end = 0; at < size;) {
		ssize_t n;

		if (at == end)
			end = size - end < part ? size : end + part;
		n = websocket_parse(&p, copy + at, end - at, &piece);
		if (n < 0)
			return (int)n;
		if (n == 0 || (piece.kind == WEBSOCKET_PIECE_NONE && at + (size_t)n != end))
			abort();
		at += (size_t)n;
		if (piece.kind == WEBSOCKET_PIECE_DATA) {
			strbuf_add(data_out, piece.data, piece.len);
		} else if (piece.kind != WEBSOCKET_PIECE_NONE) {
			if (piece.len > WEBSOCKET_CONTROL_MAX)
				abort();
			strbuf_addf(controls, "%d %zu ", (int)piece.kind, data_out->len);
			strbuf_add(controls, piece.data, piece.len);
		}
	}
	return 0;
}

static bool differ(const struct strbuf *a, const struct strbuf *b)
{
	return a->len != b->len || (a->len > 0 && memcmp(a->s, b->s, a->len) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autostrbuf struct strbuf whole = STRBUF_INIT(MAX_OUTPUT), bytes = STRBUF_INIT(MAX_OUTPUT);
	autostrbuf struct strbuf controls = STRBUF_INIT(MAX_OUTPUT),
				 other = STRBUF_INIT(MAX_OUTPUT);
	char key[64], accept[WEBSOCKET_ACCEPT_SIZE];
	int r, s;

	if (size == 0)
		return 0;
	r = parse(data, size, size, &whole, &controls);
	s = parse(data, size, 1, &bytes, &other);
	if (r != s || differ(&whole, &bytes) || differ(&controls, &other) || whole.len > size)
		abort();
	if (size < sizeof(key)) {
		memcpy(key, data, size);
		key[size] = '\0';
		if (websocket_accept(key, accept) && strlen(accept) != WEBSOCKET_ACCEPT_SIZE - 1)
			abort();
	}
	return 0;
}
