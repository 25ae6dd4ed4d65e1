/* base/file.h - files read and written whole, durably, below a directory fd. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;

enum file_write_flags {
	FILE_SYNC = 1,      /* fsync file and directory: survives power loss */
	FILE_EXCLUSIVE = 2, /* -EEXIST if the name exists */
};

/* Write to a temporary name, then rename (or link, if exclusive): readers see all or nothing. */
int file_write_atomic(int dirfd, const char *name, const void *data, size_t len, mode_t mode,
		      unsigned flags, struct error *err);
/* Whole file into a NUL-terminated, malloc'd buffer; -E2BIG past max; -ENOENT kept as the return
 * value.  ret_len may be NULL.  Works on procfs and sysfs (size 0) too. */
int file_read(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len,
	      struct error *err);
/* One write(2) to an existing file, as procfs, sysfs and cgroupfs want it. */
int file_write_value(int dirfd, const char *name, const char *value, struct error *err);

/* mkdir -p below dirfd; existing directories are fine.  Trusted paths only. */
int file_mkdir_p(int dirfd, const char *path, mode_t mode, struct error *err);
/* Remove a tree, never following links or leaving dirfd's file system; missing is fine. */
int file_remove_tree(int dirfd, const char *name, struct error *err);

int fd_read_full(int fd, void *buf, size_t len);        /* bytes read (short at EOF) or -errno */
int fd_write_full(int fd, const void *buf, size_t len); /* 0 or -errno */
/* A sealed-for-writing memfd holding data, positioned at 0. */
int fd_memfd(const char *name, const void *data, size_t len, struct error *err);
int fd_set_nonblock(int fd, bool on);

/* Send or receive one message with fds over a unix socket.  -errno; recv returns the byte count,
 * 0 at end or reset.  Received fds are CLOEXEC; *n_fds in: room, out: count; surplus are closed. */
int fd_send(int sock, const void *data, size_t len, const int *fds, size_t n_fds);
ssize_t fd_recv(int sock, void *buf, size_t size, int *fds, size_t *n_fds);
