/* After a daemon's start: memory from the rows, and the kernel brought in line with both. */
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "network/network.h"
#include "network/network_priv.h"
#include "network/table.h"

static int learn_address(struct ipam_pool *pool, const struct netaddr *a, struct error *err)
{
	return pool && netaddr_is_set(a) ? ipam_reserve(pool, a, err) : 0;
}

static int learn_endpoint(struct network_manager *nm, const struct network_endpoint *ep,
			  struct error *err)
{
	struct network_entry *e = network_entry_find(nm, ep->network_id);
	int r;

	if (!e)
		return error_set(err, ERROR_INTERNAL, 0, "endpoint '%.12s' of unknown network",
				 ep->id);
	r = learn_address(e->pool4, &ep->ipv4.addr, err);
	if (r == 0) {
		r = learn_address(e->pool6, &ep->ipv6.addr, err);
		if (r < 0 && e->pool4)
			ipam_release(e->pool4, &ep->ipv4.addr);
	}
	if (r < 0)
		return error_wrap(err, r, "endpoint '%.12s'", ep->id);
	network_entry_join(e, ep->id);
	return 0;
}

int network_restore(struct network_manager *nm, const struct network_restore *r, struct error *err)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < r->net_count; i++)
		ret = network_entry_add(nm, &r->nets_take[i], NULL, err);
	/* One bad row must not keep the daemon, and all other containers, down. */
	for (size_t i = 0; ret == 0 && i < r->ep_count; i++) {
		autoerror struct error bad = {0};

		if (learn_endpoint(nm, &r->eps[i], &bad) < 0)
			log_error("restore networks: %s", error_msg(&bad));
	}
	if (ret == 0)
		ret = table_rebuild(nm, r, err);
	for (size_t i = 0; ret == 0 && i < nm->n; i++)
		ret = network_up(nm, &nm->entries[i]->net, err);
	for (size_t i = 0; ret == 0 && i < r->ep_count; i++) {
		const struct network_driver *d = r->eps[i].driver;

		if (r->live[i] && d->repair)
			ret = d->repair(nm, &r->eps[i], err);
	}
	if (ret == 0)
		ret = bridge_remove_stale_links(nm, r, err);
	return ret < 0 ? error_wrap(err, ret, "restore networks") : 0;
}
