/* cli/gpus.h - the values of --gpus: "all", "2", '"device=0,1"', 'count=2,"capabilities=compute,utility"',
 * with the keys driver, count, device, capabilities and options. */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

/* Grammar of one value; ERROR_INVALID in the words of Docker's client. */
int gpus_check(const char *value, struct error *err);
/* The member DeviceRequests, if there are any. */
int gpus_write(const struct strv *values, struct json_writer *w, struct error *err);
