/* A container's life, as its creator sees it: create, start, signal, remove. */
#include "runtime/runtime.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "linux/apparmor.h"
#include "linux/cgroup.h"
#include "linux/cgroup_systemd.h"
#include "linux/ns.h"
#include "linux/pidfd.h"
#include "linux/procfs.h"
#include "linux/rlimits.h"
#include "linux/rootless.h"
#include "linux/scheduling.h"
#include "linux/self.h"
#include "linux/selinux.h"
#include "linux/sys.h"
#include "runtime/idmap_priv.h"
#include "runtime/launch_priv.h"
#include "runtime/netdevices_priv.h"
#include "runtime/netns.h"
#include "runtime/prepared_priv.h"
#include "runtime/rootfs_priv.h"
#include "runtime/rootless_priv.h"
#include "runtime/setup_priv.h"

#define SECCOMP_HELPER "vessel-seccomp"

static const int ns_flags[OCI_NAMESPACE_COUNT] = {
	[OCI_NAMESPACE_MOUNT] = CLONE_NEWNS,      [OCI_NAMESPACE_PID] = CLONE_NEWPID,
	[OCI_NAMESPACE_NETWORK] = CLONE_NEWNET,   [OCI_NAMESPACE_UTS] = CLONE_NEWUTS,
	[OCI_NAMESPACE_IPC] = CLONE_NEWIPC,       [OCI_NAMESPACE_USER] = CLONE_NEWUSER,
	[OCI_NAMESPACE_CGROUP] = CLONE_NEWCGROUP, [OCI_NAMESPACE_TIME] = CLONE_NEWTIME,
};

/* What clone3 makes; cgroup and time are unshared later by the process itself. */
#define CLONE3_NAMESPACES                                                                    \
	((uint64_t)CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | \
	 CLONE_NEWUSER)

static int open_namespaces(const struct oci_spec *spec, struct setup *s, uint64_t *ret_all,
			   struct error *err)
{
	uint64_t all = 0;

	for (size_t i = 0; i < OCI_NAMESPACE_COUNT; i++) {
		const struct oci_namespace *ns = &spec->linux_.namespaces[i];

		s->join_fds[i] = -EBADF;
		if (!ns->present)
			continue;
		all |= (uint64_t)ns_flags[i];
		if (!ns->path) {
			s->clone_flags |= (uint64_t)ns_flags[i] & CLONE3_NAMESPACES;
			continue;
		}
		s->join_fds[i] = ns_open(ns->path, ns_flags[i], err);
		if (s->join_fds[i] < 0)
			return error_wrap(err, s->join_fds[i], "linux.namespaces");
	}
	/* Its root would become the host's. */
	if (s->join_fds[OCI_NAMESPACE_MOUNT] >= 0 &&
	    ns_is_own(s->proc_fd, s->join_fds[OCI_NAMESPACE_MOUNT], "mnt"))
		return error_set(err, ERROR_INVALID, 0,
				 "linux.namespaces: the mount namespace '%s' is the runtime's own",
				 spec->linux_.namespaces[OCI_NAMESPACE_MOUNT].path);
	*ret_all = all;
	return 0;
}

/* A namespace given by path may be the runtime's own after all, and its settings the host's. */
static int check_sysctls(const struct oci_linux *l, const struct setup *s, struct error *err)
{
	static const char *const files[OCI_NAMESPACE_COUNT] = {[OCI_NAMESPACE_NETWORK] = "net",
							       [OCI_NAMESPACE_UTS] = "uts",
							       [OCI_NAMESPACE_IPC] = "ipc",
							       [OCI_NAMESPACE_USER] = "user"};

	for (size_t i = 0; i < l->sysctl.n; i++) {
		int type = oci_sysctl_namespace(l->sysctl.keys[i]);

		if (type >= 0 && s->join_fds[type] >= 0 && files[type] &&
		    ns_is_own(s->proc_fd, s->join_fds[type], files[type]))
			return error_set(err, ERROR_INVALID, 0,
					 "linux.sysctl: '%s' would be set for the host, whose %s "
					 "namespace is given",
					 l->sysctl.keys[i],
					 oci_namespace_name((enum oci_namespace_type)type));
	}
	return 0;
}

/* Without a mount namespace there is chroot(2) alone: what would be mounted then would be everybody's, and
 * outlive the container. */
static int check_mounts(const struct oci_spec *spec, struct error *err)
{
	const struct {
		const char *field;
		bool given;
	} fields[] = {
		{"mounts", spec->mounts.n > 0},
		{"linux.maskedPaths", spec->linux_.masked_paths.n > 0},
		{"linux.readonlyPaths", spec->linux_.readonly_paths.n > 0},
		{"linux.rootfsPropagation", !str_empty(spec->linux_.rootfs_propagation)},
		{"root.readonly", spec->root.readonly},
		{"process.terminal", spec->process.terminal},
	};

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].given)
			return error_set(err, ERROR_INVALID, 0,
					 "%s: needs a mount namespace of the container's own",
					 fields[i].field);
	return 0;
}

