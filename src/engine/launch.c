/* engine/launch.c - one shim, from its configuration to its first connection. */
#include "engine/launch.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/spawn.h"
#include "engine/cdi.h"
#include "engine/engine_priv.h"
#include "engine/image_mount.h"
#include "engine/logging.h"
#include "engine/oci_spec.h"
#include "engine/runtimes.h"
#include "engine/security.h"
#include "engine/shim_client.h"
#include "engine/standby.h"
#include "engine/volume.h"

#define LAUNCH_CONFIG_MAX ((size_t)16 << 20) /* bytes of a shim's configuration */
#define LAUNCH_UNDO_MS    10000              /* a shim that takes longer to undo is killed */
#define LAUNCH_FAILED_MS  2000               /* the same after a start that failed or hung */

/* ---- configuration --------------------------------------------------------------------------- */

static void write_ports(const struct launch *l, struct json_writer *w)
{
	const struct container *c = l->container;
	uint32_t group = 0;

	jw_karray(w, "Ports");
	for (size_t i = 0; i < l->ports.n; i++) {
		const struct port_binding *b = &l->ports.v[i];
		char host[NETADDR_SIZE], inside[NETADDR_SIZE] = "";
		struct shim_port p = {
			.proto = portbind_proto_name(b->proto),
			.host_ip = netaddr_format(&b->host, host),
			.host_port = b->host_port,
			.host_port_end = b->host_port_end,
			.container_port = b->container_port,
		};

		group += !b->same_port;
		p.group = group;
		for (size_t k = 0; k < c->endpoint_count; k++) {
			const struct network_endpoint *ep = c->endpoints[k];

			if (b->host.family == AF_INET6 && ep->default6)
				p.container_ip = netaddr_format(&ep->ipv6.addr, inside);
			else if (ep->default4 && !p.container_ip)
				p.container_ip = netaddr_format(&ep->ipv4.addr, inside);
		}
		shim_port_write(w, &p);
	}
	jw_array_end(w);
}

static const struct remap *remap_of(const struct launch *l)
{
	const struct remap *remap = &l->engine->remap;

	if (!remap_applies(remap, l->container->spec))
		return NULL;
	return l->join_fds[SHIM_JOIN_USER] >= 0 ? &l->joined : remap;
}

/* How the spec names what the shim inherits. */
static const char *joined_path(const struct launch *l, enum shim_join which)
{
	static const char *const paths[] = {
		[SHIM_JOIN_NET] = "/proc/self/fd/7",
		[SHIM_JOIN_PID] = "/proc/self/fd/8",
		[SHIM_JOIN_USER] = "/proc/self/fd/9",
		[SHIM_JOIN_IPC] = "/proc/self/fd/10",
	};
	static_assert(SHIM_JOIN_FD == 7 && ARRAY_SIZE(paths) == SHIM_JOIN_COUNT, "their numbers");

	return l->join_fds[which] >= 0 ? paths[which] : NULL;
}

