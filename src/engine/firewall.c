/* engine/firewall.c - what others do to the host's firewall, and what it does to us.
 *
 * `nft flush ruleset`, which reloading nftables.service does, takes our table away under running
 * containers: a watch on nftables' notifications puts it back.  A forward chain of somebody else that
 * drops what is not its own beats any accept of ours: create warns and names it.
 */
#include "engine/firewall.h"

#include "base/log.h"
#include "base/mem.h"
#include "engine/engine_priv.h"

static void repair(struct engine *e)
{
	autoerror struct error err = {0};
	size_t n, count = 0;
	struct container *const *containers = engine_containers(e, &n);
	struct network_restore args = {0};
	struct network_endpoint *eps;
	bool *live;

	for (size_t i = 0; i < n; i++)
		count += containers[i]->endpoint_count;
	eps = xnew0n(struct network_endpoint, count + 1); /* copies that own nothing */
	live = xnew0n(bool, count + 1);
	for (size_t i = 0; i < n; i++) {
		const struct container *c = containers[i];

		for (size_t k = 0; k < c->endpoint_count; k++) {
			eps[args.ep_count] = *c->endpoints[k];
			live[args.ep_count++] = container_is_active(c) || c->rt->starting;
		}
	}
	args.eps = eps;
	args.live = live;
	if (network_repair(e->network, &args, &err) < 0)
		log_error("put the firewall's table back: %s", error_msg(&err));
	else
		log_warn("somebody removed the firewall's table: it is back");
	free(eps);
	free(live);
}

static void on_notification(struct loop_source *s, int fd, uint32_t events, void *data)
{
	struct engine *e = data;
	autoerror struct error err = {0};
	int r = network_watch_process(e->network, &err);

	(void)s, (void)fd, (void)events;
	if (r < 0)
		log_warn("watch the firewall: %s", error_msg(&err));
	if (r > 0)
		repair(e);
}

void firewall_watch(struct engine *e)
{
	autoerror struct error err = {0};
	int fd;

	if (network_watch_open(e->network, &fd, &err) < 0 ||
	    loop_add_fd(engine_loop(e), fd, EPOLLIN, on_notification, e, &e->firewall_source,
			&err) < 0)
		log_warn("the firewall is not watched: %s", error_msg(&err));
}

void firewall_unwatch(struct engine *e)
{
	e->firewall_source = loop_remove(e->firewall_source);
}

void firewall_warn(struct engine *e, struct strv *warnings)
{
	autoerror struct error err = {0};
	char *warning = NULL;

	if (network_forward_warning(e->network, &warning, &err) < 0)
		log_debug("look for other firewalls: %s", error_msg(&err));
	else if (warning)
		strv_add_take(warnings, warning);
}