static int check_supported(const struct oci_spec *spec, struct error *err)
{
	int r = 0;

	if (!spec->has_process)
		return error_set(err, ERROR_INVALID, 0, "process: is required");
	if (!spec->linux_.namespaces[OCI_NAMESPACE_MOUNT].present)
		r = check_mounts(spec, err);
	if (r < 0)
		return r;
	if (spec->linux_.net_devices.n && !spec->linux_.namespaces[OCI_NAMESPACE_NETWORK].present)
		return error_set(
			err, ERROR_INVALID, 0,
			"linux.netDevices: needs a network namespace of the container's own");
	return idmap_check(spec, err);
}

static int check_labels(const struct oci_spec *spec, struct setup *s, struct error *err)
{
	s->has_apparmor = !str_empty(spec->process.apparmor_profile) && apparmor_is_enabled();
	if (!str_empty(spec->linux_.mount_label) && !selinux_is_enabled())
		return error_set(err, ERROR_UNAVAILABLE, 0,
				 "linux.mountLabel: SELinux is not enabled");
	return process_check_labels(&spec->process, err);
}

/* -- the pieces of create, on the caller's side -------------------------------------------- */

struct creation {
	const struct runtime_create_args *args;
	struct runtime_container *c; /* owned */
	struct arena *arena;         /* owned */
	struct plan plan;
	struct setup setup;
	struct netdevices_moved net_devices;
	bool in_rdt_group;
	int child_sync_fd;         /* owned until clone3 */
	struct netns_maker *netns; /* owned; NULL: clone3 makes it, or nobody */
};

/* One of its own or one given by path; -EBADF: the runtime's. */
static int container_netns(const struct creation *cr)
{
	return cr->c->netns_fd >= 0 ? cr->c->netns_fd : cr->setup.join_fds[OCI_NAMESPACE_NETWORK];
}

static void creation_done(struct creation *cr)
{
	int fd = cr->netns ? netns_maker_finish(cr->netns, NULL) : -EBADF;

	fd_close(&fd);
	for (size_t i = 0; i < OCI_NAMESPACE_COUNT; i++)
		fd_close(&cr->setup.join_fds[i]);
	fd_close(&cr->setup.proc_fd);
	fd_close(&cr->setup.prepared_root_fd);
	rootfs_close_idmapped(&cr->setup);
	fd_close(&cr->child_sync_fd);
	free(cr->net_devices.names);
	(void)arena_free(cr->arena);
}

/* As much of the cgroup as the process can be cloned into. */
static int create_cgroup(struct creation *cr, struct error *err)
{
	const struct runtime_create_args *args = cr->args;
	const char *place = args->cgroup_place;
	autofree char *own = NULL;
	int r = place ? 0 : runtime_cgroup_place(args->spec, args->id, false, &own, err);

	if (r == 0)
		r = cgroup_create_unified(cr->c->cgroups, place ? place : own, &cr->c->cgroup, err);
	if (r == 0)
		cr->setup.cgroup_path = cgroup_path(cr->c->cgroup);
	return r;
}

/* Who is not root may set no device policy; nor can he make a device node. */
static int apply_limits(const struct cgroup *cg, const struct oci_resources *given,
			struct cgroup_resources *resources, struct error *err)
{
	autoerror struct error why = {0};
	int r = rootless_check_limits(cg, given, err);

	if (r < 0)
		return r;
	r = cgroup_apply(cg, resources, &why);
	if (r < 0 && resources->devices && rootless_is()) {
		resources->devices = NULL;
		resources->device_count = 0;
		return cgroup_apply(cg, resources, err);
	}
	return r < 0 ? error_move(err, &why, r) : 0;
}

/* The rest of the cgroup and its limits, while the process already works. */
static int finish_cgroup(struct creation *cr, struct error *err)
{
	const struct oci_linux *l = &cr->args->spec->linux_;
	struct cgroup_resources resources;
	struct runtime_container *c = cr->c;
	int r;

	resources_convert(cr->arena, &l->resources, l, &resources);
	r = cgroup_is_unit(c->cgroup) ? resources_start_unit(c, &resources, err)
				      : cgroup_create_rest(c->cgroup, err);
	if (r == 0) {
		r = apply_limits(c->cgroup, &l->resources, &resources, err);
		if (r < 0)
			return error_wrap(err, r, "linux.resources");
	}
	if (r == 0 && !cr->setup.joins_cgroup)
		r = cgroup_attach(c->cgroup, c->pid, err);
	return r < 0 ? r : resources_delegate(c, err);
}

static int load_seccomp(struct runtime_container *c, const char *cache_dir, const char *helper,
			struct error *err)
{
	const struct json *profile = c->spec->linux_.seccomp;
	struct seccomp_cache cache = {.dir = cache_dir, .helper = helper};
	autofree char *found = NULL;
	int r;

