/* engine/restart.h - restart policies: what they decide, without clock or container. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/config.h"

/* ms to wait, after `before` the last time (0: there was none) and a run of run_ns: Docker's back-off,
 * 100 ms, doubled up to a minute, begun anew after a run of ten seconds. */
int64_t restart_delay(int64_t before, int64_t run_ns);
/* After an exit that nobody asked for.  restarts: since the last start by a user. */
bool restart_wanted(const struct config_restart *policy, int exit_code, unsigned restarts);
/* When the engine comes up, for a container that has ended before. */
bool restart_wanted_at_boot(const struct config_restart *policy, bool stopped_by_user);
