/* create, run and start. */
#include "bin/runtime/creation.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/str.h"
#include "bin/runtime/commands.h"
#include "bin/runtime/handover.h"
#include "bin/runtime/notify.h"
#include "runtime/foreground.h"
#include "runtime/runtime.h"
#include "runtime/state.h"

#define FDS_MAX 1024 /* descriptors that can be passed on */

void creation_done(struct creation *cr)
{
	(void)runtime_free(cr->c);
	(void)state_free(cr->state);
	(void)runtime_prepared_free(cr->prepared);
	bundle_done(&cr->bundle);
	fd_close(&cr->notify_fd);
	free(cr->seccomp_cache);
}

static char *annotations_json(const struct oci_spec *spec)
{
	struct strbuf out = STRBUF_INIT(OCI_SPEC_MAX);
	struct json_writer w;

	if (spec->annotations.n == 0)
		return NULL;
	json_writer_init(&w, &out);
	jw_object(&w);
	for (size_t i = 0; i < spec->annotations.n; i++)
		jw_kstring(&w, spec->annotations.keys[i], spec->annotations.values[i]);
	jw_object_end(&w);
	return strbuf_take(&out);
}

static int describe(const struct options *o, struct state *s, const struct bundle *b,
		    struct error *err)
{
	const char *root = b->spec.root.path;
	char created[CLOCK_RFC3339_SIZE];
	int r;

	clock_format_rfc3339(clock_realtime_ns(), created);
	s->created = xstrdup(created);
	s->version = xstrdup(b->spec.version);
	s->bundle = xstrdup(b->path);
	s->rootfs = root[0] == '/' ? xstrdup(root) : xasprintf("%s/%s", b->path, root);
	s->annotations = annotations_json(&b->spec);
	s->no_new_keyring = options_has(o, OPT_NO_NEW_KEYRING);
	s->has_poststart = b->spec.hooks.poststart.n;
	s->has_poststop = b->spec.hooks.poststop.n || b->spec.linux_.intel_rdt;
	r = runtime_cgroup_place(&b->spec, s->id, options_has(o, OPT_SYSTEMD_CGROUP),
				 &s->cgroup_path, err);
	return r < 0 ? r : state_note_cgroup(s, err);
}

/* Sockets that our caller listens on for the container (sd_listen_fds(3)): they are the first of the
 * descriptors passed on, and process 1 is told so. */
static unsigned pass_listen_fds(struct bundle *b)
{
	const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	const char *names = getenv("LISTEN_FDNAMES");
	struct json_strings *env = &b->spec.process.env;
	const char **v;
	uint32_t n, for_pid;

	if (!count || !pid || str_parse_u32(count, &n) < 0 || str_parse_u32(pid, &for_pid) < 0 ||
	    for_pid != (uint32_t)getpid() || n == 0 || n > FDS_MAX)
		return 0;
	v = arena_new0n(b->arena, const char *, env->n + 4);
	if (env->n)
		memcpy(v, env->v, env->n * sizeof(*v));
	v[env->n++] = arena_printf(b->arena, "LISTEN_FDS=%u", n);
	v[env->n++] = "LISTEN_PID=1";
	if (names)
		v[env->n++] = arena_printf(b->arena, "LISTEN_FDNAMES=%s", names);
	env->v = v;
	return n;
}

/* Nobody waits for this: process 1 is at its mounts meanwhile. */
static int on_process(void *data, pid_t pid, struct error *err)
{
	struct creation *cr = data;
	int r = state_save_config(cr->state, cr->bundle.text, cr->bundle.len, err);

	if (r < 0 || !cr->args.starts_at_once)
		return r;
	r = state_note_process(cr->state, pid, err);
	return r < 0 ? r : state_save_hidden(cr->state, err);
}

