/* base/logentry.h - one entry of a log as Docker's driver "local" frames it, in files and on the
 * way from a shim to vessel-log:
 *
 *     size (4 bytes, big-endian)  protobuf message LogEntry  size again
 *
 *     LogEntry { string source = 1; int64 time_nano = 2; bytes line = 3; bool partial = 4;
 *                Partial { bool last = 1; string id = 2; int32 ordinal = 3; } partial_log_metadata = 5;
 *                repeated Attr { string key = 1; string value = 2; } attrs = 6; }
 *
 * The second size lets a file be read from its end.  Fields that are not known are skipped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/json.h"

#define LOGENTRY_FRAME 8       /* bytes around the message */
#define LOGENTRY_MAX   1000000 /* bytes of a message; Docker's reader takes no more */
#define LOGENTRY_ID    64      /* characters of the id that the parts of a line share */
/* Bytes that logentry_encode needs at most for `len` bytes of text and `attrs` bytes of attributes. */
#define LOGENTRY_ROOM(len, attrs) ((len) + (attrs) + LOGENTRY_ID + 80)

enum logentry_stream { LOGENTRY_STDOUT = 1, LOGENTRY_STDERR = 2 };

struct logentry {
	enum logentry_stream stream;
	int64_t time_ns;  /* since 1970 */
	const char *line; /* without its line feed; borrowed, as id and attrs are */
	size_t len;
	bool partial;     /* a part of a line, as the three below say */
	bool last;        /* the part that ends the line */
	uint32_t ordinal; /* from 1 */
	const char *id;
	size_t id_len;
	const char *attrs; /* encoded by logentry_attrs, or, decoded, the message they stand in */
	size_t attrs_len;
};

struct logentry_attr {
	const char *key, *value; /* borrowed, not terminated */
	size_t key_len, value_len;
};

/* The attributes of an object of strings, encoded as every entry repeats them. */
void logentry_attrs(struct strbuf *out, const struct json *attrs);
/* Write the frame to dst; returns its length. */
size_t logentry_encode(char *dst, const struct logentry *e);

/* The frame that begins at buf: its length, and the entry; 0 if it is not there as a whole; -EBADMSG
 * if this is no frame, or what is in it no entry. */
ssize_t logentry_next(const char *buf, size_t len, struct logentry *ret);
size_t logentry_be32(const char *s);
/* The length of the frame that ends before buf + len; 0 if its beginning is not there; -EBADMSG. */
ssize_t logentry_before(const char *buf, size_t len);
/* The next attribute of a decoded entry; *pos begins at 0. */
bool logentry_attr_next(const struct logentry *e, size_t *pos, struct logentry_attr *ret);
