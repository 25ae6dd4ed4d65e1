/* engine/files.h - a container's /etc/hosts, /etc/hostname and /etc/resolv.conf, written at each start. */
#pragma once

#include "base/error.h"
#include "engine/container.h"

/* Into c->state_dir.  [worker, with the operation] */
int files_write(const struct container *c, struct error *err);
