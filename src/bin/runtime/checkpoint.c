/* checkpoint: a container into images of criu's. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "bin/runtime/bundle.h"
#include "bin/runtime/commands.h"
#include "bin/runtime/external.h"
#include "bin/runtime/session.h"
#include "linux/cgroup.h"
#include "runtime/state.h"

#define DUMP_LOG "dump.log"

static int set_parent(struct session *s, struct error *err)
{
	const char *parent = s->o->value[OPT_PARENT_PATH];
	struct stat st;

	if (str_empty(parent))
		return 0;
	if (parent[0] == '/')
		return error_set(err, ERROR_INVALID, 0, "--parent-path must be relative");
	if (fstatat(s->images_fd, parent, &st, 0) < 0 ||
	    (!S_ISDIR(st.st_mode) && (errno = ENOTDIR)))
		return error_set(err, ERROR_INVALID, errno, "invalid --parent-path: '%s'", parent);
	criu_add_string(&s->opts, CRIU_PARENT_IMAGES, parent);
	return 0;
}

static int set_page_server(struct session *s, struct error *err)
{
	const char *server = s->o->value[OPT_PAGE_SERVER];
	const char *colon = server ? strrchr(server, ':') : NULL;
	autofree char *address = colon ? xstrndup(server, (size_t)(colon - server)) : NULL;
	int port;

	if (str_empty(server))
		return 0;
	if (str_empty(address) || str_empty(colon + 1))
		return error_set(err, ERROR_INVALID, 0,
				 "Use --page-server ADDRESS:PORT to specify page server");
	if (str_parse_int(colon + 1, &port) < 0 || port <= 0 || port > 65535)
		return error_set(err, ERROR_INVALID, 0, "Invalid port number");
	criu_add_page_server(&s->opts, address, port);
	return 0;
}

static int set_status_fd(struct session *s, struct error *err)
{
	const char *value = s->o->value[OPT_STATUS_FD];
	int fd, flags;

	if (!value || strcmp(value, "-1") == 0)
		return 0;
	flags = str_parse_int(value, &fd) < 0 ? -1 : fcntl(fd, F_GETFL);
	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return error_set(err, ERROR_INVALID, 0,
				 "invalid --status-fd argument %s: not writable", value);
	s->status_fd = fd;
	return 0;
}

/* criu freezes by the cgroup, which is quicker and surer than by ptrace(2). */
static void set_freezer(struct session *s)
{
	autocgrouplayout struct cgroup_layout *layout = NULL;
	autocgroup struct cgroup *cg = NULL;

	if (state_open_cgroup(s->state, &layout, &cg, NULL) < 0)
		return;
	for (size_t i = 0; i < cgroup_layout_count(layout); i++) {
		bool v2_only = cgroup_layout_mode(layout) == CGROUP_MODE_V2;
		autofree char *path = NULL;
		struct cgroup_hierarchy h;

		cgroup_layout_get(layout, i, &h);
		if (v2_only ? !h.is_v2 : strcmp(h.controllers, "freezer") != 0)
			continue;
		path = xasprintf("%s%s", h.mount_point, cgroup_path(cg));
		criu_add_string(&s->opts, CRIU_FREEZE_CGROUP, path);
	}
}

static int on_dump_step(void *data, const char *step, pid_t pid, int fd, struct error *err)
{
	struct session *s = data;

	(void)pid;
	(void)fd;
	(void)err;
	if (strcmp(step, "status-ready") == 0 && s->status_fd >= 0) {
		(void)!write(s->status_fd, "", 1); /* whoever waited may have gone */
		fd_close(&s->status_fd);
	}
	return 0;
}

static int dump(struct session *s, struct error *err)
{
	bool pre_dump = options_has(s->o, OPT_PRE_DUMP);
	const struct external_args external = {s->spec, s->state, s->images_fd};
	int r;

	criu_add_string(&s->opts, CRIU_ROOT, s->state->rootfs);
	criu_add_int(&s->opts, CRIU_PID, s->state->pid);
	if (pre_dump || s->o->value[OPT_PARENT_PATH])
		criu_add_int(&s->opts, CRIU_TRACK_MEM, 1);
	set_freezer(s);
	r = set_parent(s, err);
	if (r == 0)
		r = set_page_server(s, err);
	if (r == 0)
		r = set_status_fd(s, err);
	if (r == 0 && !pre_dump)
		r = external_dump(&external, s->state->pid, &s->opts, err);
	if (r == 0)
		r = criu_start(&s->criu, s->o->value[OPT_CRIU], NULL, 0, err);
	if (r < 0)
		return r;
	s->criu.data = s;
	s->criu.on_step = on_dump_step;
	return session_call(s, pre_dump ? CRIU_PRE_DUMP : CRIU_DUMP, DUMP_LOG, NULL, err);
}

int command_checkpoint(const struct options *o, int *ret_code, struct error *err)
{
	autobundle struct bundle b = BUNDLE_INIT;
	struct session s = SESSION_INIT(o);
	autostate struct state *state = NULL;
	enum state_status status;
	int r = state_load(o->value[OPT_ROOT], o->args[0], &state, err);

	(void)ret_code;
	if (r < 0)
		return r;
	status = state_status(state);
	if (status != STATE_RUNNING && status != STATE_PAUSED)
		return error_set(err, ERROR_CONFLICT, 0,
				 "Container cannot be checkpointed in %s state",
				 state_status_name(status));
	s.state = state;
	s.spec = &b.spec;
	r = bundle_load_saved(state, &b, err);
	if (r == 0)
		r = session_begin(&s, DUMP_LOG, err);
	if (r == 0)
		r = dump(&s, err);
	session_done(&s);
	if (r == 0 && !options_has(o, OPT_LEAVE_RUNNING) && !options_has(o, OPT_PRE_DUMP)) {
		r = state_destroy_container(state, err);
		if (r == 0)
			r = state_remove(o->value[OPT_ROOT], state, err);
	}
	return r;
}
