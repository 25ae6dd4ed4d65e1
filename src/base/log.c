/* Log lines: formatted whole, written by one write(2). */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define LINE_MAX_BYTES 16384u

static const struct {
	const char *name;
	int syslog_priority; /* sd-daemon(3): <N> before a line on the journal's stream */
} levels[] = {
	[LOG_LEVEL_DEBUG] = {"debug", 7},
	[LOG_LEVEL_INFO] = {"info", 6},
	[LOG_LEVEL_WARN] = {"warn", 4},
	[LOG_LEVEL_ERROR] = {"error", 3},
};

static atomic_int log_level = LOG_LEVEL_INFO;
static atomic_int log_fd = STDERR_FILENO;
static atomic_int log_style = LOG_STYLE_PLAIN;
static _Atomic(const char *) log_name;
static void (*_Atomic log_sink)(enum log_level level, const char *msg);

void log_set_level(enum log_level level)
{
	atomic_store(&log_level, (int)level);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load_explicit(&log_level, memory_order_relaxed);
}

void log_set_style(enum log_style style)
{
	atomic_store(&log_style, (int)style);
}

int log_level_parse(const char *s, enum log_level *ret)
{
	for (size_t i = 0; s && i < ARRAY_SIZE(levels); i++) {
		if (str_eq(s, levels[i].name)) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	if (str_eq(s, "fatal")) { /* dockerd's levels; nothing here is above error */
		*ret = LOG_LEVEL_ERROR;
		return 0;
	}
	return -EINVAL;
}

void log_set_name(const char *name)
{
	atomic_store(&log_name, name);
}

void log_set_fd(int fd)
{
	atomic_store(&log_fd, fd);
}

void log_set_sink(void (*fn)(enum log_level level, const char *msg))
{
	atomic_store(&log_sink, fn);
}

/* JOURNAL_STREAM=<device>:<inode> names the journal's socket; ours only if the fd is that one
 * (systemd.exec(5)). */
static bool fd_is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(fd, &st) == 0 &&
	       (unsigned long long)st.st_dev == dev && (unsigned long long)st.st_ino == ino;
}

/* A message is one line whatever is in it. */
static void escape_controls(struct strbuf *line, const char *msg)
{
	for (; *msg; msg++) {
		unsigned char c = (unsigned char)*msg;

		if (c == '\n')
			strbuf_adds(line, "\\n");
		else if (c < 0x20 || c == 0x7f)
			strbuf_addf(line, "\\x%02x", c);
		else
			strbuf_addc(line, *msg);
	}
}

/* Quoted for JSON, whose escapes logfmt's readers know as well. */
static void add_quoted(struct strbuf *line, const char *msg)
{
	strbuf_addc(line, '"');
	for (size_t left = strlen(msg); left > 0;) {
		size_t n = utf8_sequence(msg, left);
		unsigned char c = (unsigned char)*msg;

		if (n == 0)
			strbuf_adds(line, "\xef\xbf\xbd"); /* U+FFFD */
		else if (c == '"' || c == '\\')
			strbuf_addf(line, "\\%c", c);
		else if (c == '\n')
			strbuf_adds(line, "\\n");
		else if (c < 0x20 || c == 0x7f)
			strbuf_addf(line, "\\u%04x", c);
		else
			strbuf_add(line, msg, n);
		n = n ? n : 1;
		msg += n;
		left -= n;
	}
	strbuf_addc(line, '"');
}

static const char *level_name(enum log_level level)
{
	return level == LOG_LEVEL_WARN ? "warning" : levels[level].name; /* dockerd's word */
}

static void add_plain(struct strbuf *line, enum log_level level, const char *msg)
{
	const char *name = atomic_load(&log_name);
	char when[CLOCK_RFC3339_SIZE];

	if (!line->len) {
		clock_format_rfc3339_fixed(clock_realtime_ns(), when);
		strbuf_addf(line, "%s %s ", when, levels[level].name);
	}
	if (name)
		strbuf_addf(line, "%s: ", name);
	escape_controls(line, msg);
}

static void add_structured(struct strbuf *line, enum log_level level, const char *msg, bool json)
{
	char when[CLOCK_RFC3339_SIZE];

	clock_format_rfc3339_fixed(clock_realtime_ns(), when);
	if (json)
		strbuf_addf(line, "{\"level\":\"%s\",\"msg\":", level_name(level));
	else
		strbuf_addf(line, "time=\"%s\" level=%s msg=", when, level_name(level));
	add_quoted(line, msg);
	if (json)
		strbuf_addf(line, ",\"time\":\"%s\"}", when);
}

void log_msg(enum log_level level, const char *fmt, ...)
{
	autostrbuf struct strbuf line = STRBUF_INIT(LINE_MAX_BYTES);
	char msg[LINE_MAX_BYTES / 8];
	int saved = errno, fd = atomic_load(&log_fd), format = atomic_load(&log_style);
	void (*sink)(enum log_level, const char *) = atomic_load(&log_sink);
	va_list ap;

	if (level < log_get_level())
		return;
	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap); /* a longer message is cut */
	va_end(ap);
	if (sink) {
		sink(level, msg);
		errno = saved;
		return;
	}

	if (fd_is_journal(fd))
		strbuf_addf(&line, "<%d>", levels[level].syslog_priority);
	if (format == LOG_STYLE_PLAIN)
		add_plain(&line, level, msg);
	else
		add_structured(&line, level, msg, format == LOG_STYLE_JSON);
	strbuf_addc(&line, '\n');
	while (write(fd, line.s, line.len) < 0 && errno == EINTR)
		;
	errno = saved;
}
