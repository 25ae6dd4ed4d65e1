/* linux/xtables.h - reading what iptables-legacy left: nftables does not show it. */
#pragma once

#include <sys/socket.h>

struct error;

/* Whether the FORWARD chain of the legacy "filter" table has the policy DROP, in the calling
 * thread's network namespace.  family: AF_INET or AF_INET6.  1, 0 (also if there is no such
 * table; asking does not make one) or < 0. */
int xtables_forward_drops(sa_family_t family, struct error *err);