static int fill_args(struct creation *cr, struct error *err)
{
	const struct options *o = cr->o;
	unsigned preserve = options_count(o, OPT_PRESERVE_FDS) + pass_listen_fds(&cr->bundle);

	int r = options_check_fds(o, preserve, err);

	if (r < 0)
		return r;
	cr->args = (struct runtime_create_args){
		.id = o->args[0],
		.spec = &cr->bundle.spec,
		.bundle_fd = cr->bundle.fd,
		.stdio = {0, 1, 2},
		.preserve_fds = preserve,
		.cgroup_place = cr->state->cgroup_path,
		.seccomp_cache_dir = cr->seccomp_cache,
		.no_pivot = options_has(o, OPT_NO_PIVOT),
		.no_new_keyring = options_has(o, OPT_NO_NEW_KEYRING),
		.on_process = on_process,
		.prepared = cr->prepared,
		.data = cr,
	};
	return 0;
}

/* Our terminal, if we have one, is at the other end of the container's. */
static void stay_at_terminal(struct creation *cr)
{
	struct oci_process *p = &cr->bundle.spec.process;

	cr->args.plain_newlines = true;
	if (p->terminal)
		(void)foreground_size(&p->console_size.height, &p->console_size.width);
}

int creation_begin(struct creation *cr, bool detach, struct error *err)
{
	const struct options *o = cr->o;
	int r = bundle_read(o->value[OPT_BUNDLE], &cr->bundle, err);

	/* a network namespace takes so long that it is worth a guess */
	if (r == 0 && cr->prepares && bundle_seems_to_take_netns(&cr->bundle))
		cr->prepared = runtime_prepare(true);
	if (r == 0)
		r = bundle_parse(&cr->bundle, err);
	if (r == 0 && cr->prepared && !runtime_takes_netns(&cr->bundle.spec))
		cr->prepared = runtime_prepared_free(cr->prepared);
	if (r == 0)
		r = handover_check(o,
				   cr->bundle.spec.has_process && cr->bundle.spec.process.terminal,
				   detach, err);
	if (r == 0)
		r = state_create(o->value[OPT_ROOT], o->args[0], &cr->state, err);
	if (r == 0)
		r = bundle_seccomp_cache(o, &cr->bundle, &cr->seccomp_cache, err);
	if (r == 0)
		r = describe(o, cr->state, &cr->bundle, err);
	if (r == 0 && notify_is_wanted())
		r = notify_prepare(cr->state, o->value[OPT_ROOT], cr->bundle.arena,
				   &cr->bundle.spec, err);
	if (r == 0)
		r = fill_args(cr, err);
	if (r == 0 && !detach)
		stay_at_terminal(cr);
	return r;
}

int creation_record(struct creation *cr, struct error *err)
{
	struct handover h = {.pid = runtime_pid(cr->c),
			     .pidfd = runtime_pidfd(cr->c),
			     .console_fd = -EBADF,
			     .what = "standard"};
	int r = state_save(cr->state, err);

	if (r == 0 && options_has(cr->o, OPT_CONSOLE_SOCKET))
		h.console_fd = runtime_console_take(cr->c);
	if (r == 0)
		r = handover(cr->o, &h, err);
	fd_close(&h.console_fd);
	return r;
}

void creation_roll_back(struct creation *cr)
{
	if (cr->c)
		(void)runtime_delete(cr->c, NULL); /* the first error is the one to tell */
	if (cr->state)
		(void)state_remove(cr->o->value[OPT_ROOT], cr->state, NULL);
}

int command_create(const struct options *o, int *ret_code, struct error *err)
{
	autocreation struct creation cr = CREATION_INIT(o);
	int r;

	(void)ret_code;
	cr.prepares = true;
	r = creation_begin(&cr, true, err);
	if (r == 0)
		r = state_create_container(cr.state, &cr.args, &cr.c, err);
	if (r == 0)
		r = creation_record(&cr, err);
	if (r < 0)
		creation_roll_back(&cr);
	return r;
}

