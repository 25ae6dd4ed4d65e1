/* runtime/foreground.h - staying with a container: its terminal, its signals, its exit. */
#pragma once

#include <sys/types.h>

struct error;

/* Block the signals that foreground_run() forwards; call before the container is created, so that
 * none is lost.  Process 1 resets its mask itself. */
void foreground_block_signals(void);
/* Wait for a child (reaping it); forward signals to it; with console_fd >= 0 (borrowed) relay our
 * standard streams to and from that terminal, in raw mode if ours is one.  *ret_code: the exit
 * code, or 128 + signal. */
int foreground_run(pid_t pid, int pidfd, int console_fd, int *ret_code, struct error *err);
