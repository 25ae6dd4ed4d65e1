/* WebSocket frames (RFC 6455), the server's side. */
#include "http/websocket.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/str.h"

#define FIN      0x80
#define RESERVED 0x70
#define OPCODE   0x0f
#define MASKED   0x80

#define KEY_BYTES  16 /* decoded */
#define KEY_LENGTH 24 /* in base64 */

/* ---- the handshake --------------------------------------------------------------------------- */

/* SHA-1 of up to 119 bytes, which is all that RFC 6455 needs it for (FIPS 180-4 section 6.1). */
#define SHA1_BLOCK 64
#define SHA1_SIZE  20

static uint32_t rotate(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

static void sha1_block(uint32_t h[5], const unsigned char *block)
{
	uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];

	for (size_t i = 0; i < 16; i++)
		w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
		       (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
	for (size_t i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	for (size_t i = 0; i < 80; i++) {
		uint32_t f, k, t;

		if (i < 20) {
			f = (b & c) | (~b & d);
			k = 0x5a827999;
		} else if (i < 40) {
			f = b ^ c ^ d;
			k = 0x6ed9eba1;
		} else if (i < 60) {
			f = (b & c) | (b & d) | (c & d);
			k = 0x8f1bbcdc;
		} else {
			f = b ^ c ^ d;
			k = 0xca62c1d6;
		}
		t = rotate(a, 5) + f + e + k + w[i];
		e = d;
		d = c;
		c = rotate(b, 30);
		b = a;
		a = t;
	}
	h[0] += a;
	h[1] += b;
	h[2] += c;
	h[3] += d;
	h[4] += e;
}

static void sha1(const char *text, size_t len, unsigned char ret[SHA1_SIZE])
{
	uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
	unsigned char padded[2 * SHA1_BLOCK] = {0};
	size_t total = len + 9 > SHA1_BLOCK ? 2 * SHA1_BLOCK : SHA1_BLOCK;

	assert(len + 9 <= sizeof(padded));
	memcpy(padded, text, len);
	padded[len] = 0x80;
	padded[total - 2] = (unsigned char)(len * 8 >> 8);
	padded[total - 1] = (unsigned char)(len * 8);
	for (size_t at = 0; at < total; at += SHA1_BLOCK)
		sha1_block(h, padded + at);
	for (size_t i = 0; i < SHA1_SIZE; i++)
		ret[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

bool websocket_accept(const char *key, char ret[WEBSOCKET_ACCEPT_SIZE])
{
	static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* section 1.3 */
	autostrbuf struct strbuf text = STRBUF_INIT(256), out = STRBUF_INIT(64);
	unsigned char digest[SHA1_SIZE];

	if (strlen(key) != KEY_LENGTH || base64_decode(key, KEY_LENGTH, &text) < 0 ||
	    text.len != KEY_BYTES)
		return false;
	strbuf_reset(&text);
	strbuf_addf(&text, "%s%s", key, magic);
	sha1(text.s, text.len, digest);
	base64_encode(digest, sizeof(digest), &out);
	return str_copy(ret, WEBSOCKET_ACCEPT_SIZE, out.s);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static bool is_control(enum websocket_opcode o)
{
	return o >= WEBSOCKET_CLOSE;
}

/* Of a head that begins like this; 2 at least are needed to tell. */
static size_t head_size(const unsigned char *head)
{
	unsigned len = head[1] & ~MASKED & 0xff;

	return 2 + (len == 126 ? 2 : len == 127 ? 8 : 0) + 4;
}

/* What may be told of a head by its first two bytes, is: nobody waits for the rest of a bad one. */
static int check_start(const struct websocket_parser *p)
{
	enum websocket_opcode o = (enum websocket_opcode)(p->head[0] & OPCODE);
	bool fin = p->head[0] & FIN;

	if ((p->head[0] & RESERVED) || !(p->head[1] & MASKED))
		return -EBADMSG;
	switch (o) {
	case WEBSOCKET_CONTINUATION:
		return p->in_message ? 0 : -EBADMSG;
	case WEBSOCKET_TEXT:
	case WEBSOCKET_BINARY:
		return p->in_message ? -EBADMSG : 0;
	case WEBSOCKET_CLOSE:
	case WEBSOCKET_PING:
	case WEBSOCKET_PONG:
		return fin && (p->head[1] & 0x7f) <= WEBSOCKET_CONTROL_MAX ? 0 : -EBADMSG;
	}
	return -EBADMSG;
}

static int finish_head(struct websocket_parser *p)
{
	unsigned len = p->head[1] & 0x7f;
	size_t bytes = len == 126 ? 2 : len == 127 ? 8 : 0;

	p->left = bytes ? 0 : len;
	for (size_t i = 0; i < bytes; i++)
		p->left = p->left << 8 | p->head[2 + i];
	/* The shortest form, below 2^63 (section 5.2). */
	if ((len == 126 && p->left < 126) ||
	    (len == 127 && (p->left <= UINT16_MAX || p->left >> 63)))
		return -EBADMSG;
	p->opcode = (enum websocket_opcode)(p->head[0] & OPCODE);
	if (!is_control(p->opcode))
		p->in_message = !(p->head[0] & FIN);
	p->in_payload = true;
	p->mask_at = 0;
	p->control_len = 0;
	return 0;
}

static int take_head(struct websocket_parser *p, const char *buf, size_t len, size_t *used)
{
	while (*used < len && !p->in_payload) {
		int r = 0;

		p->head[p->head_len++] = (unsigned char)buf[(*used)++];
		if (p->head_len == 2)
			r = check_start(p);
		else if (p->head_len > 2 && p->head_len == head_size(p->head))
			r = finish_head(p);
		if (r < 0)
			return r;
	}
	return 0;
}

static void unmask(struct websocket_parser *p, char *s, size_t len)
{
	const unsigned char *mask = p->head + p->head_len - 4;

	for (size_t i = 0; i < len; i++)
		s[i] = (char)((unsigned char)s[i] ^ mask[p->mask_at++ % 4]);
}

static void end_frame(struct websocket_parser *p)
{
	p->in_payload = false;
	p->head_len = 0;
}

/* A code is two bytes or none (section 5.5.1). */
static int control_piece(struct websocket_parser *p, struct websocket_piece *ret)
{
	end_frame(p);
	ret->data = p->control;
	ret->len = p->control_len;
	ret->kind = p->opcode == WEBSOCKET_PING   ? WEBSOCKET_PIECE_PING
		    : p->opcode == WEBSOCKET_PONG ? WEBSOCKET_PIECE_PONG
						  : WEBSOCKET_PIECE_CLOSE;
	return ret->kind == WEBSOCKET_PIECE_CLOSE && ret->len == 1 ? -EBADMSG : 0;
}

ssize_t websocket_parse(struct websocket_parser *p, char *buf, size_t len,
			struct websocket_piece *ret)
{
	size_t used = 0, n;
	int r = 0;

	*ret = (struct websocket_piece){.kind = WEBSOCKET_PIECE_NONE};
	while (r == 0 && ret->kind == WEBSOCKET_PIECE_NONE) {
		if (!p->in_payload)
			r = take_head(p, buf, len, &used);
		if (r < 0 || !p->in_payload)
			break;
		n = len - used < p->left ? len - used : (size_t)p->left;
		unmask(p, buf + used, n);
		p->left -= n;
		if (is_control(p->opcode)) {
			if (n > 0)
				memcpy(p->control + p->control_len, buf + used, n);
			p->control_len += n;
			if (p->left == 0)
				r = control_piece(p, ret);
		} else {
			if (n > 0)
				*ret = (struct websocket_piece){
					.kind = WEBSOCKET_PIECE_DATA, .data = buf + used, .len = n};
			if (p->left == 0)
				end_frame(p);
		}
		used += n;
		if (used == len)
			break;
	}
	return r < 0 ? r : (ssize_t)used;
}

size_t websocket_head(unsigned char ret[WEBSOCKET_HEAD_MAX], enum websocket_opcode opcode,
		      uint64_t len)
{
	size_t bytes = len <= 125 ? 0 : len <= UINT16_MAX ? 2 : 8;

	ret[0] = (unsigned char)(FIN | (unsigned)opcode);
	ret[1] = (unsigned char)(bytes == 0 ? len : bytes == 2 ? 126 : 127);
	for (size_t i = 0; i < bytes; i++)
		ret[2 + i] = (unsigned char)(len >> 8 * (bytes - 1 - i));
	return 2 + bytes;
}
