/* kill, delete, pause and resume. */
#include <signal.h>

#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "bin/runtime/bundle.h"
#include "bin/runtime/commands.h"
#include "linux/signals.h"
#include "runtime/runtime.h"
#include "runtime/state.h"

int command_kill(const struct options *o, int *ret_code, struct error *err)
{
	const char *name = o->arg_count > 1 && o->args[1][0] ? o->args[1] : "SIGTERM";
	int signo = signal_parse(name), r;
	autostate struct state *s = NULL;

	(void)ret_code;
	if (signo < 0 && !str_eq(name, "0"))
		return error_set(err, ERROR_INVALID, 0, "unknown signal \"%s\"", name);
	r = state_load(o->value[OPT_ROOT], o->args[0], &s, err);
	return r < 0 ? r
		     : state_kill_container(s, signo < 0 ? 0 : signo, options_has(o, OPT_ALL), err);
}

static void finish(const struct state *s)
{
	autobundle struct bundle b = BUNDLE_INIT;
	autoerror struct error err = {0};

	/* The container cannot come back. */
	if (bundle_load_saved(s, &b, &err) < 0 ||
	    runtime_finish(&b.spec, s->id, s->bundle, &err) < 0)
		log_warn("%s", error_msg(&err));
}

int command_delete(const struct options *o, int *ret_code, struct error *err)
{
	bool force = options_has(o, OPT_FORCE);
	autostate struct state *s = NULL;
	enum state_status status;
	int r = state_load(o->value[OPT_ROOT], o->args[0], &s, err);

	(void)ret_code;
	if (r < 0) {
		if (!force || err->kind != ERROR_NOT_FOUND)
			return r;
		error_done(err);
		return 0;
	}
	status = force ? STATE_STOPPED : state_status(s);
	if (status == STATE_RUNNING || status == STATE_PAUSED)
		return error_set(err, ERROR_CONFLICT, 0,
				 "cannot delete container %s that is not stopped: %s", s->id,
				 state_status_name(status));
	r = state_destroy_container(s, err);
	if (r < 0)
		return r;
	if (s->has_poststop)
		finish(s);
	return state_remove(o->value[OPT_ROOT], s, err);
}

int command_pause(const struct options *o, int *ret_code, struct error *err)
{
	autostate struct state *s = NULL;
	int r = state_load(o->value[OPT_ROOT], o->args[0], &s, err);

	(void)ret_code;
	return r < 0 ? r : state_pause_container(s, err);
}

int command_resume(const struct options *o, int *ret_code, struct error *err)
{
	autostate struct state *s = NULL;
	int r = state_load(o->value[OPT_ROOT], o->args[0], &s, err);

	(void)ret_code;
	return r < 0 ? r : state_resume_container(s, err);
}
