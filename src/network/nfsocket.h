/* network/nfsocket.h - the manager's open NETLINK_NETFILTER sockets.
 *
 * Closing one may take 10 ms (linux/nft.h), so they are kept; workers borrow them.  Any thread.
 */
#pragma once

#include "linux/netlink_socket.h"

struct error;
struct network_manager;
struct nfsockets;

struct nfsockets *nfsockets_new(void);
struct nfsockets *nfsockets_free(struct nfsockets *s); /* accepts NULL */

/* A borrowed socket; goes back at the end of the scope. */
struct nfsocket {
	struct nfsockets *from;
	struct netlink *nl;
};
int nfsocket_take(struct nfsockets *s, struct nfsocket *ret, struct error *err);
void nfsocket_give(struct nfsocket *s);
#define autonfsocket __attribute__((cleanup(nfsocket_give)))
