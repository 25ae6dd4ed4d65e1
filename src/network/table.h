/* network/table.h - the one nftables table, and how networks and published ports appear in it.
 *
 * Everything variable is an element of a set or map: a network adds its link's name to a few sets,
 * a published port adds one element to one map.  The chains never change.
 */
#pragma once

#include <stdbool.h>

#include "network/network.h"

struct error;

/* 1 if the table is there in our layout, 0 or < 0. */
int table_is_there(const struct network_manager *nm, struct error *err);
/* Make the table where it is missing or of another layout. */
int table_ensure(const struct network_manager *nm, struct error *err);
int table_add_network(const struct network_manager *nm, const struct network *net,
		      struct error *err);
int table_del_network(const struct network_manager *nm, const struct network *net,
		      struct error *err);

int table_publish(const struct network_manager *nm, const struct network_endpoint *ep,
		  struct error *err);
int table_unpublish(const struct network_manager *nm, const struct network_endpoint *ep,
		    struct error *err);

/* Replace the whole table, in one transaction, by one that has exactly these networks' links and
 * these endpoints' ports (live[i] only). */
int table_rebuild(const struct network_manager *nm, const struct network_restore *r,
		  struct error *err);
int table_remove(const struct network_manager *nm, struct error *err);
