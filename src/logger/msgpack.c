/* MessagePack. */
#include "logger/msgpack.h"

#include <errno.h>
#include <string.h>

#define NS_PER_S  1000000000
#define DEPTH_MAX 16

static void add_be(struct strbuf *out, unsigned char type, uint64_t v, unsigned bytes)
{
	strbuf_addc(out, (char)type);
	while (bytes-- > 0)
		strbuf_addc(out, (char)(v >> (8 * bytes)));
}

void msgpack_array(struct strbuf *out, uint32_t n)
{
	if (n < 16)
		strbuf_addc(out, (char)(0x90 | n));
	else if (n <= UINT16_MAX)
		add_be(out, 0xdc, n, 2);
	else
		add_be(out, 0xdd, n, 4);
}

void msgpack_map(struct strbuf *out, uint32_t n)
{
	if (n < 16)
		strbuf_addc(out, (char)(0x80 | n));
	else if (n <= UINT16_MAX)
		add_be(out, 0xde, n, 2);
	else
		add_be(out, 0xdf, n, 4);
}

void msgpack_uint(struct strbuf *out, uint64_t v)
{
	if (v < 128)
		strbuf_addc(out, (char)v);
	else if (v <= UINT8_MAX)
		add_be(out, 0xcc, v, 1);
	else if (v <= UINT16_MAX)
		add_be(out, 0xcd, v, 2);
	else if (v <= UINT32_MAX)
		add_be(out, 0xce, v, 4);
	else
		add_be(out, 0xcf, v, 8);
}

void msgpack_str(struct strbuf *out, const char *s, size_t len)
{
	if (len < 32)
		strbuf_addc(out, (char)(0xa0 | len));
	else if (len <= UINT8_MAX)
		add_be(out, 0xd9, len, 1);
	else if (len <= UINT16_MAX)
		add_be(out, 0xda, len, 2);
	else
		add_be(out, 0xdb, len, 4);
	strbuf_add(out, s, len);
}

void msgpack_event_time(struct strbuf *out, int64_t ns)
{
	add_be(out, 0xd7, 0, 1);
	strbuf_addc(out, (char)(ns / NS_PER_S >> 24));
	strbuf_addc(out, (char)(ns / NS_PER_S >> 16));
	strbuf_addc(out, (char)(ns / NS_PER_S >> 8));
	strbuf_addc(out, (char)(ns / NS_PER_S));
	strbuf_addc(out, (char)(ns % NS_PER_S >> 24));
	strbuf_addc(out, (char)(ns % NS_PER_S >> 16));
	strbuf_addc(out, (char)(ns % NS_PER_S >> 8));
	strbuf_addc(out, (char)(ns % NS_PER_S));
}

/* ---- reading ---------------------------------------------------------------------------------- */

enum kind { KIND_SCALAR, KIND_STR, KIND_ARRAY, KIND_MAP };

struct item {
	enum kind kind;
	size_t head;    /* bytes before the content */
	uint64_t count; /* bytes of content, or elements of an array, or pairs of a map */
};

