/* bin/runtime/creation.h - a container while create, run or restore makes it. */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "bin/runtime/bundle.h"
#include "runtime/runtime.h"

struct options;
struct state;

struct creation {
	const struct options *o; /* borrowed */
	struct bundle bundle;
	struct state *state;         /* owned */
	struct runtime_container *c; /* owned */
	char *seccomp_cache;         /* owned */
	struct runtime_create_args args;
	struct runtime_prepared *prepared; /* owned */
	bool prepares;                     /* set before creation_begin: a container is made here */
	int notify_fd;                     /* owned; -EBADF: nobody listens for notifications */
};
#define CREATION_INIT(options)                                             \
	{                                                                  \
		.o = (options), .bundle = BUNDLE_INIT, .notify_fd = -EBADF \
	}

/* Read the bundle, check the options against it, take the id, fill cr->args. */
int creation_begin(struct creation *cr, bool detach, struct error *err);
/* Process 1 exists: put it on record, and give the caller what it has asked for. */
int creation_record(struct creation *cr, struct error *err);
/* Become a subreaper if that is of use and not refused; whether it is so. */
bool creation_adopt_orphans(const struct creation *cr);
/* Wait for the end and remove the container, unless it is to be kept. */
int creation_stay(struct creation *cr, bool subreaper, int *ret_code, struct error *err);
void creation_roll_back(struct creation *cr);
void creation_done(struct creation *cr);
#define autocreation __attribute__((cleanup(creation_done)))
