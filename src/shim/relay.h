/* shim/relay.h - a published port on [::1], served by copying: NAT cannot redirect that address. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "linux/netaddr.h"

struct error;
struct loop;
struct relay;

/* Relay what arrives at fd (borrowed, non-blocking: a listening TCP socket or a bound UDP one) to
 * the container's address. */
int relay_new(struct loop *loop, int fd, bool udp, const struct netaddr *to, uint16_t port,
	      struct relay **ret, struct error *err);
void relay_retarget(struct relay *r, const struct netaddr *to, uint16_t port);
struct relay *relay_free(struct relay *r); /* ends all connections; accepts NULL */
