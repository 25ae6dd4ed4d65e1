/* bin/runtime/session.h - one talk with criu: the directories, and the options that checkpoint and restore
 * have in common. */
#pragma once

#include "base/file.h"
#include "base/str.h"
#include "bin/runtime/criu.h"
#include "bin/runtime/options.h"
#include "oci/runtime_spec.h"

struct error;
struct state;

#define SESSION_OPTS_MAX ((size_t)4 << 20)

struct session {
	const struct options *o; /* borrowed, as the next two */
	const struct oci_spec *spec;
	const struct state *state;
	const char *images, *work; /* borrowed; work may be NULL: the images' */
	int images_fd, work_fd;    /* owned */
	struct strbuf opts;        /* owned: criu_opts so far */
	struct criu criu;
	int status_fd;  /* taken from the caller: told when pages are served; or -EBADF */
	int console_fd; /* owned: a restored terminal, or -EBADF */
};
#define SESSION_INIT(options)                                                                    \
	{                                                                                        \
		.o = (options), .images_fd = -EBADF, .work_fd = -EBADF,                          \
		.opts = STRBUF_INIT(SESSION_OPTS_MAX), .criu.sock = -EBADF, .status_fd = -EBADF, \
		.console_fd = -EBADF                                                             \
	}

/* Open the directories and begin the options; criu writes its log to `log_file` in --work-path. */
int session_begin(struct session *s, const char *log_file, struct error *err);
/* criu_call(), and on failure warnings with what the log has to say. */
int session_call(struct session *s, enum criu_request request, const char *log_file, pid_t *ret_pid,
		 struct error *err);
void session_done(struct session *s);
