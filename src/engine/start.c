/* engine/start.c - from a stopped container to a running one.
 *
 * Order, with what a restarted daemon makes of a death in between (engine/restore.c):
 *
 *   lease        addresses in the database    dropped again: no shim, not recorded as running
 *   spawn        a shim, no "start" yet       it undoes itself when our end of its socket closes
 *   attach       link, addresses, nft         removed by network_restore: not of a running container
 *   record       row says running, starting   with no shim and no exit.json of this start: as before,
 *                                             or as lost if the machine went down
 *   start        the word to the shim         from here on the shim holds the truth
 *
 * starting_at in the row says that the running state is not confirmed; exit.json's StartedAt is later
 * than it if the word was heard.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/boot.h"
#include "engine/endpoint.h"
#include "engine/engine_priv.h"
#include "engine/files.h"
#include "engine/health.h"
#include "engine/launch.h"
#include "engine/operation.h"
#include "engine/resolver.h"
#include "engine/rows.h"
#include "engine/shim_client.h"
#include "engine/standby.h"

/* What a failed start leaves in State.ExitCode. */
#define EXIT_NOT_FOUND      127
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_START_FAILED   128
#define PROC_CGROUP_MAX     ((size_t)64 << 10)

struct start {
	struct launch launch;
	struct engine *e;
	struct container *c;
	char *files_dir; /* owned */
	int netns_fd;    /* owned */
	pid_t pid;
	int64_t started_at;
	struct network_resolver resolver;
	bool linked;
	struct network_endpoint **endpoints; /* owned: of a start that failed */
	size_t endpoint_count;
	struct error *err;
	int r;
};

/* ---- network --------------------------------------------------------------------------------- */

/* The directory in proc of the process that is a container's process 1.  Its descriptor stays with the
 * process that has the pid now; that this is still the container's, its cgroup says. */
static int open_process(const struct start *s, const struct container *c)
{
	autofree char *path = xasprintf("/proc/%d", (int)c->state.pid), *cgroups = NULL;
	autoclose int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || file_read(dir, "cgroup", PROC_CGROUP_MAX, &cgroups, NULL, NULL) < 0 ||
	    (s->e->cgroups && !strstr(cgroups, c->id)))
		return -ESRCH;
	return TAKE_FD(dir);
}

static int open_namespace(const struct start *s, const struct container *c, const char *name)
{
	autoclose int dir = open_process(s, c);
	int fd = dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_CLOEXEC);

	return dir < 0 ? dir : fd >= 0 ? fd : -errno;
}

static int keep_namespace(struct start *s, const struct container *other, enum shim_join which,
			  const char *what)
{
	static const char *const names[] = {[SHIM_JOIN_NET] = "ns/net",
					    [SHIM_JOIN_PID] = "ns/pid",
					    [SHIM_JOIN_USER] = "ns/user",
					    [SHIM_JOIN_IPC] = "ns/ipc"};
	int fd = container_is_active(other) ? open_namespace(s, other, names[which]) : -ESRCH;

	if (fd < 0)
		return error_set(s->err, ERROR_CONFLICT, 0,
				 "cannot join %s of a non running container: %s", what, other->id);
	s->launch.join_fds[which] = fd;
	return 0;
}

/* Another container's namespace. */
static int join(struct start *s, const char *ref, const char *what, enum shim_join which,
		struct container **ret_other)
{
	struct container *other;
	int r = roster_find(s->e, ref, &other, s->err);

	if (r >= 0)
		r = keep_namespace(s, other, which, what);
	if (r >= 0)
		*ret_other = other;
	return r;
}

