/* bin/runtime/external.h - what of a container is not in a checkpoint: mounts, streams and namespaces
 * that come from the host, and come from there again when it is restored. */
#pragma once

#include "base/str.h"

struct error;
struct oci_spec;
struct state;

struct external_args {
	const struct oci_spec *spec;
	const struct state *state;
	int images_fd; /* borrowed: the images' directory, where what was outside is noted */
};

/* Name them for a dump (criu_opts, appended to `opts`) and note them beside the images. */
int external_dump(const struct external_args *args, pid_t pid, struct strbuf *opts,
		  struct error *err);

/* Restoring, before criu is started: namespaces given by path are opened into *ret_fds (also on
 * failure), which criu inherits from number `first_fd` on. */
struct external_fds {
	int v[8]; /* owned */
	size_t n;
};
int external_restore_namespaces(const struct oci_spec *spec, int first_fd, struct strbuf *opts,
				struct external_fds *ret_fds, struct error *err);
void external_fds_done(struct external_fds *fds);
/* Once the cgroup is there: mount points are made in rootfs_fd, and the options say where each mount
 * comes from now.  The standard streams are ours. */
int external_restore(const struct external_args *args, int rootfs_fd, struct strbuf *opts,
		     struct error *err);
