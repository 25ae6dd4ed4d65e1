/* bin/runtime/handover.h - what a caller is given of a new process: its pid, its terminal, a pidfd. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

struct error;
struct options;

/* Whether the options fit a process with or without a terminal. */
int handover_check(const struct options *o, bool terminal, bool detach, struct error *err);

struct handover {
	pid_t pid;
	int pidfd;        /* borrowed */
	int console_fd;   /* borrowed, or -EBADF */
	const char *what; /* what runc's init calls itself: "standard", "setns" */
};
/* --console-socket, --pidfd-socket and --pid-file, as given. */
int handover(const struct options *o, const struct handover *h, struct error *err);
