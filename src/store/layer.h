/* store/layer.h - one layer's files: from a tar to a directory, and back bit for bit.
 *
 * A layer being made is *staged* in a folder of its own below tmp/:
 *     diff       the unpacked tree
 *     tar-split  headers, padding and the order of contents (unless `blob` is there)
 *     keep/N     content number N, if a later entry of the same tar replaced the file
 *     blob       the layer as it arrived, if that was compressed
 * It is finished when the layers below it are known, and then renamed into place whole.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "store/stream.h"
#include "store/unpack.h"

struct hasher;

struct layer_stage {
	char *name;               /* owned: below tmp/; NULL once renamed away */
	int tmp_fd;               /* borrowed: tmp/ */
	int fd, diff_fd, keep_fd; /* owned; open only while a call below works */
	struct unpack *unpack;    /* owned; NULL once finished */
	char diff_id[DIGEST_STRING_SIZE];
	char blob_digest[DIGEST_STRING_SIZE]; /* "" unless it arrived compressed */
	int64_t blob_size;
	int64_t size;     /* bytes of file content */
	int64_t tar_size; /* bytes of the tar */
};

/* Unpack a layer from its stream, plain or compressed, into tmp_fd/name, which must not exist.  Reads
 * the stream to its end. */
int layer_stage_new(int tmp_fd, const char *name, const struct stream_reader *in,
		    struct layer_stage **ret, struct error *err);
/* Complete the tree with what depends on the layers below: their diff directories, top first. */
int layer_stage_finish(struct layer_stage *l, const int *lower_fds, size_t n, struct error *err);
/* Deletes the folder unless it was renamed away. */
struct layer_stage *layer_stage_free(struct layer_stage *l);
DEFINE_CLEANUP(struct layer_stage, layer_stage_free);
#define autolayer_stage __attribute__((cleanup(layer_stage_freep_)))

/* Reads back the tar of a layer whose folder (with diff, tar-split, keep) is dir_fd, or that was kept
 * as the compressed file blob_fd (-1: none).  Its digest is the caller's to
 * check. */
struct layer_tar;
int layer_tar_open(int dir_fd_take, int blob_fd_take, struct layer_tar **ret, struct error *err);
struct stream_reader layer_tar_reader(struct layer_tar *t);
struct layer_tar *layer_tar_free(struct layer_tar *t);
DEFINE_CLEANUP(struct layer_tar, layer_tar_free);
#define autolayer_tar __attribute__((cleanup(layer_tar_freep_)))

/* A reader that hashes and, with fd >= 0, copies to a file what passes through it. */
struct layer_tee {
	const struct stream_reader *in; /* borrowed */
	struct hasher *hash;            /* borrowed */
	int64_t size;
	int fd; /* borrowed */
};
struct stream_reader layer_tee_reader(struct layer_tee *t);

/* chain(0) is the first diff ID; chain(n) = sha256(chain(n-1) " " diff(n)); parent "": the first.
 * ret may be parent. */
void layer_chain_id(const char *parent, const char *diff_id, char ret[static DIGEST_STRING_SIZE]);
