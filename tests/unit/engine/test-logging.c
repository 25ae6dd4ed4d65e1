/* Options of log drivers: what is refused, with which words; sizes and durations; defaults. */
#include "engine/logging.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/units.h"
#include "engine/settings.h"

static const struct {
	const char *driver, *options; /* "k=v;k=v" */
	const char *error;            /* NULL: fine; part of the text */
} rows[] = {
	{"none", "anything=goes", NULL},
	{"json-file", "max-size=10m;max-file=3;compress=true", NULL},
	{"json-file", "max-size=-1", NULL},
	{"json-file", "max-size=1.5GB;labels=a,b;env=A;tag={{.Name}}", NULL},
	{"json-file", "max-size=10q", "invalid size: '10q'"},
	{"json-file", "max-size=0", "max-size must be a positive number"},
	{"json-file", "max-file=0", "max-file cannot be less than 1"},
	{"json-file", "max-file=x", "max-file cannot be less than 1"},
	{"json-file", "compress=yes", "invalid syntax"},
	{"json-file", "compress=true;max-size=1m",
	 "compress cannot be true when max-file is less "
	 "than 2 or max-size is not set"},
	{"json-file", "compress=true;max-size=-1;max-file=3", "compress cannot be true"},
	{"json-file", "compress=true", NULL}, /* by the default limits */
	{"json-file", "x=y", "unknown log opt 'x' for json-file log driver"},
	{"json-file", "gelf-address=udp://a:1", "unknown log opt 'gelf-address'"},
	{"json-file", "tag={{.ID", "template parsing error"},
	{"json-file", "labels-regex=(", "labels-regex: error parsing regexp"},
	{"json-file", "env-regex=^A\\d+$", NULL},
	{"json-file", "mode=fast", "logger: logging mode not supported: fast"},
	{"json-file", "max-buffer-size=1m",
	 "logger: max-buffer-size option is only supported with 'mode=non-blocking'"},
	{"syslog", "mode=non-blocking;max-buffer-size=x",
	 "error parsing option max-buffer-size: invalid size: 'x'"},
	{"local", "max-size=1m;max-file=2", NULL},
	{"local", "max-file=1", "compression cannot be enabled when max file count is 1"},
	{"local", "max-file=1;compress=false", NULL},
	{"local", "x=y", "unknown log opt 'x' for log driver local"},
	{"nope", "", "error looking up logging plugin nope: plugin \"nope\" not found"},
	{"awslogs", "", "error looking up logging plugin awslogs: plugin \"awslogs\" not found"},
	{"journald", "tag=x;cache-disabled=true", NULL},
	{"journald", "max-size=1m", "unknown log opt 'max-size' for journald log driver"},
	{"journald", "cache-disabled=maybe", "invalid value for option cache-disabled: maybe"},
	{"journald", "cache-max-size=1m;cache-max-file=2;cache-compress=false", NULL},
	{"syslog", "", NULL},
	{"syslog", "syslog-address=udp://1.2.3.4:1111", NULL},
	{"syslog", "syslog-address=tcp+tls://[::1]:6514", NULL},
	{"syslog", "syslog-address=udp://host", NULL},
	{"syslog", "syslog-address=1.2.3.4",
	 "syslog-address should be in form proto://address, got 1.2.3.4"},
	{"syslog", "syslog-address=unix:///nonexistent/socket", "stat /nonexistent/socket"},
	{"syslog", "syslog-address=udp://a:b", "invalid port"},
	{"syslog", "syslog-facility=local7;syslog-format=rfc5424micro", NULL},
	{"syslog", "syslog-facility=23", NULL},
	{"syslog", "syslog-facility=24", "invalid syslog facility"},
	{"syslog", "syslog-format=rfc1", "Invalid syslog format"},
	{"gelf", "", "gelf-address is a required parameter"},
	{"gelf", "gelf-address=udp://127.0.0.1:12201;gelf-compression-type=zlib", NULL},
	{"gelf", "gelf-address=unix:///x:1", "gelf: endpoint needs to be TCP or UDP"},
	{"gelf", "gelf-address=udp://host",
	 "gelf: please provide gelf-address as proto://host:port"},
	{"gelf", "gelf-address=udp://h:1;gelf-compression-level=10",
	 "unknown value \"10\" for log opt \"gelf-compression-level\" for gelf log driver"},
	{"gelf", "gelf-address=tcp://h:1;gelf-compression-type=gzip",
	 "compression is only supported on UDP"},
	{"gelf", "gelf-address=udp://h:1;gelf-tcp-max-reconnect=1",
	 "gelf-tcp-max-reconnect is only valid for TCP"},
	{"gelf", "gelf-address=udp://h:1;x=y", "unknown log opt \"x\" for gelf log driver"},
	{"fluentd", "fluentd-address=tls://h;fluentd-async=true;fluentd-retry-wait=500ms", NULL},
	{"fluentd", "fluentd-address=unix:///var/run/x.sock", NULL},
	{"fluentd", "fluentd-address=unix://", "path is empty"},
	{"fluentd", "fluentd-address=udp://h:1", "unsupported scheme: 'udp'"},
	{"fluentd", "fluentd-address=tcp://h:1/x", "should not contain a path element"},
	{"fluentd", "fluentd-address=h:x", "invalid port"},
	{"fluentd", "fluentd-buffer-limit=many", "invalid size: 'many'"},
	{"fluentd", "fluentd-retry-wait=soon", "invalid duration \"soon\""},
	{"fluentd", "fluentd-async=1;fluentd-async-connect=1", "conflicting options"},
	{"fluentd", "fluentd-async-reconnect-interval=1m", "must be between 100ms and 10s"},
};