/* Types from 0xc0: how many bytes of length follow, how many of content. */
static const struct {
	enum kind kind;
	unsigned char length_bytes, content;
} types[] = {
	[0xc0 - 0xc0] = {KIND_SCALAR, 0, 0}, [0xc2 - 0xc0] = {KIND_SCALAR, 0, 0},
	[0xc3 - 0xc0] = {KIND_SCALAR, 0, 0}, [0xc4 - 0xc0] = {KIND_STR, 1, 0},
	[0xc5 - 0xc0] = {KIND_STR, 2, 0},    [0xc6 - 0xc0] = {KIND_STR, 4, 0},
	[0xc7 - 0xc0] = {KIND_SCALAR, 1, 1}, [0xc8 - 0xc0] = {KIND_SCALAR, 2, 1},
	[0xc9 - 0xc0] = {KIND_SCALAR, 4, 1}, [0xca - 0xc0] = {KIND_SCALAR, 0, 4},
	[0xcb - 0xc0] = {KIND_SCALAR, 0, 8}, [0xcc - 0xc0] = {KIND_SCALAR, 0, 1},
	[0xcd - 0xc0] = {KIND_SCALAR, 0, 2}, [0xce - 0xc0] = {KIND_SCALAR, 0, 4},
	[0xcf - 0xc0] = {KIND_SCALAR, 0, 8}, [0xd0 - 0xc0] = {KIND_SCALAR, 0, 1},
	[0xd1 - 0xc0] = {KIND_SCALAR, 0, 2}, [0xd2 - 0xc0] = {KIND_SCALAR, 0, 4},
	[0xd3 - 0xc0] = {KIND_SCALAR, 0, 8}, [0xd4 - 0xc0] = {KIND_SCALAR, 0, 2},
	[0xd5 - 0xc0] = {KIND_SCALAR, 0, 3}, [0xd6 - 0xc0] = {KIND_SCALAR, 0, 5},
	[0xd7 - 0xc0] = {KIND_SCALAR, 0, 9}, [0xd8 - 0xc0] = {KIND_SCALAR, 0, 17},
	[0xd9 - 0xc0] = {KIND_STR, 1, 0},    [0xda - 0xc0] = {KIND_STR, 2, 0},
	[0xdb - 0xc0] = {KIND_STR, 4, 0},    [0xdc - 0xc0] = {KIND_ARRAY, 2, 0},
	[0xdd - 0xc0] = {KIND_ARRAY, 4, 0},  [0xde - 0xc0] = {KIND_MAP, 2, 0},
	[0xdf - 0xc0] = {KIND_MAP, 4, 0},
};

static int get_item(const unsigned char *p, size_t len, struct item *ret)
{
	unsigned char t;
	uint64_t n = 0;

	if (len == 0)
		return 0;
	t = *p;
	*ret = (struct item){KIND_SCALAR, 1, 0};
	if (t < 0x80 || t >= 0xe0)
		return 1;
	if (t < 0xc0) {
		ret->kind = t < 0x90 ? KIND_MAP : t < 0xa0 ? KIND_ARRAY : KIND_STR;
		ret->count = t < 0xa0 ? t & 15 : t & 31;
		return 1;
	}
	if (t == 0xc1)
		return -EBADMSG;
	ret->kind = types[t - 0xc0].kind;
	ret->head = 1 + (size_t)types[t - 0xc0].length_bytes;
	if (len < ret->head)
		return 0;
	for (size_t i = 1; i < ret->head; i++)
		n = n << 8 | p[i];
	ret->count = n + types[t - 0xc0].content;
	return 1;
}

int msgpack_skip(const void *data, size_t len, size_t *ret_len)
{
	uint64_t left[DEPTH_MAX] = {1}; /* items to come, by depth */
	const unsigned char *p = data;
	size_t at = 0, depth = 0;

	for (;;) {
		struct item item;
		int r;

		while (left[depth] == 0) {
			if (depth == 0) {
				*ret_len = at;
				return 1;
			}
			depth--;
		}
		r = get_item(p + at, len - at, &item);
		if (r <= 0)
			return r;
		left[depth]--;
		at += item.head;
		if (item.kind == KIND_ARRAY || item.kind == KIND_MAP) {
			if (++depth == DEPTH_MAX)
				return -EBADMSG;
			left[depth] = item.kind == KIND_MAP ? item.count * 2 : item.count;
		} else {
			if (item.count > len - at)
				return 0;
			at += item.count;
		}
	}
}

bool msgpack_find(const void *data, size_t len, const char *key, const char **ret, size_t *ret_len)
{
	const unsigned char *p = data;
	struct item map, k, v;
	size_t at;

	if (get_item(p, len, &map) <= 0 || map.kind != KIND_MAP)
		return false;
	at = map.head;
	for (uint64_t i = 0; i < map.count; i++) {
		const unsigned char *name;

		if (get_item(p + at, len - at, &k) <= 0 || k.kind != KIND_STR ||
		    k.count > len - at - k.head)
			return false;
		name = p + at + k.head;
		at += k.head + k.count;
		if (get_item(p + at, len - at, &v) <= 0 || v.kind != KIND_STR ||
		    v.count > len - at - v.head)
			return false;
		if (k.count == strlen(key) && memcmp(name, key, k.count) == 0) {
			*ret = (const char *)p + at + v.head;
			*ret_len = v.count;
			return true;
		}
		at += v.head + v.count;
	}
	return false;
}
