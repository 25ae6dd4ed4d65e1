/* shim/logfile.h - the log drivers json-file and local: lines from raw output, rotation, compression,
 * and reading back; the same lines for a driver that lives in vessel-log (shim/logpipe.h).
 *
 * Writes never fail towards the caller: what a full disk refuses is dropped by whole lines, and
 * said once on the process's own log until writing works again.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mem.h"
#include "base/str.h"
#include "shim/logline.h"
#include "shim/protocol.h"

struct error;
struct logfile;
struct logpipe;

/* Appends to log->path, which is made if missing (mode 0640).  *ret is NULL for type "none", which
 * all functions below accept. */
int logfile_open(const struct shim_log *log, struct logfile **ret, struct error *err);
/* Nothing more will be written: the file belongs to the next shim from here on, and what the pipe holds
 * is given a moment to go. */
void logfile_close(struct logfile *l);
struct logfile *logfile_free(struct logfile *l);
DEFINE_CLEANUP(struct logfile, logfile_free);
#define autologfile __attribute__((cleanup(logfile_freep_)))

/* For a log in the format of "local": what is written goes there too. */
void logfile_set_pipe(struct logfile *l, struct logpipe *pipe_take);
struct logpipe *logfile_pipe(const struct logfile *l); /* borrowed; NULL: none */
/* A child of this process has ended; true if it was one of the log's. */
bool logfile_reaped(struct logfile *l, pid_t pid, int code);

/* Output of a stream as it was read.  Whole lines are in the file on return; the beginning of a
 * line waits for its end, up to LOGLINE_MAX bytes. */
void logfile_write(struct logfile *l, enum stream_kind stream, const void *data, size_t len,
		   int64_t now_ns);
/* One entry that has been made elsewhere, as it is; written at the latest by logfile_flush. */
struct logentry;
void logfile_add(struct logfile *l, const struct logentry *e);
void logfile_flush(struct logfile *l);
/* The stream has ended: write what waits. */
void logfile_end(struct logfile *l, enum stream_kind stream, int64_t now_ns);
/* The beginning of a line that is not in the file yet; borrowed until the next write. */
const struct strbuf *logfile_unfinished(const struct logfile *l, enum stream_kind stream);
/* Give back buffers that are not in use. */
void logfile_trim(struct logfile *l);
uint64_t logfile_dropped(const struct logfile *l); /* lines lost to a full disk so far */

/* Reads all that the log holds, oldest first, through rotations that happen meanwhile; but not what is
 * compressed. */
struct logfile_reader;
struct logfile_reader *logfile_reader_new(struct logfile *l);
/* The next line's text, appended to `text`.  1, or 0 at the end of what is written so far: more may
 * come later. */
int logfile_reader_next(struct logfile_reader *r, enum stream_kind *ret_stream,
			struct strbuf *text);
struct logfile_reader *logfile_reader_free(struct logfile_reader *r);