static int generate_spec(struct launch *l, struct strbuf *out, struct error *err)
{
	static const char *const names[] = {"hosts", "resolv.conf", "hostname"};
	static const char *const targets[] = {"/etc/hosts", "/etc/resolv.conf", "/etc/hostname"};
	const struct container *c = l->container;
	const struct remap *remap = remap_of(l);
	autoarena struct arena *arena = arena_new();
	struct cdi_result cdi;
	autostrv struct strv dirs = {0};
	struct volume_binds *binds = &l->binds;
	struct oci_spec_args args = {
		.container = c,
		.cgroup_parent = l->engine->cgroup_parent,
		.init_path = l->engine->helpers.init_path,
		.own_init = l->engine->helpers.own_init,
		.seccomp = l->engine->security.seccomp,
		.netns_path = joined_path(l, SHIM_JOIN_NET),
		.pidns_path = joined_path(l, SHIM_JOIN_PID),
		.ipcns_path = joined_path(l, SHIM_JOIN_IPC),
		.remap = remap,
		.userns_path = joined_path(l, SHIM_JOIN_USER),
		.apparmor = security_apparmor_of(l->engine, c),
		.labels = security_labels_of(l->engine, c),
	};
	int r;

	args.rootfs = rootfs_dirs_of(&l->snap, &dirs);
	r = volumes_prepare(l->engine, c, &args.rootfs, binds, err);
	r = r < 0 ? r : image_mounts_prepare(l->engine, c, remap, binds, err);
	r = r < 0 ? r : security_label_volumes(l->engine, c, binds, err);
	if (r >= 0 && args.ipcns_path)
		r = ipc_share_shm(l->engine, c, &l->ipc, binds, &args.shm_path, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		autofree char *path = xasprintf("%s/%s", l->files_dir, names[i]);

		volume_binds_add(binds, path, targets[i], c->spec->host.readonly_rootfs);
	}
	r = cdi_collect(arena, &engine_settings(l->engine)->cdi_spec_dirs, &c->spec->host, &cdi,
			err);
	if (r < 0)
		return r;
	args.cdi = &cdi;
	args.link_env = &l->links.env;
	args.binds = binds->v;
	args.bind_count = binds->n;
	if (c->spec->host.init && *c->spec->host.init && !args.init_path)
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "HostConfig.Init: vessel-init is not installed");
	return oci_spec_generate(&args, out, err);
}

/* Beside the container's own cgroup, so that restarting the service that vesseld is kills no shim.
 * On a pure v2 host a cgroup with children may hold no processes: there it gets one of its own. */
static void write_shim_cgroup(const struct launch *l, struct json_writer *w)
{
	/* Started by hand or by a simple init, vesseld is in no cgroup that could end with a service. */
	if (!l->engine->cgroups || cgroup_self_is_root())
		return;
	if (cgroup_layout_mode(l->engine->cgroups) == CGROUP_MODE_V2) {
		jw_key(w, "ShimCgroup");
		jw_stringf(w, "%s/shims", l->engine->cgroup_parent);
	} else {
		jw_kstring(w, "ShimCgroup", l->engine->cgroup_parent);
	}
}

static void write_program(const struct runtime_program *p, struct json_writer *w)
{
	jw_kobject(w, "Program");
	jw_kstring(w, "Path", p->path);
	if (p->args)
		jw_kvalue(w, "Args", p->args);
	jw_object_end(w);
}

static int write_config(struct launch *l, const char *runtime_dir, struct strbuf *out,
			struct error *err)
{
	const struct engine *e = l->engine;
	const struct container *c = l->container;
	const struct container_config *config = &c->spec->config;
	autostrbuf struct strbuf spec = STRBUF_INIT(LAUNCH_CONFIG_MAX);
	struct runtime_program program;
	struct json_writer w;
	/* the daemon's settings may be others than when it was created */
	int r = runtimes_find(engine_settings(e), c->spec->host.runtime, &program, err);

	r = r < 0 ? r : generate_spec(l, &spec, err);

	if (r < 0)
		return r;
	json_writer_init(&w, out);
	jw_object(&w);
	jw_kstring(&w, "Id", c->id);
	jw_kstring(&w, "RuntimeDir", runtime_dir);
	jw_kstring(&w, "StateDir", c->state_dir);
	jw_kstring(&w, "SeccompCache", e->seccomp_cache);
	if (e->helpers.seccomp_helper)
		jw_kstring(&w, "SeccompHelper", e->helpers.seccomp_helper);
	if (program.path)
		write_program(&program, &w);
	jw_key(&w, "Spec");
	jw_raw(&w, spec.s, spec.len);
	jw_karray(&w, "Lower");
	for (size_t i = 0; i < l->snap.lower.n; i++)
		jw_string(&w, l->snap.lower.v[i]);
	jw_array_end(&w);
	jw_kstring(&w, "Upper", l->snap.upper);
	jw_kstring(&w, "Work", l->snap.work);
	if (remap_of(l) == &l->joined) {
		remap_write(&l->joined.uids, "UidMappings", &w);
		remap_write(&l->joined.gids, "GidMappings", &w);
	}
	jw_kbool(&w, "Tty", config->tty);
	jw_kbool(&w, "OpenStdin", config->open_stdin);
	jw_kbool(&w, "StdinOnce", config->stdin_once);
	jw_kbool(&w, "Resolver", l->resolver);
	jw_kbool(&w, "AutoRemove", c->spec->host.auto_remove);
	jw_kuint(&w, "Rows", c->spec->host.console_rows);
	jw_kuint(&w, "Cols", c->spec->host.console_cols);
	r = logging_write(e, c, &w, err);
	if (r < 0)
		return r;
	write_ports(l, &w);
	write_shim_cgroup(l, &w);
	jw_object_end(&w);
	return strbuf_error(out) < 0
		       ? error_set(err, ERROR_INVALID, E2BIG, "container's configuration")
		       : 0;
}

