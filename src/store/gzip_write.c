/* gzip.  ISA-L is faster, but its output depends on the processor: a layer would get another digest on
 * another machine.  zlib's depends on its version only. */
#include "store/gzip_write.h"

#include <zlib.h>

#define LEVEL       6
#define WINDOW_GZIP (15 + 16) /* deflateInit2: with gzip's header, without a time or a name */
#define OUT_SIZE    65536

struct gzip_writer {
	const struct stream_writer *out; /* borrowed */
	z_stream z;
	unsigned char buf[OUT_SIZE];
};

struct gzip_writer *gzip_writer_new(const struct stream_writer *out)
{
	struct gzip_writer *w = xnew0(struct gzip_writer);

	w->out = out;
	if (deflateInit2(&w->z, LEVEL, Z_DEFLATED, WINDOW_GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		abort(); /* memory only */
	return w;
}

static int pump(struct gzip_writer *w, int flush, struct error *err)
{
	int r;

	do {
		int z;

		w->z.next_out = w->buf;
		w->z.avail_out = sizeof(w->buf);
		z = deflate(&w->z, flush);
		if (z == Z_STREAM_ERROR)
			return error_set(err, ERROR_INTERNAL, 0, "compress a layer");
		r = w->out->write(w->out->data, w->buf, sizeof(w->buf) - w->z.avail_out, err);
		if (r < 0)
			return r;
	} while (w->z.avail_out == 0);
	return 0;
}

int gzip_writer_write(struct gzip_writer *w, const void *p, size_t len, struct error *err)
{
	const unsigned char *next = p;

	while (len > 0) {
		uInt part = len < (1U << 30) ? (uInt)len : 1U << 30;
		int r;

		w->z.next_in = (z_const Bytef *)(uintptr_t)next;
		w->z.avail_in = part;
		r = pump(w, Z_NO_FLUSH, err);
		if (r < 0)
			return r;
		next += part;
		len -= part;
	}
	return 0;
}

int gzip_writer_end(struct gzip_writer *w, struct error *err)
{
	return pump(w, Z_FINISH, err);
}

struct gzip_writer *gzip_writer_free(struct gzip_writer *w)
{
	if (!w)
		return NULL;
	(void)deflateEnd(&w->z);
	free(w);
	return NULL;
}
