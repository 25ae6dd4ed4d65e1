/* engine/health.c - what the results of probes make of a container's health. */
#include "engine/health.h"

#include <assert.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

/* Docker's defaults. */
#define INTERVAL_NS       30000000000LL
#define TIMEOUT_NS        30000000000LL
#define START_INTERVAL_NS 5000000000LL
#define RETRIES           3

#define SECOND_NS 1000000000LL

static const char *const status_names[] = {
	[HEALTH_NONE] = "none",
	[HEALTH_STARTING] = "starting",
	[HEALTH_HEALTHY] = "healthy",
	[HEALTH_UNHEALTHY] = "unhealthy",
};
_Static_assert(ARRAY_SIZE(status_names) == HEALTH_STATUS_COUNT, "a name for each status");

const char *health_status_name(enum health_status s)
{
	assert((unsigned)s < HEALTH_STATUS_COUNT);
	return status_names[s];
}

struct health *health_new(void)
{
	return xnew0(struct health);
}

struct health *health_free(struct health *h)
{
	if (!h)
		return NULL;
	for (size_t i = 0; i < h->log_count; i++)
		free(h->log[i].output);
	free(h);
	return NULL;
}

bool health_is_checked(const struct config_healthcheck *check)
{
	return check && check->test.n > 0 &&
	       (str_eq(check->test.v[0], "CMD") || str_eq(check->test.v[0], "CMD-SHELL"));
}

void health_begin(struct health *h)
{
	h->status = HEALTH_STARTING;
	h->failing_streak = 0;
}

static int64_t or_default(int64_t value, int64_t otherwise)
{
	return value > 0 ? value : otherwise;
}

bool health_record(struct health *h, const struct config_healthcheck *check, int64_t into_run,
		   struct health_result *result_take)
{
	int retries = check->retries > 0 ? check->retries : RETRIES;
	enum health_status before = h->status;
	int code = result_take->exit_code;

	if (h->log_count == HEALTH_LOG_MAX) {
		free(h->log[0].output);
		memmove(&h->log[0], &h->log[1], (HEALTH_LOG_MAX - 1) * sizeof(h->log[0]));
		h->log_count--;
	}
	h->log[h->log_count++] = *result_take;
	*result_take = (struct health_result){0};
	if (code == 0) {
		h->failing_streak = 0;
		h->status = HEALTH_HEALTHY;
	} else if (h->status != HEALTH_STARTING || into_run >= check->start_period) {
		/* Until the first success failures within the start period do not count. */
		h->failing_streak++;
		if (h->failing_streak >= retries)
			h->status = HEALTH_UNHEALTHY;
	}
	return h->status != before;
}

int64_t health_interval(const struct health *h, const struct config_healthcheck *check,
			int64_t into_run)
{
	if (into_run < check->start_period && h->status == HEALTH_STARTING)
		return or_default(check->start_interval, START_INTERVAL_NS);
	return or_default(check->interval, INTERVAL_NS);
}

int64_t health_timeout(const struct config_healthcheck *check)
{
	return or_default(check->timeout, TIMEOUT_NS);
}

/* ---- as JSON --------------------------------------------------------------------------------- */

static void write_time(struct json_writer *w, const char *key, int64_t ns)
{
	char text[CLOCK_RFC3339_SIZE];

	clock_format_rfc3339(ns, text);
	jw_kstring(w, key, text);
}

void health_write(const struct health *h, struct json_writer *w)
{
	jw_kstring(w, "Status", health_status_name(h->status));
	jw_kint(w, "FailingStreak", h->failing_streak);
	jw_karray(w, "Log");
	for (size_t i = 0; i < h->log_count; i++) {
		jw_object(w);
		write_time(w, "Start", h->log[i].start);
		write_time(w, "End", h->log[i].end);
		jw_kint(w, "ExitCode", h->log[i].exit_code);
		jw_kstring(w, "Output", h->log[i].output);
		jw_object_end(w);
	}
	jw_array_end(w);
}

struct health *health_parse(const char *text, size_t len)
{
	autoarena struct arena *a = arena_new();
	const struct json *doc, *v;
	const char *status;
	struct health *h;

	if (json_parse(a, text, len, &doc, NULL) < 0 || json_type(doc) != JSON_OBJECT)
		return NULL;
	h = health_new();
	status = json_get_string(doc, "Status");
	for (int i = 0; i < HEALTH_STATUS_COUNT; i++)
		if (str_eq(status, status_names[i]))
			h->status = (enum health_status)i;
	h->failing_streak = (int)json_get_int(doc, "FailingStreak");
	json_array_foreach(v, json_get(doc, "Log")) {
		struct health_result *r = &h->log[h->log_count];
		const char *output = json_get_string(v, "Output");

		if (h->log_count == HEALTH_LOG_MAX)
			break;
		(void)clock_parse_rfc3339(json_get_string(v, "Start") ?: "", &r->start);
		(void)clock_parse_rfc3339(json_get_string(v, "End") ?: "", &r->end);
		r->exit_code = (int)json_get_int(v, "ExitCode");
		r->output = xstrdup(output ? output : "");
		h->log_count++;
	}
	return h;
}

/* ---- output ---------------------------------------------------------------------------------- */

static void add_text(struct health_output *o, const unsigned char *data, size_t len)
{
	size_t room = HEALTH_OUTPUT_MAX - o->len;

	if (len > room) {
		o->cut = true;
		len = room;
	}
	for (size_t i = 0; i < len; i++)
		o->text[o->len++] = data[i] == '\0' ? ' ' : (char)data[i];
}

void health_output_add(struct health_output *o, const void *data, size_t len)
{
	const unsigned char *p = data;

	while (len > 0) {
		size_t n = len;

		if (o->frame_left == 0) {
			o->head[o->head_len++] = *p++;
			len--;
			if (o->head_len < sizeof(o->head))
				continue;
			o->head_len = 0;
			o->frame_left = (size_t)o->head[4] << 24 | (size_t)o->head[5] << 16 |
					(size_t)o->head[6] << 8 | o->head[7];
			continue;
		}
		n = n < o->frame_left ? n : o->frame_left;
		add_text(o, p, n);
		o->frame_left -= n;
		p += n;
		len -= n;
	}
}

const char *health_output_text(struct health_output *o)
{
	if (o->cut)
		memcpy(&o->text[o->len], "...", 3);
	o->text[o->len + (o->cut ? 3 : 0)] = '\0';
	return o->text;
}

void health_format_duration(int64_t ns, struct strbuf *out)
{
	int64_t s = ns / SECOND_NS, ms = ns % SECOND_NS / 1000000;

	if (s == 0) {
		strbuf_addf(out, "%lldms", (long long)ms);
		return;
	}
	if (s >= 3600)
		strbuf_addf(out, "%lldh", (long long)s / 3600);
	if (s >= 60)
		strbuf_addf(out, "%lldm", (long long)s / 60 % 60);
	strbuf_addf(out, "%lld", (long long)s % 60);
	if (ms != 0) {
		char text[8] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
				(char)('0' + ms % 10)};

		for (size_t n = 3; n > 0 && text[n] == '0'; n--)
			text[n] = '\0';
		strbuf_adds(out, text);
	}
	strbuf_adds(out, "s");
}
