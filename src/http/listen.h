/* http/listen.h - listening sockets: unix, TCP, and those that systemd hands over. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "http/address.h"

struct listen_args {
	mode_t mode; /* of a unix socket; 0 means 0660 */
	gid_t gid;   /* group of a unix socket; (gid_t)-1 keeps the process's */
	int backlog; /* 0 means 4,096 */
};

struct listen_fds {
	int *fds; /* owned, each one too; non-blocking, close-on-exec */
	size_t n;
};

/* Open the sockets of one address, appended to *fds: several for a host with several addresses, or
 * for fd:// (sd_listen_fds(3): LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES).  A socket file on which
 * nobody answers is replaced; one that is served, or another kind of file, is ERROR_CONFLICT.
 * The file's directory must exist. */
int listen_open(const struct http_address *a, const struct listen_args *args,
		struct listen_fds *fds, struct error *err);
int listen_fds_take(struct listen_fds *fds, size_t i); /* moves one out */
void listen_fds_done(struct listen_fds *fds);
#define autolisten_fds __attribute__((cleanup(listen_fds_done)))
