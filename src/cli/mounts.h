/* cli/mounts.h - the values of --mount: type=bind,src=/a,dst=/b,readonly,... in comma-separated fields. */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

/* Grammar of one value, and what does not go together; ERROR_INVALID in the words of Docker's client. */
int mounts_check(const char *value, struct error *err);
/* The member Mounts, if there are any. */
int mounts_write(const struct strv *values, struct json_writer *w, struct error *err);
