/* engine/emit.c - the events of containers, with the attributes that Docker's have. */
#include "base/mem.h"
#include "engine/engine_priv.h"

void engine_emit(struct engine *e, const struct container *c, const char *action,
		 const struct event_attr *attrs, size_t n)
{
	const struct json *labels = c->spec->config.labels, *v;
	struct event_attr *all = xnew0n(struct event_attr, n + 2 + json_count(labels));
	struct event ev = {.type = "container", .action = action, .id = c->id, .attrs = all};
	const char *key;

	for (size_t i = 0; i < n; i++)
		all[ev.attr_count++] = attrs[i];
	all[ev.attr_count++] = (struct event_attr){"image", c->spec->config.image};
	json_object_foreach(key, v, labels)
		all[ev.attr_count++] = (struct event_attr){key, json_string(v)};
	all[ev.attr_count++] = (struct event_attr){"name", c->name};
	event_emit(e->events, &ev);
	free(all);
}

void engine_emit_network_life(struct engine *e, const struct network *net, const char *action)
{
	struct event_attr attrs[] = {
		{"name", net->name},
		{"type", network_driver_name(net->driver)},
	};

	event_emit(e->events, &(struct event){.type = "network",
					      .action = action,
					      .id = net->id,
					      .attrs = attrs,
					      .attr_count = ARRAY_SIZE(attrs)});
}

void engine_emit_network(struct engine *e, const struct container *c,
			 const struct network_endpoint *ep, const char *action)
{
	const struct network *net = network_find(e->network, ep->network_id);
	struct event_attr attrs[] = {
		{"container", c->id},
		{"name", net ? net->name : ""},
		{"type", network_driver_name(ep->driver)},
	};
	struct event ev = {.type = "network",
			   .action = action,
			   .id = ep->network_id,
			   .attrs = attrs,
			   .attr_count = ARRAY_SIZE(attrs)};

	event_emit(e->events, &ev);
}

void engine_emit_volumes(struct engine *e, const struct container *c, bool mount)
{
	for (size_t i = 0; i < c->spec->point_count; i++) {
		const struct config_point *p = &c->spec->points[i];
		struct event_attr attrs[] = {
			{"container", c->id},
			{"driver", "local"},
			{"destination", p->target},
			{"propagation", ""},
			{"read/write", p->read_only ? "false" : "true"},
		};
		const struct event ev = {.type = "volume",
					 .action = mount ? "mount" : "unmount",
					 .id = p->volume,
					 .attrs = attrs,
					 .attr_count = mount ? ARRAY_SIZE(attrs) : 2};

		if (p->volume[0])
			event_emit(e->events, &ev);
	}
}

struct note_call {
	struct engine *e;
	const char *ref, *action;
};

static void note_on_loop(void *data)
{
	const struct note_call *call = data;
	struct container *c;

	if (roster_find(call->e, call->ref, &c, NULL) >= 0)
		engine_emit(call->e, c, call->action, NULL, 0);
}

void engine_note(struct engine *e, const char *ref, const char *action)
{
	engine_call(e, note_on_loop, &(struct note_call){e, ref, action});
}
