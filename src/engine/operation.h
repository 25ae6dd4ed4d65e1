/* engine/operation.h - one operation at a time on a container.
 *
 * An operation lives on its worker's stack.  From begin to end it is the only one that changes the
 * container, and the container cannot be freed.  Others wait in order of arrival; the handling of an
 * exit goes to the front of the queue.
 */
#pragma once

#include <semaphore.h>
#include <stdbool.h>

#include "base/error.h"

struct container;
struct engine;

enum operation_flags {
	OPERATION_FIRST = 1,        /* ahead of everyone who waits */
	OPERATION_CANCEL_START = 2, /* a start that is in progress is broken off */
};

struct operation {
	struct engine *engine;
	struct container *container; /* valid from begin to end */
	const char *name;            /* "start", for errors and the log; static */
	struct operation *next;
	sem_t turn;
	bool refused; /* removed while this one waited */
};

/* [worker] Find the container and wait for the turn. */
int operation_begin(struct engine *e, const char *ref, const char *name, unsigned flags,
		    struct operation *op, struct error *err);
/* [worker] The same for a container that the caller holds a reference on. */
int operation_begin_on(struct engine *e, struct container *c, const char *name, unsigned flags,
		       struct operation *op, struct error *err);
void operation_end(struct operation *op); /* accepts one that did not begin */

/* [worker] A reference only, no turn: for what may run beside operations. */
int operation_hold(struct engine *e, const char *ref, struct container **ret, struct error *err);
void operation_release(struct engine *e, struct container *c);

/* [loop] A start is on record, or has failed: those in engine_settle() go on. */
void operation_settled(struct container *c);

/* [loop] The container is out of the tables: those who wait get "No such container". */
void operation_refuse_all(struct container *c);
