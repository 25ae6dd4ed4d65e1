/* bin/runtime/commands.h - what vessel-runtime can do: one function a command. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "bin/runtime/options.h"

struct error;

/* *ret_code is the exit code on success, 0 unless set. */
typedef int (*command_fn)(const struct options *o, int *ret_code, struct error *err);

struct command {
	const char *name;
	command_fn run;
	unsigned min_args, max_args;
	const char *arguments; /* for the usage: "<container-id>" */
	const char *summary;
	bool executes;      /* runs a container's program: from a sealed copy of ourselves */
	bool ends_options;  /* nothing behind the container's id is an option of ours */
	const char *failed; /* put in front of errors: "exec failed"; NULL: nothing */
	int error_code;     /* exit code of an error */
};

extern const struct command commands[];
extern const size_t command_count;
const struct command *command_find(const char *name); /* NULL: there is none */

/* create.c */
int command_create(const struct options *o, int *ret_code, struct error *err);
int command_run(const struct options *o, int *ret_code, struct error *err);
int command_start(const struct options *o, int *ret_code, struct error *err);
/* exec.c */
int command_exec(const struct options *o, int *ret_code, struct error *err);
/* control.c */
int command_kill(const struct options *o, int *ret_code, struct error *err);
int command_delete(const struct options *o, int *ret_code, struct error *err);
int command_pause(const struct options *o, int *ret_code, struct error *err);
int command_resume(const struct options *o, int *ret_code, struct error *err);
/* list.c */
int command_list(const struct options *o, int *ret_code, struct error *err);
int command_ps(const struct options *o, int *ret_code, struct error *err);
int command_state(const struct options *o, int *ret_code, struct error *err);
/* update.c */
int command_update(const struct options *o, int *ret_code, struct error *err);
/* events.c */
int command_events(const struct options *o, int *ret_code, struct error *err);
/* features.c */
int command_features(const struct options *o, int *ret_code, struct error *err);
/* spec.c */
int command_spec(const struct options *o, int *ret_code, struct error *err);
/* checkpoint.c */
int command_checkpoint(const struct options *o, int *ret_code, struct error *err);
int command_restore(const struct options *o, int *ret_code, struct error *err);
