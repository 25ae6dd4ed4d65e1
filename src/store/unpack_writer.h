/* store/unpack_writer.h - what is left to do for a file once it has been created, on a thread of its own.
 *
 * Creating names has an order, filling files has none: the caller creates a file and goes on with the next entry,
 * while the thread writes the content of this one and sets its owner, mode and times.  Jobs go over in batches; the
 * thread starts with the first full one, so a few files are written by the caller.  When the thread is behind, the
 * caller works on a batch itself.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"

#define UNPACK_WRITER_MAX (32 * 1024) /* bytes of content that a job takes */

struct unpack_writer;

/* In this order; the descriptor is closed at the end. */
struct unpack_job {
	int fd;       /* a regular file, opened for writing */
	size_t len;   /* of content, written at its position */
	uid_t uid;    /* (uid_t)-1: both stay as they are */
	gid_t gid;    /* set with uid */
	mode_t mode;  /* (mode_t)-1: stays as it is */
	int64_t size; /* of the file, then */
	struct timespec mtime;
	const char *path; /* for errors */
};

struct unpack_writer *unpack_writer_new(void);

/* Room for the content of the next job, at most UNPACK_WRITER_MAX bytes; borrowed until the job is put. */
int unpack_writer_room(struct unpack_writer *w, size_t len, char **ret, struct error *err);
/* Takes job->fd, whatever it returns; copies the path.  An error may be an earlier job's. */
int unpack_writer_put(struct unpack_writer *w, const struct unpack_job *job, struct error *err);
/* All jobs are done, and no descriptor is open. */
int unpack_writer_flush(struct unpack_writer *w, struct error *err);

/* At once, without batches: the caller has written the content. */
int unpack_job_finish(const struct unpack_job *job, struct error *err);

/* What has not begun is dropped. */
struct unpack_writer *unpack_writer_free(struct unpack_writer *w);
DEFINE_CLEANUP(struct unpack_writer, unpack_writer_free);
