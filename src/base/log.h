/* base/log.h - one line a failure, at the boundary that stops it.
 *
 * Lines go to stderr in one of three formats; in the plain one, under systemd (JOURNAL_STREAM), the
 * time and level are a <N> prefix instead.  The others begin with it there.  Thread-safe: one write(2)
 * a line.
 */
#pragma once

enum log_style {
	LOG_STYLE_PLAIN, /* time level name: message */
	LOG_STYLE_TEXT,  /* time="..." level=... msg="...", as dockerd's */
	LOG_STYLE_JSON,  /* {"level":"...","msg":"...","time":"..."}, as dockerd's */
};

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_set_style(enum log_style style);
int log_level_parse(const char *s, enum log_level *ret); /* debug info warn error fatal; -EINVAL */
void log_set_name(const char *name);                     /* prefix, e.g. "vesseld"; borrowed */
void log_set_fd(int fd);                                 /* default: stderr; borrowed */
/* Give lines to `fn` (unformatted, those of a lower level left out) instead of writing them. */
void log_set_sink(void (*fn)(enum log_level level, const char *msg));
void log_msg(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_msg(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_msg(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_msg(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_msg(LOG_LEVEL_ERROR, __VA_ARGS__)
