/* engine/link.h - legacy links (--link on the default bridge): a line in hosts and variables in the
 * environment, as the other container is at the start.  On networks with names a link is one more name
 * there (engine/resolver.c). */
#pragma once

#include "base/error.h"
#include "engine/container.h"
#include "network/files.h"

struct engine;

struct links {
	struct strv env;          /* "DB_PORT=tcp://10.213.0.2:5432" */
	struct files_link *hosts; /* owned; names point into `names` */
	struct strv names;
	size_t n;
};
void links_done(struct links *l);

/* "db:database" or "db". */
void link_parse(const char *text, char **ret_ref, char **ret_alias);
/* [loop] Do the containers that are linked to exist?  ERROR_INVALID, for to clients a 404 would mean that
 * the image is missing. */
int links_check(struct engine *e, const struct container_spec *s, struct error *err);
/* [loop] For a start, whose addresses are leased. */
int links_collect(struct engine *e, const struct container *c, struct links *ret,
		  struct error *err);
