/* Staging a layer: one pass over its stream.
 *
 *     in -> tee (blob digest, blob file) -> decompress -> tee (diff ID) -> tar -> unpack, tar-split
 *
 * The blob file is written only for compressed layers; those need no tar-split, since decompressing
 * the blob gives the same tar.
 */
#include "store/layer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "store/compress.h"
#include "store/hasher.h"
#include "store/tarsplit.h"

#define PAYLOAD_SIZE (256 * 1024)

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
	l->diff_fd = openat(l->fd, "diff", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	l->keep_fd = openat(l->fd, "keep", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (l->diff_fd < 0 || l->keep_fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open folders in 'tmp/%s'", l->name);
	return 0;
}

static int make_folders(struct layer_stage *l, struct error *err)
{
	autofree char *diff = xasprintf("%s/diff", l->name), *keep = xasprintf("%s/keep", l->name);

	if (mkdirat(l->tmp_fd, l->name, 0700) < 0 || mkdirat(l->tmp_fd, diff, 0700) < 0 ||
	    mkdirat(l->tmp_fd, keep, 0700) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "make folders in 'tmp/%s'", l->name);
	return open_folders(l, err);
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

static int run_pass(struct layer_stage *l, const struct stream_reader *in, struct error *err)
{
	autohasher struct hasher *blob_hash = hasher_new(), *diff_hash = hasher_new();
	struct layer_tee blob = {.in = in, .hash = blob_hash, .fd = -1};
	struct stream_reader blob_in = layer_tee_reader(&blob), plain, diff_in;
	autotarsplit_writer struct tarsplit_writer *split = NULL;
	struct layer_tee diff = {.hash = diff_hash, .fd = -1};
	autodecompress struct decompress *d = NULL;
	struct pass pass = {.l = l};
	autotar struct tar *tar = NULL;
	autoclose int blob_fd = -EBADF;
	bool compressed;
	int r;

	/* Written from the first byte, as what it is shows only while reading. */
	r = open_blob(l, &blob, &blob_fd, err);
	if (r >= 0)
		r = decompress_new(&blob_in, &d, err);
	if (r < 0)
		return r;
	compressed = decompress_kind(d) != COMPRESS_NONE;
	if (!compressed) {
		blob.fd = -1;
		(void)unlinkat(l->fd, "blob", 0); /* goes with the folder otherwise */
		r = tarsplit_writer_new(l->fd, &split, err);
		if (r < 0)
			return r;
	}
	plain = decompress_reader(d);
	diff.in = &plain;
	diff_in = layer_tee_reader(&diff);
	pass.split = split;
	tar = tar_new(compressed ? &diff_in : &plain, pass_raw, &pass);
	r = pass_entries(&pass, tar, err);
	if (r >= 0 && split)
		r = tarsplit_writer_end(split, err);
	if (r < 0)
		return r;

	hasher_digest(blob_hash, compressed ? l->blob_digest : l->diff_id);
	if (compressed) {
		hasher_digest(diff_hash, l->diff_id);
		l->blob_size = blob.size;
	}
	l->tar_size = compressed ? diff.size : blob.size;
	l->size = unpack_size(l->unpack);
	return 0;
}

int layer_stage_new(int tmp_fd, const char *name, const struct stream_reader *in,
		    struct layer_stage **ret, struct error *err)
{
	autolayer_stage struct layer_stage *l = xnew0(struct layer_stage);
	int r;

	*l = (struct layer_stage){.name = xstrdup(name),
				  .tmp_fd = tmp_fd,
				  .fd = -EBADF,
				  .diff_fd = -EBADF,
				  .keep_fd = -EBADF};
	r = make_folders(l, err);
	if (r >= 0)
		r = unpack_new(l->diff_fd, l->keep_fd, &l->unpack, err);
	if (r >= 0)
		r = run_pass(l, in, err);
	if (r < 0)
		return r;
	unpack_pause(l->unpack);
	close_folders(l);
	*ret = TAKE_PTR(l);
	return 0;
}

int layer_stage_finish(struct layer_stage *l, const int *lower_fds, size_t n, struct error *err)
{
	int r = open_folders(l, err);

	if (r >= 0) {
		unpack_resume(l->unpack, l->diff_fd, l->keep_fd);
		r = unpack_finish(l->unpack, lower_fds, n, err);
		l->size = unpack_size(l->unpack);
	}
	l->unpack = unpack_free(l->unpack);
	if (r >= 0 && l->blob_digest[0])
		r = file_remove_tree(l->fd, "keep", err);
	else if (r >= 0)
		(void)unlinkat(l->fd, "keep", AT_REMOVEDIR); /* stays if it is needed */
	close_folders(l);
	return r;
}

struct layer_stage *layer_stage_free(struct layer_stage *l)
{
	if (!l)
		return NULL;
	(void)unpack_free(l->unpack);
	close_folders(l);
	if (l->name)
		(void)file_remove_tree(l->tmp_fd, l->name,
				       NULL); /* else emptied at the next start */
	free(l->name);
	free(l);
	return NULL;
}
