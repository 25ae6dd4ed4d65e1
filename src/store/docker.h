/* store/docker.h - images out of a classic dockerd's data root (/var/lib/docker).
 *
 * Read, never written, so a dockerd may run on it.  Layers are read through their tar-split, which turns
 * the unpacked tree back into the tar it came from, bit for bit: their digests are verified like those
 * of any layer that comes in, and stay what they were.
 */
#pragma once

#include "base/error.h"
#include "base/mem.h"
#include "store/stream.h"

struct store;

struct store_docker_args {
	const char *root; /* absolute: its data root */
	/* A line about an image, in the end or why not; called on the caller's thread. */
	void (*message)(void *data, const char *text);
	void *data;
};
struct store_docker_result {
	unsigned images, failed; /* imported or there already; left out */
};
/* What is wrong with one image is told, and the others go on.  ERROR_NOT_FOUND if the directory is no
 * dockerd's; ERROR_NOT_IMPLEMENTED for a storage driver without directories. */
int store_docker_import(struct store *s, const struct store_docker_args *args,
			struct store_docker_result *ret, struct error *err);

/* The tar of a layer: of its tar-split file (gzip of JSON lines) and the tree it was unpacked to. */
struct docker_tar;
int docker_tar_open(int split_fd_take, int tree_fd_take, struct docker_tar **ret,
		    struct error *err);
struct stream_reader docker_tar_reader(struct docker_tar *t);
struct docker_tar *docker_tar_free(struct docker_tar *t);
DEFINE_CLEANUP(struct docker_tar, docker_tar_free);
#define autodocker_tar __attribute__((cleanup(docker_tar_freep_)))
