/* exec: another process in a running container, by the configuration it was created with. */
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"
#include "bin/runtime/bundle.h"
#include "bin/runtime/commands.h"
#include "bin/runtime/handover.h"
#include "runtime/foreground.h"
#include "runtime/runtime.h"
#include "runtime/state.h"

/* -- what to run --------------------------------------------------------------------------- */

static int read_process(struct arena *a, const char *path, struct oci_process *ret,
			struct error *err)
{
	autofree char *text = NULL;
	const struct json *v;
	size_t len = 0;
	int r = file_read(AT_FDCWD, path, OCI_SPEC_MAX, &text, &len, err);

	if (r >= 0)
		r = json_parse(a, text, len, &v, err);
	if (r >= 0)
		r = oci_process_parse(a, v, ret, err);
	return r < 0 ? error_wrap(err, r, "--process '%s'", path) : 0;
}

/* `list` and what the option was given. */
static struct json_strings append(struct arena *a, const struct json_strings *list,
				  const struct options *o, enum option_id id)
{
	const char **v = arena_new0n(a, const char *, list->n + o->given_count + 1), *value;
	size_t n = list->n, pos = 0;

	if (n)
		memcpy(v, list->v, n * sizeof(*v));
	while ((value = options_next(o, id, &pos)))
		v[n++] = value;
	return (struct json_strings){.v = v, .n = n};
}

/* As runc: ambient ones only where the container has inheritable ones, for without those they cannot
 * be had, and inheritable ones are not given (CVE-2022-29162). */
static void add_capabilities(struct arena *a, const struct options *o, struct oci_process *p)
{
	struct oci_capabilities *caps;
	size_t pos = 0;

	if (!options_next(o, OPT_CAP, &pos))
		return;
	caps = arena_new0(a, struct oci_capabilities);
	if (p->capabilities)
		*caps = *p->capabilities;
	caps->bounding = append(a, &caps->bounding, o, OPT_CAP);
	caps->effective = append(a, &caps->effective, o, OPT_CAP);
	caps->permitted = append(a, &caps->permitted, o, OPT_CAP);
	if (caps->inheritable.n)
		caps->ambient = append(a, &caps->ambient, o, OPT_CAP);
	p->capabilities = caps;
}

static int set_user(const struct options *o, struct oci_process *p, struct error *err)
{
	const char *user = o->value[OPT_USER], *colon = user ? strchr(user, ':') : NULL;
	autofree char *uid = user ? xstrndup(user, strcspn(user, ":")) : NULL;

	if (!user)
		return 0;
	if (colon && str_parse_u32(colon + 1, &p->user.gid) < 0)
		return error_set(err, ERROR_INVALID, 0, "parsing %s as int for gid failed",
				 colon + 1);
	if (str_parse_u32(uid, &p->user.uid) < 0)
		return error_set(err, ERROR_INVALID, 0, "parsing %s as int for uid failed", uid);
	return 0;
}

static int add_groups(struct arena *a, const struct options *o, struct oci_process *p,
		      struct error *err)
{
	size_t n = p->user.additional_gid_count, pos = 0;
	uint32_t *gids = arena_new0n(a, uint32_t, n + o->given_count + 1);
	const char *value;

	if (n)
		memcpy(gids, p->user.additional_gids, n * sizeof(*gids));
	while ((value = options_next(o, OPT_ADDITIONAL_GIDS, &pos)))
		if (str_parse_u32(value, &gids[n++]) < 0)
			return error_set(err, ERROR_INVALID, 0, "--additional-gids '%s'", value);
	p->user.additional_gids = gids;
	p->user.additional_gid_count = n;
	return 0;
}

/* The container's own process with another command line, and what the options change. */
static int process_of_options(struct arena *a, const struct options *o, struct oci_process *p,
			      struct error *err)
{
	int r;

	if (o->arg_count < 2)
		return error_set(err, ERROR_INVALID, 0, "process args cannot be empty");
	p->args = (struct json_strings){.v = (const char **)(o->args + 1), .n = o->arg_count - 1};
	p->env = append(a, &p->env, o, OPT_ENV);
	p->terminal = options_has(o, OPT_TTY); /* not inherited */
	if (o->value[OPT_CWD])
		p->cwd = o->value[OPT_CWD];
	if (p->cwd[0] != '/')
		return error_set(err, ERROR_INVALID, 0, "Cwd must be an absolute path");
	if (o->value[OPT_APPARMOR])
		p->apparmor_profile = o->value[OPT_APPARMOR];
	if (o->value[OPT_PROCESS_LABEL])
		p->selinux_label = o->value[OPT_PROCESS_LABEL];
	for (size_t i = 0; i < o->given_count; i++)
		if (o->given[i].id == OPT_NO_NEW_PRIVS)
			p->no_new_privileges = options_has(o, OPT_NO_NEW_PRIVS);
	add_capabilities(a, o, p);
	r = set_user(o, p, err);
	return r < 0 ? r : add_groups(a, o, p, err);
}

static int make_process(const struct bundle *b, const struct options *o, struct oci_process *ret,
			struct error *err)
{
	if (o->value[OPT_PROCESS])
		return read_process(b->arena, o->value[OPT_PROCESS], ret, err);
	*ret = b->spec.process;
	return process_of_options(b->arena, o, ret, err);
}

