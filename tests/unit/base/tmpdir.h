/* A private directory for a test, gone with its scope. */
#pragma once

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

struct tmpdir {
	char path[64];
	int fd;
};

static inline struct tmpdir tmpdir_new(void)
{
	struct tmpdir t = {.path = "/tmp/vessel-unit-XXXXXX"};

	if (!mkdtemp(t.path))
		abort();
	t.fd = open(t.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t.fd < 0)
		abort();
	return t;
}

static inline void tmpdir_done(struct tmpdir *t)
{
	fd_close(&t->fd);
	if (file_remove_tree(AT_FDCWD, t->path, NULL) < 0)
		abort();
}
#define autotmpdir __attribute__((cleanup(tmpdir_done)))