/* ---- the process ----------------------------------------------------------------------------- */

static void on_shim_reaped(struct loop_source *s, pid_t pid, int code, int status, void *data)
{
	(void)data;
	log_debug("shim %d ended (%d, %d)", (int)pid, code, status);
	(void)loop_remove(s);
}

struct run_call {
	struct launch *l;
	int pidfd; /* taken */
	struct error *err;
	int r;
};

static void run_on_loop(void *data)
{
	struct run_call *call = data;
	struct launch *l = call->l;
	struct loop_source *child;

	call->r = loop_add_child(l->engine->args.loop, l->pid, call->pidfd, on_shim_reaped, NULL,
				 &child, call->err);
	if (call->r < 0) {
		(void)close(call->pidfd);
		return;
	}
	call->r = shim_client_run(l->shim, l->engine->args.loop, call->err);
	if (call->r < 0)
		return;
	shim_client_ref(l->shim);
	l->container->rt->shim = l->shim;
	l->container->rt->shim_pid = l->pid;
}

static int spawn_shim(struct launch *l, int config_fd, int control_fd, struct error *err)
{
	const char *const argv[] = {"vessel-shim", l->container->id, NULL};
	struct spawn_fd fds[4 + SHIM_JOIN_COUNT] = {
		{STDERR_FILENO, STDERR_FILENO},
		{config_fd, SHIM_CONFIG_FD},
		{control_fd, SHIM_CONTROL_FD},
		{l->lock_fd, SHIM_LOCK_FD},
	};
	struct spawn_args args = {
		.exec_fd = l->engine->helpers.shim_fd,
		.argv = argv,
		.fds = fds,
		.fd_count = 4,
		.new_session = true,
	};

	for (int i = 0; i < SHIM_JOIN_COUNT; i++)
		if (l->join_fds[i] >= 0)
			fds[args.fd_count++] = (struct spawn_fd){l->join_fds[i], SHIM_JOIN_FD + i};
	return spawn(&args, &l->pid, &l->pidfd, err);
}

/* Namespaces of another container are given at birth alone. */
static bool joins(const struct launch *l)
{
	for (int i = 0; i < SHIM_JOIN_COUNT; i++)
		if (l->join_fds[i] >= 0)
			return true;
	return false;
}

/* The shim that stands by.  False: there is none, or it is gone. */
static bool send_launch(struct launch *l, int config_fd, int *ret_control)
{
	autostrbuf struct strbuf message = STRBUF_INIT(4096);
	struct standby_shim shim;
	struct json_writer w;

	if (joins(l) || !standby_take(l->engine, &shim))
		return false;
	json_writer_init(&w, &message);
	jw_object(&w);
	jw_kstring(&w, "op", "launch");
	jw_kstring(&w, "Id", l->container->id);
	jw_object_end(&w);
	if (shim_message_send(shim.control, &message, (const int[]){config_fd, l->lock_fd}, 2,
			      NULL) < 0) {
		fd_close(&shim.control); /* which ends it, if it is not gone already */
		fd_close(&shim.pidfd);
		return false;
	}
	l->pid = shim.pid;
	l->pidfd = shim.pidfd;
	*ret_control = shim.control;
	return true;
}

