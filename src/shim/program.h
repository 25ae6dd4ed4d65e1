/* shim/program.h - an OCI runtime's program, run for one of its commands.
 *
 * runc's command line, which crun, runsc and youki have as well:
 *
 *     PATH [ARGS...] --root ROOT --log LOG --log-format json COMMAND...
 *
 * It gets nothing of ours but the descriptors that are given, and dies with the shim.
 */
#pragma once

#include <stddef.h>

struct error;

struct program {
	const char *path;        /* absolute, or looked up in $PATH; all is borrowed */
	const char *const *args; /* `arg_count` of them, before all others */
	size_t arg_count;
	const char *root; /* where it keeps what it must remember: the container's alone */
	const char *log;  /* of one command */
};

struct program_call {
	const char *what;        /* for the error's message: "create" */
	const char *const *argv; /* the command and what follows, NULL-terminated */
	int stdio[3];            /* borrowed; -EBADF: /dev/null, and stderr is an error's text */
	/* A socket at whose end the program is killed, for nobody wants its result; 0: none. */
	int give_up_fd;
};

/* Until it has ended.  An error's message begins with "OCI runtime WHAT failed: " and ends with the last
 * error of its log, or what it wrote to stderr.  ERROR_INVALID with ENOENT or EACCES: a program in
 * the container that is not there or cannot be executed, or the runtime's own; ERROR_CONFLICT: it says
 * that the container does not run; else ERROR_INTERNAL. */
int program_run(const struct program *p, const struct program_call *call, struct error *err);

/* The other half, in a process of its own: main() of the shim's program with these arguments. */
#define PROGRAM_WORD "run-oci-runtime"
int program_become(int argc, char **argv);
