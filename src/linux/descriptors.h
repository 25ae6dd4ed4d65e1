/* linux/descriptors.h - open files across execve(2). */
#pragma once

#include <stddef.h>

struct error;

/* How many descriptors are open from 3 on, without a gap, up to DESCRIPTORS_INHERITED_MAX: what a
 * program has been given, if it asks before it opens anything but `but` (-EBADF: nothing). */
#define DESCRIPTORS_INHERITED_MAX 1024U
unsigned descriptors_inherited(int but);
/* Mark every descriptor from `first` on as close-on-exec: close_range(2), or (before Linux 5.11)
 * one after another, as proc_fd, the host's procfs (-EBADF: /proc), lists them. */
int descriptors_cloexec(int proc_fd, unsigned first, struct error *err);
/* Close every descriptor from `first` on but the n of `keep` (any order; negative ones are none).
 * proc_fd as above; it may be closed by this too. */
int descriptors_close(int proc_fd, unsigned first, const int *keep, size_t n, struct error *err);
