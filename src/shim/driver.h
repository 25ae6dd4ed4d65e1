/* shim/driver.h - how a container is made and driven: by our own library, or by an OCI runtime's program.
 *
 * The shim has the rest: streams, log, clients, ports, exit code.  Whoever makes the container, its process
 * 1 and its execs are the shim's children and reaped by it, and its cgroup is watched by it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/mem.h"

struct cgroup;
struct driver;
struct error;
struct json;
struct oci_spec;
struct runtime_prepared;
struct runtime_rootfs;
struct shim_config;

struct driver_create_args {
	const struct shim_config *config; /* borrowed, with the spec, until driver_release_spec */
	const struct oci_spec *spec;      /* the configuration's, decoded */
	int state_dir_fd;                 /* borrowed, as all descriptors here */
	int give_up_fd;                   /* a socket at whose end nobody wants it any more */
	int stdio[3];                     /* -EBADF: /dev/null; unused with a terminal */
	struct runtime_prepared *prepared;
	/* Once there are namespaces.  netns_fd is borrowed; -EBADF: the host's. */
	void (*on_namespaces)(void *data, pid_t pid, int netns_fd);
	void *data;
};

struct driver_exec_args {
	const struct json *process; /* OCI process object */
	bool tty;
	uint32_t rows, cols; /* 0: unset */
	int stdio[3];        /* as above */
};

struct driver_process {
	pid_t pid;      /* a child of ours */
	int console_fd; /* the terminal's master, the caller's; -EBADF: none */
};

struct driver_ops {
	/* Process 1 executes its program. */
	int (*start)(struct driver *d, struct error *err);
	/* After start: true if the spec and the configuration are not borrowed any more. */
	bool (*release_spec)(struct driver *d);
	int (*exec)(struct driver *d, const struct driver_exec_args *args,
		    struct driver_process *ret, struct error *err);
	/* SIGKILL also ends a paused container.  ERROR_CONFLICT when it does not run. */
	int (*kill)(struct driver *d, int signo, struct error *err);
	int (*pause)(struct driver *d, struct error *err);
	int (*resume)(struct driver *d, struct error *err);
	/* OCI linux.resources; what is not given stays. */
	int (*update)(struct driver *d, const struct json *resources, struct error *err);
	/* Kill what is left of it and remove all that it held; may be repeated. */
	int (*remove)(struct driver *d, struct error *err);
	struct driver *(*free)(struct driver *d);
};

struct driver {
	const struct driver_ops *ops;
	/* Of the container; all are the driver's but console_fd, which is taken. */
	pid_t pid;
	int pidfd;             /* linux/pidfd.h */
	int netns_fd;          /* -EBADF: the host's */
	int console_fd;        /* the terminal's master; -EBADF: none */
	struct cgroup *cgroup; /* NULL: none is known */
};

/* The layers that the configuration names, which is borrowed. */
struct runtime_rootfs driver_rootfs(const struct shim_config *c);
/* By what the configuration says.  On failure nothing is left. */
int driver_create(const struct driver_create_args *args, struct driver **ret, struct error *err);
int driver_library_create(const struct driver_create_args *args, struct driver **ret,
			  struct error *err);
int driver_program_create(const struct driver_create_args *args, struct driver **ret,
			  struct error *err);
/* Accepts NULL, returns NULL. */
struct driver *driver_free(struct driver *d);
