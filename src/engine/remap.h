/* engine/remap.h - vesseld --userns-remap: containers' ids are others on the host.
 *
 * Layers, volumes and the engine's files keep their owners as the container has them; each container
 * that is remapped gets them by idmapped mounts (docs/decisions/0009-remapping.md), so that all
 * containers share them, remapped or not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/json.h"
#include "base/mem.h"

struct container_spec;
struct error;

struct remap_range {          /* in order: container ids go on where the range before ends */
	uint32_t start, size; /* of the host's ids */
};
struct remap_ranges {
	struct remap_range *v; /* owned */
	size_t n, cap;
};
struct remap {
	struct remap_ranges uids, gids; /* empty: nothing is remapped */
};

/* What dockerd takes: "default", "user", "user:group", "uid", "uid:gid"; the ranges are those of
 * subuid(5) and subgid(5).  "default" is the user "dockremap", to whom ranges are given if there are
 * none.  `etc_fd`: the directory /etc, a test's own otherwise.  [before the loop runs] */
int remap_open(const char *value, int etc_fd, struct remap *ret, struct error *err);
void remap_done(struct remap *r);

/* Add what the text of subuid(5) grants to one of the names (NULL: ends the list), sorted. */
void remap_parse(const char *text, const char *const *names, struct remap_ranges *ret);

/* The mappings that a process lives under; left empty if they are ours.  [any thread] */
int remap_of_process(pid_t pid, struct remap *ret, struct error *err);

/* Whether a container is remapped: it may ask for the host's user namespace. */
bool remap_applies(const struct remap *r, const struct container_spec *s);
/* What cannot be had in a user namespace of one's own is refused, with Docker's words. */
int remap_check(const struct remap *r, const struct container_spec *s, struct error *err);
/* "KEY":[{"containerID":0,"hostID":100000,"size":65536}] */
void remap_write(const struct remap_ranges *ranges, const char *key, struct json_writer *w);