	if (json_is_null(profile))
		return 0;
	if (!helper) {
		cache.helper = found = self_helper(SECCOMP_HELPER);
		if (!found)
			return error_set(err, ERROR_UNAVAILABLE, ENOENT, "find " SECCOMP_HELPER);
	}
	r = seccomp_program_get(&cache, profile, &c->seccomp, err);
	c->has_seccomp = r == 0;
	return r < 0 ? r : agent_check(&c->spec->linux_, &c->seccomp, err);
}

static int prepare_seccomp(struct creation *cr, struct error *err)
{
	int r = load_seccomp(cr->c, cr->args->seccomp_cache_dir, cr->args->seccomp_helper, err);

	cr->setup.seccomp = cr->c->has_seccomp ? &cr->c->seccomp : NULL;
	return r;
}

/* An ordinary user's layers are his own, and mounted inside. */
static int prepare_mapped_root(struct creation *cr, struct error *err)
{
	const struct runtime_rootfs *rootfs = cr->args->rootfs;
	int fd;

	if (!rootfs || !cr->args->spec->linux_.namespaces[OCI_NAMESPACE_USER].present ||
	    geteuid() != 0)
		return 0;
	fd = rootfs_new_mapped_overlay(cr->setup.proc_fd, cr->args->spec, rootfs, err);
	if (fd < 0)
		return fd;
	cr->setup.prepared_root_fd = fd;
	return 0;
}

/* It has nothing to ask or to give before, and nothing but its death is needed to undo what was done. */
static bool goes_at_once(const struct runtime_create_args *args, const struct setup *s)
{
	return args->starts_at_once && !s->wait_for_hooks && !args->spec->process.terminal &&
	       args->spec->linux_.net_devices.n == 0 &&
	       !args->spec->linux_.namespaces[OCI_NAMESPACE_USER].present &&
	       !(s->seccomp && seccomp_program_notifies(s->seccomp));
}

static int prepare(struct creation *cr, struct error *err)
{
	const struct runtime_create_args *args = cr->args;
	struct runtime_container *c = cr->c;
	struct setup *s = &cr->setup;
	int r = check_supported(args->spec, err);

	if (r < 0)
		return r;
	*s = (struct setup){.spec = args->spec,
			    .process = &args->spec->process,
			    .plan = &cr->plan,
			    .rootfs = args->rootfs,
			    .id = args->id,
			    .bundle = c->bundle,
			    .bundle_fd = args->bundle_fd,
			    .listen_fd = c->listen_fd,
			    .preserve_fds = args->preserve_fds,
			    .plain_newlines = args->plain_newlines,
			    .no_new_keyring = args->no_new_keyring,
			    .no_pivot = args->no_pivot,
			    .target_pidfd = -EBADF,
			    .target_root_fd = -EBADF,
			    .wait_for_hooks = args->spec->hooks.prestart.n ||
					      args->spec->hooks.create_runtime.n,
			    .prepared_root_fd = -EBADF,
			    .time_offsets_fd = -EBADF,
			    .place_fd = -EBADF,
			    .root_fd = -EBADF,
			    .devpts_fd = -EBADF,
			    .own_proc_fd = -EBADF,
			    .own_sys_fd = -EBADF,
			    .netns_fd = -EBADF,
			    .cgroup_tree_fd = -EBADF,
			    .console_fd = -EBADF,
			    .tty_fd = -EBADF};
	memcpy(s->stdio, args->stdio, sizeof(s->stdio));
	for (size_t i = 0; i < OCI_NAMESPACE_COUNT; i++)
		s->join_fds[i] = -EBADF;
	s->proc_fd = procfs_open(err);
	if (s->proc_fd < 0)
		return s->proc_fd;
	r = check_labels(args->spec, s, err);
	if (r == 0)
		r = rdt_check(&args->spec->linux_, s->proc_fd, err);
	if (r == 0)
		r = plan_make(cr->arena, args->spec, args->init_path, &cr->plan, err);
	if (r == 0)
		r = open_namespaces(args->spec, s, &c->ns_flags, err);
	if (r == 0)
		r = check_sysctls(&args->spec->linux_, s, err);
	c->cgroups = prepared_take_cgroups(args->prepared);
	if (r == 0 && !c->cgroups)
		r = cgroup_layout_detect(&c->cgroups, err);
	if (r == 0)
		r = rootfs_prepare_idmapped(s, cr->arena, err);
	if (r == 0)
		r = prepare_mapped_root(cr, err);
	if (r == 0)
		r = prepare_seccomp(cr, err);
	if (r < 0)
		return r;
	cgroup_layout_set_optional(c->cgroups, str_empty(args->spec->linux_.cgroups_path));
	s->cgroup_layout = c->cgroups;
	s->publishes = goes_at_once(args, s) ? &args->publishes : NULL;
	s->cgroup_tree_comes = rootfs_takes_cgroup_tree(s);
	if (cr->netns) {
		s->clone_flags &= ~(uint64_t)CLONE_NEWNET;
		s->netns_comes = true;
	}
	return 0;
}

