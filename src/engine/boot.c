/* engine/boot.c - start order when the engine comes up.
 *
 * A container that a policy restarts and that names others in a label waits, in state "restarting", until each
 * of them is as wanted.  Only what may still come is waited for: one that is missing, that nobody starts, that
 * has ended for good or become unhealthy holds nothing up, and is reported.  The list is short-lived: it is
 * empty once all have started, and costs nothing from then on.
 */
#include "engine/boot.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "engine/engine_priv.h"
#include "engine/health.h"

struct boot_edge {
	struct container *to; /* reference */
	enum boot_condition condition;
	bool ignored; /* part of a cycle */
};

struct boot_wait {
	struct boot_wait *next;
	struct container *c;     /* reference */
	struct boot_edge *edges; /* owned */
	size_t n, cap;
	enum { UNSEEN, ON_PATH, SEEN } mark; /* of the search for cycles */
};

/* ---- labels ---------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum boot_condition condition;
} conditions[] = {
	{"", BOOT_STARTED},
	{"started", BOOT_STARTED},
	{"healthy", BOOT_HEALTHY},
	{"completed", BOOT_COMPLETED},
	{"service_started", BOOT_STARTED},
	{"service_healthy", BOOT_HEALTHY},
	{"service_completed_successfully", BOOT_COMPLETED},
};

static bool parse_condition(const char *s, size_t len, enum boot_condition *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++) {
		if (strlen(conditions[i].name) != len || memcmp(s, conditions[i].name, len) != 0)
			continue;
		*ret = conditions[i].condition;
		return true;
	}
	return false;
}

static void parse_label(const char *text, bool service, struct boot_needs *ret,
			const char **ret_bad)
{
	for (const char *p = text, *next; p && *p; p = next) {
		size_t len = strcspn(p, ","), name = strcspn(p, ":,"), word;
		struct boot_need need = {.service = service};
		const char *condition = p + name + (p[name] == ':');

		next = p + len + (p[len] == ',');
		word = strcspn(condition, ":,"); /* Compose's third word is about `compose up` */
		if (len == 0)
			continue;
		if (name == 0 || !parse_condition(condition, word, &need.condition)) {
			if (ret_bad && !*ret_bad)
				*ret_bad = p;
			continue;
		}
		need.name = xstrndup(p, name);
		xgrow(ret->v, ret->n, ret->cap);
		ret->v[ret->n++] = need;
	}
}

void boot_needs_parse(const struct json *labels, struct boot_needs *ret, const char **ret_bad)
{
	*ret = (struct boot_needs){0};
	if (ret_bad)
		*ret_bad = NULL;
	parse_label(json_get_string(labels, BOOT_LABEL), false, ret, ret_bad);
	parse_label(json_get_string(labels, BOOT_COMPOSE_LABEL), true, ret, ret_bad);
}

void boot_needs_done(struct boot_needs *n)
{
	for (size_t i = 0; i < n->n; i++)
		free(n->v[i].name);
	free(n->v);
	*n = (struct boot_needs){0};
}

/* ---- the list -------------------------------------------------------------------------------- */

static struct boot_wait *wait_free(struct boot_wait *w)
{
	for (size_t i = 0; i < w->n; i++)
		container_unref(w->edges[i].to);
	container_unref(w->c);
	free(w->edges);
	free(w);
	return NULL;
}

static struct boot_wait *find(struct engine *e, const struct container *c)
{
	for (struct boot_wait *w = e->boot_waits; w; w = w->next)
		if (w->c == c)
			return w;
	return NULL;
}

bool boot_add(struct container *c)
{
	const struct json *labels = c->spec->config.labels;
	struct engine *e = c->rt->engine;
	struct boot_wait *w;

	if (!json_get_string(labels, BOOT_LABEL) && !json_get_string(labels, BOOT_COMPOSE_LABEL))
		return false;
	if (find(e, c))
		return true;
	w = xnew0(struct boot_wait);
	w->c = c;
	container_ref(c);
	w->next = e->boot_waits;
	e->boot_waits = w;
	return true;
}

void boot_forget(struct container *c)
{
	for (struct boot_wait **p = &c->rt->engine->boot_waits; *p; p = &(*p)->next) {
		struct boot_wait *w = *p;

		if (w->c != c)
			continue;
		*p = w->next;
		(void)wait_free(w);
		return;
	}
}

void boot_done(struct engine *e)
{
	for (struct boot_wait *w = TAKE_PTR(e->boot_waits), *next; w; w = next) {
		next = w->next;
		(void)wait_free(w);
	}
}

