/* shim/logline.h - one line of Docker's json-file log:
 *
 *     {"log":"text\n","stream":"stdout","attrs":{"k":"v"},"time":"2006-01-02T15:04:05.999999999Z"}
 *
 * A line of output without its end (a part of a long one, or the last) has no \n in "log".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/str.h"

enum stream_kind { STREAM_STDIN, STREAM_STDOUT, STREAM_STDERR, STREAM_KIND_COUNT };

#define LOGLINE_MAX 16384 /* bytes of output in one line; longer lines are split */
/* Bytes that logline_encode needs at most for `len` bytes of output and a tail of `tail` bytes. */
#define LOGLINE_ROOM(len, tail) (6 * (len) + 10 + (tail))

/* What follows the text in each line of a stream at a moment; attrs is a JSON object or NULL. */
void logline_tail(struct strbuf *out, enum stream_kind stream, const char *attrs, int64_t now_ns);
/* Write a line with its line feed to dst; returns its length.  Invalid UTF-8 becomes U+FFFD. */
size_t logline_encode(char *dst, const void *text, size_t len, bool ends, const char *tail,
		      size_t tail_len);
/* The line at *text, if it ends before `end`: *text is behind its line feed then.  Else 0, and dst is
 * as it may be.  dst has LOGLINE_ROOM for the text up to `end`. */
size_t logline_encode_next(char *dst, const char **text, const char *end, const char *tail,
			   size_t tail_len);
/* The text of a line (without its line feed), appended to `text`.  False for anything that is not
 * such a line. */
bool logline_decode(const char *line, size_t len, enum stream_kind *ret_stream,
		    struct strbuf *text);

/* The longest prefix of at most `len` bytes that does not split a UTF-8 sequence which the bytes
 * behind might complete; `len` itself if there is none. */
size_t logline_whole_chars(const char *s, size_t len);
