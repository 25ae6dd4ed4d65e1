/* engine/restart.c - restart policies: "always", "unless-stopped", "on-failure[:N]". */
#include "engine/restart.h"

#include "base/log.h"
#include "base/mem.h"
#include "engine/boot.h"
#include "engine/engine_priv.h"
#include "engine/operation.h"
#include "engine/rows.h"

#define RESTART_DELAY_MS     100
#define RESTART_DELAY_MAX_MS 60000
#define RESTART_GOOD_RUN_NS  10000000000LL

int64_t restart_delay(int64_t before, int64_t run_ns)
{
	if (before == 0 || run_ns >= RESTART_GOOD_RUN_NS)
		return RESTART_DELAY_MS;
	return before * 2 > RESTART_DELAY_MAX_MS ? RESTART_DELAY_MAX_MS : before * 2;
}

bool restart_wanted(const struct config_restart *policy, int exit_code, unsigned restarts)
{
	if (str_eq(policy->name, "always") || str_eq(policy->name, "unless-stopped"))
		return true;
	return str_eq(policy->name, "on-failure") && exit_code != 0 &&
	       (policy->max_retries <= 0 || restarts < (unsigned)policy->max_retries);
}

bool restart_wanted_at_boot(const struct config_restart *policy, bool stopped_by_user)
{
	return str_eq(policy->name, "always") ||
	       (str_eq(policy->name, "unless-stopped") && !stopped_by_user);
}

bool restart_is_due(struct container *c)
{
	struct container_runtime *rt = c->rt;

	return !rt->removing && !rt->restarting && !rt->stopped_by_user &&
	       restart_wanted(&c->spec->host.restart, rt->exit.code, c->state.restart_count);
}

void restart_reset(struct container *c)
{
	c->state.restart_count = 0;
	c->rt->policy_delay_ms = 0;
}

static void failed_on_loop(void *data)
{
	struct container *c = data;

	if (c->state.status == CONTAINER_RESTARTING) {
		c->state.status = CONTAINER_EXITED;
		rows_post_state(c->rt->engine->db, c);
	}
	boot_check(c->rt->engine);
	container_unref(c);
}

static void restart_job(void *data)
{
	struct container *c = data;
	struct engine *e = c->rt->engine;
	autoerror struct error err = {0};
	struct operation op;
	int r;

	if (operation_begin_on(e, c, "restart by policy", 0, &op, NULL) < 0) {
		engine_call(e, container_unref_on_loop, c);
		return;
	}
	/* Somebody may have stopped or started it while this waited. */
	r = c->state.status == CONTAINER_RESTARTING ? start_locked(e, c, &err) : 0;
	if (r < 0)
		log_error("restart container '%s': %s", c->id, error_msg(&err));
	operation_end(&op);
	engine_call(e, r < 0 ? failed_on_loop : container_unref_on_loop, c);
}

static void on_timer(struct loop_source *s, void *data)
{
	struct container *c = data;

	(void)s;
	c->rt->policy_timer = loop_remove(c->rt->policy_timer);
	c->state.restart_count++;
	container_ref(c);
	engine_work(c->rt->engine, restart_job, c);
}

void restart_schedule(struct container *c)
{
	struct container_runtime *rt = c->rt;

	if (!rt->engine->boot_begun && boot_add(c))
		return;
	rt->policy_delay_ms =
		restart_delay(rt->policy_delay_ms, rt->exit.finished_at - rt->exit.started_at);
	rt->policy_timer = loop_remove(rt->policy_timer);
	if (loop_add_timer(rt->engine->args.loop, (uint64_t)rt->policy_delay_ms, on_timer, c,
			   &rt->policy_timer, NULL) < 0)
		log_error("restart container '%s': no timer", c->id);
}

void restart_cancel(struct container *c)
{
	c->rt->policy_timer = loop_remove(c->rt->policy_timer);
	boot_forget(c);
}
