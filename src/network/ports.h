/* network/ports.h - port bindings as the API writes them ("80/tcp" and HostIp, HostPort).
 *
 * What is wrong with them: ERROR_INVALID.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "linux/portbind.h"

struct error;

struct port_bindings {
	struct port_binding *v; /* owned */
	size_t n, cap;
};
void port_bindings_done(struct port_bindings *b); /* accepts a zeroed one */
#define autoport_bindings __attribute__((cleanup(port_bindings_done)))

/* "80/tcp", "53/udp", "7/sctp", "80" (tcp). */
int ports_key_parse(const char *key, uint16_t *ret_port, uint8_t *ret_proto, struct error *err);
void ports_key_format(uint16_t port, uint8_t proto, char ret[static 16]); /* "80/tcp" */

/* Append one PortBinding.  host_ip: NULL or "" stands for 0.0.0.0 and, where with_ipv6, :: on the
 * same port: two entries.  host_port: NULL, "" or "0" let the kernel choose; "8000-8010" the first
 * free one of a range. */
struct ports_spec {
	const char *key; /* "80/tcp" */
	const char *host_ip;
	const char *host_port;
	bool with_ipv6; /* the network has IPv6 */
};
int ports_add(struct port_bindings *b, const struct ports_spec *spec, struct error *err);

/* The bindings are ready to reserve; ERROR_INVALID if two of them want the same host port. */
int ports_check(const struct port_bindings *b, struct error *err);
