/* linux/portbind.h - hold published host ports with bound sockets, so that the kernel itself
 * refuses them to everybody else, and to a second container.
 *
 * The shim calls this; packets never reach these sockets, because nftables rewrites them before,
 * with one exception: what a process on this host sends to [::1], which NAT cannot redirect.
 * For that, a binding with `relay` set is also the socket to serve: a TCP one is listening
 * (non-blocking accept(2) on it, then splice to the container's address), an UDP one receives.
 *
 * The host's network namespace is the calling thread's.  Uses nothing beyond libc.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "linux/netaddr.h"

struct error;

enum portbind_proto { PORTBIND_TCP = 6, PORTBIND_UDP = 17, PORTBIND_SCTP = 132 }; /* IPPROTO_* */

struct port_binding {
	uint8_t proto; /* enum portbind_proto */
	uint16_t container_port;
	struct netaddr host;    /* 0.0.0.0, :: or an address of this host; always set */
	uint16_t host_port;     /* 0: let the kernel choose from ip_local_port_range */
	uint16_t host_port_end; /* last of a range to try in order; 0: just host_port */
	bool same_port; /* take the port that the entry before got (the IPv6 twin of 0.0.0.0) */
};

struct portbind_socket {
	int fd;     /* owned */
	bool relay; /* see above */
};

/* Reserve bindings[0..n) in order, all or none; host_port is replaced by the port got, and
 * host_port_end by 0.  sockets: n entries, filled on success.
 * -EADDRINUSE with "Bind for 0.0.0.0:8080 failed: port is already allocated" (Docker's words).
 * -EADDRNOTAVAIL when the address is not this host's. */
int portbind_reserve(struct port_binding *bindings, size_t n, struct portbind_socket *sockets,
		     struct error *err);
void portbind_release(struct portbind_socket *sockets, size_t n);

const char *portbind_proto_name(uint8_t proto);              /* "tcp", "udp", "sctp" or "" */
int portbind_proto_parse(const char *s, uint8_t *ret_proto); /* -EINVAL */
