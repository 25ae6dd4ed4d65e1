/* Staging a layer: one pass over its stream.
 *
 *     in -> tee (blob digest, blob file) -> decompress -> tee (diff ID) -> tar -> unpack, tar-split
 *     in -> tee (blob digest, blob file) -> decompress -> tee (diff ID, tar file) -> tar -> erofs
 *
 * The blob file is there only for compressed layers; those need no tar-split, since decompressing
 * the blob gives the same tar.  An uncompressed one that becomes an EROFS image is itself the tar file.
 * A download is a file already, which is linked instead of written again.
 */
#include "store/layer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "linux/mount.h"
#include "store/compress.h"
#include "store/erofs.h"
#include "store/hasher.h"
#include "store/tarsplit.h"

#define PAYLOAD_SIZE (256 * 1024)
#define AHEAD        (2 << 20)
#define WRITE_STEP   (8 << 20) /* bytes after which the disk is told to begin */

void layer_chain_id(const char *parent, const char *diff_id, char ret[static DIGEST_STRING_SIZE])
{
	autofree char *text = NULL;

	if (!parent || !parent[0]) {
		memmove(ret, diff_id, DIGEST_STRING_SIZE);
		return;
	}
	text = xasprintf("%s %s", parent, diff_id);
	sha256_of(text, strlen(text), ret);
}

static ssize_t tee_read(void *data, void *buf, size_t size, struct error *err)
{
	struct layer_tee *t = data;
	ssize_t n = t->in->read(t->in->data, buf, size, err);
	int r;

	if (n <= 0)
		return n;
	hasher_update(t->hash, buf, (size_t)n);
	t->size += n;
	if (t->fd >= 0) {
		r = fd_write_full(t->fd, buf, (size_t)n);
		if (r < 0)
			return error_set(err, ERROR_INTERNAL, -r, "write a layer");
		if (t->size - t->begun >= WRITE_STEP) { /* a hint: the commit's syncfs() waits */
			(void)sync_file_range(t->fd, t->begun, t->size - t->begun,
					      SYNC_FILE_RANGE_WRITE);
			t->begun = t->size;
		}
	}
	return n;
}

struct stream_reader layer_tee_reader(struct layer_tee *t)
{
	return (struct stream_reader){.read = tee_read, .data = t};
}

/* ---- the pass ---- */

struct pass {
	struct layer_stage *l;         /* borrowed */
	struct tarsplit_writer *split; /* owned; NULL: none */
};

static int pass_raw(void *data, const void *p, size_t len, struct error *err)
{
	struct pass *pass = data;

	return pass->split ? tarsplit_raw(pass->split, p, len, err) : 0;
}

/* A content that became no file stays in the tar-split. */
static int pass_inline(struct pass *pass, struct tar *t, struct error *err)
{
	const void *p;
	ssize_t n;
	int r = 0;

	while (r >= 0 && (n = tar_read(t, PAYLOAD_SIZE, &p, err)) != 0)
		r = n < 0 ? (int)n : pass_raw(pass, p, (size_t)n, err);
	return r;
}

static int pass_entries(struct pass *pass, struct tar *t, struct error *err)
{
	const struct tar_entry *e;
	int r;

	while ((r = tar_next(t, &e, err)) > 0) {
		struct unpack_file file;

		if (pass->l->erofs) {
			r = erofs_entry(pass->l->erofs, e, tar_offset(t), err);
			if (r < 0)
				return r;
			continue;
		}
		r = unpack_entry(pass->l->unpack, t, e, &file, err);
		if (r > 0 && pass->split)
			r = tarsplit_file(pass->split, &file, e, err);
		else if (r == 0)
			r = pass_inline(pass, t, err);
		if (r < 0)
			return r;
	}
	return r;
}

/* An archive may bring hundreds of layers: none keeps descriptors open while it waits. */
static void close_folders(struct layer_stage *l)
{
	fd_close(&l->keep_fd);
	fd_close(&l->diff_fd);
	fd_close(&l->fd);
}

