/* The log file is opened when there is something to write: hardly ever. */
#include "bin/runtime/report.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "bin/runtime/options.h"

#define LINE_SIZE_MAX ((size_t)64 << 10)

static const struct options *options;

static const char *level_name(enum log_level level)
{
	static const char *const names[] = {[LOG_LEVEL_DEBUG] = "debug",
					    [LOG_LEVEL_INFO] = "info",
					    [LOG_LEVEL_WARN] = "warning",
					    [LOG_LEVEL_ERROR] = "error"};

	return names[level];
}

static void format(struct strbuf *line, enum log_level level, const char *msg)
{
	char now[CLOCK_RFC3339_SIZE];
	struct json_writer w;

	clock_format_rfc3339(clock_realtime_ns(), now);
	json_writer_init(&w, line);
	if (str_eq(options->value[OPT_LOG_FORMAT], "json")) {
		jw_object(&w);
		jw_kstring(&w, "level", level_name(level));
		jw_kstring(&w, "msg", msg);
		jw_kstring(&w, "time", now);
		jw_object_end(&w);
	} else {
		strbuf_addf(line, "time=\"%s\" level=%s msg=", now, level_name(level));
		jw_string(&w, msg); /* quoted, with the same escapes */
	}
	strbuf_addc(line, '\n');
}

static void write_line(enum log_level level, const char *msg)
{
	autostrbuf struct strbuf line = STRBUF_INIT(LINE_SIZE_MAX);
	autoclose int fd = -EBADF;
	const char *path = options->value[OPT_LOG];

	format(&line, level, msg);
	if (!path) {
		(void)fd_write_full(STDERR_FILENO, line.s, line.len); /* nobody else to tell */
		return;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 || fd_write_full(fd, line.s, line.len) < 0)
		(void)fprintf(stderr, "vessel-runtime: write the log '%s': %s\n", path,
			      strerror(errno));
}

/* On standard error a person reads: plain words, unless JSON is asked for. */
static bool is_plain(void)
{
	return !options->value[OPT_LOG] && !str_eq(options->value[OPT_LOG_FORMAT], "json");
}

static void on_line(enum log_level level, const char *msg)
{
	if (is_plain())
		(void)fprintf(stderr, "vessel-runtime: %s: %s\n", level_name(level), msg);
	else
		write_line(level, msg);
}

void report_init(const struct options *o)
{
	options = o;
	log_set_level(options_has(o, OPT_DEBUG) ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN);
	log_set_sink(on_line);
}

void report_error(const struct error *err)
{
	if (!is_plain())
		write_line(LOG_LEVEL_ERROR, error_msg(err));
	if (is_plain() || options->value[OPT_LOG])
		(void)fprintf(stderr, "vessel-runtime: %s\n", error_msg(err));
}
