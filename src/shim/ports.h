/* shim/ports.h - a container's published host ports: held, and served where NAT cannot. */
#pragma once

#include <stddef.h>

#include "base/mem.h"
#include "shim/protocol.h"

struct error;
struct loop;
struct ports;

/* Reserve config's ports, all or none; errors as portbind_reserve's.  Nothing of the configuration
 * is referenced afterwards. */
int ports_reserve(const struct shim_config *config, struct ports **ret, struct error *err);
/* The ports with HostPort filled in, as an array "ports" (NULL: empty). */
void ports_write(const struct ports *p, struct json_writer *w);
/* Serve what comes to [::1] by relays. */
int ports_serve(struct ports *p, struct loop *loop, struct error *err);
/* The container's addresses have changed: relays lead there from the next connection on.  NULL or "":
 * the family has none any more. */
int ports_retarget(struct ports *p, const char *ipv4, const char *ipv6, struct error *err);
struct ports *ports_free(struct ports *p);
DEFINE_CLEANUP(struct ports, ports_free);
