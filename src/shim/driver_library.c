/* Containers made by our own runtime library, in this process. */
#include "base/arena.h"
#include "base/error.h"
#include "oci/runtime_spec.h"
#include "runtime/runtime.h"
#include "shim/driver.h"
#include "shim/protocol.h"

struct library {
	struct driver base;
	struct runtime_container *container; /* owned */
};

static struct runtime_container *container_of(struct driver *d)
{
	return ((struct library *)d)->container;
}

static int library_start(struct driver *d, struct error *err)
{
	return runtime_start(container_of(d), err);
}

static bool library_release_spec(struct driver *d)
{
	return runtime_release_spec(container_of(d));
}

static int library_exec(struct driver *d, const struct driver_exec_args *args,
			struct driver_process *ret, struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct oci_process process;
	struct runtime_exec_process started = {0};
	struct runtime_exec_args run = {.container = container_of(d), .process = &process};
	int r = oci_process_parse(a, args->process, &process, err);

	if (r < 0)
		return r;
	process.terminal = args->tty;
	if (args->rows && args->cols && args->rows <= UINT16_MAX && args->cols <= UINT16_MAX)
		process.console_size = (struct oci_console_size){.height = (uint16_t)args->rows,
								 .width = (uint16_t)args->cols};
	for (size_t i = 0; i < ARRAY_SIZE(run.stdio); i++)
		run.stdio[i] = args->stdio[i];
	r = runtime_exec(&run, &started, err);
	if (r < 0)
		return r;
	fd_close(&started.pidfd); /* reaped by pid, with all other children */
	*ret = (struct driver_process){started.pid, started.console_fd};
	return 0;
}

static int library_kill(struct driver *d, int signo, struct error *err)
{
	return runtime_kill(container_of(d), signo, false, err);
}

static int library_pause(struct driver *d, struct error *err)
{
	return runtime_pause(container_of(d), err);
}

static int library_resume(struct driver *d, struct error *err)
{
	return runtime_resume(container_of(d), err);
}

static int library_update(struct driver *d, const struct json *resources, struct error *err)
{
	autoarena struct arena *a = arena_new();
	struct oci_resources res = {0};
	int r = oci_resources_parse(a, resources, &res, err);

	res.devices = (struct json_objects){0};
	return r < 0 ? r : runtime_apply_resources(d->cgroup, &res, err);
}

static int library_remove(struct driver *d, struct error *err)
{
	return runtime_delete(container_of(d), err);
}

static struct driver *library_free(struct driver *d)
{
	fd_close(&d->console_fd);
	(void)runtime_free(container_of(d));
	free(d);
	return NULL;
}

static const struct driver_ops library_ops = {
	.start = library_start,
	.release_spec = library_release_spec,
	.exec = library_exec,
	.kill = library_kill,
	.pause = library_pause,
	.resume = library_resume,
	.update = library_update,
	.remove = library_remove,
	.free = library_free,
};

int driver_library_create(const struct driver_create_args *args, struct driver **ret,
			  struct error *err)
{
	const struct shim_config *c = args->config;
	const struct runtime_rootfs rootfs = driver_rootfs(c);
	struct runtime_create_args create = {
		.id = c->id,
		.spec = args->spec,
		.bundle_fd = args->state_dir_fd,
		.rootfs = c->lower.n > 0 ? &rootfs : NULL,
		.stdio = {args->stdio[0], args->stdio[1], args->stdio[2]},
		.seccomp_cache_dir = c->seccomp_cache,
		.seccomp_helper = c->seccomp_helper,
		.init_path = c->init_path,
		.on_namespaces = args->on_namespaces,
		.data = args->data,
		.prepared = args->prepared,
	};
	struct runtime_container *container;
	struct library *l;
	int r = runtime_create(&create, &container, err);

	if (r < 0)
		return r;
	l = xnew0(struct library);
	l->container = container;
	l->base = (struct driver){.ops = &library_ops,
				  .pid = runtime_pid(container),
				  .pidfd = runtime_pidfd(container),
				  .netns_fd = runtime_netns_fd(container),
				  .console_fd = runtime_console_take(container),
				  .cgroup = runtime_cgroup(container)};
	*ret = &l->base;
	return 0;
}
