/* shim/scratch.h - the buffer that all reads of a shim share, there only while output flows. */
#pragma once

#include <stddef.h>

#include "base/mem.h"

struct error;
struct loop;
struct scratch;

#define SCRATCH_SIZE 65536

/* on_idle is called when nothing has asked for the buffer for a second: time to give back other
 * buffers as well.  The loop is borrowed. */
int scratch_new(struct loop *loop, void (*on_idle)(void *data), void *data, struct scratch **ret,
		struct error *err);
/* SCRATCH_SIZE bytes, the caller's until it returns to the loop. */
char *scratch_get(struct scratch *s);
struct scratch *scratch_free(struct scratch *s);
DEFINE_CLEANUP(struct scratch, scratch_free);
#define autoscratch __attribute__((cleanup(scratch_freep_)))
