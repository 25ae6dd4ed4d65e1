/* http/head.h - heads of requests and responses (RFC 9112), parsed from byte buffers.
 *
 * Pure: no I/O.  Strict about framing, because that is where smuggling lives: bare LF, obs-fold,
 * Content-Length beside Transfer-Encoding, differing Content-Lengths and NUL are refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct arena;

#define HTTP_HEAD_MAX    ((size_t)64 * 1024) /* first line and headers, bytes */
#define HTTP_HEADERS_MAX 200                 /* header lines */

struct http_header {
	const char *name, *value;
};

struct http_head {
	/* request */
	const char *method;
	const char *path;  /* raw; of an absolute-form target too; "*" for OPTIONS */
	const char *query; /* raw, "" if none */
	/* response */
	int status;
	const char *reason;

	int version; /* 10 or 11 */
	struct http_header *headers;
	size_t n_headers;

	int64_t content_length; /* -1 if absent */
	bool chunked;
	bool keep_alive; /* as version and Connection say */
	bool expect_continue;
	bool upgrade_tcp; /* Connection: upgrade, with Upgrade: tcp */
};

/* Incremental search for a head's end; zero to begin with. */
struct http_head_scan {
	size_t start; /* where the first line begins: empty lines before it are skipped */
	size_t line;  /* where the line being read begins */
	size_t seen;  /* bytes looked at */
};

/* Look at what was appended to buf since the last call.  Returns the offset behind the head, 0 if
 * it is incomplete, -EBADMSG for a bare LF, -E2BIG past HTTP_HEAD_MAX. */
ssize_t http_head_scan(struct http_head_scan *s, const char *buf, size_t len);

/* Parse buf, which holds one whole head from its first line to its empty line.  Strings are copied
 * to the arena.  Returns 0, or the status to refuse it with (400, 417, 431, 501, 505) and a static
 * text in *ret_why. */
int http_head_parse_request(struct arena *a, const char *buf, size_t len, struct http_head *ret,
			    const char **ret_why);
/* Returns 0 or -EBADMSG. */
int http_head_parse_response(struct arena *a, const char *buf, size_t len, struct http_head *ret,
			     const char **ret_why);

/* First value, name in any case; NULL if absent. */
const char *http_head_get(const struct http_head *h, const char *name);
/* Whether a comma-separated list, in any of the headers of that name, has this token. */
bool http_head_has_token(const struct http_head *h, const char *name, const char *token);
/* A media type without parameters, lower case, in the arena; "" for NULL. */
const char *http_head_media_type(struct arena *a, const char *value);

bool http_is_token(const char *s);       /* RFC 9110 section 5.6.2, not empty */
bool http_is_field_value(const char *s); /* no control characters but tab */
