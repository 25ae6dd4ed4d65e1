/* api/log_format.h - log entries as the API sends them: frames, timestamps, details. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct log_entry;
struct strbuf;

struct log_format {
	bool frames;     /* 8 bytes before each entry; not for terminals */
	bool timestamps; /* "2006-01-02T15:04:05.000000000Z " at the beginning of each line */
	bool details;    /* "k=v,k2=v2 " likewise */
	bool join;       /* neighbours of one stream in one frame, within what is in `out` */
	size_t frame;    /* state: where the last frame begins in `out`, if that is not empty */
	bool in_line[3]; /* state: the stream's last entry was a part of a line */
};

/* Appends; `out` may be emptied in between, and has nothing else in it. */
void log_format_add(struct log_format *f, const struct log_entry *e, struct strbuf *out);