static void split(struct arena *a, const char *text, struct json_string_map *ret)
{
	ret->keys = arena_alloc(a, 8 * sizeof(*ret->keys));
	ret->values = arena_alloc(a, 8 * sizeof(*ret->values));
	for (const char *p = text; *p; p += strcspn(p, ";"), p += *p == ';') {
		const char *equals = strchr(p, '=');

		ret->keys[ret->n] = arena_strndup(a, p, (size_t)(equals - p));
		ret->values[ret->n++] = arena_strndup(a, equals + 1, strcspn(equals + 1, ";"));
	}
}

static void options(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		autoarena struct arena *a = arena_new();
		autoerror struct error err = {0};
		struct config_log log = {.type = rows[i].driver};
		int r;

		split(a, rows[i].options, &log.config);
		r = logging_validate(&log, &err);
		if ((r < 0) != (rows[i].error != NULL) ||
		    (r < 0 && (err.kind != ERROR_INVALID || !strstr(err.msg, rows[i].error))))
			fail_msg("%s %s: %s", rows[i].driver, rows[i].options,
				 r < 0 ? err.msg : "accepted");
	}
}

static void sizes(void **state)
{
	uint64_t n;
	int64_t ns;

	(void)state;
	assert_int_equal(units_parse_size("10m", false, &n), 0);
	assert_int_equal(n, 10000000);
	assert_int_equal(units_parse_size("10m", true, &n), 0);
	assert_int_equal(n, 10 << 20);
	assert_int_equal(units_parse_size("1.5 KiB", false, &n), 0);
	assert_int_equal(n, 1500);
	assert_int_equal(units_parse_size("7b", true, &n), 0);
	assert_int_equal(n, 7);
	assert_int_equal(units_parse_size("7", true, &n), 0);
	assert_int_equal(n, 7);
	for (const char *const *bad =
		     (const char *const[]){"", "m", "-1", "1x", "1mm", "1kbb", NULL};
	     *bad; bad++)
		assert_true(units_parse_size(*bad, false, &n) < 0);
	assert_int_equal(units_parse_duration("1m0.5s", &ns), 0);
	assert_true(ns == INT64_C(60500000000));
	assert_int_equal(units_parse_duration("0", &ns), 0);
	for (const char *const *bad = (const char *const[]){"", "5", "s", "1d", "1.2.3s", NULL};
	     *bad; bad++)
		assert_true(units_parse_duration(*bad, &ns) < 0);
}

static struct container_spec *spec(struct arena *a, const char *type, const char *text)
{
	struct container_spec *s = arena_new0(a, struct container_spec);

	s->arena = a;
	s->host.log.type = type;
	split(a, text, &s->host.log.config);
	return s;
}

static void defaults(void **state)
{
	autoarena struct arena *a = arena_new();
	struct settings args = {.log_driver = "json-file"};
	struct container_spec *s = spec(a, "", "");

	(void)state;
	assert_int_equal(logging_resolve(&args, s, NULL), 0);
	assert_string_equal(s->host.log.type, "json-file");
	assert_string_equal(logging_option(&s->host.log, "max-size"), LOGGING_MAX_SIZE);
	assert_string_equal(logging_option(&s->host.log, "max-file"), LOGGING_MAX_FILE);

	s = spec(a, "json-file", "");
	assert_int_equal(logging_resolve(&args, s, NULL), 0);
	assert_int_equal(s->host.log.config.n, 0);

	/* The daemon's options go with the daemon's driver, those of the copy with all. */
	args.log_driver = "syslog";
	assert_int_equal(json_parse(a,
				    "{\"syslog-format\":\"rfc5424\",\"cache-disabled\":\"true\"}",
				    51, &args.log_opts, NULL),
			 0);
	s = spec(a, "", "syslog-format=rfc3164");
	assert_int_equal(logging_resolve(&args, s, NULL), 0);
	assert_string_equal(s->host.log.type, "syslog");
	assert_string_equal(logging_option(&s->host.log, "syslog-format"), "rfc3164");
	assert_string_equal(logging_option(&s->host.log, "cache-disabled"), "true");
	s = spec(a, "journald", "");
	assert_int_equal(logging_resolve(&args, s, NULL), 0);
	assert_null(logging_option(&s->host.log, "syslog-format"));
	assert_true(logging_option_bool(&s->host.log, "cache-disabled"));
	s = spec(a, "local", "");
	assert_int_equal(logging_resolve(&args, s, NULL), 0);
	assert_int_equal(logging_validate_defaults("syslog", args.log_opts, NULL), 0);
	assert_true(logging_validate_defaults("gelf", NULL, NULL) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options),
		cmocka_unit_test(sizes),
		cmocka_unit_test(defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
