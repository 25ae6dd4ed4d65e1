/* registry/config.h - which servers stand for a registry's name, and how they are trusted.
 *
 *     docker.io      its mirrors, then https://registry-1.docker.io
 *     other names    https; for insecure ones https without verification, then http
 * Certificates come from <certs_dirs>/<domain>/: *.crt are CAs, *.cert and *.key are ours.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/json_decode.h"
#include "registry/trust.h"

#define REGISTRY_DOWNLOADS_DEFAULT 3
#define REGISTRY_UPLOADS_DEFAULT   5
#define REGISTRY_ATTEMPTS_DEFAULT  5
#define REGISTRY_CERTS_DIRS        "/etc/vessel/certs.d", "/etc/docker/certs.d"

/* All borrowed. */
struct registry_config {
	struct json_strings mirrors;                     /* URLs, of docker.io */
	struct json_strings insecure;                    /* "host:port", "10.0.0.0/8" */
	const char *http_proxy, *https_proxy, *no_proxy; /* NULL or "": the environment's */
	int max_downloads, max_uploads, max_attempts;    /* 0: the defaults above */
	const struct trust_policy *trust;                /* NULL: all may be pulled */
};

/* 127.0.0.0/8, ::1, localhost, and what the configuration says. */
bool registry_is_insecure(const struct registry_config *c, const char *domain);
enum registry_purpose {
	REGISTRY_PULL,   /* mirrors first */
	REGISTRY_PUSH,   /* and login: the registry itself */
	REGISTRY_SEARCH, /* the index, which is a server of its own for docker.io */
};
/* Member "endpoints" of the session (registry/session.h).  Reads certificates: ERROR_INVALID names the
 * file that cannot be used. */
int registry_write_endpoints(const struct registry_config *c, const char *domain,
			     enum registry_purpose purpose, struct json_writer *w,
			     struct error *err);
