/* api/log_format.h - log entries as the API sends them: frames, timestamps, details. */
#pragma once

#include <stdbool.h>

struct log_entry;
struct strbuf;

struct log_format {
	bool frames;     /* 8 bytes before each entry; not for terminals */
	bool timestamps; /* "2006-01-02T15:04:05.000000000Z " at the beginning of each line */
	bool details;    /* "k=v,k2=v2 " likewise */
	bool in_line[3]; /* state: the stream's last entry was a part of a line */
};

void log_format_add(struct log_format *f, const struct log_entry *e, struct strbuf *out);
