/* engine/container.c - containers and execs as structs, and what is said of them. */
#include "engine/container.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/engine_priv.h"
#include "engine/health.h"
#include "engine/shim_client.h"

static const char *const status_names[] = {
	[CONTAINER_CREATED] = "created",   [CONTAINER_RUNNING] = "running",
	[CONTAINER_PAUSED] = "paused",     [CONTAINER_RESTARTING] = "restarting",
	[CONTAINER_REMOVING] = "removing", [CONTAINER_EXITED] = "exited",
	[CONTAINER_DEAD] = "dead",
};
_Static_assert(ARRAY_SIZE(status_names) == CONTAINER_STATUS_COUNT, "a name for each status");

const char *container_status_name(enum container_status s)
{
	assert((unsigned)s < CONTAINER_STATUS_COUNT);
	return status_names[s];
}

/* A span as Docker's clients know it: coarse, in words. */
static void add_duration(struct strbuf *out, int64_t seconds)
{
	static const struct {
		int64_t below_h; /* hours, rounded */
		int64_t unit_h;
		const char *name;
	} steps[] = {
		{48, 1, "hours"},
		{14 * 24, 24, "days"},
		{60 * 24, 7 * 24, "weeks"},
		{2 * 365 * 24, 30 * 24, "months"},
		{INT64_MAX, 365 * 24, "years"},
	};
	int64_t hours = (seconds + 1800) / 3600;
	size_t i = 0;

	if (seconds < 1)
		strbuf_adds(out, "Less than a second");
	else if (seconds == 1)
		strbuf_adds(out, "1 second");
	else if (seconds < 60)
		strbuf_addf(out, "%lld seconds", (long long)seconds);
	else if (seconds < 120)
		strbuf_adds(out, "About a minute");
	else if (seconds < 3600)
		strbuf_addf(out, "%lld minutes", (long long)seconds / 60);
	else if (hours == 1)
		strbuf_adds(out, "About an hour");
	else {
		while (hours >= steps[i].below_h)
			i++;
		strbuf_addf(out, "%lld %s", (long long)(hours / steps[i].unit_h), steps[i].name);
	}
}

void container_status_text(const struct container *c, int64_t now, struct strbuf *out)
{
	const struct container_state *s = &c->state;

	switch (s->status) {
	case CONTAINER_RUNNING:
	case CONTAINER_PAUSED:
		strbuf_adds(out, "Up ");
		add_duration(out, (now - s->started_at) / 1000000000);
		if (s->status == CONTAINER_PAUSED)
			strbuf_adds(out, " (Paused)");
		else if (c->health && c->health->status != HEALTH_NONE)
			strbuf_addf(out, " (%s%s)",
				    c->health->status == HEALTH_STARTING ? "health: " : "",
				    health_status_name(c->health->status));
		return;
	case CONTAINER_RESTARTING:
	case CONTAINER_EXITED:
		strbuf_addf(out, "%s (%d) ",
			    s->status == CONTAINER_EXITED ? "Exited" : "Restarting", s->exit_code);
		add_duration(out, (now - s->finished_at) / 1000000000);
		strbuf_adds(out, " ago");
		return;
	case CONTAINER_REMOVING:
		strbuf_adds(out, "Removal In Progress");
		return;
	case CONTAINER_DEAD:
		strbuf_adds(out, "Dead");
		return;
	case CONTAINER_CREATED:
	case CONTAINER_STATUS_COUNT:
		break;
	}
	strbuf_adds(out, "Created");
}

struct container *container_new(struct engine *e, const char *id)
{
	struct container *c = xnew0(struct container);

	(void)str_copy(c->id, sizeof(c->id), id);
	c->name = xstrdup("");
	c->image_id = xstrdup("");
	c->log_path = xstrdup("");
	c->labels = (struct labels){xstrdup(""), xstrdup("")};
	c->state.error = xstrdup("");
	c->state_dir = xasprintf("%s/containers/%s", e->data_root, id);
	c->rt = xnew0(struct container_runtime);
	c->rt->engine = e;
	c->rt->refs = 1;
	return c;
}

void container_drop_endpoints(struct container *c)
{
	for (size_t i = 0; i < c->endpoint_count; i++) {
		network_endpoint_done(c->endpoints[i]);
		free(c->endpoints[i]);
	}
	free(c->endpoints);
	c->endpoints = NULL;
	c->endpoint_count = 0;
}

struct exec *exec_free(struct exec *x)
{
	if (x) {
		(void)exec_config_free(x->config);
		free(x);
	}
	return NULL;
}

static void container_free(struct container *c)
{
	struct container_runtime *rt = c->rt;

	assert(!rt->ops);
	for (struct held_client *h = rt->held, *next; h; h = next) {
		next = h->next;
		(void)held_client_free(h);
	}
	if (rt->shim) {
		shim_client_close(rt->shim);
		rt->shim = shim_client_unref(rt->shim);
	}
	rt->policy_timer = loop_remove(rt->policy_timer);
	rt->prober = prober_free(rt->prober);
	free(rt);
	c->health = health_free(c->health);
	container_drop_endpoints(c);
	for (size_t i = 0; i < c->exec_count; i++)
		(void)exec_free(c->execs[i]);
	free(c->execs);
	(void)container_spec_free(c->spec);
	free(c->name);
	free(c->image_id);
	labels_done(&c->labels);
	free(c->log_path);
	free(c->state_dir);
	free(c->state.error);
	free(c);
}

void container_ref(struct container *c)
{
	c->rt->refs++;
}

void container_unref(struct container *c)
{
	if (--c->rt->refs == 0)
		container_free(c);
}

void container_unref_on_loop(void *container)
{
	container_unref(container);
}

void container_set_error(struct container *c, const char *msg)
{
	char *copy = xstrdup(msg ? msg : "");

	free(c->state.error);
	c->state.error = copy;
}

bool container_is_active(const struct container *c)
{
	return c->state.status == CONTAINER_RUNNING || c->state.status == CONTAINER_PAUSED;
}

void container_fill_defaults(struct container *c)
{
	struct container_spec *s = c->spec;
	char host[65] = "";

	if (!str_empty(s->config.hostname))
		return;
	if (str_eq(s->host.network_mode, "host") || str_eq(s->host.uts_mode, "host")) {
		(void)gethostname(host, sizeof(host) - 1);
		s->config.hostname = arena_strdup(s->arena, host);
	} else if (!str_has_prefix(s->host.network_mode ? s->host.network_mode : "",
				   "container:")) {
		s->config.hostname = arena_strndup(s->arena, c->id, 12);
	}
}

struct exec *container_exec(const struct container *c, const char *id)
{
	for (size_t i = 0; i < c->exec_count; i++)
		if (str_eq(c->execs[i]->id, id))
			return c->execs[i];
	return NULL;
}

void container_add_exec(struct container *c, struct exec *x_take)
{
	xgrow(c->execs, c->exec_count, c->exec_cap);
	c->execs[c->exec_count++] = x_take;
}
