/* Heads of requests and responses. */
#include "http/head.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/str.h"

/* A cursor over the lines of a head, which was copied and is cut up in place. */
struct lines {
	char *next, *end;
};

static bool is_tchar(unsigned char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return true;
	return c && strchr("!#$%&'*+-.^_`|~", c);
}

bool http_is_token(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (!is_tchar((unsigned char)*s))
			return false;
	return true;
}

bool http_is_field_value(const char *s)
{
	for (; *s; s++)
		if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
			return false;
	return true;
}

ssize_t http_head_scan(struct http_head_scan *s, const char *buf, size_t len)
{
	while (s->seen < len) {
		const char *lf = memchr(buf + s->seen, '\n', len - s->seen);
		size_t at;

		if (!lf) {
			s->seen = len;
			break;
		}
		at = (size_t)(lf - buf);
		if (at == s->line || buf[at - 1] != '\r')
			return -EBADMSG;
		s->seen = at + 1;
		if (at - 1 == s->line) {
			if (s->line != s->start)
				return at + 1 > HTTP_HEAD_MAX ? -E2BIG : (ssize_t)(at + 1);
			s->start = at + 1;
		}
		s->line = at + 1;
	}
	return len >= HTTP_HEAD_MAX ? -E2BIG : 0;
}

/* The next line without its CRLF, terminated; NULL at the empty line. */
static char *lines_next(struct lines *l)
{
	char *line = l->next, *cr;

	cr = memmem(line, (size_t)(l->end - line), "\r\n", 2);
	if (!cr || cr == line)
		return NULL;
	*cr = '\0';
	l->next = cr + 2;
	return line;
}

static int refuse(int status, const char **ret_why, const char *why)
{
	*ret_why = why;
	return status;
}

static int parse_header(char *line, struct http_header *ret, const char **ret_why)
{
	char *colon = strchr(line, ':'), *value, *end;

	if (*line == ' ' || *line == '\t')
		return refuse(400, ret_why, "folded header line");
	if (!colon)
		return refuse(400, ret_why, "header line without a colon");
	*colon = '\0';
	if (!http_is_token(line))
		return refuse(400, ret_why, "bad header name");
	value = colon + 1;
	value += strspn(value, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = '\0';
	if (!http_is_field_value(value))
		return refuse(400, ret_why, "control character in a header value");
	*ret = (struct http_header){.name = line, .value = value};
	return 0;
}

static int parse_headers(struct arena *a, struct lines *l, struct http_head *h,
			 const char **ret_why)
{
	size_t cap = 16;
	char *line;
	int r;

	h->headers = arena_new0n(a, struct http_header, cap);
	while ((line = lines_next(l))) {
		if (h->n_headers == HTTP_HEADERS_MAX)
			return refuse(431, ret_why, "too many headers");
		if (h->n_headers == cap) {
			h->headers = arena_realloc(a, h->headers, cap * sizeof(*h->headers),
						   2 * cap * sizeof(*h->headers));
			cap *= 2;
		}
		r = parse_header(line, &h->headers[h->n_headers], ret_why);
		if (r)
			return r;
		h->n_headers++;
	}
	return 0;
}

static int take_content_length(struct http_head *h, const char *value, const char **ret_why)
{
	uint64_t n;

	if (str_parse_u64(value, &n) < 0 || n > INT64_MAX)
		return refuse(400, ret_why, "bad Content-Length");
	if (h->content_length >= 0 && (uint64_t)h->content_length != n)
		return refuse(400, ret_why, "differing Content-Length headers");
	h->content_length = (int64_t)n;
	return 0;
}

static int take_transfer_encoding(struct http_head *h, const char *value, const char **ret_why)
{
	if (h->chunked)
		return refuse(400, ret_why, "several Transfer-Encoding headers");
	if (strcasecmp(value, "chunked") != 0)
		return refuse(501, ret_why, "unsupported Transfer-Encoding");
	if (h->version < 11)
		return refuse(400, ret_why, "Transfer-Encoding in HTTP/1.0");
	h->chunked = true;
	return 0;
}

static int take_expect(struct http_head *h, const char *value, const char **ret_why)
{
	if (strcasecmp(value, "100-continue") != 0)
		return refuse(417, ret_why, "unsupported Expect");
	h->expect_continue = h->version >= 11;
	return 0;
}

static const struct {
	const char *name;
	int (*take)(struct http_head *h, const char *value, const char **ret_why);
} framing_headers[] = {
	{"content-length", take_content_length},
	{"transfer-encoding", take_transfer_encoding},
	{"expect", take_expect},
};

/* What the headers say about framing and the connection. */
static int interpret(struct http_head *h, const char **ret_why)
{
	int r;

	h->content_length = -1;
	for (size_t i = 0; i < h->n_headers; i++) {
		for (size_t k = 0; k < sizeof(framing_headers) / sizeof(*framing_headers); k++) {
			if (strcasecmp(h->headers[i].name, framing_headers[k].name) != 0)
				continue;
			r = framing_headers[k].take(h, h->headers[i].value, ret_why);
			if (r)
				return r;
		}
	}
	if (h->chunked && h->content_length >= 0)
		return refuse(400, ret_why, "both Content-Length and Transfer-Encoding");

	h->keep_alive = h->version >= 11 ? !http_head_has_token(h, "connection", "close")
					 : http_head_has_token(h, "connection", "keep-alive");
	h->upgrade_tcp = http_head_has_token(h, "connection", "upgrade") &&
			 http_head_has_token(h, "upgrade", "tcp");
	return 0;
}

/* "HTTP/1.1" to 11; a higher minor version of 1 is served as 1.1 (RFC 9110 section 2.5). */
static int parse_version(const char *s, const char **ret_why)
{
	if (strncmp(s, "HTTP/", 5) != 0 || strlen(s) != 8 || s[6] != '.' || s[5] < '0' ||
	    s[5] > '9' || s[7] < '0' || s[7] > '9')
		return -refuse(400, ret_why, "bad HTTP version");
	if (s[5] != '1')
		return -refuse(505, ret_why, "unsupported HTTP version");
	return s[7] == '0' ? 10 : 11;
}

static int parse_target(char *target, struct http_head *h, const char **ret_why)
{
	static const char *const schemes[] = {"http://", "https://"};
	char *query;

	for (const char *p = target; *p; p++)
		if ((unsigned char)*p <= 0x20 || *p == 0x7f)
			return refuse(400, ret_why, "control character in the request target");

	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(schemes[i]);

		if (strncasecmp(target, schemes[i], n) != 0)
			continue;
		target += n;
		target += strcspn(target, "/?");
		if (*target != '/') {
			/* RFC 9112 section 3.2.2: an empty path is "/" */
			h->path = "/";
			h->query = *target ? target + 1 : "";
			return 0;
		}
		break;
	}
	if (*target != '/' && strcmp(target, "*") != 0)
		return refuse(400, ret_why, "bad request target");
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	h->path = target;
	h->query = query ? query : "";
	return 0;
}