/* -- where to run it ----------------------------------------------------------------------- */

/* --cgroup [CONTROLLER[,CONTROLLER...]:]PATH */
static int sub_cgroups(struct arena *a, const struct options *o, struct runtime_exec_args *ret,
		       struct error *err)
{
	struct runtime_exec_cgroup *list;
	size_t room = 0, n = 0, pos = 0, given = 0;
	const char *value;

	while ((value = options_next(o, OPT_CGROUP, &pos)))
		room += strlen(value) + 1;
	list = arena_new0n(a, struct runtime_exec_cgroup, room + 1);
	for (pos = 0; (value = options_next(o, OPT_CGROUP, &pos)); given++) {
		char *names = arena_strdup(a, value), *path = strchr(names, ':'), *name;

		if (!path) {
			list[n++].path = names;
			continue;
		}
		*path++ = '\0';
		while ((name = strsep(&names, ","))) {
			if (name[0] == '\0')
				return error_set(err, ERROR_INVALID, 0,
						 "invalid --cgroup argument: %s (empty "
						 "<controller> prefix)",
						 value);
			for (size_t i = 0; i < n; i++)
				if (str_eq(list[i].controller, name))
					return error_set(err, ERROR_INVALID, 0,
							 "invalid --cgroup argument(s): controller "
							 "%s specified multiple times",
							 name);
			list[n++] = (struct runtime_exec_cgroup){name, path};
		}
	}
	for (size_t i = 0; i < n; i++)
		if (!list[i].controller && given > 1)
			return error_set(err, ERROR_INVALID, 0,
					 "invalid --cgroup argument: %s (missing <controller>: "
					 "prefix)",
					 list[i].path);
	ret->cgroups = list;
	ret->cgroup_count = n;
	return 0;
}

static int check_status(const struct options *o, const struct state *s, struct error *err)
{
	enum state_status status = state_status(s);

	if (status == STATE_STOPPED || status == STATE_CREATING)
		return error_set(err, ERROR_CONFLICT, 0, "cannot exec in a stopped container");
	if (status == STATE_PAUSED && !options_has(o, OPT_IGNORE_PAUSED))
		return error_set(err, ERROR_CONFLICT, 0,
				 "cannot exec in a paused container (use --ignore-paused to "
				 "override)");
	return 0;
}

/* -- running it ---------------------------------------------------------------------------- */

static int stay(const struct options *o, struct runtime_exec_process *p, int *ret_code,
		struct error *err)
{
	const struct foreground_args args = {
		.pid = p->pid, .pidfd = p->pidfd, .console_fd = p->console_fd};

	return options_has(o, OPT_DETACH) ? 0 : foreground_run(&args, ret_code, err);
}

static int run_process(const struct options *o, const struct runtime_exec_args *args, int *ret_code,
		       struct error *err)
{
	struct runtime_exec_process p = {.pidfd = -EBADF, .console_fd = -EBADF};
	struct handover h = {.what = "setns"};
	int r;

	if (!options_has(o, OPT_DETACH))
		foreground_block_signals();
	r = runtime_exec(args, &p, err);
	if (r == 0) {
		h.pid = p.pid;
		h.pidfd = p.pidfd;
		h.console_fd = p.console_fd;
		r = handover(o, &h, err);
		if (r == 0)
			r = stay(o, &p, ret_code, err);
		else
			runtime_exec_kill(&p);
	}
	fd_close(&p.pidfd);
	fd_close(&p.console_fd);
	return r;
}

int command_exec(const struct options *o, int *ret_code, struct error *err)
{
	autobundle struct bundle b = BUNDLE_INIT;
	autostate struct state *s = NULL;
	autoruntime struct runtime_container *c = NULL;
	autofree char *cache = NULL;
	struct oci_process process;
	struct runtime_exec_args args = {.process = &process,
					 .stdio = {0, 1, 2},
					 .preserve_fds = options_count(o, OPT_PRESERVE_FDS),
					 .ignore_paused = options_has(o, OPT_IGNORE_PAUSED)};
	int r = state_load(o->value[OPT_ROOT], o->args[0], &s, err);

	if (r == 0)
		r = check_status(o, s, err);
	if (r == 0)
		r = bundle_load_saved(s, &b, err);
	if (r == 0)
		r = make_process(&b, o, &process, err);
	if (r == 0)
		r = handover_check(o, process.terminal, options_has(o, OPT_DETACH), err);
	if (r == 0)
		r = options_check_fds(o, args.preserve_fds, err);
	if (r == 0 && process.terminal && !options_has(o, OPT_DETACH)) {
		args.plain_newlines = true;
		(void)foreground_size(&process.console_size.height, &process.console_size.width);
	}
	if (r == 0)
		r = sub_cgroups(b.arena, o, &args, err);
	if (r == 0)
		r = bundle_seccomp_cache(o, &b, &cache, err);
	if (r == 0)
		r = state_open_container(s, &b.spec, cache, &c, err);
	args.container = c;
	return r < 0 ? r : run_process(o, &args, ret_code, err);
}
