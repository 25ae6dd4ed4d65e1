/* api/lines.h - answers that are lines of JSON: the progress of load, pull, push.
 *
 * Until the first line an error is a status of its own; after it, it is the last line.
 */
#pragma once

#include "api/api_priv.h"

/* Send what `j` has as a line.  A client that stops listening does not stop the work. */
void lines_send(struct http_request *req, struct api_json *j);
/* {"key":"value"} */
void lines_member(struct http_request *req, const char *key, const char *value);
/* The end: `r` with *err, or all is well.  A handler's return value. */
int lines_end(struct api_call *c, int r, struct error *err);