/* --ipc container: its namespace, and what it has as /dev/shm, if it shares them. */
static int join_ipc(struct start *s, const char *ref, struct container **ret_other)
{
	autoclose int process = -EBADF;
	struct container *other;
	int r = roster_find(s->e, ref, &other, s->err);

	if (r >= 0 && !container_is_active(other))
		r = error_set(s->err, ERROR_CONFLICT, 0, "container %s is not running", ref);
	if (r >= 0 && !ipc_is_shareable(other->spec))
		r = error_set(s->err, ERROR_INVALID, 0,
			      "container %s: non-shareable IPC (hint: use IpcMode:shareable for "
			      "the donor container)",
			      ref);
	if (r >= 0)
		r = keep_namespace(s, other, SHIM_JOIN_IPC, "IPC namespace");
	if (r >= 0) {
		process = open_process(s, other);
		r = ipc_donor_open(process, &s->launch.ipc, s->err);
	}
	if (r < 0)
		return error_wrap(s->err, r, "failed to join IPC namespace");
	*ret_other = other;
	return 0;
}

/* What is joined belongs to a user namespace: in that one its rights count (Docker does so, too). */
static int join_user(struct start *s, const struct container *other)
{
	pid_t pid = (pid_t)other->state.pid;
	int r = 0;

	if (remap_applies(&s->e->remap, s->c->spec))
		r = remap_of_process(pid, &s->launch.joined, s->err);
	/* This comes last: that the process is still the container's makes the mappings right, too. */
	if (r >= 0 && s->launch.joined.uids.n > 0)
		r = keep_namespace(s, other, SHIM_JOIN_USER, "user namespace");
	return r;
}

static int lease(struct start *s)
{
	int r = endpoints_lease(s->e, s->c, s->err);

	r = r < 0 ? r : links_collect(s->e, s->c, &s->launch.links, s->err);
	r = r < 0 ? r : endpoints_ports(s->e, s->c, &s->launch.ports, s->err);
	s->launch.resolver = r >= 0 && endpoints_have_names(s->e, s->c);
	return r;
}

/* ---- stages ---------------------------------------------------------------------------------- */

static void check_on_loop(void *data)
{
	struct start *s = data;
	const struct container_runtime *rt = s->c->rt;

	if (s->c->state.status == CONTAINER_PAUSED)
		s->r = error_set(s->err, ERROR_CONFLICT, 0,
				 "cannot start a paused container, try unpause instead");
	else if (s->c->state.status == CONTAINER_RUNNING)
		s->r = error_set(s->err, ERROR_NOT_MODIFIED, 0, "container is already running");
	else if (rt->removing || s->c->state.status == CONTAINER_REMOVING ||
		 s->c->state.status == CONTAINER_DEAD)
		s->r = error_set(s->err, ERROR_CONFLICT, 0,
				 "container is marked for removal and cannot be started");
}

/* Who shares a network has the name that its addresses stand for; there is no other that it could be given. */
static void share_hostname(struct container_spec *s, const struct container_spec *other)
{
	const char *name = other->config.hostname;

	if (!str_eq(s->host.uts_mode, "host") && !str_empty(name) &&
	    !str_eq(s->config.hostname, name))
		s->config.hostname = arena_strdup(s->arena, name);
}

static void begin_on_loop(void *data)
{
	struct start *s = data;
	struct container_runtime *rt = s->c->rt;
	const struct host_config *h = &s->c->spec->host;
	const char *netns_of = config_mode_container(h->network_mode);
	const char *pidns_of = config_mode_container(h->pid_mode);
	const char *ipc_of = config_mode_container(h->ipc_mode);
	struct container *other = NULL, *other_pid = NULL, *other_ipc = NULL;

	restart_cancel(s->c);
	rt->starting = true;
	rt->shim_lost = false;
	rt->exit_pending = false;
	s->r = netns_of ? join(s, netns_of, "network namespace", SHIM_JOIN_NET, &other) : lease(s);
	if (s->r >= 0 && other)
		share_hostname(s->c->spec, other->spec);
	if (s->r >= 0 && pidns_of)
		s->r = join(s, pidns_of, "PID namespace", SHIM_JOIN_PID, &other_pid);
	if (s->r >= 0 && ipc_of)
		s->r = join_ipc(s, ipc_of, &other_ipc);
	if (s->r >= 0 && (other || other_pid || other_ipc))
		s->r = join_user(s, other ? other : other_pid ? other_pid : other_ipc);
	s->files_dir = xstrdup(other ? other->state_dir : s->c->state_dir);
	s->launch.files_dir = s->files_dir;
}

