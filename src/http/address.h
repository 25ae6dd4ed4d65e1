/* http/address.h - where an engine is: what -H and DOCKER_HOST say. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct error;

#define HTTP_ADDRESS_DEFAULT_PATH "/run/vessel.sock"

enum http_address_kind {
	HTTP_ADDRESS_UNIX, /* unix:///path, "unix://" is the default path */
	HTTP_ADDRESS_TCP,  /* tcp://host:port, tcp://[v6]:port, also http:// and https:// */
	HTTP_ADDRESS_FD,   /* fd://, fd://3, fd://name: socket activation, servers only */
};

struct http_address {
	enum http_address_kind kind;
	char *path;    /* owned; unix: absolute path.  fd: name or number, "" for all */
	char *host;    /* owned; tcp: without brackets, "" for every address */
	uint16_t port; /* tcp; 0 only if "0" was written */
};

/* Strict; a port left out is 2375, or 2376 if `tls`.  ERROR_INVALID names the address (npipe, ssh
 * and unknown schemes included). */
int http_address_parse(const char *s, bool tls, struct http_address *ret, struct error *err);
void http_address_done(struct http_address *a); /* accepts a zeroed one */
#define autohttp_address __attribute__((cleanup(http_address_done)))
