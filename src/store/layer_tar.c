/* A layer's tar, read back from its compressed blob, from itself, or from the tree and the tar-split. */
#include <fcntl.h>

#include "base/file.h"
#include "store/compress.h"
#include "store/layer.h"
#include "store/tarsplit.h"

struct layer_tar {
	int dir_fd, blob_fd; /* owned */
	struct stream_reader blob_in, plain;
	struct decompress *d;          /* owned; NULL without a blob */
	struct tarsplit_reader *split; /* owned; NULL with a blob or a tar */
	int tar_fd;                    /* owned; -EBADF: none */
	int64_t left;                  /* of the tar, which is not all of the file */
};

static ssize_t read_tar(struct layer_tar *t, void *buf, size_t size, struct error *err)
{
	ssize_t n;

	do
		n = read(t->tar_fd, buf, (int64_t)size < t->left ? size : (size_t)t->left);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_set(err, ERROR_INTERNAL, errno, "read the layer's tar");
	if (n == 0 && t->left > 0)
		return error_set(err, ERROR_INTERNAL, 0, "the layer's tar is shorter than it was");
	t->left -= n;
	return n;
}

static ssize_t layer_tar_read(void *data, void *buf, size_t size, struct error *err)
{
	struct layer_tar *t = data;

	if (t->d)
		return t->plain.read(t->plain.data, buf, size, err);
	return t->split ? tarsplit_read(t->split, buf, size, err) : read_tar(t, buf, size, err);
}

int layer_tar_open(int dir_fd_take, int blob_fd_take, int64_t tar_size, struct layer_tar **ret,
		   struct error *err)
{
	autolayer_tar struct layer_tar *t = xnew0(struct layer_tar);
	int r = 0;

	t->tar_fd = -EBADF;
	t->left = tar_size;
	t->dir_fd = dir_fd_take;
	t->blob_fd = blob_fd_take;
	t->blob_in = stream_reader_fd(&t->blob_fd);
	if (t->blob_fd < 0)
		t->tar_fd = openat(t->dir_fd, "tar", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (t->blob_fd >= 0)
		r = decompress_new(&t->blob_in, &t->d, err);
	else if (t->tar_fd < 0)
		r = tarsplit_reader_new(t->dir_fd, &t->split, err);
	if (r < 0)
		return r;
	if (t->d)
		t->plain = decompress_reader(t->d);
	*ret = TAKE_PTR(t);
	return 0;
}

struct stream_reader layer_tar_reader(struct layer_tar *t)
{
	return (struct stream_reader){.read = layer_tar_read, .data = t};
}

struct layer_tar *layer_tar_free(struct layer_tar *t)
{
	if (!t)
		return NULL;
	(void)decompress_free(t->d);
	(void)tarsplit_reader_free(t->split);
	fd_close(&t->tar_fd);
	fd_close(&t->blob_fd);
	fd_close(&t->dir_fd);
	free(t);
	return NULL;
}
