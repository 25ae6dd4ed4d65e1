/* bin/runtime/notify.h - sd_notify(3) of the program in a container: with NOTIFY_SOCKET in our environment
 * it gets a socket of its own at /run/notify/notify.sock, and when it says that it is ready, so do we, with
 * its pid. */
#pragma once

#include <sys/types.h>

struct arena;
struct error;
struct oci_spec;
struct state;

/* Whether we are asked to. */
int notify_is_wanted(void);
/* Before process 1 is made: the directory, in the container's record and mounted into the container. */
int notify_prepare(const struct state *s, const char *root, struct arena *a, struct oci_spec *spec,
		   struct error *err);
/* Before it starts: listen; the fd, or -EBADF if it is not wanted. */
int notify_listen(const struct state *s, int *ret_fd, struct error *err);
/* Something can be read from that fd: pass on a READY=1 and close *fd.  mainpid 0: without MAINPID. */
void notify_read(int *fd, pid_t mainpid);
/* Wait until it is ready, or has ended (pidfd, borrowed). */
void notify_wait(int *fd, pid_t mainpid, int pidfd);