/* In a user namespace the process may not open this file of its own, not being dumpable. */
static bool needs_time_offsets(const struct oci_linux *l)
{
	const struct oci_namespace *ns = l->namespaces;

	return ns[OCI_NAMESPACE_USER].present && ns[OCI_NAMESPACE_TIME].present &&
	       !ns[OCI_NAMESPACE_TIME].path && (l->monotonic.present || l->boottime.present);
}

static int write_maps(struct creation *cr, struct error *err)
{
	const struct oci_linux *l = &cr->args->spec->linux_;
	autoclose int offsets_fd = -EBADF;
	char path[64];
	int r = 0;

	if (!cr->setup.waits_mapped)
		return 0;
	if (cr->setup.clone_flags & CLONE_NEWUSER)
		r = idmap_write(cr->setup.proc_fd, cr->c->pid, l, err);
	if (r < 0)
		return r;
	if (needs_time_offsets(l)) {
		(void)snprintf(path, sizeof(path), "%d/timens_offsets", (int)cr->c->pid);
		offsets_fd = procfs_open_file(cr->setup.proc_fd, path, O_WRONLY);
		if (offsets_fd < 0)
			return error_set(err, ERROR_INTERNAL, -offsets_fd,
					 "open the offsets of the time namespace");
	}
	return sync_send(cr->c->sync_fd, SYNC_MAPPED, offsets_fd) < 0
		       ? error_set(err, ERROR_INTERNAL, EPIPE, "talk to the container's process")
		       : 0;
}

/* The source of a bind mount that only we can reach. */
static int serve_source(void *data, const struct sync_message *m, struct error *err)
{
	const struct creation *cr = data;
	const struct plan_mount *mount =
		m->index < cr->plan.mount_count ? &cr->plan.mounts[m->index] : NULL;
	autoerror struct error why = {0};
	autoclose int fd = -EBADF;
	int r;

	if (!mount || mount->kind != PLAN_MOUNT_BIND)
		return error_set(err, ERROR_INTERNAL, EBADMSG, "a mount that is not in the plan");
	fd = mount_clone(cr->setup.bundle_fd, mount->source, mount->options.bind_recursive, &why);
	r = fd < 0 ? sync_send_error(cr->c->sync_fd, SYNC_ERROR, NULL, &why)
		   : sync_send(cr->c->sync_fd, SYNC_SOURCE, fd);
	return r < 0 ? launch_why_gone(cr->c->sync_fd, err) : 0;
}

int runtime_run_create_hooks(const struct oci_spec *spec, const char *id, pid_t pid,
			     const char *bundle, struct error *err)
{
	autofree char *state = runtime_state_json(spec, id, "creating", pid, bundle);
	int r = hooks_run(&spec->hooks.prestart, "prestart", state, err);

	return r < 0 ? r : hooks_run(&spec->hooks.create_runtime, "createRuntime", state, err);
}

static int run_create_hooks(struct creation *cr, struct error *err)
{
	const struct sync_server server = {SYNC_SOURCE, serve_source, cr};
	int r;

	if (!cr->setup.wait_for_hooks)
		return 0;
	r = sync_expect_serving(cr->c->sync_fd, SYNC_HOOKS, NULL, &server, err);
	if (r < 0)
		return r;
	r = runtime_run_create_hooks(cr->args->spec, cr->c->id, cr->c->pid, cr->setup.bundle, err);
	if (r == 0 && sync_send(cr->c->sync_fd, SYNC_HOOKS_DONE, -EBADF) < 0)
		r = error_set(err, ERROR_INTERNAL, EPIPE, "talk to the container's process");
	return r;
}

static int await_ready(struct creation *cr, struct error *err)
{
	const struct sync_server server = {SYNC_SOURCE, serve_source, cr};
	struct runtime_container *c = cr->c;
	const struct oci_process *p = &cr->args->spec->process;
	int r;

	r = launch_set_oom_score(cr->setup.proc_fd, c->pid, p, err);
	if (r == 0 && cr->setup.publishes) {
		r = launch_tell(c->sync_fd, SYNC_GO, err);
		c->told_to_go = r == 0;
		return r;
	}
	if (r == 0)
		r = run_create_hooks(cr, err);
	if (r == 0)
		r = sync_expect_serving(c->sync_fd, SYNC_READY, &c->console_fd, &server, err);
	return r;
}

const char *runtime_rootfs_place(const struct runtime_rootfs *root)
{
	return root->work ? root->work : root->lower[0];
}

/* The process is born where its root is to hang, which it may not be able to reach by a path; in its
 * mount namespace the working directory is the same one there (clone(2)). */
