/* logger/fluentd.h - records of the fluentd driver, apart from their sending. */
#pragma once

#include "base/logentry.h"
#include "logger/logger.h"

void fluentd_record(const struct logger_config *c, const struct logentry *e, struct strbuf *out);
