/* api/networks.h - what listing and pruning networks share. */
#pragma once

#include <stdbool.h>

struct network;

/* "k" or "k=v" */
bool network_has_label(const struct network *n, const char *want);
