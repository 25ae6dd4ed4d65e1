/* engine/update.c - new limits and another restart policy, for a container that runs or does not.
 *
 * First all is checked; then the cgroup, then the row, then what everybody sees.  What fails is put
 * back, so that an error leaves all as it was.
 */
#include "base/log.h"
#include "base/mem.h"
#include "engine/config_priv.h"
#include "engine/control.h"
#include "engine/engine_priv.h"
#include "engine/oci_spec_priv.h"
#include "engine/operation.h"
#include "engine/rows.h"
#include "engine/shim_client.h"

#define DOC_MAX        ((size_t)8 << 20) /* bytes of a configuration */
#define SHARES_DEFAULT 1024

struct update {
	struct engine *e;
	struct container *c;
	struct arena *arena;
	struct host_config before, after;
	bool active; /* it has a cgroup */
};

/* A limit that `from` has and `to` has not must be lifted by name: what is not given stays. */
static void lift(int64_t *to, int64_t from, int64_t none)
{
	if (*to == 0 && from != 0)
		*to = none;
}

/* Limits of the cgroup: those of `to`, coming from those of `from`. */
static int apply(struct update *u, const struct host_config *from, const struct host_config *to,
		 struct error *err)
{
	static const int64_t unlimited = -1;
	struct shim_client *shim = NULL;
	struct host_config h = *to;
	struct shim_request q;
	bool lift_pids = from->pids_limit && !to->pids_limit;
	int r = signal_shim(u->e, u->c, &shim, err);

	if (r < 0)
		return r;
	lift(&h.memory, from->memory, unlimited);
	lift(&h.memory_swap, from->memory_swap, unlimited);
	lift(&h.memory_reservation, from->memory_reservation, unlimited);
	lift(&h.cpu_shares, from->cpu_shares, SHARES_DEFAULT);
	if (h.nano_cpus == 0 && from->nano_cpus != 0 && h.cpu_quota == 0)
		h.cpu_quota = unlimited;
	lift(&h.cpu_quota, from->cpu_quota, unlimited);
	/* Weights and throttles of devices do not change; writing them again needs the devices. */
	h.blkio_weight_device = h.read_bps = h.write_bps = h.read_iops = h.write_iops =
		(struct json_objects){0};
	if (h.blkio_weight == from->blkio_weight)
		h.blkio_weight = 0;
	h.memory_swappiness = NULL;
	h.oom_kill_disable = NULL;
	shim_request_init(&q, shim, "update");
	jw_kobject(&q.w, "resources");
	r = oci_resources_write(&h, &q.w, err);
	if (lift_pids) {
		jw_kobject(&q.w, "pids");
		jw_kint(&q.w, "limit", unlimited);
		jw_object_end(&q.w);
	}
	jw_object_end(&q.w);
	r = shim_request_send(&q, NULL, 0, SHIM_REQUEST_TIMEOUT_MS, NULL, r < 0 ? NULL : err);
	(void)shim_client_unref(shim);
	return r;
}

static void undo(struct update *u)
{
	autoerror struct error err = {0};

	if (apply(u, &u->after, &u->before, &err) < 0)
		log_warn("container '%s': put its limits back: %s", u->c->id, error_msg(&err));
}

static int save(const struct update *u, struct error *err)
{
	autostrbuf struct strbuf doc = STRBUF_INIT(DOC_MAX);
	struct container_spec next = *u->c->spec;
	struct json_writer w;

	next.host = u->after;
	json_writer_init(&w, &doc);
	container_spec_write(&next, &w);
	if (strbuf_error(&doc) < 0)
		return error_set(err, ERROR_INVALID, E2BIG, "container's configuration");
	return rows_save_spec(u->e->db, u->c->id, doc.s, err);
}

static void begin_on_loop(void *data)
{
	struct update *u = data;

	if (u->c->rt->shim)
		shim_client_drain(u->c->rt->shim);
	u->before = u->c->spec->host;
	u->active = container_is_active(u->c) && !u->c->rt->exit_pending && u->c->rt->shim;
}

static void commit_on_loop(void *data)
{
	struct update *u = data;

	config_update_commit(u->c->spec, &u->after);
	engine_emit(u->e, u->c, "update", NULL, 0);
}

static int update_locked(struct update *u, const struct json *body, struct strv *warnings,
			 struct error *err)
{
	autoerror struct error why = {0};
	int r;

	if (u->c->rt->removing || u->c->rt->unreadable || u->c->state.status == CONTAINER_DEAD)
		return error_set(err, ERROR_CONFLICT, 0,
				 "container is marked for removal and cannot be \"update\"");
	engine_call(u->e, begin_on_loop, u);
	r = config_update(&u->before, body, u->arena, &u->after, warnings, err);
	if (r < 0)
		return r;
	if (u->active) {
		r = apply(u, &u->before, &u->after, &why);
		if (r < 0 && why.kind != ERROR_CONFLICT) {
			undo(u);
			return error_move(err, &why, r);
		}
		/* Its end was faster: then the next start has the new limits. */
		u->active = r >= 0;
	}
	r = save(u, err);
	if (r < 0 && u->active)
		undo(u);
	if (r >= 0)
		engine_call(u->e, commit_on_loop, u);
	return r;
}

int engine_update(struct engine *e, const char *ref, const struct json *body, struct strv *warnings,
		  struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct update u = {.e = e, .arena = a};
	struct operation op;
	int r = operation_begin(e, ref, "update", 0, &op, err);

	if (r < 0)
		return r;
	u.c = op.container;
	r = update_locked(&u, body, warnings, err);
	if (r < 0)
		r = error_wrap(err, r, "Cannot update container %s", u.c->id);
	operation_end(&op);
	return r;
}
