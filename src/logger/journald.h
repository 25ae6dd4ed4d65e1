/* logger/journald.h - fields of the journald driver, apart from their sending. */
#pragma once

#include <stdint.h>

#include "base/logentry.h"
#include "logger/logger.h"

/* "NAME=value\n", or with the length where the value has a line feed. */
void journald_field(struct strbuf *out, const char *name, const char *value, size_t len);
/* A label's or variable's name as a field's: capitals, digits and '_', which it does not begin with;
 * owned by the caller, "" if nothing is left. */
char *journald_name(const char *key);
void journald_common(const struct logger_config *c, struct strbuf *out);
void journald_entry(const struct logentry *e, uint64_t ordinal, struct strbuf *out);
