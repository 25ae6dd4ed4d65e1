/* engine/logging.h - log drivers: which there are, their options and defaults, where a container's
 * log is, and what its shim is told of it.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "engine/config.h"
#include "engine/container.h"

struct engine;
struct settings;

/* What limits a file of the drivers json-file and local unless options say otherwise. */
#define LOGGING_MAX_SIZE "20m"
#define LOGGING_MAX_FILE "5"

/* Names for /info, NULL-terminated. */
const char *const *logging_drivers(void);

/* At create: what the request leaves open is filled in from the daemon's defaults, and checked. */
int logging_resolve(const struct settings *settings, struct container_spec *s, struct error *err);
/* Docker's checks and texts, ERROR_INVALID. */
int logging_validate(const struct config_log *log, struct error *err);
/* The daemon's own defaults; log_opts is an object of strings or NULL. */
int logging_validate_defaults(const char *driver, const struct json *log_opts, struct error *err);

/* The file that `docker logs` reads; owned by the caller, NULL if the log cannot be read. */
char *logging_path(const struct container *c, bool *ret_is_local);

/* The member "Log" of a shim's configuration.  [worker, with the operation] */
int logging_write(const struct engine *e, const struct container *c, struct json_writer *w,
		  struct error *err);

/* ---- shared with logging_write.c, and for tests ---- */

/* The tag and the expressions, as far as they can be checked without a container. */
int logging_check_templates(const struct config_log *log, struct error *err);

const char *logging_option(const struct config_log *log, const char *name); /* NULL: not given */
bool logging_option_bool(const struct config_log *log, const char *name);
