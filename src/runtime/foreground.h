/* runtime/foreground.h - staying with a container: its terminal, its signals, its exit. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/* Block the signals that foreground_run() forwards; call before the container is created, so that
 * none is lost.  Process 1 resets its mask itself. */
void foreground_block_signals(void);
/* The size of our terminal, which the container's is to have from the beginning; false: we have none. */
bool foreground_size(uint16_t *ret_rows, uint16_t *ret_columns);

struct foreground_args {
	pid_t pid;      /* a child of ours */
	int pidfd;      /* borrowed */
	int console_fd; /* borrowed, or -EBADF: our standard streams are relayed to and from it */
	int *watch_fd;  /* or NULL: when it can be read, on_watch is called, which may close it */
	void (*on_watch)(void *data);
	void *data;
	bool reap_others; /* we are a subreaper: orphans end up here (PR_SET_CHILD_SUBREAPER) */
};

/* Wait for the child and reap it; forward signals to it.  With a terminal of the container's, made with
 * plain_newlines, ours (if standard input is one) is in raw mode meanwhile.  *ret_code: the exit code, or 128 + signal. */
int foreground_run(const struct foreground_args *args, int *ret_code, struct error *err);
