/* engine/resolver.h - what the resolvers of containers answer by: the files of shim/protocol.h.
 *
 * Written from the state as it is when it is asked for; two writers of one file take turns, so that
 * what is there last is the latest.
 */
#pragma once

#include "base/error.h"
#include "engine/container.h"

struct engine;

/* [worker, or before the loop runs] The file of a network: who is on it now.  Failures are logged: names
 * are then those of before. */
void resolver_update_network(struct engine *e, const char *network_id);
/* Of each network that the container is on. */
void resolver_update_networks(struct engine *e, struct network_endpoint *const *eps, size_t n);
void resolver_forget_network(struct engine *e, const char *network_id);
/* [worker, with the operation] What one container's resolver sees. */
int resolver_write_container(struct engine *e, struct container *c, struct error *err);
/* [before the loop runs] Files of all networks, and no others. */
void resolver_restore(struct engine *e);
