/* The life-cycle table.  Whatever is not in it is refused. */
#include "shim/lifecycle.h"

#include <assert.h>

#include "base/mem.h"

/* One more than the state, so that an empty cell means "refused". */
#define TO(state) (LIFECYCLE_##state + 1)

static const unsigned char next[][LIFECYCLE_EVENT_COUNT] = {
	[LIFECYCLE_SETTING_UP] =
		{
			[LIFECYCLE_EV_CREATED] = TO(CREATED),
			[LIFECYCLE_EV_CREATE_FAILED] = TO(LEAVING),
			[LIFECYCLE_EV_DAEMON_GONE] = TO(LEAVING),
			[LIFECYCLE_EV_ABORT] = TO(LEAVING),
		},
	[LIFECYCLE_CREATED] =
		{
			[LIFECYCLE_EV_START] = TO(STARTING),
			[LIFECYCLE_EV_DAEMON_GONE] = TO(LEAVING),
			[LIFECYCLE_EV_ABORT] = TO(LEAVING),
			[LIFECYCLE_EV_DIED] = TO(LEAVING),
		},
	/* The word may be out already: from here on a daemon's end changes nothing. */
	[LIFECYCLE_STARTING] =
		{
			[LIFECYCLE_EV_STARTED] = TO(RUNNING),
			[LIFECYCLE_EV_START_FAILED] = TO(LEAVING),
			[LIFECYCLE_EV_DAEMON_GONE] = TO(STARTING),
		},
	[LIFECYCLE_RUNNING] =
		{
			[LIFECYCLE_EV_PAUSE] = TO(PAUSED),
			[LIFECYCLE_EV_DIED] = TO(EXITED),
			[LIFECYCLE_EV_DAEMON_GONE] = TO(RUNNING),
		},
	[LIFECYCLE_PAUSED] =
		{
			[LIFECYCLE_EV_RESUME] = TO(RUNNING),
			[LIFECYCLE_EV_DIED] = TO(EXITED),
			[LIFECYCLE_EV_DAEMON_GONE] = TO(PAUSED),
		},
	[LIFECYCLE_EXITED] =
		{
			[LIFECYCLE_EV_RELEASE] = TO(LEAVING),
			[LIFECYCLE_EV_DAEMON_GONE] = TO(EXITED),
		},
	[LIFECYCLE_LEAVING] =
		{
			[LIFECYCLE_EV_DIED] = TO(LEAVING),
			[LIFECYCLE_EV_DAEMON_GONE] = TO(LEAVING),
		},
};
static_assert(ARRAY_SIZE(next) == LIFECYCLE_STATE_COUNT, "a row for each state");

static const struct {
	const char *name, *status;
} states[] = {
	[LIFECYCLE_SETTING_UP] = {"setting up", "created"},
	[LIFECYCLE_CREATED] = {"created", "created"},
	[LIFECYCLE_STARTING] = {"starting", "created"},
	[LIFECYCLE_RUNNING] = {"running", "running"},
	[LIFECYCLE_PAUSED] = {"paused", "paused"},
	[LIFECYCLE_EXITED] = {"exited", "exited"},
	[LIFECYCLE_LEAVING] = {"leaving", "exited"},
};
static_assert(ARRAY_SIZE(states) == LIFECYCLE_STATE_COUNT, "a name for each state");

static const char *const events[] = {
	[LIFECYCLE_EV_CREATED] = "created",
	[LIFECYCLE_EV_CREATE_FAILED] = "create failed",
	[LIFECYCLE_EV_DAEMON_GONE] = "daemon gone",
	[LIFECYCLE_EV_ABORT] = "abort",
	[LIFECYCLE_EV_START] = "start",
	[LIFECYCLE_EV_STARTED] = "started",
	[LIFECYCLE_EV_START_FAILED] = "start failed",
	[LIFECYCLE_EV_PAUSE] = "pause",
	[LIFECYCLE_EV_RESUME] = "resume",
	[LIFECYCLE_EV_DIED] = "died",
	[LIFECYCLE_EV_RELEASE] = "release",
};
static_assert(ARRAY_SIZE(events) == LIFECYCLE_EVENT_COUNT, "a name for each event");

bool lifecycle_next(enum lifecycle_state s, enum lifecycle_event e, enum lifecycle_state *ret)
{
	assert(s < LIFECYCLE_STATE_COUNT && e < LIFECYCLE_EVENT_COUNT);
	if (next[s][e] == 0)
		return false;
	*ret = (enum lifecycle_state)(next[s][e] - 1);
	return true;
}

const char *lifecycle_state_name(enum lifecycle_state s)
{
	assert(s < LIFECYCLE_STATE_COUNT);
	return states[s].name;
}

const char *lifecycle_event_name(enum lifecycle_event e)
{
	assert(e < LIFECYCLE_EVENT_COUNT);
	return events[e];
}

const char *lifecycle_status(enum lifecycle_state s)
{
	assert(s < LIFECYCLE_STATE_COUNT);
	return states[s].status;
}
