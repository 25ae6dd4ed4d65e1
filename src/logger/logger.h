/* logger/logger.h - what vessel-log is made of: the log drivers that speak to somebody else, one file
 * each, by a table; and the loop that feeds one of them from a shim (shim/logpipe.h).
 *
 * One process, one thread, one container.  Drivers block: while one waits for its peer, entries pile up
 * in the socket, and the shim decides what that means for the container.  When the shim has gone, what
 * is left may take LOGGER_LINGER_MS more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json_decode.h"
#include "base/logentry.h"

#define LOGGER_LINGER_MS 10000

/* "Driver" of a shim's configuration. */
struct logger_config {
	const char *name; /* "Name": the driver */
	struct json_string_map
		options;              /* "Options": as the user gave them, checked by the engine */
	const char *tag;              /* "Tag" */
	const char *container_id;     /* "ContainerID": 64 hex */
	const char *container_name;   /* "ContainerName": with its slash */
	const char *image_id;         /* "ContainerImageID": "sha256:..." */
	const char *image_name;       /* "ContainerImageName" */
	const char *command;          /* "Command": entrypoint and arguments */
	const char *created;          /* "ContainerCreated": RFC 3339 */
	struct json_string_map attrs; /* "Attrs": labels and variables, sorted */
	const struct json *file;      /* "File": struct shim_log, of json-file and local */
};

int logger_config_parse(struct arena *a, const char *text, size_t len, struct logger_config *ret,
			struct error *err);
const char *logger_option(const struct logger_config *c, const char *name); /* NULL: not given */
const char *logger_option_or(const struct logger_config *c, const char *name, const char *fallback);
bool logger_option_bool(const struct logger_config *c, const char *name);
int64_t logger_option_ms(const struct logger_config *c, const char *name, int64_t fallback_ms);

struct logger {
	const struct logger_config *config; /* borrowed */
	int input_fd;                       /* borrowed; -EBADF in tests */
	int64_t deadline_ns;                /* monotonic; 0: the shim is there */
	char hostname[65];
	char path[108]; /* of the socket that is spoken to; "": another sort of peer, or none */
};

struct log_driver {
	const char *name;
	/* Options into *ret; nobody is spoken to yet. */
	int (*open)(struct logger *l, void **ret, struct error *err);
	/* At a container's start: is the peer there?  NULL: none that could tell. */
	int (*connect)(void *d, struct error *err);
	/* What is lost by a failure is this entry, and for `flush` what was gathered since the last
	 * one.  The entry is borrowed until write returns. */
	int (*write)(void *d, const struct logentry *e, struct error *err);
	int (*flush)(void *d, struct error *err); /* NULL: nothing is gathered */
	void (*free)(void *d);
	bool writes_files; /* of the container's log, and has them compressed */
};

extern const struct log_driver fluentd_driver, gelf_driver, journald_driver, syslog_driver,
	file_driver;
const struct log_driver *log_driver_find(const char *name); /* NULL: no such driver */

/* Gives up what the driver has no use for, when it has read its files; what cannot be had later is connected. */
int logger_confine(const struct logger *l, const struct log_driver *driver, struct error *err);
/* Until the shim has gone.  status_fd: see LOGPIPE_STATUS_FD; < 0: started again.  The exit status. */
int logger_run(const struct logger_config *config, int input_fd, int status_fd);
/* gzip standard input, a regular file, to standard output; its header says which file it was. */
int logger_compress(int in_fd, int out_fd, struct error *err);