static int clone_in_place(struct creation *cr, struct launched *ret, struct error *err)
{
	const struct runtime_rootfs *rootfs = cr->args->rootfs;
	const char *path = rootfs ? runtime_rootfs_place(rootfs) : cr->args->spec->root.path;
	autoclose int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int place = openat(cr->args->bundle_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (place < 0 || fchdir(place) < 0)
		return error_set(err, ERROR_INVALID, errno, "open root '%s'", path);
	r = launch_clone(&cr->setup, create_stages, create_stage_count,
			 cgroup_clone_fd(cr->c->cgroup), ret, err);
	if (before < 0 || fchdir(before) < 0)
		(void)!chdir("/"); /* it was one that we may not enter again */
	return r;
}

static int take_netns(struct creation *cr, struct error *err)
{
	if (!cr->netns)
		return 0;
	cr->c->netns_fd = netns_maker_finish(TAKE_PTR(cr->netns), err);
	return cr->c->netns_fd < 0 ? cr->c->netns_fd : 0;
}

static int launch(struct creation *cr, struct error *err)
{
	const struct runtime_create_args *args = cr->args;
	const struct oci_namespace *user = &args->spec->linux_.namespaces[OCI_NAMESPACE_USER];
	struct runtime_container *c = cr->c;
	struct scheduling_cpus others;
	struct launched process;
	bool movable;
	int r;

	r = create_cgroup(cr, err);
	if (r < 0)
		return r;
	/* In a user namespace it has no rights on the host's cgroups. */
	cr->setup.joins_cgroup = !user->present;
	cr->setup.waits_mapped =
		cr->setup.clone_flags & CLONE_NEWUSER || needs_time_offsets(&args->spec->linux_);
	movable = scheduling_find_others(&others);
	r = clone_in_place(cr, &process, err);
	if (r < 0)
		return r;
	if (movable)
		scheduling_move(process.pid, &others); /* we have all the cgroups to make */
	c->pid = process.pid;
	c->pidfd = process.pidfd;
	c->sync_fd = process.sync_fd;
	if (cr->netns) {
		netns_maker_hand_to(cr->netns, c->sync_fd);
		/* The network is configured while we go on. */
		r = args->on_namespaces || args->spec->linux_.net_devices.n ? take_netns(cr, err)
									    : 0;
		if (r < 0)
			return r;
	} else if (cr->setup.clone_flags & CLONE_NEWNET) {
		c->netns_fd = ns_open_pid(cr->setup.proc_fd, c->pid, "net");
		if (c->netns_fd < 0)
			return error_set(err, ERROR_INTERNAL, -c->netns_fd,
					 "open the network namespace");
	}
	return netdevices_move(&args->spec->linux_.net_devices, cr->setup.proc_fd,
			       container_netns(cr), &cr->net_devices, err);
}

/* While the process, which asks for it, enters its cgroups.  Without it, it makes its own, and tells why it
 * cannot. */
static int serve_cgroup_tree(struct creation *cr, struct error *err)
{
	autoclose int fd = -EBADF;
	int r = cr->setup.cgroup_tree_comes
			? sync_expect(cr->c->sync_fd, SYNC_CGROUP_TREE, NULL, err)
			: 0;

	if (r < 0 || !cr->setup.cgroup_tree_comes)
		return r;
	fd = rootfs_new_cgroup_tree(&cr->setup, NULL);
	return launch_give(cr->c->sync_fd, SYNC_CGROUP_TREE, fd < 0 ? -EBADF : fd, err);
}

/* What process 1 waits for comes first. */
static int provide(struct creation *cr, struct error *err)
{
	const struct runtime_create_args *args = cr->args;
	struct runtime_container *c = cr->c;
	int r = write_maps(cr, err);

	if (r == 0)
		r = finish_cgroup(cr, err);
	if (r == 0) {
		r = rdt_join(&args->spec->linux_, c->id, cr->setup.proc_fd, c->pid, err);
		cr->in_rdt_group = r == 0;
	}
	if (r == 0)
		r = launch_tell(c->sync_fd, SYNC_CGROUP, err);
	/* Only now: the process waits for its cgroup sooner than anybody for the network. */
	if (r == 0 && args->on_namespaces)
		args->on_namespaces(args->data, c->pid, c->netns_fd);
	if (r == 0 && args->on_process)
		r = args->on_process(args->data, c->pid, err);
	self_forget_mount(); /* the process is busy, and not as far as to need the word to go */
	if (r == 0)
		r = take_netns(cr, err);
	if (r == 0)
		r = serve_cgroup_tree(cr, err);
	if (r == 0)
		r = await_ready(cr, err);
	if (r == 0 && args->starts_at_once && !cr->setup.publishes)
		r = setup_publish(&args->publishes, err);
	return r;
}

/* A process that has failed is gone when we next do something to it: its own account of that is
 * the better one. */
static void prefer_account(int sync_fd, struct error *err)
{
	for (;;) {
		struct sync_message m;

		if (sync_recv(sync_fd, &m, NULL) <= 0)
			return;
		if (m.type == SYNC_ERROR) {
			(void)sync_take_error(&m, err);
			return;
		}
	}
}

static int roll_back(struct creation *cr, int r, struct error *err)
{
	struct runtime_container *c = cr->c;
	autoerror struct error netns_err = {0};

	if (cr->netns && c->pid > 0 && take_netns(cr, &netns_err) < 0)
		r = error_move(err, &netns_err, r); /* that is why the process got no further */
	launch_kill(c->pid, c->pidfd);
	if (c->pid > 0 && err) {
		prefer_account(c->sync_fd, err);
		r = err->errnum > 0 ? -err->errnum : -EIO;
	}
	c->pid = 0;
	netdevices_give_back(&cr->args->spec->linux_.net_devices, cr->setup.proc_fd,
			     container_netns(cr), &cr->net_devices);
	if (cr->in_rdt_group)
		(void)rdt_remove(&cr->args->spec->linux_, c->id, NULL);
	if (c->cgroup)
		(void)cgroup_destroy(c->cgroup, NULL); /* the first error is the one to tell */
	return r;
}

static bool id_is_valid(const char *id)
{
	static const char first[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-";
	static const char rest[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
	size_t len = id ? strlen(id) : 0;

	return len > 0 && len <= 1024 && strchr(first, id[0]) && strspn(id, rest) == len;
}

static struct netns_maker *start_netns(const struct oci_spec *spec,
				       struct runtime_prepared *prepared)
{
	struct netns_maker *made;

	if (!runtime_takes_netns(spec))
		return NULL;
	made = prepared_take_netns(prepared);
	return made ? made : netns_maker_start();
}

int runtime_create_listening(const struct runtime_create_args *args, int listen_fd,
			     struct runtime_container **ret, struct error *err)
{
	struct creation cr = {.args = args,
			      .child_sync_fd = -EBADF,
			      .setup.proc_fd = -EBADF,
			      .setup.prepared_root_fd = -EBADF};
	autoruntime struct runtime_container *c = xnew0(struct runtime_container);
	int r;

	c->pidfd = c->netns_fd = c->console_fd = c->sync_fd = c->bundle_fd = -EBADF;
	c->listen_fd = listen_fd;
	if (!id_is_valid(args->id))
		return error_set(err, ERROR_INVALID, 0, "container id '%s'",
				 args->id ? args->id : "");
	c->id = xstrdup(args->id);
	c->spec = args->spec;
	c->has_init = args->init_path;
	c->no_new_keyring = args->no_new_keyring;
	c->bundle_fd = fcntl(args->bundle_fd, F_DUPFD_CLOEXEC, 3);
	if (c->bundle_fd < 0)
		return error_set(err, ERROR_INVALID, errno, "bundle");
	c->bundle = launch_fd_path(c->bundle_fd);
	for (size_t i = 0; i < OCI_NAMESPACE_COUNT; i++)
		cr.setup.join_fds[i] = -EBADF;
	cr.c = c;
	cr.arena = arena_new();
	cr.netns = start_netns(args->spec, args->prepared);
	r = prepare(&cr, err);
	if (r == 0) {
		r = launch(&cr, err);
		if (r == 0)
			r = provide(&cr, err);
		if (r < 0)
			r = roll_back(&cr, r, err);
	}
	creation_done(&cr);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

int runtime_create(const struct runtime_create_args *args, struct runtime_container **ret,
		   struct error *err)
{
	return runtime_create_listening(args, -EBADF, ret, err);
}

/* That of an ordinary user's container may be none of its own. */
static int open_cgroup(struct runtime_container *c, const char *place, struct error *err)
{
	autoerror struct error why = {0};
	int r = cgroup_open(c->cgroups, place, &c->cgroup, &why);

	if (r == -ENOENT && rootless_is()) {
		cgroup_layout_set_optional(c->cgroups, true);
		return cgroup_open(c->cgroups, place, &c->cgroup, err);
	}
	return r < 0 ? error_move(err, &why, r) : 0;
}

int runtime_adopt(const struct runtime_create_args *args, pid_t pid, struct runtime_container **ret,
		  struct error *err)
{
	struct creation cr = {.args = args,
			      .child_sync_fd = -EBADF,
			      .setup.proc_fd = -EBADF,
			      .setup.prepared_root_fd = -EBADF};
	autoruntime struct runtime_container *c = xnew0(struct runtime_container);
	int r;

	c->pidfd = c->netns_fd = c->console_fd = c->sync_fd = c->listen_fd = -EBADF;
	c->bundle_fd = fcntl(args->bundle_fd, F_DUPFD_CLOEXEC, 3);
	if (c->bundle_fd < 0)
		return error_set(err, ERROR_INVALID, errno, "bundle");
	c->bundle = launch_fd_path(c->bundle_fd);
	c->id = xstrdup(args->id);
	c->spec = args->spec;
	c->pid = pid;
	for (size_t i = 0; i < OCI_NAMESPACE_COUNT; i++)
		cr.setup.join_fds[i] = -EBADF;
	cr.c = c;
	cr.arena = arena_new();
	r = cgroup_layout_detect(&c->cgroups, err);
	if (r == 0)
		r = create_cgroup(&cr, err);
	if (r == 0)
		r = finish_cgroup(&cr, err);
	if (r == 0 && args->spec->linux_.intel_rdt) {
		cr.setup.proc_fd = procfs_open(err);
		r = cr.setup.proc_fd < 0
			    ? cr.setup.proc_fd
			    : rdt_join(&args->spec->linux_, c->id, cr.setup.proc_fd, pid, err);
	}
	creation_done(&cr);
	c->pid = 0; /* until it is known */
	if (r < 0) {
		if (c->cgroup)
			(void)cgroup_destroy(c->cgroup,
					     NULL); /* the first error is the one to tell */
		return r;
	}
	*ret = TAKE_PTR(c);
	return 0;
}

void runtime_set_process(struct runtime_container *c, pid_t pid, int pidfd_take, int console_take)
{
	fd_close(&c->pidfd);
	fd_close(&c->console_fd);
	c->pid = pid;
	c->pidfd = pidfd_take;
	c->console_fd = console_take;
}

int runtime_open(const struct runtime_open_args *args, struct runtime_container **ret,
		 struct error *err)
{
	autoruntime struct runtime_container *c = xnew0(struct runtime_container);
	int r;

	c->netns_fd = c->console_fd = c->sync_fd = c->bundle_fd = c->listen_fd = -EBADF;
	c->pidfd = fcntl(args->pidfd, F_DUPFD_CLOEXEC, 3);
	if (c->pidfd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "process of container '%s'", args->id);
	c->id = xstrdup(args->id);
	c->bundle = xstrdup(args->bundle);
	c->spec = args->spec;
	c->pid = args->pid;
	c->no_new_keyring = args->no_new_keyring;
	c->finished = true; /* whoever deletes it runs them */
	for (size_t i = 0; i < OCI_NAMESPACE_COUNT; i++)
		if (args->spec->linux_.namespaces[i].present)
			c->ns_flags |= (uint64_t)ns_flags[i];
	if (args->own_time)
		c->ns_flags |= CLONE_NEWTIME;
	r = cgroup_layout_detect(&c->cgroups, err);
	if (r == 0)
		r = open_cgroup(c, args->cgroup_place, err);
	if (r == 0)
		r = load_seccomp(c, args->seccomp_cache_dir, args->seccomp_helper, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(c);
	return 0;
}

/* -- accessors ----------------------------------------------------------------------------- */

pid_t runtime_pid(const struct runtime_container *c)
{
	return c->pid;
}

int runtime_pidfd(const struct runtime_container *c)
{
	return c->pidfd;
}

int runtime_netns_fd(const struct runtime_container *c)
{
	return c->netns_fd;
}

int runtime_console_take(struct runtime_container *c)
{
	return TAKE_FD(c->console_fd);
}

struct cgroup *runtime_cgroup(struct runtime_container *c)
{
	return c->cgroup;
}

/* -- start and after ----------------------------------------------------------------------- */

int runtime_run_poststart(const struct oci_spec *spec, const char *id, pid_t pid,
			  const char *bundle, struct error *err)
{
	autofree char *state = runtime_state_json(spec, id, "running", pid, bundle);

	return hooks_run(&spec->hooks.poststart, "poststart", state, err);
}

int runtime_start(struct runtime_container *c, struct error *err)
{
	autoclose int sync = TAKE_FD(c->sync_fd);
	int r;

	if (sync < 0)
		return error_set(err, ERROR_CONFLICT, 0, "container '%s' has been started", c->id);
	r = c->told_to_go ? launch_await_exec(sync, err) : launch_go(sync, err);
	if (r < 0) {
		launch_kill(c->pid, c->pidfd);
		c->pid = 0;
		return r;
	}
	if (c->spec->hooks.poststart.n == 0)
		return 0;
	r = runtime_run_poststart(c->spec, c->id, c->pid, c->bundle, err);
	if (r < 0) { /* runtime-spec 1.3: the container is to be stopped */
		launch_kill(c->pid, c->pidfd);
		c->pid = 0;
	}
	return r;
}

static bool has_exited(const struct runtime_container *c)
{
	return c->pidfd < 0 || pidfd_wait(c->pidfd, 0) != 0;
}

int runtime_kill(struct runtime_container *c, int signo, bool all, struct error *err)
{
	int r;

	if (all && c->cgroup)
		return cgroup_kill(c->cgroup, signo, err);
	r = has_exited(c) ? -ESRCH : pidfd_signal(c->pidfd, signo);
	if (r == -ESRCH)
		return error_set(err, ERROR_CONFLICT, 0, "container not running");
	if (r < 0)
		return error_set(err, r == -EINVAL ? ERROR_INVALID : ERROR_INTERNAL, -r,
				 "send signal %d to container '%s'", signo, c->id);
	/* v1: a frozen process does not even die. */
	if (signo == SIGKILL && c->cgroup) {
		bool frozen = false;

		if (cgroup_is_frozen(c->cgroup, &frozen, NULL) == 0 && frozen)
			return cgroup_freeze(c->cgroup, false, err);
	}
	return 0;
}

static int freeze(struct runtime_container *c, bool frozen, struct error *err)
{
	if (!c->cgroup || has_exited(c))
		return error_set(err, ERROR_CONFLICT, 0, "container not running");
	return cgroup_freeze(c->cgroup, frozen, err);
}

int runtime_pause(struct runtime_container *c, struct error *err)
{
	return freeze(c, true, err);
}

int runtime_resume(struct runtime_container *c, struct error *err)
{
	return freeze(c, false, err);
}

int runtime_finish(const struct oci_spec *spec, const char *id, const char *bundle,
		   struct error *err)
{
	autofree char *state = NULL;
	int r = rdt_remove(&spec->linux_, id, err);

	if (spec->hooks.poststop.n) {
		state = runtime_state_json(spec, id, "stopped", 0, bundle);
		hooks_run_all(&spec->hooks.poststop, "poststop", state);
	}
	return r;
}

#define EXIT_TIMEOUT_MS 10000

int runtime_delete(struct runtime_container *c, struct error *err)
{
	int r = 0;

	fd_close(&c->sync_fd); /* one that still waits for the word exits */
	if (!has_exited(c)) {
		(void)runtime_kill(c, SIGKILL, false, NULL); /* ESRCH is fine */
		(void)pidfd_wait(c->pidfd, EXIT_TIMEOUT_MS);
	}
	if (c->cgroup) {
		r = cgroup_destroy(c->cgroup, err);
		if (r < 0)
			return r;
		c->cgroup = cgroup_free(c->cgroup);
	}
	if (!c->finished) {
		c->finished = true;
		r = runtime_finish(c->spec, c->id, c->bundle, err);
	}
	return r;
}

static char *copy_string(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

static void *copy_struct(const void *p, size_t size)
{
	return p ? xmemdup(p, size) : NULL;
}

/* Where the namespaces are, for exec joins those that were not the caller's; and what every process of
 * the container has. */
bool runtime_release_spec(struct runtime_container *c)
{
	const struct oci_linux *l = &c->spec->linux_;
	struct oci_memory_policy *policy;
	struct oci_spec *own;

	if (c->own_spec)
		return true;
	/* what is done in the end needs it; agents are told the annotations */
	if (c->spec->hooks.poststop.n > 0 || l->intel_rdt ||
	    (c->has_seccomp && seccomp_program_notifies(&c->seccomp)))
		return false;
	own = xnew0(struct oci_spec);
	for (size_t i = 0; i < OCI_NAMESPACE_COUNT; i++) {
		own->linux_.namespaces[i].present = l->namespaces[i].present;
		own->linux_.namespaces[i].path = copy_string(l->namespaces[i].path);
	}
	own->linux_.personality = copy_struct(l->personality, sizeof(*l->personality));
	own->linux_.memory_policy = policy =
		copy_struct(l->memory_policy, sizeof(*l->memory_policy));
	if (policy)
		policy->nodes = copy_string(policy->nodes);
	c->spec = c->own_spec = own;
	return true;
}

static void free_const(const void *p)
{
	free((void *)(uintptr_t)p);
}

static void free_own_spec(struct oci_spec *own)
{
	if (!own)
		return;
	for (size_t i = 0; i < OCI_NAMESPACE_COUNT; i++)
		free_const(own->linux_.namespaces[i].path);
	free_const(own->linux_.personality);
	if (own->linux_.memory_policy)
		free_const(own->linux_.memory_policy->nodes);
	free_const(own->linux_.memory_policy);
	free(own);
}

struct runtime_container *runtime_free(struct runtime_container *c)
{
	if (!c)
		return NULL;
	free_own_spec(c->own_spec);
	fd_close(&c->pidfd);
	fd_close(&c->netns_fd);
	fd_close(&c->console_fd);
	fd_close(&c->sync_fd);
	fd_close(&c->bundle_fd);
	(void)cgroup_free(c->cgroup);
	(void)cgroup_layout_free(c->cgroups);
	seccomp_program_done(&c->seccomp);
	free(c->bundle);
	free(c->id);
	free(c);
	return NULL;
}

int runtime_oom_count(const struct runtime_container *c, uint64_t *ret, struct error *err)
{
	if (!c->cgroup)
		return error_set(err, ERROR_UNAVAILABLE, 0, "container has no cgroup");
	return cgroup_oom_count(c->cgroup, ret, err);
}

int runtime_oom_watch(const struct runtime_container *c, int *ret_fd, struct error *err)
{
	if (!c->cgroup)
		return error_set(err, ERROR_UNAVAILABLE, 0, "container has no cgroup");
	return cgroup_oom_watch(c->cgroup, ret_fd, err);
}

int runtime_error_exit_code(const struct error *err)
{
	if (err->kind != ERROR_INVALID || !str_has_prefix(error_msg(err), "exec: "))
		return 128;
	switch (err->errnum) {
	case ENOENT:
	case ENOTDIR:
		return 127;
	case EACCES:
	case EPERM:
	case EISDIR:
	case ENOEXEC:
		return 126;
	default:
		return 128;
	}
}
