/* engine/event.h - what happened: a ring of the last 256 events, and subscribers.  [loop] */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

struct event_attr {
	const char *key, *value;
};

struct event {
	const char *type;   /* "container", "image", "network", ... */
	const char *action; /* "create", "die", "exec_create: sh", ... */
	const char *id;
	struct event_attr *attrs;
	size_t attr_count;
	int64_t time_ns;
};

struct event_log;
struct event_subscriber;

struct event_log *event_log_new(void);
struct event_log *event_log_free(struct event_log *l);
/* Copies everything; stamps the time; tells subscribers at once. */
void event_emit(struct event_log *l, const struct event *ev);
/* Events so far, and how many listen. */
void event_log_counts(const struct event_log *l, uint64_t *ret_events, size_t *ret_subscribers);
typedef void (*event_fn)(const struct event *ev, void *data);
/* First replays what is in the ring with since_ns <= time (INT64_MAX: nothing). */
struct event_subscriber *event_subscribe(struct event_log *l, int64_t since_ns, event_fn fn,
					 void *data);
struct event_subscriber *event_unsubscribe(struct event_subscriber *s); /* accepts NULL */
/* Docker's JSON of an event; below API 1.52 with status, id and from. */
void event_write(const struct event *ev, unsigned api_version, struct json_writer *w);
