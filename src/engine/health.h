/* engine/health.h - health checks: the state that probes lead to, and the probes of a running container.
 *
 * The first half is arithmetic on values that the caller brings, times included.  The second half runs
 * probes as execs, by timers of the loop: one at a time for a container, none while it is paused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/str.h"
#include "engine/config.h"

#define HEALTH_LOG_MAX    5    /* results that are kept */
#define HEALTH_OUTPUT_MAX 4096 /* bytes of a probe's output that are kept */

enum health_status {
	HEALTH_NONE,
	HEALTH_STARTING,
	HEALTH_HEALTHY,
	HEALTH_UNHEALTHY,
	HEALTH_STATUS_COUNT,
};
const char *health_status_name(enum health_status s); /* "none", "starting", ... */

struct health_result {
	int64_t start, end; /* ns since 1970 */
	int exit_code;      /* -1: it could not be run, or took too long */
	char *output;       /* owned */
};

struct health {
	enum health_status status;
	int failing_streak;
	struct health_result log[HEALTH_LOG_MAX]; /* oldest first */
	size_t log_count;
};

struct health *health_new(void);
struct health *health_free(struct health *h); /* accepts NULL, returns NULL */
/* Is there a test to run?  NULL, no test, and "NONE" are no. */
bool health_is_checked(const struct config_healthcheck *check);
/* A new run of the container: "starting".  The log stays, as Docker's does. */
void health_begin(struct health *h);
/* One more result (its output is taken); into_run: ns from the container's start to the probe's.
 * Returns whether the status has changed. */
bool health_record(struct health *h, const struct config_healthcheck *check, int64_t into_run,
		   struct health_result *result_take);
/* ns from now to the next probe, into_run after the container's start. */
int64_t health_interval(const struct health *h, const struct config_healthcheck *check,
			int64_t into_run);
int64_t health_timeout(const struct config_healthcheck *check); /* ns */
/* "Status", "FailingStreak" and "Log", as inspect shows them. */
void health_write(const struct health *h, struct json_writer *w);
/* What health_write wrote; NULL if it is not that. */
struct health *health_parse(const char *text, size_t len);

/* What an exec's client is sent (frames of eight bytes of header) becomes text of a limited length. */
struct health_output {
	char text[HEALTH_OUTPUT_MAX + 4]; /* with room for "..." */
	size_t len;
	bool cut;
	unsigned char head[8];
	size_t head_len;
	size_t frame_left; /* bytes of the present frame to come */
};
void health_output_add(struct health_output *o, const void *data, size_t len);
const char *health_output_text(struct health_output *o); /* no more may be added */

/* "1m30s", as Go writes durations of whole milliseconds; appended. */
void health_format_duration(int64_t ns, struct strbuf *out);

/* A label with which a container that becomes unhealthy is restarted ("true"). */
#define HEALTH_RESTART_LABEL "vessel.restart-on-unhealthy"

struct container;
struct prober;

/* [loop] Probe from now on, if there is a check; fresh: a new run of the container. */
void health_start(struct container *c, bool fresh);
/* [loop] No probes any more; what is under way counts for nothing.  ended: the run is over. */
void health_stop(struct container *c, bool ended);
struct prober *prober_free(struct prober *p); /* accepts NULL, returns NULL */
