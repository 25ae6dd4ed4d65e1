/* linux/nfct.h - connection tracking by ctnetlink: forgetting connections.  Needs libmnl.
 *
 * A tracked connection keeps the redirection that it began with (or began without).  These act on
 * the socket's network namespace and need Linux 5.8 (filtered flush); older kernels and
 * those without ctnetlink answer an error and change nothing.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#include "linux/netaddr.h"

struct error;
struct netlink;

/* Those that the address opened, and those that were sent or redirected to it. */
int nfct_forget_address(struct netlink *nl, const struct netaddr *a, struct error *err);
/* Those that were opened towards the port, whatever the address. */
struct nfct_port {
	sa_family_t family;
	uint8_t proto; /* IPPROTO_* */
	uint16_t port; /* host order */
};
int nfct_forget_ports(struct netlink *nl, const struct nfct_port *v, size_t n, struct error *err);