static int parse_request_line(char *line, struct http_head *h, const char **ret_why)
{
	char *target = strchr(line, ' '), *version;
	int v;

	if (!target)
		return refuse(400, ret_why, "bad request line");
	*target++ = '\0';
	version = strchr(target, ' ');
	if (!version)
		return refuse(400, ret_why, "bad request line");
	*version++ = '\0';
	if (!http_is_token(line) || strlen(line) > 32)
		return refuse(400, ret_why, "bad request method");
	v = parse_version(version, ret_why);
	if (v < 0)
		return -v;
	h->method = line;
	h->version = v;
	return parse_target(target, h, ret_why);
}

static int parse_status_line(char *line, struct http_head *h, const char **ret_why)
{
	char *status = strchr(line, ' ');
	int v;

	if (!status)
		return refuse(400, ret_why, "bad status line");
	*status++ = '\0';
	v = parse_version(line, ret_why);
	if (v < 0)
		return -v;
	for (size_t i = 0; i < 3; i++) {
		if (status[i] < '0' || status[i] > '9')
			return refuse(400, ret_why, "bad status code");
		h->status = h->status * 10 + status[i] - '0';
	}
	if (h->status < 100 || (status[3] != '\0' && status[3] != ' '))
		return refuse(400, ret_why, "bad status code");
	h->version = v;
	h->reason = status[3] ? status + 4 : "";
	return http_is_field_value(h->reason) ? 0 : refuse(400, ret_why, "bad reason phrase");
}

static int parse(struct arena *a, const char *buf, size_t len,
		 int (*first)(char *, struct http_head *, const char **), struct http_head *ret,
		 const char **ret_why)
{
	struct http_head h = {.method = "", .path = "", .query = "", .reason = ""};
	struct lines l;
	char *line;
	int r;

	if (memchr(buf, '\0', len))
		return refuse(400, ret_why, "NUL in the head");
	l.next = arena_strndup(a, buf, len);
	l.end = l.next + len;
	line = lines_next(&l);
	if (!line)
		return refuse(400, ret_why, "empty head");
	r = first(line, &h, ret_why);
	if (r)
		return r;
	r = parse_headers(a, &l, &h, ret_why);
	if (r)
		return r;
	r = interpret(&h, ret_why);
	if (r)
		return r;
	*ret = h;
	return 0;
}

int http_head_parse_request(struct arena *a, const char *buf, size_t len, struct http_head *ret,
			    const char **ret_why)
{
	return parse(a, buf, len, parse_request_line, ret, ret_why);
}

int http_head_parse_response(struct arena *a, const char *buf, size_t len, struct http_head *ret,
			     const char **ret_why)
{
	return parse(a, buf, len, parse_status_line, ret, ret_why) ? -EBADMSG : 0;
}

const char *http_head_get(const struct http_head *h, const char *name)
{
	for (size_t i = 0; i < h->n_headers; i++)
		if (strcasecmp(h->headers[i].name, name) == 0)
			return h->headers[i].value;
	return NULL;
}

static bool list_has(const char *list, const char *token)
{
	size_t want = strlen(token);

	while (*list) {
		size_t n;

		list += strspn(list, ", \t");
		n = strcspn(list, ", \t");
		if (n == want && strncasecmp(list, token, n) == 0)
			return true;
		list += n;
	}
	return false;
}

bool http_head_has_token(const struct http_head *h, const char *name, const char *token)
{
	for (size_t i = 0; i < h->n_headers; i++)
		if (strcasecmp(h->headers[i].name, name) == 0 &&
		    list_has(h->headers[i].value, token))
			return true;
	return false;
}

const char *http_head_media_type(struct arena *a, const char *value)
{
	char *s;

	if (!value)
		return "";
	s = arena_strndup(a, value, strcspn(value, "; \t"));
	for (char *p = s; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return s;
}
