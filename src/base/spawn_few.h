/* base/spawn_few.h - spawn.c's way for processes with many descriptors; see spawn_prepare. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/spawn.h"

void spawn_few_prepare(void);
bool spawn_few_can(const struct spawn_args *args);
/* 0 or -errno, as posix_spawn(3): also what the child could not. */
int spawn_few(const struct spawn_args *args, pid_t *ret_pid);
