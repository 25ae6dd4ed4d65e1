/* Where an engine is. */
#include "http/address.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

#define PORT_PLAIN 2375
#define PORT_TLS   2376

static int parse_unix(const char *rest, bool tls, struct http_address *ret)
{
	(void)tls;
	if (!*rest)
		rest = HTTP_ADDRESS_DEFAULT_PATH;
	if (*rest != '/')
		return -EINVAL;
	ret->kind = HTTP_ADDRESS_UNIX;
	ret->path = xstrdup(rest);
	return 0;
}

static int parse_fd(const char *rest, bool tls, struct http_address *ret)
{
	(void)tls;
	ret->kind = HTTP_ADDRESS_FD;
	ret->path = xstrdup(strcmp(rest, "*") == 0 ? "" : rest);
	return 0;
}

static int parse_port(const char *s, bool tls, uint16_t *ret)
{
	uint32_t port;

	if (!*s) {
		*ret = tls ? PORT_TLS : PORT_PLAIN;
		return 0;
	}
	if (*s != ':' || str_parse_u32(s + 1, &port) < 0 || port > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)port;
	return 0;
}

static int parse_tcp(const char *rest, bool tls, struct http_address *ret)
{
	autofree char *all = xstrdup(rest);
	const char *host = all, *port;
	size_t len = strlen(all);
	char *end;
	int r;

	if (len > 0 && all[len - 1] == '/')
		all[len - 1] = '\0';
	if (strpbrk(all, "/?#@ "))
		return -EINVAL;
	if (*all == '[') {
		host = all + 1;
		end = strchr(host, ']');
		if (!end || end == host)
			return -EINVAL;
		*end = '\0';
		port = end + 1;
	} else {
		end = strchr(all, ':');
		if (end && strchr(end + 1, ':'))
			return -EINVAL; /* a bare IPv6 address is ambiguous */
		port = end ? end : all + strlen(all);
	}
	r = parse_port(port, tls, &ret->port);
	if (r < 0)
		return r;
	if (*all != '[' && end)
		*end = '\0';
	ret->kind = HTTP_ADDRESS_TCP;
	ret->host = xstrdup(host);
	return 0;
}

static const struct {
	const char *prefix;
	int (*parse)(const char *rest, bool tls, struct http_address *ret);
} schemes[] = {
	{"unix://", parse_unix}, {"fd://", parse_fd},     {"tcp://", parse_tcp},
	{"http://", parse_tcp},  {"https://", parse_tcp},
};

int http_address_parse(const char *s, bool tls, struct http_address *ret, struct error *err)
{
	struct http_address a = {0};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (!str_has_prefix(s, schemes[i].prefix))
			continue;
		if (schemes[i].parse(s + strlen(schemes[i].prefix), tls, &a) < 0)
			return error_set(err, ERROR_INVALID, EINVAL, "parse address '%s'", s);
		*ret = a;
		return 0;
	}
	return error_set(err, ERROR_INVALID, 0,
			 "unsupported address '%s': expected unix://, tcp:// or fd://", s);
}

void http_address_done(struct http_address *a)
{
	free(TAKE_PTR(a->path));
	free(TAKE_PTR(a->host));
}
