/* engine/restore.c - a daemon finds its containers again, whatever moment the last one died at.
 *
 * Runs before the loop does, on its thread: nothing is answered until all is as it should be.  The
 * truth is, in this order: a live shim; exit.json; the row.  Three kinds of files decide who lives:
 * exec-root/containers/<id>/lock is held by a shim until it has undone or ended everything,
 * shim.sock is where it listens, containers/<id>/exit.json is the last word of one that is gone.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/boot.h"
#include "engine/exec.h"
#include "engine/exit.h"
#include "engine/health.h"
#include "engine/images.h"
#include "engine/lock.h"
#include "engine/resolver.h"
#include "engine/restart.h"
#include "engine/rows.h"
#include "engine/shim_client.h"
#include "engine/volume_priv.h"
#include "shim/protocol.h"

#define RESTORE_ANSWER_MS 5000 /* for a shim to tell its state */
#define RESTORE_HURRY_MS  250  /* the same, once one has not: the others' clients wait */
#define RESTORE_GONE_S    10   /* for a shim without a listening socket to end */
#define EXIT_UNKNOWN      255  /* the machine went down under it */

/* ---- the runtime directory ------------------------------------------------------------------- */

int runtime_dir_open(struct engine *e, const char *id, bool create, struct error *err)
{
	autofree char *path = xasprintf("containers/%s", id);
	int fd;

	if (create && mkdirat(e->exec_fd, path, 0700) < 0 && errno != EEXIST)
		return error_set(err, ERROR_INTERNAL, errno, "make runtime directory '%s'", path);
	fd = openat(e->exec_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open runtime directory '%s'", path);
	return fd;
}

void runtime_dir_remove(struct engine *e, const char *id)
{
	autofree char *dir = xasprintf("containers/%s", id);
	autoerror struct error err = {0};

	volume_places_clean(e, id);
	if (file_remove_tree(e->exec_fd, dir, &err) < 0)
		log_warn("remove runtime directory of container '%s': %s", id, error_msg(&err));
}

static int open_lock(int dir_fd, struct error *err)
{
	int fd = openat(dir_fd, SHIM_LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "open lock of runtime directory")
		      : fd;
}

int runtime_dir_lock(int dir_fd, struct error *err)
{
	int fd = open_lock(dir_fd, err), r;

	if (fd < 0)
		return fd;
	do
		r = flock(fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	if (r < 0) {
		r = error_set(err, ERROR_INTERNAL, errno, "lock runtime directory");
		(void)close(fd);
		return r;
	}
	return fd;
}

/* Until the shim is gone, but not for ever. */
static void wait_gone(struct engine *e, int dir_fd, const char *id)
{
	autoclose int fd = open_lock(dir_fd, NULL);

	if (fd < 0 || lock_within(e->args.pool, fd, RESTORE_GONE_S) < 0)
		log_error("container '%s': an old shim does not end", id);
}

/* ---- probing --------------------------------------------------------------------------------- */

enum probe { PROBE_NO_SHIM, PROBE_RUNNING, PROBE_EXITED, PROBE_SILENT };

struct found { /* what was found out of a container, or of a directory without one */
	enum probe probe;
	bool had_dir;             /* exec-root/containers/<id> was there */
	struct shim_client *shim; /* owned reference, unless PROBE_NO_SHIM */
	pid_t pid;                /* of that shim */
	struct shim_reply state;
	bool foreign; /* it speaks a newer protocol */
};

static int ask(struct shim_client *shim, const char *op, struct shim_reply *ret, struct error *err)
{
	struct shim_request q;

	shim_request_init(&q, shim, op);
	return shim_request_send_direct(&q, RESTORE_ANSWER_MS, ret, err);
}

static void drop_shim(struct found *f)
{
	if (f->shim)
		shim_client_close(f->shim);
	f->shim = shim_client_unref(f->shim);
}

/* Connected: what does it say? */
static void ask_state(struct engine *e, struct found *f, const char *id)
{
	autoerror struct error err = {0};
	const char *status;
	struct shim_request q;

	shim_request_init(&q, f->shim, "state");
	if (shim_request_send_direct(&q, e->restore_hurries ? RESTORE_HURRY_MS : RESTORE_ANSWER_MS,
				     &f->state, &err) < 0) {
		if (err.errnum == ETIMEDOUT) {
			e->restore_hurries = true;
			log_error("container '%s': its shim does not answer", id);
			f->probe = PROBE_SILENT;
			return;
		}
		drop_shim(f); /* it is ending */
		return;
	}
	if (json_get_int(f->state.msg.body, "protocol") > SHIM_PROTOCOL) {
		log_error("container '%s': its supervisor is of a newer version, which this one "
			  "does not understand: it is left alone",
			  id);
		f->foreign = true;
		f->probe = PROBE_SILENT;
		return;
	}
	status = json_get_string(f->state.msg.body, "status");
	if (str_eq(status, "running") || str_eq(status, "paused")) {
		f->probe = PROBE_RUNNING;
	} else if (str_eq(status, "exited")) {
		f->probe = PROBE_EXITED;
	} else {
		/* Never told to start: nobody will any more. */
		(void)ask(f->shim, "abort", NULL, NULL);
		drop_shim(f);
	}
}

static void probe(struct engine *e, const char *id, struct container *c, struct found *f)
{
	autofree char *path = xasprintf("%s/containers/%s", e->exec_root, id);
	autoclose int dir = runtime_dir_open(e, id, false, NULL);
	autoclose int lock = -EBADF;
	int sock;

	*f = (struct found){.had_dir = dir >= 0};
	if (dir < 0)
		return;
	lock = open_lock(dir, NULL);
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) == 0)
		return;
	if (shim_connect(path, &sock, NULL) >= 0) {
		struct ucred peer = {0};
		socklen_t len = sizeof(peer);

		if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0)
			f->pid = peer.pid;
		f->shim = shim_client_new(sock, &exit_shim_events, c);
		ask_state(e, f, id);
	}
	if (f->probe == PROBE_NO_SHIM)
		wait_gone(e, dir, id);
}

