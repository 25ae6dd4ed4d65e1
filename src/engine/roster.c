/* engine/roster.c - the containers by age, by id and by name. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "engine/engine_priv.h"
#include "engine/operation.h"

/* First index whose id is not below `id` (compared over n bytes). */
static size_t lower_bound(const struct engine *e, const char *id, size_t n)
{
	size_t lo = 0, hi = e->container_count;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strncmp(e->by_id[mid]->id, id, n) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void roster_add(struct engine *e, struct container *c)
{
	size_t at = lower_bound(e, c->id, 64), age = 0;

	if (e->container_count == e->container_cap) {
		e->container_cap = e->container_cap ? 2 * e->container_cap : 16;
		e->containers = xrealloc(e->containers, e->container_cap, sizeof(*e->containers));
		e->by_id = xrealloc(e->by_id, e->container_cap, sizeof(*e->by_id));
	}
	memmove(&e->by_id[at + 1], &e->by_id[at], (e->container_count - at) * sizeof(*e->by_id));
	e->by_id[at] = c;
	while (age < e->container_count && e->containers[age]->created_at > c->created_at)
		age++;
	memmove(&e->containers[age + 1], &e->containers[age],
		(e->container_count - age) * sizeof(*e->containers));
	e->containers[age] = c;
	e->container_count++;
}

void roster_remove(struct engine *e, struct container *c)
{
	size_t at = lower_bound(e, c->id, 64), age = 0;

	assert(at < e->container_count && e->by_id[at] == c);
	while (e->containers[age] != c)
		age++;
	e->container_count--;
	memmove(&e->by_id[at], &e->by_id[at + 1], (e->container_count - at) * sizeof(*e->by_id));
	memmove(&e->containers[age], &e->containers[age + 1],
		(e->container_count - age) * sizeof(*e->containers));
	c->rt->forgotten = true;
	operation_refuse_all(c);
	container_unref(c);
}

struct container *roster_find_name(struct engine *e, const char *name)
{
	for (size_t i = 0; i < e->container_count; i++)
		if (str_eq(e->containers[i]->name, name))
			return e->containers[i];
	return NULL;
}

struct container *roster_find_id(struct engine *e, const char *id)
{
	size_t at = lower_bound(e, id, 64);

	if (at < e->container_count && str_eq(e->by_id[at]->id, id))
		return e->by_id[at];
	return NULL;
}

int roster_find(struct engine *e, const char *ref, struct container **ret, struct error *err)
{
	const char *name = ref[0] == '/' ? ref + 1 : ref;
	size_t len = strlen(ref), at;
	struct container *c;

	if (len == 0)
		return error_set(err, ERROR_INVALID, 0, "invalid name or ID supplied: \"\"");
	if (len == 64 && (c = roster_find_id(e, ref)))
		goto found;
	c = name[0] ? roster_find_name(e, name) : NULL;
	if (c)
		goto found;
	if (len > 0 && len < 64 && str_is_hex(ref, len)) {
		at = lower_bound(e, ref, len);
		if (at < e->container_count && !strncmp(e->by_id[at]->id, ref, len)) {
			if (at + 1 < e->container_count && !strncmp(e->by_id[at + 1]->id, ref, len))
				return error_set(err, ERROR_INVALID, 0,
						 "multiple IDs found with provided prefix: %s",
						 ref);
			c = e->by_id[at];
			goto found;
		}
	}
	return error_set(err, ERROR_NOT_FOUND, 0, "No such container: %s", ref);
found:
	*ret = c;
	return 0;
}

int roster_reserve_name(struct engine *e, const char *name, struct error *err)
{
	const struct container *c = roster_find_name(e, name);

	if (c)
		return error_set(err, ERROR_CONFLICT, 0,
				 "Conflict. The container name \"/%s\" is already in use by "
				 "container \"%s\". You have to remove (or rename) that container "
				 "to be able to reuse that name.",
				 name, c->id);
	for (size_t i = 0; i < e->reserved_names.n; i++)
		if (str_eq(e->reserved_names.v[i], name))
			return error_set(err, ERROR_CONFLICT, 0,
					 "Conflict. The container name \"/%s\" is already in use "
					 "by a container that is being created. You have to "
					 "remove (or rename) that container to be able to reuse "
					 "that name.",
					 name);
	strv_add(&e->reserved_names, name);
	return 0;
}

void roster_unreserve_name(struct engine *e, const char *name)
{
	struct strv *v = &e->reserved_names;

	for (size_t i = 0; i < v->n; i++) {
		if (!str_eq(v->v[i], name))
			continue;
		free(v->v[i]);
		v->v[i] = v->v[--v->n];
		v->v[v->n] = NULL;
		return;
	}
}