static int open_folders(struct layer_stage *l, struct error *err)
{
	l->fd = openat(l->tmp_fd, l->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (l->fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open 'tmp/%s'", l->name);
	if (l->format == LAYER_EROFS)
		return 0;
	l->diff_fd = openat(l->fd, "diff", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	l->keep_fd = openat(l->fd, "keep", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (l->diff_fd < 0 || l->keep_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open folders in 'tmp/%s'", l->name);
	return 0;
}

static int make_tree_folders(const struct layer_stage *l, struct error *err)
{
	autofree char *diff = xasprintf("%s/diff", l->name), *keep = xasprintf("%s/keep", l->name);

	if (mkdirat(l->tmp_fd, diff, 0700) < 0 || mkdirat(l->tmp_fd, keep, 0700) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make folders in 'tmp/%s'", l->name);
	return 0;
}

static int make_folders(struct layer_stage *l, struct error *err)
{
	int r = mkdirat(l->tmp_fd, l->name, 0700) < 0
			? error_set(err, ERROR_INTERNAL, errno, "make 'tmp/%s'", l->name)
			: 0;

	if (r >= 0 && l->format == LAYER_DIRECTORY)
		r = make_tree_folders(l, err);
	return r < 0 ? r : open_folders(l, err);
}

/* What came as a file: the bytes that have gone through the tee already. */
static int copy_begin(const struct layer_stage *l, const struct layer_tee *blob, int from,
		      struct error *err)
{
	char buf[64];

	for (int64_t pos = 0; pos < blob->size;) {
		int64_t left = blob->size - pos;
		ssize_t n = pread(from, buf,
				  left < (int64_t)sizeof(buf) ? (size_t)left : sizeof(buf), pos);
		int r = n > 0 ? fd_write_full(blob->fd, buf, (size_t)n) : n < 0 ? -errno : -EIO;

		if (r < 0)
			return error_set(err, ERROR_INTERNAL, -r, "write 'tmp/%s/blob'", l->name);
		pos += n;
	}
	return 0;
}

/* The first bytes have gone through the blob tee before it is known whether to keep a blob. */
static int open_blob(struct layer_stage *l, struct layer_tee *blob, int *ret_fd, struct error *err)
{
	*ret_fd = openat(l->fd, "blob", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*ret_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make 'tmp/%s/blob'", l->name);
	blob->fd = *ret_fd;
	return 0;
}

/* Which has no name any more if another pull of the same blob has come to its end. */
static bool link_blob(const struct layer_stage *l, int file)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	return linkat(AT_FDCWD, path, l->fd, "blob", AT_SYMLINK_FOLLOW) == 0;
}

/* A file becomes the blob as it is; a plain tar is written, as what follows it in an EROFS layer is
 * no part of the download. */
static int settle_file(struct layer_stage *l, struct layer_tee *blob, int file, bool kept,
		       int *ret_fd, struct error *err)
{
	int r;

	if (kept && link_blob(l, file))
		return 0;
	r = open_blob(l, blob, ret_fd, err);
	return r < 0 ? r : copy_begin(l, blob, file, err);
}

/* It was no blob: there is none, or it is the tar. */
static int settle_plain(struct layer_stage *l, struct layer_tee *blob,
			struct tarsplit_writer **ret_split, struct error *err)
{
	if (l->format == LAYER_EROFS)
		return renameat(l->fd, "blob", l->fd, "tar") < 0
			       ? error_set(err, ERROR_INTERNAL, errno, "name a layer's tar")
			       : 0;
	blob->fd = -1;
	(void)unlinkat(l->fd, "blob", 0); /* goes with the folder otherwise */
	return tarsplit_writer_new(l->fd, ret_split, err);
}

static int settle_compressed(const struct layer_stage *l, struct layer_tee *diff, int *ret_fd,
			     struct error *err)
{
	if (l->format == LAYER_DIRECTORY)
		return 0;
	*ret_fd = openat(l->fd, "tar", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (*ret_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make 'tmp/%s/tar'", l->name);
	diff->fd = *ret_fd;
	return 0;
}

/* As if it had come plain: nobody else takes a layer in bzip2 or xz. */
static int settle_foreign(struct layer_stage *l, struct layer_tee *blob, struct layer_tee *diff,
			  int *ret_fd, struct tarsplit_writer **ret_split, struct error *err)
{
	blob->fd = -1;
	(void)unlinkat(l->fd, "blob", 0); /* goes with the folder otherwise */
	return l->format == LAYER_EROFS ? settle_compressed(l, diff, ret_fd, err)
					: tarsplit_writer_new(l->fd, ret_split, err);
}

/* Many small files take long, one large file does not: when a tree is unpacked, there is something in hand for
 * both.  An EROFS image takes every byte alike, and its inodes want the memory. */
static void read_ahead(struct decompress *d, struct hasher *diff_hash)
{
	decompress_set_ahead(d, AHEAD);
	hasher_set_ahead(diff_hash, AHEAD / 2);
}

static int run_pass(struct layer_stage *l, const struct layer_source *source, struct error *err)
{
	autohasher struct hasher *blob_hash = hasher_new(), *diff_hash = hasher_new();
	struct layer_tee blob = {.in = source->in, .hash = blob_hash, .fd = -1};
	struct stream_reader blob_in = layer_tee_reader(&blob), plain, diff_in;
	autotarsplit_writer struct tarsplit_writer *split = NULL;
	struct layer_tee diff = {.hash = diff_hash, .fd = -1};
	autodecompress struct decompress *d = NULL;
	struct pass pass = {.l = l};
	autotar struct tar *tar = NULL;
	autoclose int blob_fd = -EBADF, tar_fd = -EBADF;
	bool compressed, kept;
	int r;

	/* Written from the first byte, as what it is shows only while reading. */
	r = source->file >= 0 ? 0 : open_blob(l, &blob, &blob_fd, err);
	if (r >= 0)
		r = decompress_new(&blob_in, &d, err);
	if (r < 0)
		return r;
	if (l->format == LAYER_DIRECTORY)
		read_ahead(d, diff_hash);
	compressed = decompress_kind(d) != COMPRESS_NONE;
	kept = compress_is_distributable(decompress_kind(d));
	r = source->file >= 0 ? settle_file(l, &blob, source->file, kept, &blob_fd, err) : 0;
	if (r < 0)
		return r;
	r = kept         ? settle_compressed(l, &diff, &tar_fd, err)
	    : compressed ? settle_foreign(l, &blob, &diff, &tar_fd, &split, err)
			 : settle_plain(l, &blob, &split, err);
	if (r < 0)
		return r;
	plain = decompress_reader(d);
	diff.in = &plain;
	diff_in = layer_tee_reader(&diff);
	pass.split = split;
	tar = tar_new(compressed ? &diff_in : &plain, l->erofs ? NULL : pass_raw, &pass);
	r = pass_entries(&pass, tar, err);
	if (r >= 0 && split)
		r = tarsplit_writer_end(split, err);
	if (r < 0)
		return r;

	hasher_digest(blob_hash, l->arrived);
	if (kept || !compressed)
		memcpy(kept ? l->blob_digest : l->diff_id, l->arrived, sizeof(l->arrived));
	if (compressed)
		hasher_digest(diff_hash, l->diff_id);
	if (kept)
		l->blob_size = blob.size;
	l->tar_size = compressed ? diff.size : blob.size;
	l->size = l->erofs ? erofs_size(l->erofs) : unpack_size(l->unpack);
	return 0;
}

int layer_stage_new_from(int tmp_fd, const char *name, const struct layer_source *source,
			 struct layer_stage **ret, struct error *err)
{
	autolayer_stage struct layer_stage *l = xnew0(struct layer_stage);
	int r;

	*l = (struct layer_stage){.format = source->format,
				  .name = xstrdup(name),
				  .tmp_fd = tmp_fd,
				  .fd = -EBADF,
				  .diff_fd = -EBADF,
				  .keep_fd = -EBADF};
	r = make_folders(l, err);
	if (l->format == LAYER_EROFS)
		l->erofs = erofs_new();
	else if (r >= 0)
		r = unpack_new(l->diff_fd, l->keep_fd, &l->unpack, err);
	if (r >= 0)
		r = run_pass(l, source, err);
	if (r >= 0 && l->unpack)
		r = unpack_pause(l->unpack, err);
	if (r < 0)
		return r;
	close_folders(l);
	*ret = TAKE_PTR(l);
	return 0;
}

int layer_stage_new(int tmp_fd, const char *name, const struct stream_reader *in,
		    struct layer_stage **ret, struct error *err)
{
	const struct layer_source source = {.format = LAYER_DIRECTORY, .in = in, .file = -EBADF};

	return layer_stage_new_from(tmp_fd, name, &source, ret, err);
}

int layer_stage_new_erofs(int tmp_fd, const char *name, const struct stream_reader *in,
			  struct layer_stage **ret, struct error *err)
{
	const struct layer_source source = {.format = LAYER_EROFS, .in = in, .file = -EBADF};

	return layer_stage_new_from(tmp_fd, name, &source, ret, err);
}

/* ---- the end ---- */

static int finish_tree(struct layer_stage *l, const struct unpack_lower *lower, struct error *err)
{
	int r;

	unpack_resume(l->unpack, l->diff_fd, l->keep_fd);
	r = unpack_finish(l->unpack, lower, err);
	l->size = unpack_size(l->unpack);
	l->unpack = unpack_free(l->unpack);
	if (r >= 0 && l->blob_digest[0])
		r = file_remove_tree(l->fd, "keep", err);
	else if (r >= 0)
		(void)unlinkat(l->fd, "keep", AT_REMOVEDIR); /* stays if it is needed */
	return r;
}

/* The tar holds what an EROFS image cannot: unpack it after all. */
static int become_directory(struct layer_stage *l, struct error *err)
{
	autotarsplit_writer struct tarsplit_writer *split = NULL;
	autolayer_tar struct layer_tar *t = NULL;
	struct stream_reader in;
	struct pass pass = {.l = l};
	autotar struct tar *tar = NULL;
	int r, dir;

	l->erofs = erofs_free(l->erofs);
	l->format = LAYER_DIRECTORY;
	r = make_tree_folders(l, err);
	close_folders(l);
	if (r >= 0)
		r = open_folders(l, err);
	if (r >= 0)
		r = unpack_new(l->diff_fd, l->keep_fd, &l->unpack, err);
	if (r >= 0 && !l->blob_digest[0])
		r = tarsplit_writer_new(l->fd, &split, err);
	if (r < 0)
		return r;
	dir = openat(l->tmp_fd, l->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open 'tmp/%s'", l->name);
	r = layer_tar_open(dir, -EBADF, l->tar_size, &t, err);
	if (r < 0)
		return r;
	in = layer_tar_reader(t);
	pass.split = split;
	tar = tar_new(&in, pass_raw, &pass);
	r = pass_entries(&pass, tar, err);
	if (r >= 0 && split)
		r = tarsplit_writer_end(split, err);
	if (r >= 0 && (unlinkat(l->fd, "tar", 0) < 0 || unlinkat(l->fd, "index", 0) < 0))
		r = error_set(err, ERROR_INTERNAL, errno, "remove a layer's tar");
	return r;
}

static int finish_erofs(struct layer_stage *l, const struct unpack_lower *lower, struct error *err)
{
	autoclose int data = -EBADF, index = -EBADF;
	autoerror struct error own = {0};
	int r;

	data = openat(l->fd, "tar", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	index = openat(l->fd, "index", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (data < 0 || index < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open files in 'tmp/%s'", l->name);
	r = erofs_finish(l->erofs, data, l->tar_size, lower, index, &own);
	if (r >= 0) {
		l->size = erofs_size(l->erofs);
		l->erofs = erofs_free(l->erofs);
		return 0;
	}
	if (own.kind != ERROR_NOT_IMPLEMENTED)
		return error_move(err, &own, r);
	r = become_directory(l, err);
	return r < 0 ? r : finish_tree(l, lower, err);
}

int layer_stage_finish(struct layer_stage *l, const struct unpack_lower *lower, struct error *err)
{
	int r = open_folders(l, err);

	if (r >= 0)
		r = l->erofs ? finish_erofs(l, lower, err) : finish_tree(l, lower, err);
	l->unpack = unpack_free(l->unpack);
	l->erofs = erofs_free(l->erofs);
	close_folders(l);
	return r;
}

struct layer_stage *layer_stage_free(struct layer_stage *l)
{
	if (!l)
		return NULL;
	(void)unpack_free(l->unpack);
	(void)erofs_free(l->erofs);
	close_folders(l);
	if (l->name)
		(void)file_remove_tree(l->tmp_fd, l->name,
				       NULL); /* else emptied at the next start */
	free(l->name);
	free(l);
	return NULL;
}

/* ---- what is finished ---- */

int layer_format_of(int dir_fd, const char *folder)
{
	autofree char *index = xasprintf("%s/index", folder), *diff = xasprintf("%s/diff", folder);
	struct stat st;

	if (fstatat(dir_fd, index, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return LAYER_EROFS;
	return fstatat(dir_fd, diff, &st, AT_SYMLINK_NOFOLLOW) == 0 ? LAYER_DIRECTORY : -errno;
}

int layer_mount(int dir_fd, const char *folder, struct error *err)
{
	autofree char *index = xasprintf("%s/index", folder), *data = xasprintf("%s/tar", folder);
	autoclose int index_fd = openat(dir_fd, index, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	autoclose int data_fd = openat(dir_fd, data, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (index_fd < 0 || data_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open layer '%s'", folder);
	r = mount_new_erofs(index_fd, data_fd, err);
	return r < 0 ? error_wrap(err, r, "mount layer '%s'", folder) : r;
}

int layer_open_root(int dir_fd, const char *folder, struct error *err)
{
	autofree char *diff = xasprintf("%s/diff", folder);
	int fd;

	if (layer_format_of(dir_fd, folder) == LAYER_EROFS)
		return layer_mount(dir_fd, folder, err);
	fd = openat(dir_fd, diff, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? error_set(err, ERROR_INTERNAL, errno, "open layer '%s'", folder) : fd;
}
