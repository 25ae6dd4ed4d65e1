/* shim/resolver.h - the name server at 127.0.0.11 of a container on user-defined networks.
 *
 * It answers for the names of the container's networks from the files of shim/names.h, and passes
 * everything else on.  Messages over UDP and TCP.
 */
#pragma once

#include <stdint.h>

#include "base/mem.h"

struct error;
struct loop;
struct resolver;
struct scratch;

struct resolver_args {
	struct loop *loop;       /* borrowed, as the rest */
	struct scratch *scratch; /* not shared: asked for at each use */
	int netns_fd;            /* the container's; duplicated */
	int runtime_dir_fd;      /* duplicated */
};
/* Listens inside the container's namespace on ports of 127.0.0.11 that the kernel chooses. */
int resolver_new(const struct resolver_args *args, struct resolver **ret, struct error *err);
uint16_t resolver_udp_port(const struct resolver *r);
uint16_t resolver_tcp_port(const struct resolver *r);
struct resolver *resolver_free(struct resolver *r); /* accepts NULL */
