/* shim/lifecycle.h - the states of a shim and what moves it from one to the next.
 *
 *     setting up -> created -> starting -> running <-> paused
 *          \           \          \           \          \
 *           leaving     leaving    leaving     exited <---+
 *                                                 \-> leaving
 */
#pragma once

#include <stdbool.h>

enum lifecycle_state {
	LIFECYCLE_SETTING_UP, /* runtime_create is under way */
	LIFECYCLE_CREATED,    /* process 1 waits for the word */
	LIFECYCLE_STARTING,   /* the word is given */
	LIFECYCLE_RUNNING,
	LIFECYCLE_PAUSED,
	LIFECYCLE_EXITED,  /* the exit is recorded; a daemon has yet to take note */
	LIFECYCLE_LEAVING, /* all is undone or handed over; the last clients read their output */
	LIFECYCLE_STATE_COUNT,
};

enum lifecycle_event {
	LIFECYCLE_EV_CREATED, /* runtime_create succeeded */
	LIFECYCLE_EV_CREATE_FAILED,
	LIFECYCLE_EV_DAEMON_GONE, /* end of file on the first connection */
	LIFECYCLE_EV_ABORT,       /* op abort */
	LIFECYCLE_EV_START,       /* op start */
	LIFECYCLE_EV_STARTED,     /* runtime_start succeeded */
	LIFECYCLE_EV_START_FAILED,
	LIFECYCLE_EV_PAUSE,   /* op pause */
	LIFECYCLE_EV_RESUME,  /* op resume */
	LIFECYCLE_EV_DIED,    /* process 1 is reaped */
	LIFECYCLE_EV_RELEASE, /* op release */
	LIFECYCLE_EVENT_COUNT,
};

/* The state that follows, which may be `s` itself; false when the event is refused in `s`. */
bool lifecycle_next(enum lifecycle_state s, enum lifecycle_event e, enum lifecycle_state *ret);

/* For messages: "setting up", "created", ... */
const char *lifecycle_state_name(enum lifecycle_state s);
const char *lifecycle_event_name(enum lifecycle_event e);
/* For op state: "created", "running", "paused", "exited". */
const char *lifecycle_status(enum lifecycle_state s);
