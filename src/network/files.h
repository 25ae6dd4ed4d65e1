/* network/files.h - what /etc/hosts, /etc/resolv.conf and /etc/hostname say in a container.
 *
 * Text only: the engine writes the files into the container's directory and mounts them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "linux/netaddr.h"

struct error;

#define FILES_MAX (256 * 1024) /* bytes, any of the three */

/* A line for another container. */
struct files_link {
	struct netaddr addr;
	const char *names; /* with spaces between them */
};

struct files_hosts {
	const char *hostname;        /* container's; NULL or "": no line for it */
	const char *domainname;      /* or NULL or "" */
	const struct netaddr *addrs; /* of its endpoints, a line each; unset ones have none */
	size_t addr_count;
	const struct files_link *links; /* legacy ones */
	size_t link_count;
	const char *const
		*extra; /* --add-host "name:ip" or "name=ip" or "name:host-gateway"; NULL */
	size_t extra_count;
	struct netaddr host_gateway4, host_gateway6; /* what host-gateway stands for */
};
/* ERROR_INVALID for a bad extra host. */
int files_hosts(const struct files_hosts *args, struct strbuf *out, struct error *err);
/* The container's own lines change while it runs: of `text`, drop those that begin with one of `drop`,
 * and add ones for `add`.  Lines that somebody else wrote stay. */
struct files_hosts_edit {
	const char *text;
	const struct netaddr *drop, *add;
	size_t drop_count, add_count;
	const char *hostname, *domainname;
};
int files_hosts_edit(const struct files_hosts_edit *args, struct strbuf *out, struct error *err);
/* Check one --add-host value without writing (at create). */
int files_extra_host_check(const char *s, struct error *err);

struct files_resolv {
	const char *host;       /* text of the host's /etc/resolv.conf; NULL: none */
	const char *const *dns; /* --dns, addresses */
	size_t dns_count;
	const char *const *search; /* --dns-search; one "." alone means none */
	size_t search_count;
	const char *const *options; /* --dns-option */
	size_t option_count;
	bool own_netns; /* false (--network host): the host's loopback nameservers are kept */
	bool ipv6;      /* the container has an IPv6 address: IPv6 nameservers are kept */
	bool resolver;  /* the one at 127.0.0.11 is asked; it knows the servers */
};
/* The servers, as shim/protocol.h has them: "server ADDRESS" and, for what only the host can reach,
 * "host-server ADDRESS", a line each. */
int files_resolv_servers(const struct files_resolv *args, struct strbuf *out, struct error *err);
int files_resolv(const struct files_resolv *args, struct strbuf *out, struct error *err);
/* Text of the host's resolv.conf that containers should start from: when /etc/resolv.conf points
 * only at systemd-resolved's stub, the real list in /run/systemd/resolve.  *ret is malloc'd, ""
 * if there is none. */
int files_resolv_host(char **ret, struct error *err);

void files_hostname(const char *hostname, struct strbuf *out);
