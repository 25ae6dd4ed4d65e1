/* logger/syslog.h - messages of the syslog driver, apart from their sending. */
#pragma once

#include <stdbool.h>

#include "base/logentry.h"

enum syslog_kind { SYSLOG_LOCAL, SYSLOG_RFC3164, SYSLOG_RFC5424, SYSLOG_RFC5424MICRO };

struct syslog_format {
	enum syslog_kind kind;
	int facility;               /* 0 to 23 */
	const char *tag, *hostname; /* borrowed */
	int pid;
	bool framed; /* RFC 5425's length before each message of RFC 5424 */
};

int syslog_facility(const char *name); /* a name or a number; NULL and "": daemon; -EINVAL */
int syslog_kind(const char *name);     /* enum syslog_kind, or -EINVAL */
void syslog_format_add(const struct syslog_format *f, const struct logentry *e, struct strbuf *out);
