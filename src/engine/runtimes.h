/* engine/runtimes.h - OCI runtimes: what a container's HostConfig.Runtime names.
 *
 * Our own is "vessel"; "runc" and "io.containerd.runc.v2", the names of dockerd's default, mean it
 * too, unless a runtime of that name is configured.
 */
#pragma once

struct error;
struct json;
struct settings;

#define RUNTIMES_OWN "vessel"

struct runtime_program {
	const char *path;        /* NULL: our own; borrowed from the settings, as args */
	const struct json *args; /* array of strings, or NULL */
};

/* ERROR_INVALID for an unknown name, in dockerd's words; ERROR_NOT_IMPLEMENTED for a shim of containerd
 * other than runc's, and its options. */
int runtimes_find(const struct settings *s, const char *name, struct runtime_program *ret,
		  struct error *err);
/* "runtimes" and "default-runtime", together. */
int runtimes_check(const struct settings *s, struct error *err);
