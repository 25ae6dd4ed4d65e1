/* registry/failure.h - a registry's refusals in Docker's words. */
#pragma once

#include "base/error.h"
#include "registry/session.h"

/* {"errors": [{"code", "message", "detail"}]}, or whatever came.  Returns negative with *err filled. */
int failure_of_answer(const struct transfer_response *answer, const char *url,
		      struct session_failure *failure, struct error *err);
