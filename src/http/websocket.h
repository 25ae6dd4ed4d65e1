/* http/websocket.h - WebSocket frames (RFC 6455), the server's side.  Pure: no I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WEBSOCKET_ACCEPT_SIZE 29  /* with its NUL */
#define WEBSOCKET_HEAD_MAX    10  /* bytes before a payload that we send */
#define WEBSOCKET_CONTROL_MAX 125 /* payload of a ping, pong or close */

enum websocket_opcode {
	WEBSOCKET_CONTINUATION = 0,
	WEBSOCKET_TEXT = 1,
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PING = 9,
	WEBSOCKET_PONG = 10,
};

/* Codes of a close (section 7.4.1). */
#define WEBSOCKET_CODE_NORMAL   1000
#define WEBSOCKET_CODE_PROTOCOL 1002

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key; false if the key is none. */
bool websocket_accept(const char *key, char ret[WEBSOCKET_ACCEPT_SIZE]);

/* What comes from a client, in whatever pieces; zero to begin with. */
struct websocket_parser {
	unsigned char head[14];
	size_t head_len;
	bool in_payload;
	bool in_message; /* between the fragments of a message */
	enum websocket_opcode opcode;
	uint64_t left; /* of the payload */
	size_t mask_at;
	char control[WEBSOCKET_CONTROL_MAX];
	size_t control_len;
};

struct websocket_piece {
	enum {
		WEBSOCKET_PIECE_NONE, /* more is needed */
		WEBSOCKET_PIECE_DATA, /* a part of a message, of either kind */
		WEBSOCKET_PIECE_PING, /* whole control frames */
		WEBSOCKET_PIECE_PONG,
		WEBSOCKET_PIECE_CLOSE,
	} kind;
	const char *data; /* unmasked, in the caller's buffer or in the parser's */
	size_t len;
};

/* Take one piece from buf, which is unmasked in place.  Returns how many bytes were used, all of them
 * with WEBSOCKET_PIECE_NONE.  -EBADMSG: no client may send that; close with WEBSOCKET_CODE_PROTOCOL. */
ssize_t websocket_parse(struct websocket_parser *p, char *buf, size_t len,
			struct websocket_piece *ret);

/* The head of a whole frame that a server sends; returns its length. */
size_t websocket_head(unsigned char ret[WEBSOCKET_HEAD_MAX], enum websocket_opcode opcode,
		      uint64_t len);