/* ---- rows into memory ------------------------------------------------------------------------ */

static void tell_unreadable(struct container *c, const struct error *err)
{
	autofree char *why = xasprintf("its stored configuration: %s", error_msg(err));

	log_error("container '%s' can only be removed: %s", c->id, why);
	container_set_error(c, why);
	if (!container_is_active(c))
		c->state.status = CONTAINER_DEAD;
}

static struct container *container_of_row(struct engine *e, struct row_container *row)
{
	struct container *c = container_new(e, row->id);
	autoerror struct error err = {0};

	c->rt->unreadable = container_spec_load(row->spec, row->spec_len, &c->spec, &err) < 0;
	/* An empty one instead, in memory only: it can be looked at, stopped and removed. */
	if (c->rt->unreadable && container_spec_load("{}", 2, &c->spec, NULL) < 0) {
		container_unref(c);
		return NULL;
	}
	free(c->name);
	c->name = TAKE_PTR(row->name);
	free(c->image_id);
	c->image_id = TAKE_PTR(row->image_id);
	c->created_at = row->created_at;
	labels_done(&c->labels);
	c->labels = (struct labels){TAKE_PTR(row->process_label), TAKE_PTR(row->mount_label)};
	free(c->state.error);
	c->state = row->s.state;
	row->s.state.error = NULL;
	if (c->rt->unreadable)
		tell_unreadable(c, &err);
	c->rt->starting_at = row->s.starting_at;
	c->rt->stopped_by_user = row->s.stopped_by_user;
	if (!str_empty(row->health))
		c->health = health_parse(row->health, strlen(row->health));
	container_fill_defaults(c);
	volumes_resolve_own(e, c->id, c->spec);
	if (str_eq(c->spec->host.log.type, "json-file")) {
		free(c->log_path);
		c->log_path = xasprintf("%s/%s-json.log", c->state_dir, c->id);
	}
	return c;
}

