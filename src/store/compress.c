/* Decompression by first bytes; what is longer than a buffer is inflated on a thread of its own. */
#include "store/compress.h"

#include <stdbool.h>
#include <string.h>
#include <zstd.h>

#include "store/conveyor.h"
#include "store/inflate.h"
#include "store/unpress.h"

#define IN_SIZE    (128 * 1024)
#define PEEK_SIZE  6
#define ZSTD_LEVEL 1

static const struct {
	const char *name, *magic;
	size_t len;
} kinds[] = {
	[COMPRESS_GZIP] = {"gzip", "\x1f\x8b\x08", 3},
	[COMPRESS_ZSTD] = {"zstd", "\x28\xb5\x2f\xfd", 4},
	[COMPRESS_BZIP2] = {"bzip2", "BZh", 3},
	[COMPRESS_XZ] = {"xz", "\3757zXZ\0", 6},
};

struct decompress {
	const struct stream_reader *in; /* borrowed */
	enum compress_kind kind;
	unsigned char *buf; /* owned, IN_SIZE bytes */
	size_t pos, end;
	bool eof;      /* of in */
	bool in_frame; /* a gzip member or zstd frame has begun and not ended */
	uint64_t in_bytes, out_bytes;
	struct inflate *gz;  /* owned */
	struct unpress *old; /* owned */
	ZSTD_DStream *zstd;  /* owned */
	/* Once there is a thread, all of the above is the thread's. */
	struct conveyor *thread;           /* owned; NULL: none (yet) */
	struct stream_reader source, work; /* the thread's two ends */
	bool no_thread;
	size_t ahead; /* 0: as the conveyor has it */
};

static int fill(struct decompress *d, struct error *err)
{
	ssize_t n;

	if (d->pos < d->end || d->eof)
		return 0;
	n = d->in->read(d->in->data, d->buf, IN_SIZE, err);
	if (n < 0)
		return (int)n;
	d->pos = 0;
	d->end = (size_t)n;
	d->in_bytes += (size_t)n;
	d->eof = n == 0;
	return 0;
}

static bool at_end(const struct decompress *d)
{
	return d->eof && d->pos == d->end;
}

static ssize_t read_plain(struct decompress *d, void *buf, size_t size, struct error *err)
{
	size_t n = d->end - d->pos;

	if (n == 0)
		return d->eof ? 0 : d->in->read(d->in->data, buf, size, err);
	n = n < size ? n : size;
	memcpy(buf, d->buf + d->pos, n);
	d->pos += n;
	return (ssize_t)n;
}

/* Between members: 1 when another one begins, 0 at the end.  Zeros pad tapes. */
static int next_member(struct decompress *d, struct error *err)
{
	for (;;) {
		int r = fill(d, err);

		if (r < 0)
			return r;
		if (at_end(d))
			return 0;
		if (d->buf[d->pos] != 0 || d->out_bytes == 0)
			break;
		d->pos++;
	}
	if (d->buf[d->pos] != (unsigned char)kinds[d->kind].magic[0])
		return error_set(err, ERROR_INVALID, 0, "%s: garbage behind the compressed data",
				 kinds[d->kind].name);
	if (d->gz)
		inflate_start(d->gz);
	else
		unpress_start(d->old);
	d->in_frame = true;
	return 1;
}

static const char *trouble(int r)
{
	return r == -EBADMSG  ? "wrong checksum"
	       : r == -ENOMEM ? "it needs too much memory"
			      : "damaged data";
}

