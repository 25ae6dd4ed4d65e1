/* cli/objects.h - what networks and volumes have in common: lists, removal, pruning. */
#pragma once

#include "base/str.h"
#include "cli/cli.h"

/* "k=v" items as the member `name`, an object; none: {}. */
void objects_map(struct json_writer *w, const char *name, const struct strv *items);
/* "a=1,b=" of an object of strings, sorted, in the arena. */
const char *objects_labels(struct cli *cli, const struct json *labels);
/* Indices of an array's objects, sorted by a member as people count: "net2" before "net10".  In the
 * arena. */
const size_t *objects_sorted(struct cli *cli, const struct json *list, const char *member);
/* DELETE path/NAME for each argument; names of those that are gone are printed. */
struct objects_removal {
	const char *path;  /* "/networks" */
	const char *query; /* "?force=1" or "" */
	bool force;        /* what is not there is no failure */
	bool says_status;  /* "exit status 1" at the end of failures, as docker's network rm */
};
int objects_remove(struct cli *cli, const struct invocation *in, const struct objects_removal *how,
		   struct error *err);
/* Ask before something that cannot be undone. */
bool objects_confirm(const char *warning);
