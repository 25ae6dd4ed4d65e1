/* engine/network.h - networks as users make them, and containers that come and go. [worker]
 *
 * `ref` of a network: its name, id, or a unique beginning of the id; ERROR_NOT_FOUND reads "network REF
 * not found".
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

struct engine;
struct network;

/* body: Docker's NetworkCreateRequest.  The row is there before the bridge: a daemon that dies in between
 * makes it at its next start. */
int engine_network_create(struct engine *e, const struct json *body, char ret_id[65],
			  struct error *err);
/* ERROR_FORBIDDEN while a running container is on it. */
int engine_network_remove(struct engine *e, const char *ref, struct error *err);
/* Remove those without containers that run, or wait for their restart, for which wanted(net, data) holds [loop]; their names are
 * appended to *ret. */
int engine_network_prune(struct engine *e, bool (*wanted)(const struct network *net, void *data),
			 void *data, struct strv *ret, struct error *err);

/* settings: Docker's EndpointSettings, or NULL.  A container that does not run joins at its start. */
int engine_network_connect(struct engine *e, const char *ref, const char *container,
			   const struct json *settings, struct error *err);
/* force: also from a network that is gone. */
int engine_network_disconnect(struct engine *e, const char *ref, const char *container, bool force,
			      struct error *err);
/* [loop] Is a container that runs, or is being started, on it? */
bool engine_network_in_use(struct engine *e, const struct network *net);
