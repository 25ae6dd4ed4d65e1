/* The ring of events, its subscribers, and their JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "engine/event.h"

struct seen {
	struct strv ids;
	struct event_log *log;
	struct event_subscriber *self; /* unsubscribes at the first event if set */
	int64_t last_time;
};

static void on_event(const struct event *ev, void *data)
{
	struct seen *seen = data;

	strv_add(&seen->ids, ev->id);
	seen->last_time = ev->time_ns;
	if (seen->self)
		seen->self = event_unsubscribe(seen->self);
}

static void emit(struct event_log *l, const char *id)
{
	event_emit(l, &(struct event){.type = "container", .action = "start", .id = id});
}

static void subscribers_hear(void **state)
{
	struct event_log *l = event_log_new();
	struct seen a = {0}, b = {0};
	struct event_subscriber *sa;

	(void)state;
	emit(l, "0");
	sa = event_subscribe(l, INT64_MAX, on_event, &a);
	b.self = event_subscribe(l, 0, on_event, &b); /* hears of 0 before it knows itself */
	emit(l, "1");
	emit(l, "2");
	assert_int_equal(a.ids.n, 2);
	assert_string_equal(a.ids.v[1], "2");
	assert_int_equal(b.ids.n, 2); /* 0 from the ring, 1; then it left */
	assert_string_equal(b.ids.v[0], "0");
	(void)event_unsubscribe(sa);
	emit(l, "3");
	assert_int_equal(a.ids.n, 2);
	strv_done(&a.ids);
	strv_done(&b.ids);
	(void)event_log_free(l);
}

static void ring_keeps_the_last(void **state)
{
	struct event_log *l = event_log_new();
	struct seen a = {0};
	char id[16];

	(void)state;
	for (int i = 0; i < 300; i++) {
		(void)snprintf(id, sizeof(id), "%d", i);
		emit(l, id);
	}
	(void)event_subscribe(l, 0, on_event, &a);
	assert_int_equal(a.ids.n, 256);
	assert_string_equal(a.ids.v[0], "44");
	assert_string_equal(a.ids.v[255], "299");
	strv_done(&a.ids);
	(void)event_log_free(l);
}

static void since_is_inclusive(void **state)
{
	struct event_log *l = event_log_new();
	struct seen a = {0}, b = {0};

	(void)state;
	(void)event_subscribe(l, INT64_MAX, on_event, &a);
	emit(l, "0");
	emit(l, "1");
	(void)event_subscribe(l, a.last_time, on_event, &b);
	assert_true(b.ids.n >= 1);
	assert_string_equal(b.ids.v[b.ids.n - 1], "1");
	strv_done(&a.ids);
	strv_done(&b.ids);
	(void)event_log_free(l);
}

static void json(void **state)
{
	struct event_attr attrs[] = {{"image", "busybox"}, {"name", "c"}};
	const struct event ev = {.type = "container",
				 .action = "die",
				 .id = "abc",
				 .attrs = attrs,
				 .attr_count = 2,
				 .time_ns = 1500000000123456789LL};
	struct strbuf out = STRBUF_INIT(4096);
	struct json_writer w;

	(void)state;
	json_writer_init(&w, &out);
	event_write(&ev, 151, &w);
	assert_string_equal(
		out.s,
		"{\"status\":\"die\",\"id\":\"abc\",\"from\":\"busybox\",\"Type\":\"container\","
		"\"Action\":\"die\",\"Actor\":{\"ID\":\"abc\",\"Attributes\":{\"image\":"
		"\"busybox\","
		"\"name\":\"c\"}},\"scope\":\"local\",\"time\":1500000000,"
		"\"timeNano\":1500000000123456789}");
	strbuf_reset(&out);
	json_writer_init(&w, &out);
	event_write(&ev, 152, &w);
	assert_true(str_has_prefix(out.s, "{\"Type\":\"container\""));
	strbuf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subscribers_hear),
		cmocka_unit_test(ring_keeps_the_last),
		cmocka_unit_test(since_is_inclusive),
		cmocka_unit_test(json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
