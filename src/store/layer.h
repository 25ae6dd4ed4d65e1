/* store/layer.h - one layer's files: from a tar to what can be mounted, and back bit for bit.
 *
 * A layer being made is *staged* in a folder of its own below tmp/.  As a directory:
 *     diff       the unpacked tree
 *     tar-split  headers, padding and the order of contents (unless `blob` is there)
 *     keep/N     content number N, if a later entry of the same tar replaced the file
 * As an EROFS image (store/erofs.h):
 *     tar        the uncompressed tar; behind its end, what it has not as EROFS needs it
 *     index      the image, whose extra device is `tar`
 * In either:
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
struct erofs;

enum layer_format { LAYER_DIRECTORY, LAYER_EROFS };

struct layer_stage {
	enum layer_format format;
	char *name;               /* owned: below tmp/; NULL once renamed away */
	int tmp_fd;               /* borrowed: tmp/ */
	int fd, diff_fd, keep_fd; /* owned; open only while a call below works */
	struct unpack *unpack;    /* owned; NULL once finished, and in an EROFS image */
	struct erofs *erofs;      /* owned; NULL once finished, and in a directory */
	char diff_id[DIGEST_STRING_SIZE];
	char arrived[DIGEST_STRING_SIZE];     /* of its bytes as they came */
	char blob_digest[DIGEST_STRING_SIZE]; /* "" unless it arrived compressed */
	int64_t blob_size;
	int64_t size;     /* bytes of file content */
	int64_t tar_size; /* bytes of the tar */
};

/* Unpack a layer from its stream, plain or compressed, into tmp_fd/name, which must not exist.  Reads
 * the stream to its end. */
int layer_stage_new(int tmp_fd, const char *name, const struct stream_reader *in,
		    struct layer_stage **ret, struct error *err);
/* The same as an EROFS image; as a directory if it holds what that format cannot. */
int layer_stage_new_erofs(int tmp_fd, const char *name, const struct stream_reader *in,
			  struct layer_stage **ret, struct error *err);
/* Either. */
struct layer_source {
	enum layer_format format; /* that is wanted */
	const struct stream_reader *in;
	/* A file on the file system of tmp/ whose bytes, from the first to the last, are what `in` gives,
	 * and which nobody changes once it has given them: it becomes the blob, by a link.  -EBADF: the
	 * blob is written. */
	int file;
};
int layer_stage_new_from(int tmp_fd, const char *name, const struct layer_source *source,
			 struct layer_stage **ret, struct error *err);
/* Complete the tree with what depends on the layers below. */
int layer_stage_finish(struct layer_stage *l, const struct unpack_lower *lower, struct error *err);
/* What a finished layer shows, by the folder it is in ("name" in tmp/, a chain ID's hex digits in layers/):
 * the root of its tree, O_PATH; of an EROFS image mounted for nobody but the descriptor. */
int layer_open_root(int dir_fd, const char *folder, struct error *err);
/* The format of what is in a layer's folder; negative: neither. */
int layer_format_of(int dir_fd, const char *folder);
/* A detached mount of an EROFS layer. */
int layer_mount(int dir_fd, const char *folder, struct error *err);
/* Deletes the folder unless it was renamed away. */
struct layer_stage *layer_stage_free(struct layer_stage *l);
DEFINE_CLEANUP(struct layer_stage, layer_stage_free);
#define autolayer_stage __attribute__((cleanup(layer_stage_freep_)))

/* Reads back the tar of a layer whose folder (with tar, or with diff, tar-split, keep) is dir_fd, or that
 * was kept as the compressed file blob_fd (-1: none).  Its digest is the caller's to check. */
struct layer_tar;
int layer_tar_open(int dir_fd_take, int blob_fd_take, int64_t tar_size, struct layer_tar **ret,
		   struct error *err);
struct stream_reader layer_tar_reader(struct layer_tar *t);
struct layer_tar *layer_tar_free(struct layer_tar *t);
DEFINE_CLEANUP(struct layer_tar, layer_tar_free);
#define autolayer_tar __attribute__((cleanup(layer_tar_freep_)))

/* A reader that hashes and, with fd >= 0, copies to a file what passes through it. */
struct layer_tee {
	const struct stream_reader *in; /* borrowed */
	struct hasher *hash;            /* borrowed */
	int64_t size, begun;            /* bytes read; bytes that the disk has been told to write */
	int fd;                         /* borrowed */
};
struct stream_reader layer_tee_reader(struct layer_tee *t);

/* chain(0) is the first diff ID; chain(n) = sha256(chain(n-1) " " diff(n)); parent "": the first.
 * ret may be parent. */
void layer_chain_id(const char *parent, const char *diff_id, char ret[static DIGEST_STRING_SIZE]);