static ssize_t read_members(struct decompress *d, void *buf, size_t size, struct error *err)
{
	size_t done = 0;

	while (done == 0) {
		size_t used;
		int r = d->in_frame ? fill(d, err) : next_member(d, err);

		if (r < 0)
			return r;
		if (!d->in_frame)
			return 0;
		used = d->end - d->pos;
		done = size;
		r = d->gz ? inflate_run(d->gz, d->buf + d->pos, &used, buf, &done)
			  : unpress_run(d->old, d->buf + d->pos, &used, buf, &done);
		if (r < 0)
			return error_set(err, ERROR_INVALID, 0, "%s: %s", kinds[d->kind].name,
					 trouble(r));
		d->pos += used;
		if (r > 0)
			d->in_frame = false;
		else if (done == 0 && at_end(d))
			return error_set(err, ERROR_INVALID, 0, "%s: the data ends early",
					 kinds[d->kind].name);
	}
	return (ssize_t)done;
}

static ssize_t read_zstd(struct decompress *d, void *buf, size_t size, struct error *err)
{
	ZSTD_outBuffer out = {.dst = buf, .size = size};

	while (out.pos == 0) {
		ZSTD_inBuffer in;
		size_t left;
		int r = fill(d, err);

		if (r < 0)
			return r;
		if (at_end(d) && !d->in_frame)
			return 0;
		in = (ZSTD_inBuffer){.src = d->buf, .size = d->end, .pos = d->pos};
		left = ZSTD_decompressStream(d->zstd, &out, &in);
		if (ZSTD_isError(left))
			return error_set(err, ERROR_INVALID, 0, "zstd: %s",
					 ZSTD_getErrorName(left));
		d->pos = in.pos;
		d->in_frame = left != 0;
		if (out.pos == 0 && d->in_frame && at_end(d))
			return error_set(err, ERROR_INVALID, 0, "zstd: the data ends early");
	}
	return (ssize_t)out.pos;
}

static ssize_t inflate_read(void *data, void *buf, size_t size, struct error *err)
{
	struct decompress *d = data;
	ssize_t n;

	n = d->kind == COMPRESS_ZSTD ? read_zstd(d, buf, size, err)
				     : read_members(d, buf, size, err);
	if (n <= 0)
		return n;
	d->out_bytes += (size_t)n;
	if (d->out_bytes > COMPRESS_FREE_SIZE && d->out_bytes / COMPRESS_MAX_RATIO > d->in_bytes)
		return error_set(err, ERROR_INVALID, 0,
				 "compressed data grows more than %d times: refused as a bomb",
				 COMPRESS_MAX_RATIO);
	return n;
}

static void start_thread(struct decompress *d)
{
	const struct stream_reader *in = d->in;

	d->thread = conveyor_new(in);
	if (d->ahead > 0)
		conveyor_set_ahead(d->thread, d->ahead);
	d->source = conveyor_source(d->thread);
	d->work = (struct stream_reader){.read = inflate_read, .data = d};
	d->in = &d->source;
	if (conveyor_start(d->thread, &d->work) == 0)
		return;
	d->thread = conveyor_free(d->thread);
	d->in = in;
	d->no_thread = true;
}

static ssize_t decompress_read(void *data, void *buf, size_t size, struct error *err)
{
	struct decompress *d = data;

	if (d->kind == COMPRESS_NONE)
		return read_plain(d, buf, size, err);
	if (!d->thread && !d->no_thread && d->in_bytes > IN_SIZE)
		start_thread(d);
	return d->thread ? conveyor_read(d->thread, buf, size, err)
			 : inflate_read(d, buf, size, err);
}

static int sniff(struct decompress *d, struct error *err)
{
	ssize_t n = stream_read_full(d->in, d->buf, PEEK_SIZE, err);

	if (n < 0)
		return (int)n;
	d->end = (size_t)n;
	d->in_bytes = (size_t)n;
	d->eof = n < PEEK_SIZE;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].len > 0 && (size_t)n >= kinds[i].len &&
		    memcmp(d->buf, kinds[i].magic, kinds[i].len) == 0)
			d->kind = (enum compress_kind)i;
	/* Skippable frames may come first: 0x184D2A50 to 5F, little endian. */
	if (n >= 4 && (d->buf[0] & 0xf0) == 0x50 && memcmp(d->buf + 1, "\x2a\x4d\x18", 3) == 0)
		d->kind = COMPRESS_ZSTD;
	return 0;
}