static int spawn_new(struct launch *l, int config_fd, int *ret_control, struct error *err)
{
	autoclose int control = -EBADF;
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make a socket pair");
	control = pair[1];
	r = spawn_shim(l, config_fd, control, err);
	if (r < 0) {
		(void)close(pair[0]);
		return error_wrap(err, r, "start vessel-shim");
	}
	*ret_control = pair[0];
	return 0;
}

static int connect_shim(struct launch *l, int config_fd, struct error *err)
{
	struct run_call call = {.l = l, .err = err};
	int control, r;

	if (!send_launch(l, config_fd, &control)) {
		r = spawn_new(l, config_fd, &control, err);
		if (r < 0)
			return r;
	}
	l->shim = shim_client_new(control, &exit_shim_events, l->container);
	call.pidfd = fcntl(l->pidfd, F_DUPFD_CLOEXEC, 3);
	engine_call(l->engine, run_on_loop, &call);
	return call.r;
}

int launch_shim(struct launch *l, struct error *err)
{
	autofree char *dir = xasprintf("%s/containers/%s", l->engine->exec_root, l->container->id);
	autostrbuf struct strbuf config = STRBUF_INIT(LAUNCH_CONFIG_MAX);
	autoclose int config_fd = -EBADF, dir_fd = -EBADF;
	int r;

	dir_fd = runtime_dir_open(l->engine, l->container->id, true, err);
	if (dir_fd < 0)
		return dir_fd;
	l->lock_fd = runtime_dir_lock(dir_fd, err);
	if (l->lock_fd < 0)
		return l->lock_fd;
	r = store_snapshot_open(l->engine->store, l->container->id, &l->snap, err);
	/* the daemon may be remapping since it was created */
	r = r < 0 ? r : remap_check(&l->engine->remap, l->container->spec, err);
	r = r < 0 ? r : security_prepare(l->engine, l->container, l->files_dir, err);
	r = r < 0 ? r : write_config(l, dir, &config, err);
	if (r < 0)
		return r;
	config_fd = fd_memfd("vessel-shim-config", config.s, config.len, err);
	if (config_fd < 0)
		return config_fd;
	r = connect_shim(l, config_fd, err);
	fd_close(&l->lock_fd); /* the shim's from here on */
	return r;
}

static void forget_on_loop(void *data)
{
	struct launch *l = data;
	struct container_runtime *rt = l->container->rt;

	shim_client_close(l->shim);
	if (rt->shim == l->shim)
		rt->shim = shim_client_unref(rt->shim);
}

static void kill_shim(const struct launch *l)
{
	struct pollfd p = {.fd = l->pidfd, .events = POLLIN};

	(void)syscall(SYS_pidfd_send_signal, l->pidfd, SIGKILL, NULL, 0);
	(void)poll(&p, 1, LAUNCH_UNDO_MS);
}

void launch_abandon(struct launch *l)
{
	struct pollfd p = {.fd = l->pidfd, .events = POLLIN};
	int r;

	if (l->shim)
		engine_call(l->engine, forget_on_loop, l); /* end of file: the shim undoes itself */
	if (l->pidfd < 0)
		return;
	/* A start that failed ends the shim too; one that hangs does not. */
	do
		r = poll(&p, 1, l->told ? LAUNCH_FAILED_MS : LAUNCH_UNDO_MS);
	while (r < 0 && errno == EINTR);
	if (r == 0) {
		log_warn("shim of container '%s' does not end: killed", l->container->id);
		kill_shim(l);
	}
}

void launch_done(struct launch *l)
{
	store_snapshot_done(&l->snap);
	port_bindings_done(&l->ports);
	remap_done(&l->joined);
	volume_binds_done(&l->binds);
	links_done(&l->links);
	ipc_donor_done(&l->ipc);
	fd_close(&l->lock_fd);
	fd_close(&l->pidfd);
	for (int i = 0; i < SHIM_JOIN_COUNT; i++)
		fd_close(&l->join_fds[i]);
	l->shim = shim_client_unref(l->shim);
}
