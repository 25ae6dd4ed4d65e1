/* bin/runtime/options.h - the command line of vessel-runtime, as runc has it.
 *
 * Options are written as Go's flag package has them: -name and --name are the same, a value follows
 * behind "=" or as the next argument, a flag may be given "=false", "--" ends them.  They may follow
 * the container's id, except where that begins another program's command line (exec, ps).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct command;
struct error;

enum option_id {
	/* global */
	OPT_ROOT,
	OPT_LOG,
	OPT_LOG_FORMAT,
	OPT_DEBUG,
	OPT_CRIU,
	OPT_SYSTEMD_CGROUP,
	OPT_ROOTLESS,
	OPT_VERSION,
	OPT_HELP,
	/* of several commands */
	OPT_BUNDLE,
	OPT_CONSOLE_SOCKET,
	OPT_PIDFD_SOCKET,
	OPT_PID_FILE,
	OPT_DETACH,
	OPT_PRESERVE_FDS,
	OPT_NO_PIVOT,
	OPT_NO_NEW_KEYRING,
	OPT_NO_SUBREAPER,
	OPT_KEEP,
	OPT_FORMAT,
	OPT_FORCE,
	OPT_ALL,
	OPT_QUIET,
	/* exec */
	OPT_CWD,
	OPT_ENV,
	OPT_TTY,
	OPT_USER,
	OPT_ADDITIONAL_GIDS,
	OPT_PROCESS,
	OPT_PROCESS_LABEL,
	OPT_APPARMOR,
	OPT_NO_NEW_PRIVS,
	OPT_CAP,
	OPT_CGROUP,
	OPT_IGNORE_PAUSED,
	/* spec */
	OPT_ROOTLESS_SPEC,
	/* events */
	OPT_INTERVAL,
	OPT_STATS,
	/* update */
	OPT_RESOURCES,
	OPT_BLKIO_WEIGHT,
	OPT_CPU_PERIOD,
	OPT_CPU_QUOTA,
	OPT_CPU_BURST,
	OPT_CPU_SHARE,
	OPT_CPU_RT_PERIOD,
	OPT_CPU_RT_RUNTIME,
	OPT_CPU_IDLE,
	OPT_CPUSET_CPUS,
	OPT_CPUSET_MEMS,
	OPT_KERNEL_MEMORY,
	OPT_KERNEL_MEMORY_TCP,
	OPT_MEMORY,
	OPT_MEMORY_RESERVATION,
	OPT_MEMORY_SWAP,
	OPT_PIDS_LIMIT,
	OPT_L3_CACHE_SCHEMA,
	OPT_MEM_BW_SCHEMA,
	/* checkpoint, restore */
	OPT_IMAGE_PATH,
	OPT_WORK_PATH,
	OPT_PARENT_PATH,
	OPT_LEAVE_RUNNING,
	OPT_TCP_ESTABLISHED,
	OPT_TCP_SKIP_IN_FLIGHT,
	OPT_LINK_REMAP,
	OPT_EXT_UNIX_SK,
	OPT_SHELL_JOB,
	OPT_LAZY_PAGES,
	OPT_STATUS_FD,
	OPT_PAGE_SERVER,
	OPT_FILE_LOCKS,
	OPT_PRE_DUMP,
	OPT_MANAGE_CGROUPS_MODE,
	OPT_EMPTY_NS,
	OPT_AUTO_DEDUP,
	OPT_LSM_PROFILE,
	OPT_LSM_MOUNT_CONTEXT,
	OPT_COUNT,
};

struct options {
	const struct command *command;
	const char *value[OPT_COUNT]; /* the last one given, a flag's is "true"; NULL: not given */
	struct option_given {
		enum option_id id;
		const char *value;
	} * given; /* owned: all of them, in order, for those that may be repeated */
	size_t given_count;
	char **args; /* owned, borrowed strings, NULL-terminated: what is not an option */
	size_t arg_count;
	unsigned inherited_fds; /* how many from 3 on our caller has given us */
};

/* argv[0..argc) is the whole command line.  Without a command o->command is NULL.  ERROR_INVALID with
 * runc's words; o->command is then set if it was known. */
int options_parse(struct options *o, int argc, char *argv[], struct error *err);
void options_done(struct options *o);
#define autooptions __attribute__((cleanup(options_done)))

bool options_has(const struct options *o, enum option_id id);
/* The next value of a repeatable option from *pos (0 at first) on, or NULL. */
const char *options_next(const struct options *o, enum option_id id, size_t *pos);
unsigned options_count(const struct options *o, enum option_id id); /* of a number; 0 if absent */
/* `n` descriptors from 3 on can be passed on: our caller has given them to us, they are not ours. */
int options_check_fds(const struct options *o, unsigned n, struct error *err);
/* The option's name without dashes. */
const char *options_name(enum option_id id);

/* `help`: of the program, or of one command. */
void options_print_help(FILE *to, const struct command *command);
