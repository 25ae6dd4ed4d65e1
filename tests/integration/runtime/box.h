/* A container for tests: a bundle made of busybox, run through runtime/runtime.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "runtime/runtime.h"

/* Parts of config.json; each NULL means the default.  JSON text, members with a leading comma. */
struct box {
	const char *script;     /* run by sh -c; or */
	const char *args;       /* "\"true\"" */
	const char *process;    /* more members of process: ",\"terminal\":true" */
	const char *caps;       /* process.capabilities; default: a small set */
	const char *mounts;     /* more mounts: ",{...}" */
	const char *namespaces; /* default: pid, network, ipc, uts, mount, cgroup */
	const char *linux_;     /* more members of linux */
	const char *top;        /* more members of the document */
	const char *root;       /* the root object; default: {"path":"rootfs"} */
	const struct runtime_rootfs *rootfs;
	const char *init_path;
	const char *cgroup; /* its last component; default: "first" */
	bool no_cgroup;     /* none is asked for */
	bool nested;        /* another container is alive: do not look for our children */
	const char *seccomp_cache_dir;
	void (*on_namespaces)(void *data, pid_t pid, int netns_fd);
	void *data;
};

struct box_run {
	bool nested;
	struct runtime_container *c; /* owned; NULL unless created */
	struct arena *arena;         /* owned */
	struct oci_spec *spec;
	int out_fd; /* owned: read end of stdout and stderr */
};

#define BOX_OUTPUT_MAX 65536
struct box_result {
	int status; /* exit code, or 128 + signal */
	char out[BOX_OUTPUT_MAX];
};

#define BOX_NAMESPACES                                                                     \
	"{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"}," \
	"{\"type\":\"mount\"},{\"type\":\"cgroup\"}"
#define BOX_MAPPINGS                                                               \
	",\"uidMappings\":[{\"containerID\":0,\"hostID\":100000,\"size\":65536}]," \
	"\"gidMappings\":[{\"containerID\":0,\"hostID\":200000,\"size\":65536}]"

extern char box_dir[]; /* the test's directory: bundle/, tmp/ */

/* Once for all tests: the bundle.  Returns 0. */
int box_setup(void **state);
int box_teardown(void **state);

int box_create(const struct box *b, struct box_run *ret, struct error *err);
int box_start(struct box_run *r, struct error *err);
/* Read until the output ends, wait, delete; checks that nothing is left. */
void box_finish(struct box_run *r, struct box_result *ret);
void box_done(struct box_run *r);
/* All of it; fails the test if the container cannot be run. */
void box_run(const struct box *b, struct box_result *ret);
/* Creation or start must fail; the error is returned. */
void box_fail(const struct box *b, struct error *ret);
/* exec `args` (JSON elements) with more process members; returns the exit code. */
int box_exec(struct box_run *r, const char *args, const char *process, char *out, size_t size,
	     struct error *err);
int box_wait(pid_t pid);
size_t box_read_all(int fd, char *out, size_t size);
/* Path of a program of the build. */
const char *box_program(const char *name);

#define assert_contains(text, part)                                      \
	do {                                                             \
		if (!strstr((text), (part)))                             \
			fail_msg("'%s' is not in:\n%s", (part), (text)); \
	} while (0)
#define assert_lacks(text, part)                                     \
	do {                                                         \
		if (strstr((text), (part)))                          \
			fail_msg("'%s' is in:\n%s", (part), (text)); \
	} while (0)
