/* After a daemon's start: memory from the rows, and the kernel brought in line with both. */
#include <string.h>

#include <linux/netfilter/nfnetlink.h>

#include "base/error.h"
#include "base/log.h"
#include "linux/nft.h"
#include "network/mld.h"
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
		return network_repair(nm, r, err);
	return error_wrap(err, ret, "restore networks");
}

int network_repair(const struct network_manager *nm, const struct network_restore *r,
		   struct error *err)
{
	int ret = table_rebuild(nm, r, err);

	/* Another version's, or one that somebody has emptied: made anew with the first network. */
	(void)mld_remove(nm, NULL);

	/* One network that cannot be, for want of its subnet or name, must not keep the others down. */
	for (size_t i = 0; ret == 0 && i < nm->n; i++) {
		autoerror struct error bad = {0};

		if (network_up(nm, &nm->entries[i]->net, &bad) < 0)
			log_error("%s", error_msg(&bad));
	}
	for (size_t i = 0; ret == 0 && i < r->ep_count; i++) {
		const struct network_driver *d = r->eps[i].driver;

		autoerror struct error bad = {0};

		if (r->live[i] && d->repair && d->repair(nm, &r->eps[i], &bad) < 0)
			log_error("endpoint '%.12s': %s", r->eps[i].id, error_msg(&bad));
	}
	if (ret == 0)
		ret = bridge_remove_stale_links(nm, r, err);
	return ret < 0 ? error_wrap(err, ret, "restore networks") : 0;
}

int network_watch_open(struct network_manager *nm, int *ret_fd, struct error *err)
{
	autonetlink struct netlink *nl = NULL;
	int r = netlink_open(NETLINK_NETFILTER, &nl, err);

	if (r == 0)
		r = netlink_subscribe(nl, NFNLGRP_NFTABLES, err);
	if (r < 0)
		return error_wrap(err, r, "watch nftables");
	netlink_close(nm->watch);
	nm->watch = TAKE_PTR(nl);
	*ret_fd = netlink_fd(nm->watch);
	return 0;
}

struct watch {
	struct nft_table table;
	bool deleted;
};

static void on_event(const struct nlmsghdr *nlh, void *data)
{
	struct watch *w = data;

	w->deleted |= nft_event_deletes(nlh, &w->table);
}

int network_watch_process(struct network_manager *nm, struct error *err)
{
	struct watch w = {.table = {.family = NFPROTO_INET, .name = nm->table}};
	int r = netlink_events(nm->watch, on_event, &w);

	if (r < 0 && r != -ENOBUFS)
		return error_set(err, ERROR_INTERNAL, -r, "watch nftables");
	if (r == 0 && !w.deleted)
		return 0;
	/* We replace the table ourselves too, in one transaction: what counts is how it ended. */
	r = table_is_there(nm, err);
	return r < 0 ? r : !r;
}
