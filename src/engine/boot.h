/* engine/boot.h - start order when the engine comes up: containers that declare what they depend on wait for it.
 *
 * Two labels declare it, both honoured: "vessel.depends-on" with "NAME[:CONDITION],...", conditions
 * "started" (the default), "healthy" and "completed"; and "com.docker.compose.depends_on", which Compose
 * v2 writes, with "SERVICE:CONDITION:RESTART,...", services being those of the same project.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"

#define BOOT_LABEL           "vessel.depends-on"
#define BOOT_COMPOSE_LABEL   "com.docker.compose.depends_on"
#define BOOT_COMPOSE_PROJECT "com.docker.compose.project"
#define BOOT_COMPOSE_SERVICE "com.docker.compose.service"

enum boot_condition {
	BOOT_STARTED,
	BOOT_HEALTHY,   /* or started, where nothing checks its health */
	BOOT_COMPLETED, /* has ended */
	BOOT_CONDITION_COUNT,
};

struct boot_need {    /* one entry of a label */
	char *name;   /* owned: of a container, or of a service */
	bool service; /* of the project that the container is in */
	enum boot_condition condition;
};
struct boot_needs {
	struct boot_need *v; /* owned */
	size_t n, cap;
};
/* From the labels (an object or NULL).  What is not understood is left out; *ret_bad, if not NULL, becomes
 * the first such entry (borrowed from the label until the comma), or NULL. */
void boot_needs_parse(const struct json *labels, struct boot_needs *ret, const char **ret_bad);
void boot_needs_done(struct boot_needs *n);

struct container;
struct engine;

/* [before the loop] It is to be started when what it depends on is there.  false: it depends on nothing. */
bool boot_add(struct container *c);
/* [before the loop] All are added: cycles are reported and broken, and those that need not wait begin. */
void boot_begin(struct engine *e);
/* [loop] Something has started, ended, become healthy or unhealthy, or was removed. */
void boot_check(struct engine *e);
/* [loop] It waits no longer: somebody has started, stopped or removed it. */
void boot_forget(struct container *c);
void boot_done(struct engine *e); /* forget all */