static void add_endpoint(struct engine *e, const struct row_endpoint *row)
{
	struct container *c = roster_find_id(e, row->container_id);
	autoarena struct arena *a = arena_new();
	autoerror struct error err = {0};
	struct network_endpoint *ep;
	const struct json *doc;
	size_t at;

	if (!c)
		return;
	ep = xnew0(struct network_endpoint);
	if (json_parse(a, row->doc, strlen(row->doc), &doc, &err) < 0 ||
	    network_endpoint_decode(doc, ep, &err) < 0) {
		log_error("container '%s': its stored endpoint: %s", c->id, error_msg(&err));
		free(ep);
		return;
	}
	c->endpoints = xrealloc(c->endpoints, c->endpoint_count + 1, sizeof(*c->endpoints));
	at = c->endpoint_count++;
	/* In the order of the links: eth0, eth1, ... */
	for (; at > 0 && strverscmp(c->endpoints[at - 1]->link, ep->link) > 0; at--)
		c->endpoints[at] = c->endpoints[at - 1];
	c->endpoints[at] = ep;
}

static void add_exec(struct engine *e, const struct row_exec *row)
{
	struct container *c = roster_find_id(e, row->container_id);
	autoarena struct arena *a = arena_new();
	const struct json *doc;
	struct exec *x;

	if (!c || json_parse(a, row->body, strlen(row->body), &doc, NULL) < 0)
		return;
	x = xnew0(struct exec);
	(void)str_copy(x->id, sizeof(x->id), row->id);
	(void)str_copy(x->container_id, sizeof(x->container_id), c->id);
	if (exec_config_new(doc, &x->config, NULL) < 0) {
		(void)exec_free(x);
		return;
	}
	x->started = row->started;
	x->exit_code = row->exit_code;
	container_add_exec(c, x);
}

/* ---- networks -------------------------------------------------------------------------------- */

struct container_found {
	struct container *c;
	enum row_removal removal;
	struct found f;
};
struct restore {
	struct engine *e;
	struct rows rows;
	struct container_found *v; /* owned */
	size_t n;
};

static int decode_networks(const struct rows *rows, struct network **ret, size_t *ret_n)
{
	struct network *nets = xnew0n(struct network, rows->networks.n + 1);
	autoarena struct arena *a = arena_new();
	size_t n = 0;

	for (size_t i = 0; i < rows->networks.n; i++) {
		const char *text = rows->networks.v[i];
		autoerror struct error err = {0};
		const struct json *doc;

		if (json_parse(a, text, strlen(text), &doc, &err) >= 0 &&
		    network_decode(doc, &nets[n], &err) >= 0)
			n++;
		else
			log_error("a stored network is left alone: %s", error_msg(&err));
	}
	*ret = nets;
	*ret_n = n;
	return 0;
}

/* The configuration of the default bridge may have changed: make it anew, unless somebody is on it. */
static bool renew_network(struct engine *e, struct network *net)
{
	autofree char *id = xstrdup(net->id);
	autoerror struct error err = {0};

	if (!network_default_is_outdated(e->network, net))
		return false;
	if (network_default_forget(e->network, net, &err) < 0 ||
	    rows_delete_network(e->db, id, &err) < 0) {
		log_warn("default bridge keeps its configuration: %s", error_msg(&err));
		return false;
	}
	return true;
}

