/* What turns an unpacked layer back into its tar. */
#include "store/tarsplit.h"

#include <endian.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>

#include "base/file.h"
#include "base/str.h"
#include "store/compress.h"
#include "store/unpack_priv.h"

#define RAW_SIZE 65536 /* bytes gathered into one R record */

/* ---- writing ---- */

struct tarsplit_writer {
	int fd; /* owned */
	struct stream_writer out;
	struct zstd_writer *z; /* owned */
	struct strbuf raw;     /* owned: gathered R bytes */
};

int tarsplit_writer_new(int layer_fd, struct tarsplit_writer **ret, struct error *err)
{
	autotarsplit_writer struct tarsplit_writer *w = xnew0(struct tarsplit_writer);

	w->fd = openat(layer_fd, "tar-split", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (w->fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create 'tar-split'");
	w->out = stream_writer_fd(&w->fd);
	w->z = zstd_writer_new(&w->out);
	strbuf_init(&w->raw, RAW_SIZE);
	*ret = TAKE_PTR(w);
	return 0;
}

struct tarsplit_writer *tarsplit_writer_free(struct tarsplit_writer *w)
{
	if (!w)
		return NULL;
	strbuf_done(&w->raw);
	(void)zstd_writer_free(w->z);
	fd_close(&w->fd);
	free(w);
	return NULL;
}

static int put_u32(struct tarsplit_writer *w, uint32_t v, struct error *err)
{
	v = htole32(v);
	return zstd_writer_write(w->z, &v, sizeof(v), err);
}

static int put_u64(struct tarsplit_writer *w, uint64_t v, struct error *err)
{
	v = htole64(v);
	return zstd_writer_write(w->z, &v, sizeof(v), err);
}

static int flush_raw(struct tarsplit_writer *w, struct error *err)
{
	int r;

	if (w->raw.len == 0)
		return 0;
	r = zstd_writer_write(w->z, "R", 1, err);
	if (r >= 0)
		r = put_u32(w, (uint32_t)w->raw.len, err);
	if (r >= 0)
		r = zstd_writer_write(w->z, w->raw.s, w->raw.len, err);
	strbuf_reset(&w->raw);
	return r;
}

int tarsplit_raw(struct tarsplit_writer *w, const void *p, size_t len, struct error *err)
{
	while (len > 0) {
		size_t n = RAW_SIZE - w->raw.len;
		int r;

		n = n < len ? n : len;
		strbuf_add(&w->raw, p, n);
		p = (const char *)p + n;
		len -= n;
		if (w->raw.len < RAW_SIZE)
			continue;
		r = flush_raw(w, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int tarsplit_file(struct tarsplit_writer *w, const struct unpack_file *file,
		  const struct tar_entry *e, struct error *err)
{
	size_t len = strlen(file->path);
	int r;

	r = flush_raw(w, err);
	if (r >= 0)
		r = zstd_writer_write(w->z, e->sparse ? "S" : "F", 1, err);
	if (r >= 0)
		r = put_u64(w, (uint64_t)e->stored_size, err);
	if (r >= 0)
		r = put_u32(w, (uint32_t)len, err);
	if (r >= 0)
		r = zstd_writer_write(w->z, file->path, len, err);
	if (r >= 0 && e->sparse)
		r = put_u32(w, (uint32_t)e->n_pieces, err);
	for (size_t i = 0; r >= 0 && i < e->n_pieces; i++) {
		r = put_u64(w, (uint64_t)e->pieces[i].offset, err);
		if (r >= 0)
			r = put_u64(w, (uint64_t)e->pieces[i].len, err);
	}
	return r;
}

int tarsplit_writer_end(struct tarsplit_writer *w, struct error *err)
{
	int r = flush_raw(w, err);

	if (r >= 0)
		r = zstd_writer_write(w->z, "E", 1, err);
	if (r >= 0)
		r = zstd_writer_end(w->z, err);
	return r;
}

/* ---- reading ---- */

struct tarsplit_reader {
	int fd;               /* owned: the tar-split */
	int diff_fd, keep_fd; /* owned; keep_fd -EBADF: nothing was replaced */
	struct stream_reader file_in, in;
	struct decompress *d;     /* owned */
	uint64_t number;          /* of the next content */
	uint64_t raw_left;        /* of an R record */
	int content_fd;           /* owned; the content being read */
	char *path;               /* owned: its name, for errors */
	struct tar_piece *pieces; /* owned: what is to be read of it */
	size_t n_pieces, piece;
	int64_t done; /* bytes of the current piece */
	bool ended;
};

int tarsplit_reader_new(int layer_fd, struct tarsplit_reader **ret, struct error *err)
{
	autotarsplit_reader struct tarsplit_reader *t = xnew0(struct tarsplit_reader);
	int r;

	t->content_fd = -EBADF;
	t->keep_fd = openat(layer_fd, "keep", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	t->diff_fd = openat(layer_fd, "diff", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	t->fd = openat(layer_fd, "tar-split", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (t->diff_fd < 0 || t->fd < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open the layer's tar-split");
	t->file_in = stream_reader_fd(&t->fd);
	r = decompress_new(&t->file_in, &t->d, err);
	if (r < 0)
		return r;
	t->in = decompress_reader(t->d);
	*ret = TAKE_PTR(t);
	return 0;
}

struct tarsplit_reader *tarsplit_reader_free(struct tarsplit_reader *t)
{
	if (!t)
		return NULL;
	(void)decompress_free(t->d);
	fd_close(&t->content_fd);
	fd_close(&t->keep_fd);
	fd_close(&t->diff_fd);
	fd_close(&t->fd);
	free(t->pieces);
	free(t->path);
	free(t);
	return NULL;
}

static int damaged(struct error *err, const char *what)
{
	return error_set(err, ERROR_INTERNAL, 0, "the layer's tar-split is damaged: %s", what);
}

static int get(struct tarsplit_reader *t, void *buf, size_t len, struct error *err)
{
	ssize_t n = stream_read_full(&t->in, buf, len, err);

	if (n < 0)
		return (int)n;
	return (size_t)n < len ? damaged(err, "it ends early") : 0;
}

static int get_u32(struct tarsplit_reader *t, uint32_t *ret, struct error *err)
{
	int r = get(t, ret, sizeof(*ret), err);

	*ret = le32toh(*ret);
	return r;
}

static int get_u64(struct tarsplit_reader *t, int64_t *ret, struct error *err)
{
	uint64_t v = 0;
	int r = get(t, &v, sizeof(v), err);

	v = le64toh(v);
	if (r >= 0 && v > INT64_MAX)
		r = damaged(err, "a size");
	*ret = (int64_t)v;
	return r;
}

static int open_content(struct tarsplit_reader *t, struct error *err)
{
	char name[32];

	fd_close(&t->content_fd);
	if (t->keep_fd >= 0) {
		(void)snprintf(name, sizeof(name), "%llu", (unsigned long long)t->number);
		t->content_fd = openat(t->keep_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (t->content_fd < 0)
		t->content_fd = unpack_open(t->diff_fd, t->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
					    UNPACK_PLAIN);
	if (t->content_fd < 0)
		return error_set(err, ERROR_INTERNAL, -t->content_fd, "open '%s' in the layer",
				 t->path);
	t->number++;
	t->piece = 0;
	t->done = 0;
	return 0;
}

static int next_content(struct tarsplit_reader *t, bool sparse, struct error *err)
{
	uint32_t path_len = 0, n = 1;
	int64_t size;
	int r;

	r = get_u64(t, &size, err);
	if (r >= 0)
		r = get_u32(t, &path_len, err);
	if (r >= 0 && path_len > TAR_MAX_PATH + NAME_MAX)
		r = damaged(err, "a path");
	if (r < 0)
		return r;
	free(t->path);
	t->path = xcalloc(1, path_len + 1);
	r = get(t, t->path, path_len, err);
	if (r >= 0 && sparse)
		r = get_u32(t, &n, err);
	if (r >= 0 && n > TAR_MAX_SPARSE_ENTRIES)
		r = damaged(err, "a sparse map");
	if (r < 0)
		return r;
	free(t->pieces);
	t->pieces = xnew0n(struct tar_piece, n);
	t->n_pieces = n;
	if (!sparse)
		t->pieces[0].len = size;
	for (uint32_t i = 0; sparse && i < n; i++) {
		r = get_u64(t, &t->pieces[i].offset, err);
		if (r >= 0)
			r = get_u64(t, &t->pieces[i].len, err);
		if (r < 0)
			return r;
	}
	return open_content(t, err);
}

static int next_record(struct tarsplit_reader *t, struct error *err)
{
	uint32_t len;
	char type;
	int r = get(t, &type, 1, err);

	if (r < 0)
		return r;
	switch (type) {
	case 'R':
		r = get_u32(t, &len, err);
		t->raw_left = r < 0 ? 0 : len;
		return r;
	case 'F':
	case 'S':
		return next_content(t, type == 'S', err);
	case 'E':
		t->ended = true;
		return 0;
	default:
		return damaged(err, "an unknown record");
	}
}

static ssize_t read_content(struct tarsplit_reader *t, void *buf, size_t size, struct error *err)
{
	while (t->piece < t->n_pieces) {
		const struct tar_piece *p = &t->pieces[t->piece];
		int64_t left = p->len - t->done;
		ssize_t n;

		if (left == 0) {
			t->piece++;
			t->done = 0;
			continue;
		}
		n = pread(t->content_fd, buf, (int64_t)size < left ? size : (size_t)left,
			  p->offset + t->done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, ERROR_INTERNAL, errno, "read '%s' in the layer",
					 t->path);
		if (n == 0)
			return error_set(err, ERROR_INTERNAL, 0,
					 "'%s' in the layer is shorter than it was", t->path);
		t->done += n;
		return n;
	}
	return 0;
}

ssize_t tarsplit_read(struct tarsplit_reader *t, void *buf, size_t size, struct error *err)
{
	while (!t->ended) {
		ssize_t n = 0;
		int r;

		if (t->raw_left > 0)
			n = t->in.read(t->in.data, buf, size < t->raw_left ? size : t->raw_left,
				       err);
		if (t->raw_left > 0 && n == 0)
			return damaged(err, "it ends early");
		if (t->raw_left > 0 && n > 0)
			t->raw_left -= (uint64_t)n;
		else if (n == 0)
			n = read_content(t, buf, size, err);
		if (n != 0)
			return n;
		r = next_record(t, err);
		if (r < 0)
			return r;
	}
	return 0;
}
