/* shim/bundle.h - what an OCI runtime's program finds: config.json, and beside it the root file system.
 *
 *     <RuntimeDir>/bundle/config.json
 *     <RuntimeDir>/bundle/rootfs      the layers are mounted here, in a mount namespace of the shim's own
 *     <RuntimeDir>/bundle/mounts/N    those of config.json whose owners are mapped
 *     <RuntimeDir>/bundle/state       the program's --root
 *     <RuntimeDir>/bundle/...         logs, pid files
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct driver_create_args;
struct error;
struct json;
struct json_writer;
struct strbuf;

/* The name of RuntimeDir's subdirectory. */
#define BUNDLE_NAME "bundle"

/* Leave the host's mount namespace for one of our own, for good, and make all of it.  `path` is the
 * bundle's. */
int bundle_make(const char *path, const struct driver_create_args *args, struct error *err);
/* Unmount and remove it; what is missing is fine. */
int bundle_remove(const char *path, struct error *err);
struct bundle_terminal {
	bool is_there;
	uint32_t rows, cols; /* 0: unset */
};
/* A process object, without capabilities that the shim has not got.  With NULL the terminal is as there. */
void bundle_write_process(const struct json *process, const struct bundle_terminal *t,
			  struct json_writer *w);
/* The specification as a program can read it: namespaces named by /proc/self/fd/N are the shim's,
 * and mounts with owners mapped have been made in the bundle at `path`. */
void bundle_write_config(const struct json *spec, const char *path, struct strbuf *out);
