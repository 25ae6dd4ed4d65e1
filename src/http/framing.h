/* http/framing.h - where a body's bytes are in a byte stream (RFC 9112 section 6).  Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum framing_kind {
	FRAMING_NONE, /* no body */
	FRAMING_LENGTH,
	FRAMING_CHUNKED,
	FRAMING_CLOSE, /* until the peer closes */
	FRAMING_KIND_COUNT,
};

struct framing {
	enum framing_kind kind;
	uint64_t left; /* bytes of data that come next without framing between them */
	bool is_done;  /* the whole body was seen */
	/* chunked */
	int state;
	size_t line; /* bytes of the size line or the trailers so far */
};

void framing_init(struct framing *f, enum framing_kind kind, uint64_t length);

/* Go over what is not data: uses bytes until data comes next, the body is done or the input ends.
 * Returns how many were used; -EBADMSG for bad chunks, -E2BIG for a size line or trailers without
 * end. */
ssize_t framing_skip(struct framing *f, const char *buf, size_t len);
/* How many of the stream's next bytes are data; 0: framing comes next, or the body is done.  Report
 * those that were taken by framing_advance. */
uint64_t framing_data(const struct framing *f);
void framing_advance(struct framing *f, size_t n);
