/* base/detach.h - the key sequence that leaves a terminal's session without ending it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct error;

#define DETACH_KEYS_MAX     16
#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"

/* The matcher's state; a zeroed one has no sequence and passes everything on. */
struct detach {
	unsigned char keys[DETACH_KEYS_MAX];
	size_t count;
	size_t matched; /* bytes of the sequence seen and held back */
};

/* `keys` as Docker writes them: comma-separated single characters, "ctrl-" with a-z @ [ \ ] ^ _,
 * or "DEL".  NULL or "": no sequence.  ERROR_INVALID names the key. */
int detach_init(struct detach *d, const char *keys, struct error *err);

/* Append to `out` (2 * len + DETACH_KEYS_MAX bytes are enough) what is to be passed on.  Bytes that
 * may begin the sequence are held back until it is clear.  True when the sequence is complete: what
 * followed it is dropped. */
bool detach_filter(struct detach *d, const void *data, size_t len, struct strbuf *out);
/* End of the input: append what is held back. */
void detach_flush(struct detach *d, struct strbuf *out);