/* ---- who waits for whom ---------------------------------------------------------------------- */

static void add_edge(struct boot_wait *w, struct container *to, enum boot_condition condition)
{
	xgrow(w->edges, w->n, w->cap);
	w->edges[w->n++] = (struct boot_edge){.to = to, .condition = condition};
	container_ref(to);
}

static bool is_of_service(const struct container *c, const char *project, const char *service)
{
	const struct json *labels = c->spec->config.labels;

	return project && str_eq(json_get_string(labels, BOOT_COMPOSE_PROJECT), project) &&
	       str_eq(json_get_string(labels, BOOT_COMPOSE_SERVICE), service);
}

static void resolve(struct engine *e, struct boot_wait *w)
{
	const struct json *labels = w->c->spec->config.labels;
	const char *project = json_get_string(labels, BOOT_COMPOSE_PROJECT), *bad;
	struct boot_needs needs;

	boot_needs_parse(labels, &needs, &bad);
	if (bad)
		log_warn("container '%s': start order: '%.*s' is not understood", w->c->name,
			 (int)strcspn(bad, ","), bad);
	for (size_t i = 0; i < needs.n; i++) {
		const struct boot_need *need = &needs.v[i];
		struct container *one = need->service ? NULL : roster_find_name(e, need->name);
		size_t before = w->n;

		if (one)
			add_edge(w, one, need->condition);
		for (size_t k = 0; need->service && k < e->container_count; k++)
			if (is_of_service(e->containers[k], project, need->name))
				add_edge(w, e->containers[k], need->condition);
		if (w->n == before)
			log_warn("container '%s' depends on '%s', which is not there", w->c->name,
				 need->name);
	}
	boot_needs_done(&needs);
}

/* Depth first; what leads back to where we come from is left out.  The depth is that of the longest chain of
 * waiting containers, each of which is there: the list bounds it. */
static void break_cycles(struct engine *e, struct boot_wait *w)
{
	w->mark = ON_PATH;
	for (size_t i = 0; i < w->n; i++) {
		struct boot_wait *to = find(e, w->edges[i].to);

		if (!to || to->mark == SEEN)
			continue;
		if (to->mark == UNSEEN) {
			break_cycles(e, to);
			continue;
		}
		w->edges[i].ignored = true;
		log_warn("start order: container '%s' depends on '%s', which in the end depends on "
			 "it: ignored",
			 w->c->name, to->c->name);
	}
	w->mark = SEEN;
}

static bool is_met(const struct boot_wait *w, const struct boot_edge *edge)
{
	const struct container *c = edge->to;

	if (edge->ignored || c->rt->forgotten || c->state.status == CONTAINER_DEAD)
		return true;
	if (c->state.status == CONTAINER_RESTARTING) /* it is to start, or to start again */
		return false;
	if (!container_is_active(c)) {
		if (edge->condition != BOOT_COMPLETED || c->state.exit_code != 0)
			log_warn("container '%s' depends on '%s', which is %s with code %d and is "
				 "not going to start",
				 w->c->name, c->name, container_status_name(c->state.status),
				 c->state.exit_code);
		return true;
	}
	if (edge->condition == BOOT_COMPLETED)
		return false;
	if (edge->condition == BOOT_STARTED || !health_is_checked(c->spec->config.healthcheck))
		return true;
	if (c->health && c->health->status == HEALTH_UNHEALTHY)
		log_warn("container '%s' depends on '%s', which is unhealthy", w->c->name, c->name);
	return c->health && c->health->status != HEALTH_STARTING &&
	       c->health->status != HEALTH_NONE;
}

static bool is_ready(const struct boot_wait *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (!is_met(w, &w->edges[i]))
			return false;
	return true;
}

void boot_begin(struct engine *e)
{
	for (struct boot_wait *w = e->boot_waits; w; w = w->next)
		resolve(e, w);
	for (struct boot_wait *w = e->boot_waits; w; w = w->next)
		if (w->mark == UNSEEN)
			break_cycles(e, w);
	e->boot_begun = true;
	boot_check(e);
}

void boot_check(struct engine *e)
{
	for (struct boot_wait **p = &e->boot_waits, *w; e->boot_begun && (w = *p);) {
		struct container *c = w->c;

		if (!is_ready(w)) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		w->next = NULL;
		if (c->state.status == CONTAINER_RESTARTING && !c->rt->forgotten)
			restart_schedule(c);
		(void)wait_free(w);
	}
}
