/* linux/cgroup_systemd.h - cgroups that systemd makes: transient scopes and slices, by D-Bus.
 *
 * A static program cannot link libsystemd, so the bus is spoken by vessel-systemd, found beside our own
 * program or where `make install` puts it, and run only here.  The limits are given to systemd as
 * properties, for it writes the files of its units anew whenever it likes; and then written to
 * the files as well (cgroup_apply), for systemd does not know all of them.
 *
 * org.freedesktop.systemd1(5), systemd.resource-control(5), https://systemd.io/CGROUP_DELEGATION
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct cgroup;
struct cgroup_resources;
struct error;

/* The place (linux/cgroup.h) of the unit that `cgroups_path` asks for, "slice:prefix:name", each of which may
 * be empty; NULL or "": all of them.  Defaults: slice "system.slice" ("user.slice" for a user), prefix "vessel",
 * name `id`.  The unit is "prefix-name.scope", or `name` itself where that ends in ".slice".
 * user: of the caller's own systemd, which is asked where its cgroup is.  ERROR_INVALID;
 * ERROR_UNAVAILABLE if there is no systemd.  *ret is malloc'd. */
int cgroup_systemd_place(const char *cgroups_path, const char *id, bool user, char **ret,
			 struct error *err);
/* Whether a cgroup is a unit's. */
bool cgroup_is_unit(const struct cgroup *cg);

struct cgroup_unit_property { /* "TimeoutStopUSec", "uint64 1000": a GVariant in text form */
	const char *name, *value;
};
struct cgroup_unit_args {
	pid_t pid; /* the first process, which systemd moves */
	const char *id;
	const struct cgroup_resources *resources;
	const struct cgroup_unit_property *properties; /* the user's own */
	size_t property_count;
};
/* Start the unit of a cgroup from cgroup_create_unified(), with its first process in it; then open, and
 * on v1 make, its directories.  ERROR_CONFLICT if there is such a unit. */
int cgroup_systemd_start(struct cgroup *cg, const struct cgroup_unit_args *args, struct error *err);
