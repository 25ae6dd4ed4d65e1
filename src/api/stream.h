/* api/stream.h - connections given to a shim: attach and exec. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct api_call;
struct http_hijacked;

/* What a hijacked connection carries, by API version: frames are named so from 1.42 on, and for
 * clients that asked for an upgrade. */
const char *stream_content_type(const struct api_call *c, bool tty);
/* The connection is hijacked and the shim did not take it: tell the client there, and close it. */
void stream_fail(struct http_hijacked *h, bool tty, const struct error *why);

/* [loop] Close what is attached over WebSockets; they are the api's. */
struct api;
void attach_end_websockets(struct api *api);
