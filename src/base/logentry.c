/* Log entries in protobuf's wire format. */
#include "base/logentry.h"

#include <errno.h>
#include <string.h>

enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

#define TAG(field, wire) (char)((field) << 3 | (wire))

static char *put_varint(char *d, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*d++ = (char)(v | 0x80);
	*d++ = (char)v;
	return d;
}

static size_t varint_size(uint64_t v)
{
	size_t n = 1;

	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

static char *put_bytes(char *d, unsigned field, const void *p, size_t len)
{
	*d++ = TAG(field, WIRE_BYTES);
	d = put_varint(d, len);
	memcpy(d, p, len);
	return d + len;
}

static void put_be32(char *d, size_t v)
{
	d[0] = (char)(v >> 24);
	d[1] = (char)(v >> 16);
	d[2] = (char)(v >> 8);
	d[3] = (char)v;
}

size_t logentry_be32(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

void logentry_attrs(struct strbuf *out, const struct json *attrs)
{
	for (size_t i = 0; i < json_count(attrs); i++) {
		const char *key = json_key_at(attrs, i);
		const char *value = json_string(json_value_at(attrs, i));
		size_t key_len = strlen(key), value_len = value ? strlen(value) : 0;
		size_t inner = (key_len ? 1 + varint_size(key_len) + key_len : 0) +
			       (value_len ? 1 + varint_size(value_len) + value_len : 0);
		char *begin = strbuf_reserve(out, inner + 12), *d = begin;

		if (!d)
			return;
		*d++ = TAG(6, WIRE_BYTES);
		d = put_varint(d, inner);
		if (key_len)
			d = put_bytes(d, 1, key, key_len);
		if (value_len)
			d = put_bytes(d, 2, value, value_len);
		strbuf_advance(out, (size_t)(d - begin));
	}
}

static char *put_partial(char *d, const struct logentry *e)
{
	size_t inner = (e->last ? 2 : 0) +
		       (e->id_len ? 1 + varint_size(e->id_len) + e->id_len : 0) +
		       (e->ordinal ? 1 + varint_size(e->ordinal) : 0);

	*d++ = TAG(4, WIRE_VARINT);
	*d++ = 1;
	*d++ = TAG(5, WIRE_BYTES);
	d = put_varint(d, inner);
	if (e->last) {
		*d++ = TAG(1, WIRE_VARINT);
		*d++ = 1;
	}
	if (e->id_len)
		d = put_bytes(d, 2, e->id, e->id_len);
	if (e->ordinal) {
		*d++ = TAG(3, WIRE_VARINT);
		d = put_varint(d, e->ordinal);
	}
	return d;
}

size_t logentry_encode(char *dst, const struct logentry *e)
{
	char *d = dst + 4;
	size_t size;

	d = put_bytes(d, 1, e->stream == LOGENTRY_STDERR ? "stderr" : "stdout", 6);
	*d++ = TAG(2, WIRE_VARINT);
	d = put_varint(d, (uint64_t)e->time_ns);
	if (e->len)
		d = put_bytes(d, 3, e->line, e->len);
	if (e->partial)
		d = put_partial(d, e);
	if (e->attrs_len) {
		memcpy(d, e->attrs, e->attrs_len);
		d += e->attrs_len;
	}
	size = (size_t)(d - dst) - 4;
	put_be32(dst, size);
	put_be32(d, size);
	return size + LOGENTRY_FRAME;
}

/* ---- reading ---------------------------------------------------------------------------------- */

struct cursor {
	const unsigned char *p, *end;
};

struct field {
	uint64_t number, value; /* value: of a varint */
	enum wire wire;
	const char *bytes; /* of WIRE_BYTES */
	size_t len;
};

static bool get_varint(struct cursor *c, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64 && c->p < c->end; shift += 7) {
		unsigned char b = *c->p++;

		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* 1 and the next field; 0 at the end; -EBADMSG. */
static int get_field(struct cursor *c, struct field *ret)
{
	uint64_t tag, n = 0;

	if (c->p == c->end)
		return 0;
	if (!get_varint(c, &tag) || tag >> 3 == 0)
		return -EBADMSG;
	ret->number = tag >> 3;
	ret->wire = (enum wire)(tag & 7);
	if (ret->wire == WIRE_VARINT)
		return get_varint(c, &ret->value) ? 1 : -EBADMSG;
	if (ret->wire == WIRE_BYTES) {
		if (!get_varint(c, &n))
			return -EBADMSG;
	} else if (ret->wire == WIRE_64) {
		n = 8;
	} else if (ret->wire == WIRE_32) {
		n = 4;
	} else {
		return -EBADMSG;
	}
	if (n > (uint64_t)(c->end - c->p))
		return -EBADMSG;
	ret->bytes = (const char *)c->p;
	ret->len = (size_t)n;
	c->p += n;
	return 1;
}

static struct cursor cursor_over(const char *p, size_t len)
{
	return (struct cursor){(const unsigned char *)p, (const unsigned char *)p + len};
}

static int decode_partial(const struct field *outer, struct logentry *e)
{
	struct cursor c = cursor_over(outer->bytes, outer->len);
	struct field f;
	int r;

	while ((r = get_field(&c, &f)) > 0) {
		if (f.number == 1 && f.wire == WIRE_VARINT) {
			e->last = f.value != 0;
		} else if (f.number == 2 && f.wire == WIRE_BYTES) {
			e->id = f.bytes;
			e->id_len = f.len;
		} else if (f.number == 3 && f.wire == WIRE_VARINT) {
			e->ordinal = (uint32_t)f.value;
		}
	}
	return r;
}

static int decode(const char *p, size_t len, struct logentry *e)
{
	struct cursor c = cursor_over(p, len);
	struct field f;
	int r;

	*e = (struct logentry){.stream = LOGENTRY_STDOUT, .line = "", .id = ""};
	while ((r = get_field(&c, &f)) > 0) {
		if (f.number == 1 && f.wire == WIRE_BYTES) {
			if (f.len == 6 && memcmp(f.bytes, "stderr", 6) == 0)
				e->stream = LOGENTRY_STDERR;
		} else if (f.number == 2 && f.wire == WIRE_VARINT) {
			e->time_ns = (int64_t)f.value;
		} else if (f.number == 3 && f.wire == WIRE_BYTES) {
			e->line = f.bytes;
			e->len = f.len;
		} else if (f.number == 4 && f.wire == WIRE_VARINT) {
			e->partial = f.value != 0;
		} else if (f.number == 5 && f.wire == WIRE_BYTES) {
			if (decode_partial(&f, e) < 0)
				return -EBADMSG;
		} else if (f.number == 6 && f.wire == WIRE_BYTES) {
			e->attrs = p;
			e->attrs_len = len;
		}
	}
	return r;
}

ssize_t logentry_next(const char *buf, size_t len, struct logentry *ret)
{
	size_t size;

	if (len < 4)
		return 0;
	size = logentry_be32(buf);
	if (size == 0 || size > LOGENTRY_MAX)
		return -EBADMSG;
	if (len < size + LOGENTRY_FRAME)
		return 0;
	if (logentry_be32(buf + 4 + size) != size || decode(buf + 4, size, ret) < 0)
		return -EBADMSG;
	return (ssize_t)(size + LOGENTRY_FRAME);
}

ssize_t logentry_before(const char *buf, size_t len)
{
	size_t size;

	if (len < 4)
		return 0;
	size = logentry_be32(buf + len - 4);
	if (size == 0 || size > LOGENTRY_MAX)
		return -EBADMSG;
	if (len < size + LOGENTRY_FRAME)
		return 0;
	return logentry_be32(buf + len - size - LOGENTRY_FRAME) == size
		       ? (ssize_t)(size + LOGENTRY_FRAME)
		       : -EBADMSG;
}

bool logentry_attr_next(const struct logentry *e, size_t *pos, struct logentry_attr *ret)
{
	struct cursor c = cursor_over(e->attrs + *pos, e->attrs_len - *pos);
	struct field f, inner;

	while (get_field(&c, &f) > 0) {
		struct cursor in;

		*pos = e->attrs_len - (size_t)(c.end - c.p);
		if (f.number != 6 || f.wire != WIRE_BYTES)
			continue;
		*ret = (struct logentry_attr){.key = "", .value = ""};
		in = cursor_over(f.bytes, f.len);
		while (get_field(&in, &inner) > 0) {
			if (inner.wire != WIRE_BYTES)
				continue;
			if (inner.number == 1) {
				ret->key = inner.bytes;
				ret->key_len = inner.len;
			} else if (inner.number == 2) {
				ret->value = inner.bytes;
				ret->value_len = inner.len;
			}
		}
		return true;
	}
	return false;
}
