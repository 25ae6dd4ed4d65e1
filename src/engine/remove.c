/* engine/remove.c - the end of a container: tombstone, files, row.
 *
 * The tombstone comes first: from then on a restarted daemon finishes the removal, whatever is left.
 */
#include <signal.h>
#include <stdio.h>

#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/boot.h"
#include "engine/control.h"
#include "engine/engine_priv.h"
#include "engine/operation.h"
#include "engine/reserve.h"
#include "engine/rows.h"
#include "engine/volume.h"

struct removal_call {
	struct engine *e;
	struct container *c;
	enum container_status status;
};

static void set_status_on_loop(void *data)
{
	const struct removal_call *call = data;

	call->c->state.status = call->status;
}

static void forget_on_loop(void *data)
{
	const struct removal_call *call = data;
	struct container *c = call->c;

	held_clients_removed(c);
	restart_cancel(c);
	rows_post_delete(call->e->db, c); /* who takes the name next comes behind it in the queue */
	roster_remove(call->e, c);
	boot_check(call->e);
	engine_emit(call->e, c, "destroy", NULL, 0);
}

int remove_locked(struct engine *e, struct container *c, bool volumes, struct error *err)
{
	const enum row_removal removal = volumes ? ROW_REMOVAL_WITH_VOLUMES : ROW_REMOVAL_BEGUN;
	int r = rows_set_removal(e->db, c->id, removal, err);

	return r < 0 ? r : remove_recorded(e, c, volumes, err);
}

static void delete_files(void *data)
{
	store_buried_delete(data);
}

int remove_recorded(struct engine *e, struct container *c, bool volumes, struct error *err)
{
	struct removal_call call = {e, c, CONTAINER_REMOVING};
	struct store_buried *buried = NULL;
	int r = 0;

	crash_point(CRASH_REMOVE_TOMBSTONE);
	engine_call(e, set_status_on_loop, &call);
	if (volumes)
		r = volumes_remove(e, c, err);
	r = r < 0 ? r : store_snapshot_bury(e->store, c->id, &buried, err);
	if (r >= 0) {
		/* What a container has written may be much: nobody waits for it to be deleted. */
		if (e->opened)
			engine_work(e, delete_files, buried);
		else
			store_buried_delete(buried);
		crash_point(CRASH_REMOVE_DIRS);
		if (!c->rt->shim)
			exit_clean_runtime(e, c);
	}
	if (r < 0) {
		call.status = CONTAINER_DEAD;
		engine_call(e, set_status_on_loop, &call);
		return error_wrap(err, r, "remove container '%s'", c->id);
	}
	engine_call(e, forget_on_loop, &call);
	crash_point(CRASH_REMOVE_ROW);
	return 0;
}

struct mark_call {
	struct container *c;
	unsigned flags;
	struct error *err;
	int r;
};

static void mark_on_loop(void *data)
{
	struct mark_call *call = data;
	struct container_runtime *rt = call->c->rt;

	if (rt->removing) {
		call->r = error_set(call->err, ERROR_CONFLICT, 0,
				    "removal of container %s is already in progress", call->c->id);
		return;
	}
	rt->removing = true;
	rt->remove_volumes = call->flags & ENGINE_REMOVE_VOLUMES;
}

static void unmark_on_loop(void *data)
{
	struct container *c = data;

	c->rt->removing = false;
}

static int still_active(const struct container *c, struct error *err)
{
	if (c->state.status == CONTAINER_PAUSED)
		return error_set(err, ERROR_CONFLICT, 0,
				 "cannot remove container \"/%s\": container is paused and must be "
				 "unpaused first",
				 c->name);
	return error_set(err, ERROR_CONFLICT, 0,
			 "cannot remove container \"/%s\": container is %s: stop the container "
			 "before removing or force remove",
			 c->name, container_status_name(c->state.status));
}

static int remove_marked(struct engine *e, struct container *c, unsigned flags, struct error *err)
{
	const bool force = flags & ENGINE_REMOVE_FORCE;

	for (;;) {
		autoerror struct error why = {0};
		struct operation op;
		bool active;
		int r = operation_begin_on(e, c, "remove", force ? OPERATION_CANCEL_START : 0, &op,
					   &why);

		if (r < 0) /* the handling of its exit has removed it */
			return 0;
		active = container_is_active(c) ||
			 (c->state.status == CONTAINER_RESTARTING && !force);
		if (!active)
			r = remove_locked(e, c, flags & ENGINE_REMOVE_VOLUMES, err);
		else if (!force)
			r = still_active(c, err);
		operation_end(&op);
		if (!active || !force)
			return r;
		r = signal_kill_and_wait(e, c, err);
		if (r < 0)
			return error_wrap(err, r, "cannot remove container \"/%s\": could not kill",
					  c->name);
	}
}

int engine_remove(struct engine *e, const char *ref, unsigned flags, struct error *err)
{
	struct mark_call mark = {.flags = flags, .err = err};
	struct container *c;
	int r;

	crash_point(CRASH_REMOVE_BEGIN);
	engine_make_room(e);
	r = operation_hold(e, ref, &c, err);
	if (r < 0)
		return r;
	mark.c = c;
	engine_call(e, mark_on_loop, &mark);
	r = mark.r;
	if (r >= 0) {
		r = remove_marked(e, c, flags, err);
		if (r < 0)
			engine_call(e, unmark_on_loop, c);
	}
	operation_release(e, c);
	reserve_renew(e);
	return r;
}
