/* GET /events: what happened and what happens, one JSON object a line.
 *
 * The request is parked on the loop: a subscriber writes each event as it is emitted, a timer ends
 * the stream at `until`, and the client's leaving ends everything.
 */
#include <string.h>

#include "api/api_priv.h"
#include "api/filters.h"
#include "api/handlers.h"
#include "base/clock.h"
#include "base/mem.h"

#define NS_PER_MS 1000000LL

struct stream {
	struct http_request *req;
	struct event_subscriber *subscriber; /* owned */
	struct loop_source *timer;           /* owned; at `until` */
	struct filters filters;              /* in the request's arena */
	int64_t until_ns;                    /* INT64_MAX: for ever */
	unsigned version;
	bool failed;
};

static void stream_done(struct stream *s)
{
	s->subscriber = event_unsubscribe(s->subscriber);
	s->timer = loop_remove(s->timer);
	free(s);
}

static const char *attr(const struct event *ev, const char *key)
{
	for (size_t i = 0; i < ev->attr_count; i++)
		if (strcmp(ev->attrs[i].key, key) == 0)
			return ev->attrs[i].value;
	return NULL;
}

/* Filters named after a type match that type's objects by id or name. */
static bool match_object(const struct stream *s, const struct event *ev, const char *type)
{
	const struct filter *f = filters_get(&s->filters, type);
	const char *name = attr(ev, "name"), *image = attr(ev, "image");
	bool is_image = strcmp(type, "image") == 0;

	if (!f)
		return true;
	if (strcmp(ev->type, type) != 0 && !(is_image && strcmp(ev->type, "container") == 0))
		return false;
	for (size_t i = 0; i < f->n; i++) {
		const char *want = f->values[i];

		if (strcmp(ev->type, type) == 0 &&
		    (str_has_prefix(ev->id, want) || str_eq(name, want)))
			return true;
		/* A container's event belongs to its image too, with or without the tag. */
		if (is_image && image &&
		    (strcmp(image, want) == 0 ||
		     (str_has_prefix(image, want) && image[strlen(want)] == ':')))
			return true;
	}
	return false;
}

static bool has_label(const struct event *ev, const char *want)
{
	size_t len = strcspn(want, "=");

	for (size_t i = 0; i < ev->attr_count; i++) {
		const char *key = ev->attrs[i].key;

		if (strlen(key) == len && memcmp(key, want, len) == 0 &&
		    (want[len] == '\0' || strcmp(ev->attrs[i].value, want + len + 1) == 0))
			return true;
	}
	return false;
}

static bool match_action(const struct stream *s, const char *action)
{
	const struct filter *f = filters_get(&s->filters, "event");

	if (!f)
		return true;
	/* "exec_create: sh" and "health_status: healthy" are found by what is before the colon. */
	for (size_t i = 0; i < f->n; i++) {
		size_t n = strlen(f->values[i]);

		if (strncmp(action, f->values[i], n) == 0 &&
		    (action[n] == '\0' || action[n] == ':'))
			return true;
	}
	return false;
}

static bool match(const struct stream *s, const struct event *ev)
{
	/* Of the last five nothing ever happens: asking for one of them leaves all else out. */
	static const char *const types[] = {"container", "image",  "volume", "network", "daemon",
					    "config",    "plugin", "node",   "secret",  "service"};
	const struct filter *labels = filters_get(&s->filters, "label");

	if (!filters_match(&s->filters, "type", ev->type) || !match_action(s, ev->action) ||
	    !filters_match(&s->filters, "scope", "local"))
		return false;
	for (size_t i = 0; labels && i < labels->n; i++)
		if (!has_label(ev, labels->values[i]))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!match_object(s, ev, types[i]))
			return false;
	return true;
}

static void on_event(const struct event *ev, void *data)
{
	struct stream *s = data;
	autojson struct api_json j = {0};

	if (s->failed || ev->time_ns > s->until_ns || !match(s, ev))
		return;
	api_json_init(&j);
	event_write(ev, s->version, &j.w);
	strbuf_addc(&j.out, '\n');
	/* A reader that does not read is dropped; on_close clears up. */
	s->failed = http_write(s->req, j.out.s, j.out.len) < 0;
}

static void on_close(struct http_request *req, void *data)
{
	(void)req;
	stream_done(data);
}

static void on_until(struct loop_source *source, void *data)
{
	struct stream *s = data;
	struct http_request *req = s->req;

	(void)source;
	stream_done(s);
	(void)http_end(req);
}

static int parse_time(const struct api_call *c, const char *name, int64_t *ret, struct error *err)
{
	const char *s = api_query(c, name);

	if (*s == '\0')
		return 0;
	if (clock_parse_rfc3339(s, ret) == 0)
		return 0;
	return api_parse_timestamp(s, ret, err);
}

int events_stream(struct api_call *c, struct error *err)
{
	static const char *const keys[] = {"config", "container", "daemon", "event",  "image",
					   "label",  "network",   "node",   "plugin", "scope",
					   "secret", "service",   "type",   "volume", NULL};
	int64_t since = INT64_MAX, until = INT64_MAX, now = clock_realtime_ns();
	struct filters filters;
	struct stream *s;
	int r;

	r = filters_parse(http_request_arena(c->req), http_query(c->req, "filters"), keys, &filters,
			  err);
	if (r == 0)
		r = parse_time(c, "since", &since, err);
	if (r == 0)
		r = parse_time(c, "until", &until, err);
	if (r < 0)
		return r;
	if (since != INT64_MAX && until < since)
		return error_set(err, ERROR_INVALID, 0,
				 "`since` time (%s) cannot be after `until` time (%s)",
				 api_query(c, "since"), api_query(c, "until"));
	/* Without `since`, but with an `until` that has gone by, all of the ring is meant. */
	if (since == INT64_MAX && until <= now)
		since = 0;
	s = xnew0(struct stream);
	s->req = c->req;
	s->filters = filters;
	s->version = c->version;
	s->until_ns = until;
	(void)http_start(c->req, 200, API_TYPE_JSON);
	http_request_on_close(c->req, on_close, s);
	s->subscriber = event_subscribe(engine_events(c->engine), since, on_event, s);
	if (until != INT64_MAX &&
	    loop_add_timer(engine_loop(c->engine),
			   until > now ? (uint64_t)((until - now) / NS_PER_MS + 1) : 0, on_until, s,
			   &s->timer, err) < 0) {
		struct http_request *req = s->req;

		stream_done(s);
		http_abort(req);
	}
	return 0;
}
