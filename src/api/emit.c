/* Events from workers: the log of events is the loop's. */
#include "api/emit.h"

#include "api/api_priv.h"
#include "base/mem.h"

struct emission {
	struct api_call *c;
	const struct event *ev;
};

static int emit(void *data, struct error *err)
{
	const struct emission *e = data;

	(void)err;
	event_emit(engine_events(e->c->engine), e->ev);
	return 0;
}

void api_emit(struct api_call *c, const struct event *ev)
{
	struct emission e = {.c = c, .ev = ev};

	(void)api_on_loop(c, emit, &e, NULL);
}

void api_emit_prune(struct api_call *c, const char *type, int64_t reclaimed)
{
	autofree char *bytes = xasprintf("%lld", (long long)reclaimed);
	struct event_attr attrs[] = {{"reclaimed", bytes}};
	const struct event ev = {.type = type,
				 .action = "prune",
				 .id = "",
				 .attrs = attrs,
				 .attr_count = ARRAY_SIZE(attrs)};

	api_emit(c, &ev);
}
