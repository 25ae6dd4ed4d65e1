/* logger/msgpack.h - MessagePack, what fluentd's forward protocol needs of it: writing, and finding a
 * string in a map (https://github.com/msgpack/msgpack/blob/master/spec.md).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

void msgpack_array(struct strbuf *out, uint32_t n);
void msgpack_map(struct strbuf *out, uint32_t n);
void msgpack_uint(struct strbuf *out, uint64_t v);
void msgpack_str(struct strbuf *out, const char *s, size_t len);
/* fluentd's EventTime: extension 0, seconds and nanoseconds. */
void msgpack_event_time(struct strbuf *out, int64_t ns);

/* The document that begins at p: 1 and its length, 0 if it is not there as a whole, -EBADMSG. */
int msgpack_skip(const void *p, size_t len, size_t *ret_len);
/* The string that `key` has in a map whose keys and values are strings.  False without one. */
bool msgpack_find(const void *p, size_t len, const char *key, const char **ret, size_t *ret_len);
