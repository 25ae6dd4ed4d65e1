/* A layer's tar, read back from its compressed blob or from the tree and the tar-split. */
#include "store/compress.h"
#include "store/layer.h"
#include "store/tarsplit.h"

struct layer_tar {
	int dir_fd, blob_fd; /* owned */
	struct stream_reader blob_in, plain;
	struct decompress *d;          /* owned; NULL without a blob */
	struct tarsplit_reader *split; /* owned; NULL with a blob */
};

static ssize_t layer_tar_read(void *data, void *buf, size_t size, struct error *err)
{
	struct layer_tar *t = data;

	return t->d ? t->plain.read(t->plain.data, buf, size, err)
		    : tarsplit_read(t->split, buf, size, err);
}

int layer_tar_open(int dir_fd_take, int blob_fd_take, struct layer_tar **ret, struct error *err)
{
	autolayer_tar struct layer_tar *t = xnew0(struct layer_tar);
	int r;

	t->dir_fd = dir_fd_take;
	t->blob_fd = blob_fd_take;
	t->blob_in = stream_reader_fd(&t->blob_fd);
	r = t->blob_fd >= 0 ? decompress_new(&t->blob_in, &t->d, err)
			    : tarsplit_reader_new(t->dir_fd, &t->split, err);
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
	fd_close(&t->blob_fd);
	fd_close(&t->dir_fd);
	free(t);
	return NULL;
}
