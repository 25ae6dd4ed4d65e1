/* engine/files.h - a container's /etc/hosts, /etc/hostname and /etc/resolv.conf, written at each start. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "engine/container.h"

struct engine;
struct links;

/* Into c->state_dir.  [worker, with the operation] */
int files_write(struct engine *e, const struct container *c, const struct links *links,
		struct error *err);
/* The same while it runs, when a network was joined or left: lines of `left` (or NULL) go from hosts,
 * those of `joined` (or NULL) come; resolv.conf is written anew if that begins or ends names. */
struct files_change {
	const struct network_endpoint *joined, *left;
	bool resolv;
};
int files_change(struct engine *e, const struct container *c, const struct files_change *change,
		 struct error *err);
