/* registry/protocol.h - what vesseld and vessel-registry say to each other.
 *
 * A stream socket (descriptor PROTOCOL_FD of the helper) carries frames both ways: a length as four
 * bytes, little-endian, then that many bytes of JSON, an object.  Requests carry "id" and "op"; one with
 * bytes to move brings a pipe's end along.  Each is answered once by {"id", "ok": {...}} or
 * {"id", "error": {"kind", "message", "code", "status"}}, in any order; before that there may be
 * {"id", "retry": seconds} and {"id", "progress": bytes}.
 *
 *     op         members                                    answer
 *     open       the session: see registry/session.h        {}
 *     resolve    reference, platform, raw                   digest, type, document; manifest*; config
 *     signatures digest                                     signatures: [{payload, signature}] in base64;
 *                                                           malformed: why there are not more of them
 *     tags                                                  tags
 *     connect                                               {}: an endpoint of the registry's own answers
 *     blob       digest, size, offset; pipe to write to     {}
 *     upload     digest, size, mounts; file to read from    exists, mounted (from where), or none
 *     exists     digest, mounts                             the same, or "missing"
 *     put        reference, type, document                  {}
 *     login                                                 token
 *     search     query (of the URL)                         text
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/json.h"

#define PROTOCOL_FD        3
#define PROTOCOL_FRAME_MAX (24 << 20) /* bytes: three documents of 4 MiB, escaped */

/* Send one frame, with a descriptor unless it is negative.  Blocks.  -errno. */
int protocol_send(int sock, const struct strbuf *json, int fd);

/* Frames as they come in. */
struct protocol_input {
	struct strbuf buf; /* owned */
	int fd;            /* owned: came with the frame; -EBADF: none */
};
void protocol_input_init(struct protocol_input *in);
void protocol_input_done(struct protocol_input *in);
/* Read what is there (once): > 0, or 0 at the end, or -errno; -EAGAIN on a non-blocking socket. */
int protocol_read(struct protocol_input *in, int sock);
/* Take a complete frame out: 1, its text (owned); 0: not yet; -EBADMSG: too long. */
int protocol_next(struct protocol_input *in, char **ret, size_t *ret_len);