static int record_lease(struct start *s)
{
	const struct row_update u = {
		.container_id = s->c->id, .eps = s->c->endpoints, .ep_count = s->c->endpoint_count};

	return s->c->endpoint_count > 0 ? rows_update(s->e->db, &u, s->err) : 0;
}

/* The shim tells process 1, its network namespace and the host ports that it got. */
static int await_namespaces(struct start *s)
{
	autoshim_reply struct shim_reply reply = {0};
	const struct json *ports, *port;
	size_t i = 0;
	int r = shim_client_await(s->launch.shim, "namespaces", &reply, s->err);

	if (r < 0)
		return r;
	s->pid = (pid_t)json_get_int(reply.msg.body, "pid");
	if (reply.msg.fd_count > 0) {
		s->netns_fd = reply.msg.fds[0];
		reply.msg.fds[0] = -EBADF;
	}
	s->resolver.udp = (uint16_t)json_get_int(json_get(reply.msg.body, "resolver"), "udp");
	s->resolver.tcp = (uint16_t)json_get_int(json_get(reply.msg.body, "resolver"), "tcp");
	if (s->launch.resolver && s->resolver.udp == 0)
		return error_set(s->err, ERROR_INTERNAL, 0,
				 "the container's resolver could not be started");
	ports = json_get(reply.msg.body, "ports");
	json_array_foreach(port, ports) {
		if (i < s->launch.ports.n)
			s->launch.ports.v[i++].host_port = (uint16_t)json_get_int(port, "HostPort");
	}
	return 0;
}

static void set_ports_on_loop(void *data)
{
	struct start *s = data;

	endpoints_place_ports(s->c, s->launch.ports.v, s->launch.ports.n);
}

static int connect_network(struct start *s)
{
	int r;

	if (s->c->endpoint_count == 0 || s->netns_fd < 0)
		return 0;
	engine_call(s->e, set_ports_on_loop, s);
	s->linked = true; /* even when it fails: detach is idempotent */
	r = endpoints_attach(s->e, s->c, s->netns_fd, s->launch.resolver ? &s->resolver : NULL,
			     s->err);
	if (r < 0)
		return r;
	crash_point(CRASH_START_LINKED);
	if (s->launch.resolver) {
		r = resolver_write_container(s->e, s->c, s->err);
		resolver_update_networks(s->e, s->c->endpoints, s->c->endpoint_count);
	}
	return r < 0 ? r : endpoints_publish(s->e, s->c, s->err);
}

/* The row says running before the shim is told: never the other way round. */
static int record_running(struct start *s)
{
	struct row_state row;
	const struct row_update u = {.state = &row,
				     .container_id = s->c->id,
				     .eps = s->c->endpoints,
				     .ep_count = s->c->endpoint_count};
	int r;

	row_state_of(s->c, &row); /* nobody else changes it: we have the operation */
	row.state.status = CONTAINER_RUNNING;
	row.state.pid = s->pid;
	row.starting_at = s->c->rt->starting_at = clock_realtime_ns();
	s->c->rt->told = true; /* as good as */
	row.stopped_by_user = false;
	r = rows_update(s->e->db, &u, s->err);
	row_state_done(&row);
	return r;
}

static int tell_start(struct start *s)
{
	autoshim_reply struct shim_reply reply = {0};
	struct shim_request q;
	int r;

	shim_request_init(&q, s->launch.shim, "start");
	q.sent_point = CRASH_START_GO;
	s->launch.told = true;
	r = shim_request_send(&q, NULL, 0, -1, &reply, s->err);
	if (r >= 0)
		s->started_at = json_get_int(reply.msg.body, "started_at");
	return r;
}

