/* engine/update.c - new limits and another restart policy, for a container that runs or does not.
 *
 * First all is checked; then the cgroup, then the row, then what everybody sees.  What fails is put
 * back, so that an error leaves all as it was.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/config_discard.h"
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
	bool active;  /* it has a cgroup */
	bool invalid; /* what is asked for: said without a frame */
};

/* A limit that `from` has and `to` has not must be lifted by name: what is not given stays. */
static void lift(int64_t *to, int64_t from, int64_t none)
{
	if (*to == 0 && from != 0)
		*to = none;
}

/* Limits of the cgroup: those of `to`, coming from those of `from`. */
static int write_request(const struct host_config *from, const struct host_config *to,
			 struct shim_client *shim, struct shim_request *q, struct error *err)
{
	static const int64_t unlimited = -1;
	struct host_config h = *to;
	bool lift_pids = from->pids_limit && !to->pids_limit;
	int r;

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
	shim_request_init(q, shim, "update");
	jw_kobject(&q->w, "resources");
	r = oci_resources_write(&h, &q->w, err);
	if (lift_pids) {
		jw_kobject(&q->w, "pids");
		jw_kint(&q->w, "limit", unlimited);
		jw_object_end(&q->w);
	}
	jw_object_end(&q->w);
	return r;
}

static int apply(struct update *u, const struct host_config *from, const struct host_config *to,
		 struct error *err)
{
	struct shim_client *shim = NULL;
	struct shim_request q;
	int r = signal_shim(u->e, u->c, &shim, err);

	if (r < 0)
		return r;
	r = write_request(from, to, shim, &q, err);
	r = shim_request_send(&q, NULL, 0, SHIM_REQUEST_TIMEOUT_MS, NULL, r < 0 ? NULL : err);
	(void)shim_client_unref(shim);
	return r;
}

/* While this file is in the container's directory its cgroup may be ahead of its row. */
#define UPDATE_MARKER "updating"

static void set_marker(const struct update *u, bool there)
{
	autofree char *path = xasprintf("containers/%s/" UPDATE_MARKER, u->c->id);
	int fd = there ? openat(u->e->data_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -EBADF;

	if (!there)
		(void)unlinkat(u->e->data_fd, path, 0);
	else if (fd >= 0)
		(void)close(fd);
	else
		log_warn("container '%s': note that its limits change: %s", u->c->id,
			 strerror(errno));
}

void update_settle(struct container *c)
{
	static const int64_t some = 1;
	const struct host_config any = {.memory = 1,
					.memory_swap = 1,
					.memory_reservation = 1,
					.cpu_shares = 1,
					.nano_cpus = 1,
					.cpu_quota = 1,
					.pids_limit = &some};
	struct update u = {.e = c->rt->engine, .c = c};
	autofree char *path = xasprintf("containers/%s/" UPDATE_MARKER, c->id);
	autoerror struct error err = {0};
	struct shim_request q;

	if (!c->rt->shim || faccessat(u.e->data_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (write_request(&any, &c->spec->host, c->rt->shim, &q, &err) < 0 ||
	    shim_request_send_direct(&q, SHIM_REQUEST_TIMEOUT_MS, NULL, &err) < 0)
		log_warn("container '%s': take back a change of its limits that was cut off: %s",
			 c->id, error_msg(&err));
	set_marker(&u, false);
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
	bool marked;
	int r;

	if (u->c->rt->removing || u->c->rt->unreadable || u->c->state.status == CONTAINER_DEAD)
		return error_set(err, ERROR_CONFLICT, 0,
				 "container is marked for removal and cannot be \"update\"");
	engine_call(u->e, begin_on_loop, u);
	r = config_update(&u->before, body, u->arena, &u->after, warnings, err);
	r = r < 0 ? r : config_discard(&u->after, warnings, err);
	u->invalid = r < 0 && (!err || err->kind != ERROR_CONFLICT);
	if (r < 0)
		return r;
	if (u->active) {
		set_marker(u, true);
		r = apply(u, &u->before, &u->after, &why);
		crash_point(CRASH_UPDATE_APPLIED);
		if (r < 0 && why.kind != ERROR_CONFLICT) {
			undo(u);
			set_marker(u, false);
			return error_move(err, &why, r);
		}
	}
	marked = u->active;
	/* Its end was faster: then the next start has the new limits. */
	u->active = u->active && r >= 0;
	r = save(u, err);
	if (r < 0 && u->active)
		undo(u);
	if (marked)
		set_marker(u, false);
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
		r = u.invalid ? r : error_wrap(err, r, "Cannot update container %s", u.c->id);
	operation_end(&op);
	return r;
}
