/* bin/runtime/criu.h - talking to criu(8): its RPC over a socket, as `criu swrk` speaks it.
 *
 * A request is a protocol buffer (images/rpc.proto of criu); only what checkpoint and restore need
 * of that format is here.  https://criu.org/RPC, https://protobuf.dev/programming-guides/encoding/
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/str.h"

struct error;

enum criu_request { CRIU_DUMP = 1, CRIU_RESTORE = 2, CRIU_PRE_DUMP = 4 };
/* Fields of criu_opts. */
enum criu_field {
	CRIU_IMAGES_DIR_FD = 1,
	CRIU_PID = 2,
	CRIU_LEAVE_RUNNING = 3,
	CRIU_EXT_UNIX_SK = 4,
	CRIU_TCP_ESTABLISHED = 5,
	CRIU_EVASIVE_DEVICES = 6,
	CRIU_SHELL_JOB = 7,
	CRIU_FILE_LOCKS = 8,
	CRIU_LOG_LEVEL = 9,
	CRIU_LOG_FILE = 10,
	CRIU_PAGE_SERVER = 11,
	CRIU_NOTIFY_SCRIPTS = 12,
	CRIU_ROOT = 13,
	CRIU_PARENT_IMAGES = 14,
	CRIU_TRACK_MEM = 15,
	CRIU_AUTO_DEDUP = 16,
	CRIU_WORK_DIR_FD = 17,
	CRIU_LINK_REMAP = 18,
	CRIU_EXT_MNT = 23,
	CRIU_MANAGE_CGROUPS = 24,
	CRIU_CG_ROOT = 25,
	CRIU_RST_SIBLING = 26,
	CRIU_INHERIT_FD = 27,
	CRIU_MANAGE_CGROUPS_MODE = 34,
	CRIU_EXTERNAL = 37,
	CRIU_EMPTY_NS = 38,
	CRIU_JOIN_NS = 39,
	CRIU_FREEZE_CGROUP = 44,
	CRIU_TCP_SKIP_IN_FLIGHT = 46,
	CRIU_LAZY_PAGES = 48,
	CRIU_STATUS_FD = 49,
	CRIU_ORPHAN_PTS_MASTER = 50,
	CRIU_CONFIG_FILE = 51,
	CRIU_LSM_PROFILE = 53,
	CRIU_LSM_MOUNT_CONTEXT = 63,
};

/* Append a field of criu_opts (or of a message in it). */
void criu_add_int(struct strbuf *b, unsigned field, int64_t v);
void criu_add_string(struct strbuf *b, unsigned field, const char *s);
/* A message of two strings, numbered 1 and 2: ext_mnt, cg_root, join_ns. */
void criu_add_pair(struct strbuf *b, unsigned field, const char *first, const char *second);
/* inherit_fd: criu's descriptor `fd` stands for what the images call `key`. */
void criu_add_inherit_fd(struct strbuf *b, const char *key, int fd);
void criu_add_page_server(struct strbuf *b, const char *address, int port);

struct criu {
	int sock;   /* owned */
	pid_t pid;  /* of criu, a child of ours */
	void *data; /* for the caller */
	/* A step is reached ("post-dump", "setup-namespaces", ...); fd (or -EBADF) is borrowed. */
	int (*on_step)(void *data, const char *step, pid_t pid, int fd, struct error *err);
};

struct criu_inherited {
	int fd;      /* borrowed; ours */
	int criu_fd; /* its number in criu: from CRIU_FIRST_FD on */
};
#define CRIU_FIRST_FD 4

/* Start the program (NULL: "criu" in PATH), with our standard streams and the descriptors given. */
int criu_start(struct criu *c, const char *program, const struct criu_inherited *fds, size_t n,
	       struct error *err);
/* Send one request and serve its steps until the answer.  *ret_pid (may be NULL): of the restored
 * process 1, a child of ours with CRIU_RST_SIBLING. */
int criu_call(struct criu *c, enum criu_request request, const struct strbuf *opts, pid_t *ret_pid,
	      struct error *err);
/* End the conversation and reap criu. */
void criu_stop(struct criu *c);
