/* engine/event.c - what happened: a ring of the last 256 events, and subscribers. */
#include "engine/event.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/engine_priv.h"

#define EVENT_RING 256

struct event_subscriber {
	struct event_log *log;
	struct event_subscriber *next;
	event_fn fn;
	void *data;
	bool dead; /* unsubscribed while the list was walked */
};

struct event_log {
	struct event *ring[EVENT_RING]; /* owned, oldest overwritten */
	size_t next;                    /* where the next one goes */
	struct event_subscriber *subscribers;
	unsigned walking;
	uint64_t count;
};

struct event_log *event_log_new(void)
{
	return xnew0(struct event_log);
}

static void event_free(struct event *ev)
{
	if (!ev)
		return;
	for (size_t i = 0; i < ev->attr_count; i++) {
		free((char *)(uintptr_t)ev->attrs[i].key);
		free((char *)(uintptr_t)ev->attrs[i].value);
	}
	free(ev->attrs);
	free((char *)(uintptr_t)ev->type);
	free((char *)(uintptr_t)ev->action);
	free((char *)(uintptr_t)ev->id);
	free(ev);
}

static struct event *event_copy(const struct event *from)
{
	struct event *ev = xnew0(struct event);

	ev->type = xstrdup(from->type);
	ev->action = xstrdup(from->action);
	ev->id = xstrdup(from->id);
	ev->time_ns = clock_realtime_ns();
	ev->attrs = xnew0n(struct event_attr, from->attr_count + 1);
	ev->attr_count = from->attr_count;
	for (size_t i = 0; i < from->attr_count; i++) {
		ev->attrs[i].key = xstrdup(from->attrs[i].key);
		ev->attrs[i].value = xstrdup(from->attrs[i].value ? from->attrs[i].value : "");
	}
	return ev;
}

struct event_log *event_log_free(struct event_log *l)
{
	if (!l)
		return NULL;
	for (size_t i = 0; i < EVENT_RING; i++)
		event_free(l->ring[i]);
	for (struct event_subscriber *s = l->subscribers, *next; s; s = next) {
		next = s->next;
		free(s);
	}
	free(l);
	return NULL;
}

/* Free those that left while the list was being walked. */
static void sweep(struct event_log *l)
{
	for (struct event_subscriber **p = &l->subscribers, *s; (s = *p);) {
		if (s->dead) {
			*p = s->next;
			free(s);
		} else {
			p = &s->next;
		}
	}
}

void event_emit(struct event_log *l, const struct event *from)
{
	struct event *ev = event_copy(from);

	event_free(l->ring[l->next]);
	l->ring[l->next] = ev;
	l->next = (l->next + 1) % EVENT_RING;
	l->count++;
	l->walking++;
	for (struct event_subscriber *s = l->subscribers; s; s = s->next)
		if (!s->dead)
			s->fn(ev, s->data);
	if (--l->walking == 0)
		sweep(l);
}

void event_log_counts(const struct event_log *l, uint64_t *ret_events, size_t *ret_subscribers)
{
	*ret_events = l->count;
	*ret_subscribers = 0;
	for (const struct event_subscriber *s = l->subscribers; s; s = s->next)
		*ret_subscribers += !s->dead;
}

struct event_subscriber *event_subscribe(struct event_log *l, int64_t since_ns, event_fn fn,
					 void *data)
{
	struct event_subscriber *s = xnew0(struct event_subscriber);

	s->log = l;
	s->fn = fn;
	s->data = data;
	l->walking++;
	for (size_t i = 0; i < EVENT_RING && !s->dead; i++) {
		const struct event *ev = l->ring[(l->next + i) % EVENT_RING];

		if (ev && ev->time_ns >= since_ns)
			fn(ev, data);
	}
	s->next = l->subscribers;
	l->subscribers = s;
	if (--l->walking == 0)
		sweep(l);
	return s;
}

struct event_subscriber *event_unsubscribe(struct event_subscriber *s)
{
	if (s) {
		s->dead = true;
		if (s->log->walking == 0)
			sweep(s->log);
	}
	return NULL;
}

static const char *event_attr(const struct event *ev, const char *key)
{
	for (size_t i = 0; i < ev->attr_count; i++)
		if (str_eq(ev->attrs[i].key, key))
			return ev->attrs[i].value;
	return NULL;
}

void event_write(const struct event *ev, unsigned api_version, struct json_writer *w)
{
	const char *image = event_attr(ev, "image");

	jw_object(w);
	/* Engine API before 1.52: the old names stand beside the new ones, for containers and images. */
	if (api_version < 152 && (str_eq(ev->type, "container") || str_eq(ev->type, "image"))) {
		jw_kstring(w, "status", ev->action);
		jw_kstring(w, "id", ev->id);
		if (image)
			jw_kstring(w, "from", image);
	}
	jw_kstring(w, "Type", ev->type);
	jw_kstring(w, "Action", ev->action);
	jw_kobject(w, "Actor");
	jw_kstring(w, "ID", ev->id);
	jw_kobject(w, "Attributes");
	for (size_t i = 0; i < ev->attr_count; i++)
		jw_kstring(w, ev->attrs[i].key, ev->attrs[i].value);
	jw_object_end(w);
	jw_object_end(w);
	jw_kstring(w, "scope", "local");
	jw_kint(w, "time", ev->time_ns / 1000000000);
	jw_kint(w, "timeNano", ev->time_ns);
	jw_object_end(w);
}
