/* bin/runtime/bundle.h - config.json, of a bundle or as it was when a container was created. */
#pragma once

#include <stddef.h>

#include "base/mem.h"
#include "oci/runtime_spec.h"

struct error;
struct options;
struct state;

struct bundle {
	struct arena *arena; /* owned */
	struct oci_spec spec;
	char *text; /* owned: config.json */
	size_t len;
	int fd;     /* owned: the directory; -EBADF for a saved one */
	char *path; /* owned: the directory, absolute; NULL for a saved one */
};
#define BUNDLE_INIT          \
	{                    \
		.fd = -EBADF \
	}

/* First without a look at the text, then with. */
int bundle_read(const char *path, struct bundle *ret, struct error *err);
int bundle_parse(struct bundle *b, struct error *err);
/* In between, by the looks of it: linux.namespaces has a network namespace without a path, and no user
 * namespace.  What holds is runtime_takes_netns(). */
bool bundle_seems_to_take_netns(const struct bundle *b);
/* The copy that the container's state has. */
int bundle_load_saved(const struct state *s, struct bundle *ret, struct error *err);
/* Where compiled filters are kept, for all containers of the host; made if the configuration has one,
 * else *ret stays NULL.  malloc'd. */
int bundle_seccomp_cache(const struct options *o, const struct bundle *b, char **ret,
			 struct error *err);
void bundle_done(struct bundle *b);
#define autobundle __attribute__((cleanup(bundle_done)))
