/* engine/firewall.h - other people's firewalls: keep our table, warn of what would drop our packets. */
#pragma once

struct engine;
struct strv;

/* [loop, or before it runs] Put our table back whenever somebody removes it. */
void firewall_watch(struct engine *e);
void firewall_unwatch(struct engine *e);
/* [worker] Append a warning if a foreign forward chain drops packets of bridged containers. */
void firewall_warn(struct engine *e, struct strv *warnings);