static void started_on_loop(void *data)
{
	struct start *s = data;
	struct container *c = s->c;
	struct container_runtime *rt = c->rt;

	c->state.status = CONTAINER_RUNNING;
	c->state.pid = s->pid;
	c->state.exit_code = 0;
	c->state.oom_killed = false;
	c->state.started_at = s->started_at;
	c->state.finished_at = 0;
	container_set_error(c, "");
	rt->starting = false;
	rt->starting_at = 0;
	rt->stopped_by_user = false;
	operation_settled(c);
	rows_post_state(s->e->db, c);
	held_clients_started(c);
	engine_emit_volumes(s->e, c, true);
	for (size_t i = 0; i < c->endpoint_count; i++)
		engine_emit_network(s->e, c, c->endpoints[i], "connect");
	engine_emit(s->e, c, "start", NULL, 0);
	health_start(c, true);
	boot_check(s->e);
	standby_want(s->e);
	if (rt->exit_pending)
		exit_begin(c, &rt->exit); /* it was that short */
	else if (rt->shim_lost)
		exit_shim_events.closed(rt->shim, c);
}

/* ---- failure --------------------------------------------------------------------------------- */

static int exit_code_of(const struct error *err)
{
	static const struct {
		const char *text;
		int code;
	} words[] = {
		{"executable file not found", EXIT_NOT_FOUND},
		{"no such file or directory", EXIT_NOT_FOUND},
		{"system cannot find the file specified", EXIT_NOT_FOUND},
		{"permission denied", EXIT_NOT_EXECUTABLE},
		{"not a directory", EXIT_NOT_FOUND},
		{"is a directory", EXIT_NOT_EXECUTABLE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcasestr(error_msg(err), words[i].text))
			return words[i].code;
	if (err->kind == ERROR_INVALID && err->errnum == ENOENT)
		return EXIT_NOT_FOUND;
	if (err->kind == ERROR_INVALID && err->errnum == EACCES)
		return EXIT_NOT_EXECUTABLE;
	return EXIT_START_FAILED;
}

static void failed_on_loop(void *data)
{
	struct start *s = data;
	struct container *c = s->c;

	s->endpoints = TAKE_PTR(c->endpoints);
	s->endpoint_count = c->endpoint_count;
	c->endpoint_count = 0;
	c->rt->starting = false;
	c->rt->starting_at = 0;
	operation_settled(c);
	c->rt->exit_pending = false;
	c->rt->shim_lost = false;
	c->state.exit_code = exit_code_of(s->err);
	if (c->state.status == CONTAINER_RESTARTING)
		c->state.status = CONTAINER_EXITED;
	container_set_error(c, error_msg(s->err));
}

/* As if it had never been tried, but for State.Error and State.ExitCode. */
static void undo(struct start *s)
{
	struct container *c = s->c;
	autoerror struct error err = {0};
	struct row_state row;
	struct network_endpoint *none[] = {NULL};
	const struct row_update u = {.state = &row, .container_id = c->id, .eps = none};

	launch_abandon(&s->launch);
	if (s->linked)
		endpoints_detach(s->e, c);
	engine_call(s->e, failed_on_loop, s);
	endpoints_release(s->e, s->endpoints, s->endpoint_count);
	if (s->launch.resolver)
		resolver_update_networks(s->e, s->endpoints, s->endpoint_count);
	for (size_t i = 0; i < s->endpoint_count; i++) {
		network_endpoint_done(s->endpoints[i]);
		free(s->endpoints[i]);
	}
	free(s->endpoints);
	row_state_of(c, &row);
	if (rows_update(s->e->db, &u, &err) < 0)
		log_error("record failed start of container '%s': %s", c->id, error_msg(&err));
	row_state_done(&row);
	exit_clean_runtime(s->e, c);
}

static void drop_held_on_loop(void *data)
{
	held_clients_failed(data);
}

/* Docker's clients look for the cause in the middle of these words. */
static int wrap_exec_error(struct error *err, int r)
{
	bool executable = err->kind == ERROR_INVALID && err->errnum != 0;
	bool program = str_has_prefix(error_msg(err), "OCI runtime "); /* shim/program.h */
	enum error_kind kind = err->kind;
	autofree char *inner = NULL;

	if (!executable && !program)
		return r;
	inner = xstrdup(error_msg(err));
	error_done(err);
	if (program)
		return error_set(err, kind, 0,
				 "failed to create task for container: failed to create shim task: "
				 "%s: unknown",
				 inner);
	return error_set(err, ERROR_INVALID, 0,
			 "failed to create task for container: failed to create shim task: OCI "
			 "runtime create failed: unable to start container process: %s: unknown",
			 inner);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* The clients are at the shim by the time that it has created the container. */
static int hand_over_and_start(struct start *s)
{
	autoshim_reply struct shim_reply created = {0};
	struct held_posted clients = {0};
	autoerror struct error why = {0};
	int posted = held_clients_post(s->c, s->launch.shim, &clients, &why);
	int r = shim_client_await(s->launch.shim, "created", &created, s->err);

	/* A shim that is gone has mostly said why. */
	if (r >= 0 && posted < 0)
		r = error_move(s->err, &why, posted);
	r = r < 0 ? r : tell_start(s);
	held_clients_confirm(s->c, s->launch.shim, &clients);
	return r;
}

static int run_stages(struct start *s)
{
	int r;

	engine_call(s->e, begin_on_loop, s);
	r = s->r < 0 ? s->r : record_lease(s);
	if (r < 0)
		return r;
	crash_point(CRASH_START_LEASE);
	r = str_eq(s->files_dir, s->c->state_dir)
		    ? files_write(s->e, s->c, &s->launch.links, s->err)
		    : 0;
	r = r < 0 ? r : launch_shim(&s->launch, s->err);
	if (r < 0)
		return r;
	crash_point(CRASH_START_SPAWNED);
	r = await_namespaces(s);
	if (r < 0)
		return r;
	crash_point(CRASH_START_CREATED);
	/* While the shim makes the root file system: the network, and the row. */
	r = connect_network(s);
	if (r < 0)
		return r;
	crash_point(CRASH_START_PUBLISHED);
	r = record_running(s);
	if (r < 0)
		return r;
	crash_point(CRASH_START_RECORDED);
	return hand_over_and_start(s);
}

/* Docker removes a --rm container that could not be started even once. */
static void after_failure(struct start *s)
{
	autoerror struct error err = {0};

	if (!s->c->spec->host.auto_remove || s->c->state.started_at != 0)
		engine_call(s->e, drop_held_on_loop, s->c);
	else if (remove_locked(s->e, s->c, true, &err) < 0)
		log_warn("remove container '%s' after a failed start: %s", s->c->id,
			 error_msg(&err));
}

int start_locked(struct engine *e, struct container *c, struct error *err)
{
	autoerror struct error why = {0};
	struct start s = {
		.launch = LAUNCH_INIT(e, c), .e = e, .c = c, .netns_fd = -EBADF, .err = &why};
	int r;

	engine_call(e, check_on_loop, &s);
	if (s.r < 0)
		return error_move(err, &why, s.r);
	crash_point(CRASH_START_BEGIN);
	r = run_stages(&s);
	if (r < 0) {
		r = wrap_exec_error(&why, r);
		undo(&s);
		after_failure(&s);
	} else {
		engine_call(e, started_on_loop, &s);
		crash_point(CRASH_START_DONE);
	}
	fd_close(&s.netns_fd);
	free(s.files_dir);
	launch_done(&s.launch);
	return r < 0 ? error_move(err, &why, r) : 0;
}

static void reset_on_loop(void *data)
{
	restart_reset(data);
}

int engine_start(struct engine *e, const char *ref, struct error *err)
{
	struct operation op;
	int r = operation_begin(e, ref, "start", 0, &op, err);

	if (r < 0)
		return r;
	if (!container_is_active(op.container))
		engine_call(e, reset_on_loop, op.container);
	r = start_locked(e, op.container, err);
	operation_end(&op);
	return r;
}
