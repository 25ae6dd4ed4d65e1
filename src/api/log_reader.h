/* api/log_reader.h - a container's log, read back through rotations.
 *
 * Blocking file reads: for workers.  The log is `path` and, older, `path`.1, `path`.2 and so on, as
 * the shim rotates them, or `path`.2.gz; a file that is being read stays readable when it is rotated,
 * compressed or deleted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

struct log_reader;

enum log_stream { LOG_STDOUT = 1, LOG_STDERR = 2 }; /* as in frames */

struct log_entry {
	enum log_stream stream;
	const char *
		text; /* one line with its \n, or a part of one without; valid until the next call */
	size_t len;
	const char *time; /* RFC 3339 as written; not terminated; NULL: time_ns tells */
	size_t time_len;
	int64_t time_ns;   /* since 1970 */
	const char *attrs; /* a JSON object as written, NULL if there are none; not terminated */
	size_t attrs_len;
};

/* At the oldest entry; is_local: in the format of base/logentry.h, else lines of JSON.  A log that does not exist (yet) is an empty one. */
struct log_reader *log_reader_new(const char *path, bool is_local);
struct log_reader *log_reader_free(struct log_reader *r);
DEFINE_CLEANUP(struct log_reader, log_reader_free);
#define autolog_reader __attribute__((cleanup(log_reader_freep_)))

/* Before the first log_reader_next: go to the last n lines, of all streams together. */
void log_reader_tail(struct log_reader *r, uint64_t n);
/* 1 and the next entry; 0 at the end of what is written so far: ask again later.  What is no log
 * line is skipped. */
int log_reader_next(struct log_reader *r, struct log_entry *ret);
int64_t log_entry_time_ns(const struct log_entry *e); /* 0 if it is none */

/* One line of a json-file log without its line feed, decoded; text is put into `scratch` where it has to be
 * changed.  False if it is none.  For tests and fuzzers. */
struct strbuf;
bool log_entry_parse(const char *line, size_t len, struct strbuf *scratch, struct log_entry *ret);
