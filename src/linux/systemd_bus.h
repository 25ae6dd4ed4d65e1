/* linux/systemd_bus.h - units of systemd by sd-bus, for vessel-systemd alone: the static programs that run
 * beside containers cannot link libsystemd, and describe what they want to that program in JSON:
 *
 *     {"Operation": "start", "User": false, "Unit": "vessel-x.scope",
 *      "Properties": [["Slice", "s", "system.slice", 0], ["CPUWeight", "t", 100, 0], ...]}
 *
 * A property is its name, its D-Bus signature, its value (arrays and structs as arrays, a variant as
 * [signature, value]) and the version of systemd that introduced it, below which it is left out.
 *
 *     start   StartTransientUnit, and wait for the job
 *     set     SetUnitProperties, until the next boot
 *     stop    StopUnit, wait, and ResetFailedUnit; a unit that is gone is no error
 *     where   no unit: the control group of the manager is the answer
 *
 * org.freedesktop.systemd1(5), sd-bus(3).
 */
#pragma once

struct error;
struct json;

/* *ret is the answer (malloc'd, "" if there is none).  ERROR_UNAVAILABLE: no systemd to talk to;
 * ERROR_CONFLICT: there is such a unit; ERROR_INVALID: systemd refuses a property. */
int systemd_bus_run(const struct json *request, char **ret, struct error *err);
