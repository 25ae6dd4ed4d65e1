/* engine/endpoint.h - a container's places in networks, from the start's leases to the exit.
 *
 * What was asked for is spec->endpoints; what there is, while it runs, is c->endpoints, in the order
 * of the links inside (eth0, eth1, ...).  The first one is that of NetworkMode.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "engine/container.h"
#include "network/ports.h"

struct engine;

/* [loop] The network of NetworkMode among spec->endpoints, if they are empty; names instead of ids. */
void endpoints_normalize(struct engine *e, struct container_spec *s);
/* [loop] What was asked for of the network with this id; NULL: nothing. */
const struct config_endpoint *endpoints_config(struct engine *e, const struct container_spec *s,
					       const char *network_id);
/* [loop] The container's endpoint on a network, or NULL. */
struct network_endpoint *endpoints_find(const struct container *c, const char *network_id);
/* Whether names are answered for it. */
bool endpoints_have_names(struct engine *e, const struct container *c); /* [loop] */

/* [loop] Lease addresses on every network; on failure none. */
int endpoints_lease(struct engine *e, struct container *c, struct error *err);
/* [loop] One more, for an endpoint that was asked for while it runs; appended to c->endpoints. */
int endpoints_lease_one(struct engine *e, struct container *c, const struct config_endpoint *want,
			struct error *err);
/* [loop] Out of c->endpoints; the caller's from now on. */
struct network_endpoint *endpoints_take(struct container *c, struct network_endpoint *ep);
/* [loop] The container's configuration's ports. */
int endpoints_ports(struct engine *e, const struct container *c, struct port_bindings *ret,
		    struct error *err);
/* [loop] Give the ports to the endpoints that are the gateways of their families. */
void endpoints_place_ports(struct container *c, const struct port_binding *ports, size_t n);

/* [worker, with the operation] Links and addresses of all, the way to the resolver, then names and
 * published ports. */
int endpoints_attach(struct engine *e, struct container *c, int netns_fd,
		     const struct network_resolver *resolver, struct error *err);
int endpoints_publish(struct engine *e, struct container *c, struct error *err);
/* [worker] Undo both; the addresses stay leased.  Failures are logged. */
void endpoints_detach(struct engine *e, struct container *c);

/* [worker] Give addresses back, and wake who waits for that. */
void endpoints_release(struct engine *e, struct network_endpoint *const *eps, size_t n);
/* [worker] Wait until a network that nobody can join any more has no member left. */
int endpoints_await_release(struct engine *e, const struct network *net, struct error *err);

/* [owner, once opened] Undo connects and complete disconnects that a killed engine left half done. */
void connect_settle(struct engine *e);
