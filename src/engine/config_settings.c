/* What a container has of the daemon's settings: filled in at create where its own configuration is silent. */
#include <string.h>

#include "base/mem.h"
#include "engine/config_priv.h"
#include "engine/settings.h"

static bool has_ulimit(const struct host_config *h, const char *name)
{
	const struct config_ulimit *u = h->ulimits.v;

	for (size_t i = 0; i < h->ulimits.n; i++)
		if (strcmp(u[i].name, name) == 0)
			return true;
	return false;
}

static void add_ulimits(struct container_spec *s, const struct json *defaults)
{
	struct host_config *h = &s->host;
	size_t n = h->ulimits.n;
	struct config_ulimit *all =
		arena_new0n(s->arena, struct config_ulimit, n + json_count(defaults) + 1);
	const struct json *v;
	const char *name;

	if (n > 0)
		memcpy(all, h->ulimits.v, n * sizeof(*all));
	json_object_foreach(name, v, defaults)
		if (!has_ulimit(h, name))
			all[n++] = (struct config_ulimit){.name = arena_strdup(s->arena, name),
							  .soft = json_get_int(v, "Soft"),
							  .hard = json_get_int(v, "Hard")};
	h->ulimits.v = all;
	h->ulimits.n = n;
}

static void add_no_new_privileges(struct container_spec *s)
{
	struct json_strings *opts = &s->host.security_opt;
	struct json_strings longer = {.n = opts->n + 1};

	for (size_t i = 0; i < opts->n; i++)
		if (str_has_prefix(opts->v[i], "no-new-privileges"))
			return;
	longer.v = arena_new0n(s->arena, const char *, longer.n + 1);
	for (size_t i = 0; i < opts->n; i++)
		longer.v[i] = opts->v[i];
	longer.v[opts->n] = "no-new-privileges";
	*opts = longer;
}

void container_spec_apply(struct container_spec *s, const struct settings *d)
{
	static const bool yes = true;
	struct host_config *h = &s->host;

	if (json_count(d->default_ulimits) > 0)
		add_ulimits(s, d->default_ulimits);
	if (d->no_new_privileges)
		add_no_new_privileges(s);
	if (d->init && !h->init)
		h->init = &yes;
	if (str_empty(h->runtime))
		h->runtime = arena_strdup(s->arena, d->default_runtime);
	if (h->shm_size == 0)
		h->shm_size = d->shm_size;
	if (str_empty(h->ipc_mode))
		h->ipc_mode = arena_strdup(s->arena, d->ipc_mode);
	/* A container with the host's processes, or the host itself, hides nothing. */
	if (str_empty(h->cgroupns_mode) && !h->privileged)
		h->cgroupns_mode = arena_strdup(s->arena, d->cgroupns_mode);
}
