/* bin/runtime/report.h - where errors and warnings go: --log, in runc's text or JSON form. */
#pragma once

struct error;
struct options;

/* From now on the log's lines go to --log, or to standard error.  `o` is borrowed for the program's
 * life. */
void report_init(const struct options *o);
/* The one line of a failure.  containerd and conmon look for the last "level":"error" in the log, users
 * at standard error. */
void report_error(const struct error *err);
