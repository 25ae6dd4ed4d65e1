/* engine/restart.c - restart policies: "always", "unless-stopped", "on-failure[:N]".
 *
 * Docker's back-off: 100 ms, doubled up to a minute, begun anew after a run of ten seconds.
 */
#include "base/log.h"
#include "base/mem.h"
#include "engine/engine_priv.h"
#include "engine/operation.h"
#include "engine/rows.h"

#define RESTART_DELAY_MS     100
#define RESTART_DELAY_MAX_MS 60000
#define RESTART_GOOD_RUN_NS  10000000000LL

bool restart_is_due(struct container *c)
{
	struct container_runtime *rt = c->rt;
	const struct config_restart *p = &c->spec->host.restart;

	if (rt->removing || rt->restarting || rt->stopped_by_user)
		return false;
	if (rt->exit.finished_at - rt->exit.started_at >= RESTART_GOOD_RUN_NS) {
		rt->policy_delay_ms = 0;
		rt->policy_failures = 0;
	}
	if (str_eq(p->name, "always") || str_eq(p->name, "unless-stopped"))
		return true;
	return str_eq(p->name, "on-failure") && rt->exit.code != 0 &&
	       (p->max_retries <= 0 || rt->policy_failures < (unsigned)p->max_retries);
}

static void failed_on_loop(void *data)
{
	struct container *c = data;

	if (c->state.status == CONTAINER_RESTARTING) {
		c->state.status = CONTAINER_EXITED;
		rows_post_state(c->rt->engine->db, c);
	}
	container_unref(c);
}

static void unref_on_loop(void *data)
{
	container_unref(data);
}

static void restart_job(void *data)
{
	struct container *c = data;
	struct engine *e = c->rt->engine;
	autoerror struct error err = {0};
	struct operation op;
	int r;

	if (operation_begin_on(e, c, "restart by policy", 0, &op, NULL) < 0) {
		engine_call(e, unref_on_loop, c);
		return;
	}
	/* Somebody may have stopped or started it while this waited. */
	r = c->state.status == CONTAINER_RESTARTING ? start_locked(e, c, &err) : 0;
	if (r < 0)
		log_error("restart container '%s': %s", c->id, error_msg(&err));
	operation_end(&op);
	engine_call(e, r < 0 ? failed_on_loop : unref_on_loop, c);
}

static void on_timer(struct loop_source *s, void *data)
{
	struct container *c = data;

	(void)s;
	c->rt->policy_timer = loop_remove(c->rt->policy_timer);
	c->state.restart_count++;
	c->rt->policy_failures++;
	container_ref(c);
	engine_work(c->rt->engine, restart_job, c);
}

void restart_schedule(struct container *c)
{
	struct container_runtime *rt = c->rt;
	int64_t delay = rt->policy_delay_ms;

	rt->policy_delay_ms = delay == 0                         ? RESTART_DELAY_MS
			      : delay * 2 > RESTART_DELAY_MAX_MS ? RESTART_DELAY_MAX_MS
								 : delay * 2;
	rt->policy_timer = loop_remove(rt->policy_timer);
	if (loop_add_timer(rt->engine->args.loop, (uint64_t)rt->policy_delay_ms, on_timer, c,
			   &rt->policy_timer, NULL) < 0)
		log_error("restart container '%s': no timer", c->id);
}

void restart_cancel(struct container *c)
{
	c->rt->policy_timer = loop_remove(c->rt->policy_timer);
}