int decompress_new(const struct stream_reader *in, struct decompress **ret, struct error *err)
{
	autodecompress struct decompress *d = xnew0(struct decompress);
	int r;

	d->in = in;
	d->buf = xcalloc(1, IN_SIZE);
	r = sniff(d, err);
	if (r < 0)
		return r;
	if (d->kind == COMPRESS_GZIP)
		d->gz = inflate_new();
	if (d->kind == COMPRESS_BZIP2)
		d->old = unpress_new(UNPRESS_BZIP2);
	if (d->kind == COMPRESS_XZ)
		d->old = unpress_new(UNPRESS_XZ);
	if (d->kind == COMPRESS_ZSTD) {
		d->zstd = ZSTD_createDStream();
		if (!d->zstd)
			abort(); /* out of memory, as in base/mem.h */
	}
	*ret = TAKE_PTR(d);
	return 0;
}

void decompress_set_ahead(struct decompress *d, size_t bytes)
{
	d->ahead = bytes;
}

struct decompress *decompress_free(struct decompress *d)
{
	if (!d)
		return NULL;
	(void)conveyor_free(d->thread);
	(void)ZSTD_freeDStream(d->zstd);
	(void)inflate_free(d->gz);
	(void)unpress_free(d->old);
	free(d->buf);
	free(d);
	return NULL;
}

bool compress_is_distributable(enum compress_kind kind)
{
	return kind == COMPRESS_GZIP || kind == COMPRESS_ZSTD;
}

enum compress_kind decompress_kind(const struct decompress *d)
{
	return d->kind;
}

struct stream_reader decompress_reader(struct decompress *d)
{
	return (struct stream_reader){.read = decompress_read, .data = d};
}

/* ---- zstd, writing ---- */

struct zstd_writer {
	const struct stream_writer *out; /* borrowed */
	ZSTD_CStream *z;                 /* owned */
	void *buf;                       /* owned */
	size_t size;
};

struct zstd_writer *zstd_writer_new(const struct stream_writer *out)
{
	struct zstd_writer *w = xnew0(struct zstd_writer);

	w->out = out;
	w->z = ZSTD_createCStream();
	if (!w->z)
		abort(); /* out of memory, as in base/mem.h */
	(void)ZSTD_CCtx_setParameter(w->z, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	(void)ZSTD_CCtx_setParameter(w->z, ZSTD_c_checksumFlag, 1);
	w->size = ZSTD_CStreamOutSize();
	w->buf = xcalloc(1, w->size);
	return w;
}

static int zstd_pump(struct zstd_writer *w, ZSTD_inBuffer *in, ZSTD_EndDirective mode,
		     struct error *err)
{
	size_t left;
	int r = 0;

	do {
		ZSTD_outBuffer out = {.dst = w->buf, .size = w->size};

		left = ZSTD_compressStream2(w->z, &out, in, mode);
		if (ZSTD_isError(left))
			return error_set(err, ERROR_INTERNAL, 0, "zstd: %s",
					 ZSTD_getErrorName(left));
		if (out.pos > 0)
			r = w->out->write(w->out->data, w->buf, out.pos, err);
	} while (r >= 0 && (mode == ZSTD_e_end ? left > 0 : in->pos < in->size));
	return r < 0 ? r : 0;
}

int zstd_writer_write(struct zstd_writer *w, const void *p, size_t len, struct error *err)
{
	ZSTD_inBuffer in = {.src = p, .size = len};

	return zstd_pump(w, &in, ZSTD_e_continue, err);
}

int zstd_writer_end(struct zstd_writer *w, struct error *err)
{
	ZSTD_inBuffer in = {0};

	return zstd_pump(w, &in, ZSTD_e_end, err);
}

struct zstd_writer *zstd_writer_free(struct zstd_writer *w)
{
	if (!w)
		return NULL;
	(void)ZSTD_freeCStream(w->z);
	free(w->buf);
	free(w);
	return NULL;
}