/* Without a pid namespace of the container's, its orphans come to us, if we want them to. */
bool creation_adopt_orphans(const struct creation *cr)
{
	if (cr->bundle.spec.linux_.namespaces[OCI_NAMESPACE_PID].present ||
	    options_has(cr->o, OPT_NO_SUBREAPER))
		return false;
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

static void on_notification(void *data)
{
	struct creation *cr = data;

	notify_read(&cr->notify_fd, 0);
}

int creation_stay(struct creation *cr, bool subreaper, int *ret_code, struct error *err)
{
	autoclose int console = runtime_console_take(cr->c);
	const struct foreground_args args = {.pid = runtime_pid(cr->c),
					     .pidfd = runtime_pidfd(cr->c),
					     .console_fd = console,
					     .watch_fd = &cr->notify_fd,
					     .on_watch = on_notification,
					     .data = cr,
					     .reap_others = subreaper};
	int r = foreground_run(&args, ret_code, err);
	int deleted;

	if (options_has(cr->o, OPT_KEEP))
		return r;
	deleted = runtime_delete(cr->c, r < 0 ? NULL : err);
	(void)state_remove(cr->o->value[OPT_ROOT], cr->state, NULL);
	return r < 0 ? r : deleted;
}

/* Nothing is to be handed over first, and there is no socket for process 1 to find. */
static bool starts_at_once(const struct creation *cr)
{
	return !options_has(cr->o, OPT_CONSOLE_SOCKET) && !options_has(cr->o, OPT_PIDFD_SOCKET) &&
	       !options_has(cr->o, OPT_PID_FILE) && !notify_is_wanted();
}

/* Nothing is given back in the end: the kernel, which has to look at all of it anyway, is quicker. */
int command_run(const struct options *o, int *ret_code, struct error *err)
{
	static struct creation cr;
	bool detach = options_has(o, OPT_DETACH), subreaper = false;
	int r;

	cr = (struct creation)CREATION_INIT(o);
	cr.prepares = true;
	r = creation_begin(&cr, detach, err);
	if (r == 0 && !detach) {
		foreground_block_signals();
		subreaper = creation_adopt_orphans(&cr);
	}
	if (r == 0) {
		cr.args.starts_at_once = starts_at_once(&cr);
		cr.args.publishes = state_publication(cr.state);
		r = runtime_create(&cr.args, &cr.c, err);
	}
	if (r == 0 && !cr.args.starts_at_once)
		r = state_note_process(cr.state, runtime_pid(cr.c), err);
	if (r == 0 && !cr.args.starts_at_once)
		r = creation_record(&cr, err);
	if (r == 0)
		r = notify_listen(cr.state, &cr.notify_fd, err);
	if (r == 0)
		r = runtime_start(cr.c, err);
	if (r < 0) {
		creation_roll_back(&cr);
		return r;
	}
	if (detach)
		notify_wait(&cr.notify_fd, runtime_pid(cr.c), runtime_pidfd(cr.c));
	return detach ? 0 : creation_stay(&cr, subreaper, ret_code, err);
}

/* runtime-spec 1.3: when one fails, so does start, and the container is stopped. */
static int run_poststart(const struct state *s, struct error *err)
{
	autobundle struct bundle b = BUNDLE_INIT;
	int r = bundle_load_saved(s, &b, err);

	if (r == 0)
		r = runtime_run_poststart(&b.spec, s->id, s->pid, s->bundle, err);
	if (r < 0)
		state_end_process(s);
	return r;
}

int command_start(const struct options *o, int *ret_code, struct error *err)
{
	autostate struct state *s = NULL;
	autoclose int notify = -EBADF, pidfd = -EBADF;
	int r = state_load(o->value[OPT_ROOT], o->args[0], &s, err);

	(void)ret_code;
	if (r == 0)
		r = notify_listen(s, &notify, err);
	if (r == 0)
		r = state_start_container(s, err);
	if (r == 0 && s->has_poststart)
		r = run_poststart(s, err);
	if (r == 0 && notify >= 0) {
		pidfd = state_open_process(s);
		notify_wait(&notify, s->pid, pidfd);
	}
	return r;
}