static int add_default_networks(struct engine *e, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(network_default_names); i++) {
		struct network *net = network_find(e->network, network_default_names[i]);
		int r;

		if (net && !renew_network(e, net))
			continue;
		r = network_default_create(e->network, network_default_names[i], &net, err);
		r = r < 0 ? r : rows_save_network(e->db, net, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int restore_network(struct restore *rs, struct error *err)
{
	struct engine *e = rs->e;
	struct network_endpoint *eps;
	struct network_restore args = {0};
	autoerror struct error why = {0};
	bool *live;
	size_t n = 0;
	int r;

	for (size_t i = 0; i < rs->n; i++)
		n += rs->v[i].c->endpoint_count;
	eps = xnew0n(struct network_endpoint, n + 1); /* copies that own nothing */
	live = xnew0n(bool, n + 1);
	for (size_t i = 0; i < rs->n; i++) {
		const struct container *c = rs->v[i].c;

		for (size_t k = 0; k < c->endpoint_count; k++) {
			eps[args.ep_count] = *c->endpoints[k];
			live[args.ep_count++] = rs->v[i].f.probe == PROBE_RUNNING ||
						rs->v[i].f.probe == PROBE_SILENT;
		}
	}
	args.eps = eps;
	args.live = live;
	r = decode_networks(&rs->rows, &args.nets_take, &args.net_count);
	if (r >= 0 && network_restore(e->network, &args, &why) < 0)
		log_error("networks are not as they should be: %s", error_msg(&why));
	error_done(&why);
	free(args.nets_take);
	free(eps);
	free(live);
	r = r < 0 ? r : add_default_networks(e, err);
	if (r < 0)
		return r;
	/* A host without nftables or bridges still runs containers on "host" and "none". */
	e->network_is_up = network_up(e->network, network_find(e->network, "bridge"), &why) >= 0;
	if (!e->network_is_up)
		log_warn("default bridge network: %s", error_msg(&why));
	return 0;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

/* Addresses of a start that was not, with their rows. */
static void drop_endpoints(struct engine *e, struct container *c)
{
	struct network_endpoint *none[] = {NULL};
	const struct row_update u = {.container_id = c->id, .eps = none};
	autoerror struct error err = {0};

	if (c->endpoint_count == 0)
		return;
	for (size_t i = 0; i < c->endpoint_count; i++) {
		if (network_endpoint_detach(e->network, c->endpoints[i], &err) < 0)
			log_warn("detach container '%s': %s", c->id, error_msg(&err));
		error_done(&err);
		network_endpoint_release(e->network, c->endpoints[i]);
	}
	container_drop_endpoints(c);
	if (rows_update(e->db, &u, &err) < 0)
		log_error("drop addresses of container '%s': %s", c->id, error_msg(&err));
}

static void adopt(struct container *c, struct found *f)
{
	const struct json *state = f->state.msg.body;
	struct container_runtime *rt = c->rt;
	bool fresh = rt->starting_at != 0; /* the start was not confirmed: it is now */
	autoerror struct error err = {0};

	if (f->probe == PROBE_RUNNING) {
		c->state.status = str_eq(json_get_string(state, "status"), "paused") &&
						  !engine_commit_recover(c, f->shim)
					  ? CONTAINER_PAUSED
					  : CONTAINER_RUNNING;
		c->state.pid = (pid_t)json_get_int(state, "pid");
		c->state.started_at = json_get_int(state, "started_at");
		if (fresh) {
			c->state.exit_code = 0;
			c->state.oom_killed = false;
			c->state.finished_at = 0;
			container_set_error(c, "");
			rt->starting_at = 0;
		}
		execs_adopt(c, json_get(state, "execs"));
	}
	if (f->foreign)
		container_set_error(c, "its supervisor is of a newer version than this engine");
	rt->shim = TAKE_PTR(f->shim);
	rt->shim_pid = f->pid;
	rows_post_state(rt->engine->db, c);
	if (f->probe == PROBE_RUNNING)
		update_settle(c);
	if (shim_client_run(rt->shim, rt->engine->args.loop, &err) < 0)
		log_error("container '%s': listen to its shim: %s", c->id, error_msg(&err));
	else if (c->state.status == CONTAINER_RUNNING)
		health_start(c, fresh);
}

static void finish_exit(struct container *c, struct found *f)
{
	exit_info_parse(json_get(f->state.msg.body, "exit"), &c->rt->exit);
	execs_adopt(c, json_get(f->state.msg.body, "execs"));
	c->rt->shim = TAKE_PTR(f->shim);
	c->rt->exit_pending = true;
	exit_run(c->rt->engine, c, true);
}

/* Was running by its row, and no shim is left. */
static void settle(struct container *c, const struct found *f)
{
	struct container_runtime *rt = c->rt;
	bool confirmed = rt->starting_at == 0;
	struct exit_info info;

	if (exit_json_read(c, &info) < 0 ||
	    info.started_at < (confirmed ? c->state.started_at : rt->starting_at)) {
		/* It was never told to start.  When the machine went down it may have been: then it has run,
		 * for a client may have been told so. */
		if (!confirmed && f->had_dir) {
			c->state.status =
				c->state.finished_at ? CONTAINER_EXITED : CONTAINER_CREATED;
			c->state.pid = 0;
			rt->starting_at = 0;
			drop_endpoints(rt->engine, c);
			exit_clean_runtime(rt->engine, c);
			rows_post_state(rt->engine->db, c);
			return;
		}
		info = (struct exit_info){
			.code = f->had_dir ? EXIT_SHIM_KILLED : EXIT_UNKNOWN,
			.started_at = confirmed ? c->state.started_at : rt->starting_at,
			.finished_at = clock_realtime_ns(),
		};
		log_warn("container '%s' has lost its shim: exit code %d", c->id, info.code);
	}
	rt->exit = info;
	rt->exit_pending = true;
	rt->shim_lost = true;
	exit_run(rt->engine, c, true);
}

static void finish_removal(struct engine *e, struct container_found *cf)
{
	struct container *c = cf->c;
	autoerror struct error err = {0};

	drop_endpoints(e, c);
	c->rt->remove_volumes = cf->removal == ROW_REMOVAL_WITH_VOLUMES;
	/* Killing it, if it came to that, was done before the tombstone was set. */
	c->rt->removing = true;
	if (cf->f.shim) {
		c->rt->shim = TAKE_PTR(cf->f.shim);
		exit_info_parse(json_get(cf->f.state.msg.body, "exit"), &c->rt->exit);
		c->state.exit_code = c->rt->exit.code;
		c->rt->exit_pending = true;
		exit_run(e, c, true);
		return;
	}
	if (remove_locked(e, c, c->rt->remove_volumes || c->spec->host.auto_remove, &err) < 0)
		log_error("finish removal of container '%s': %s", c->id, error_msg(&err));
}

static void judge(struct restore *rs, struct container_found *cf)
{
	struct engine *e = rs->e;
	struct container *c = cf->c;
	autoerror struct error err = {0};
	bool again = restart_wanted_at_boot(&c->spec->host.restart, c->rt->stopped_by_user);

	if (cf->removal != ROW_REMOVAL_NONE && cf->f.probe != PROBE_RUNNING &&
	    cf->f.probe != PROBE_SILENT) {
		finish_removal(e, cf);
		return;
	}
	if (cf->f.probe == PROBE_RUNNING || cf->f.probe == PROBE_SILENT) {
		adopt(c, &cf->f);
		return;
	}
	if (cf->f.probe == PROBE_EXITED) {
		finish_exit(c, &cf->f);
		return;
	}
	if (container_is_active(c)) {
		settle(c, &cf->f);
		return;
	}
	drop_endpoints(e, c);
	if (cf->f.had_dir)
		exit_clean_runtime(e, c);
	if (c->spec->host.auto_remove && c->state.status == CONTAINER_EXITED) {
		if (remove_locked(e, c, true, &err) < 0)
			log_error("remove container '%s': %s", c->id, error_msg(&err));
	} else if (c->state.status == CONTAINER_RESTARTING ||
		   (again && c->state.status == CONTAINER_EXITED)) {
		c->state.status = CONTAINER_RESTARTING;
		restart_schedule(c);
	}
}

/* ---- directories without a container --------------------------------------------------------- */

/* Its row is gone: the removal was complete but for the shim's release. */
static void clean_unknown(struct engine *e, const char *id)
{
	struct found f;

	probe(e, id, NULL, &f);
	if (f.probe == PROBE_RUNNING || f.probe == PROBE_SILENT) {
		log_error("shim of unknown container '%s' is left alone", id);
		drop_shim(&f);
	} else {
		if (f.shim) {
			struct shim_request q;

			shim_request_init(&q, f.shim, "release");
			jw_kbool(&q.w, "removed", true);
			(void)shim_request_send_direct(&q, RESTORE_ANSWER_MS, NULL, NULL);
			drop_shim(&f);
		}
		exit_clean_unknown(e, id);
	}
	shim_reply_done(&f.state);
}

static bool is_id(const char *name)
{
	return strlen(name) == 64 && str_is_hex(name, 64);
}

static void list_ids(int parent_fd, const char *name, struct strv *ret)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while ((entry = readdir(dir)))
		if (is_id(entry->d_name))
			strv_add(ret, entry->d_name);
	(void)closedir(dir);
}

/* Also what a removal that died between its row and its directory left. */
static void clean_unknown_dirs(struct restore *rs)
{
	autostrv struct strv ids = {0};

	list_ids(rs->e->exec_fd, "containers", &ids);
	for (size_t i = 0; i < ids.n; i++) {
		bool known = false;

		for (size_t k = 0; k < rs->rows.container_count && !known; k++)
			known = str_eq(rs->rows.containers[k].id, ids.v[i]);
		if (!known)
			clean_unknown(rs->e, ids.v[i]);
	}
}

int restore_remove_unfinished(struct engine *e, struct strv *ret_ids, struct error *err)
{
	autostrv struct strv ids = {0};
	autorows struct rows rows = {0};
	bool loaded = false;

	list_ids(e->data_fd, "containers", &ids);
	for (size_t i = 0; i < ids.n; i++) {
		autofree char *dir = xasprintf("containers/%s", ids.v[i]);
		autofree char *marker = xasprintf("%s/" CREATE_MARKER, dir);
		bool known = false;
		int r = 0;

		if (faccessat(e->data_fd, marker, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (!loaded)
			r = rows_load(e->db, &rows, err);
		loaded = true;
		for (size_t k = 0; r >= 0 && k < rows.container_count && !known; k++)
			known = str_eq(rows.containers[k].id, ids.v[i]);
		if (r >= 0 && known) {
			(void)unlinkat(e->data_fd, marker, 0);
		} else if (r >= 0) {
			r = file_remove_tree(e->data_fd, dir, err);
			strv_add(ret_ids, ids.v[i]);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

int restore_containers(struct engine *e, struct error *err)
{
	struct restore rs = {.e = e};
	int r = rows_load(e->db, &rs.rows, err);

	if (r >= 0)
		volumes_restore(e, &rs.rows.volumes);
	rs.v = xnew0n(struct container_found, rs.rows.container_count + 1);
	for (size_t i = 0; r >= 0 && i < rs.rows.container_count; i++) {
		struct container *c = container_of_row(e, &rs.rows.containers[i]);

		if (!c)
			continue;
		roster_add(e, c);
		container_ref(c); /* until the verdict is done */
		rs.v[rs.n].removal = rs.rows.containers[i].removal;
		rs.v[rs.n++].c = c;
	}
	for (size_t i = 0; r >= 0 && i < rs.rows.endpoint_count; i++)
		add_endpoint(e, &rs.rows.endpoints[i]);
	for (size_t i = 0; r >= 0 && i < rs.rows.exec_count; i++)
		add_exec(e, &rs.rows.execs[i]);
	for (size_t i = 0; r >= 0 && i < rs.n; i++)
		probe(e, rs.v[i].c->id, rs.v[i].c, &rs.v[i].f);
	r = r < 0 ? r : restore_network(&rs, err);
	for (size_t i = 0; r >= 0 && i < rs.n; i++)
		judge(&rs, &rs.v[i]);
	if (r >= 0) {
		clean_unknown_dirs(&rs);
		resolver_restore(e);
		boot_begin(e);
	}
	for (size_t i = 0; i < rs.n; i++) {
		drop_shim(&rs.v[i].f);
		shim_reply_done(&rs.v[i].f.state);
		container_unref(rs.v[i].c);
	}
	free(rs.v);
	rows_done(&rs.rows);
	return r;
}
