/* linux/descriptors.h - open files across execve(2). */
#pragma once

struct error;

/* Mark every descriptor from `first` on as close-on-exec: close_range(2), or (before Linux 5.11)
 * one after another, as proc_fd, the host's procfs, lists them. */
int descriptors_cloexec(int proc_fd, unsigned first, struct error *err);
