/* engine/config_discard.h - limits that this host cannot enforce. */
#pragma once

#include "base/str.h"
#include "engine/config.h"

/* Discard them, each with Docker's warning (warnings may be NULL).  NanoCpus is an error, as Docker's:
 * ERROR_INVALID.  Looks at /sys/fs/cgroup. [worker] */
int config_discard(struct host_config *h, struct strv *warnings, struct error *err);
/* The same for a host with its cgroups below another directory, for tests. */
int config_discard_at(int root_fd, struct host_config *h, struct strv *warnings, struct error *err);
