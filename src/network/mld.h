/* network/mld.h - the multicast listener reports of new containers, which no port of a bridge needs. */
#pragma once

#include "network/network.h"

struct error;

/* Make the table `bridge NAME` if it is not there, in one transaction.  Where the kernel takes none, which is no error,
 * reports are sent to all ports. */
int mld_ensure(const struct network_manager *nm, struct error *err);
int mld_remove(const struct network_manager *nm, struct error *err);
