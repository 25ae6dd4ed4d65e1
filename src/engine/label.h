/* engine/label.h - SELinux labels of containers: which, with which categories, and files of theirs.
 *
 * A container's process and its files share a pair of categories that no other container has, so that
 * one cannot touch another's files even as root.  The pair is part of the labels, which are kept in the
 * container's row: what is taken is what rows have, and goes with them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "engine/config.h"

struct error;

/* What the policy calls containers: /etc/selinux/TYPE/contexts/lxc_contexts. */
struct label_policy {
	char *process, *file; /* owned */
};
/* dir_fd: /etc/selinux.  ERROR_UNAVAILABLE if the policy names no labels for containers. */
int label_policy_read(int dir_fd, struct label_policy *ret, struct error *err);
void label_policy_done(struct label_policy *p);

struct labels {
	char *process, *mount; /* owned; "" for none */
};
void labels_done(struct labels *l);

/* The labels of a container whose categories are `level` ("s0:c1,c2"), after its --security-opt label=. */
int labels_make(const struct label_policy *p, const struct config_security *s, const char *level,
		struct labels *ret, struct error *err);

#define LABEL_LEVEL_SIZE 24
/* A level that nobody has: `random` picks where to begin.  ERROR_UNAVAILABLE if none is left. */
typedef bool (*label_taken_fn)(void *data, const char *level);
int label_level_pick(uint32_t random, label_taken_fn taken, void *data,
		     char ret[static LABEL_LEVEL_SIZE], struct error *err);
/* The level of a label, borrowed from it; "" if it has none. */
const char *label_level(const char *label);

/* Give what a bind mount with z (shared: files of all containers) or Z shows the label.  ERROR_INVALID
 * for the directories that a host lives in: "SELinux relabeling of /etc is not allowed". */
int label_relabel(const char *path, const char *mount_label, bool shared, struct error *err);
