/* engine/oci_spec.h - a container's configuration as the runtime-spec's config.json.
 *
 * https://github.com/opencontainers/runtime-spec/blob/v1.2.1/config.md.  Pure but for stat(2) of
 * devices and bind sources, and the image's passwd and group files; no state is touched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"
#include "engine/container.h"
#include "engine/rootfs_file.h"

struct remap;

struct oci_bind { /* a mount that the engine itself adds: /etc/hosts, a volume */
	const char *source, *destination; /* absolute */
	bool read_only;
	bool is_volume;
	bool is_image; /* its owners are the container's already */
};

struct oci_spec_args {
	const struct container *container; /* its id, name, spec are read */
	struct rootfs_dirs rootfs;
	const char *cgroup_parent;
	const char *init_path;  /* vessel-init on the host, or NULL */
	bool own_init;          /* that is what init_path is: it may start with signals blocked */
	const char *seccomp;    /* the daemon's: a profile's text, "unconfined"; NULL: built in */
	const char *netns_path; /* network namespace to join; NULL: a new one, or the host's */
	const char *pidns_path; /* the same for --pid container: */
	const char *ipcns_path; /* the same for --ipc container:, and what goes to /dev/shm then */
	const char *shm_path;
	const struct remap *remap;    /* of a container in a user namespace, else NULL */
	const char *userns_path;      /* with remap: the one to join; NULL: a new one */
	const char *apparmor;         /* profile of the process, or NULL */
	const struct labels *labels;  /* SELinux' or NULL */
	const struct strv *link_env;  /* of legacy links; NULL: none */
	const struct cdi_result *cdi; /* edits of devices; NULL: none */
	const struct oci_bind *binds;
	size_t bind_count;
};

/* The whole document, appended to *out.  Missing directories of -v's host side are made (Docker does). */
int oci_spec_generate(const struct oci_spec_args *args, struct strbuf *out, struct error *err);

/* The process object of an exec, appended to *out. */
int oci_spec_exec(const struct oci_spec_args *args, const struct exec_config *x, struct strbuf *out,
		  struct error *err);
