/* bzip2 by libbz2, xz by liblzma. */
#include "store/unpress.h"

#include <bzlib.h>
#include <errno.h>
#include <lzma.h>
#include <stdbool.h>

#define MAX_RUN (1U << 30) /* bytes a call: libbz2 counts in 32 bits */

struct unpress {
	enum unpress_kind kind;
	bool ready;
	bz_stream bz;
	lzma_stream xz;
};

struct unpress *unpress_new(enum unpress_kind kind)
{
	struct unpress *u = xnew0(struct unpress);

	*u = (struct unpress){.kind = kind, .xz = LZMA_STREAM_INIT};
	return u;
}

static void end(struct unpress *u)
{
	if (u->ready && u->kind == UNPRESS_BZIP2)
		(void)BZ2_bzDecompressEnd(&u->bz);
	else if (u->ready)
		lzma_end(&u->xz);
	u->ready = false;
}

void unpress_start(struct unpress *u)
{
	end(u);
	u->bz = (bz_stream){0};
	u->xz = (lzma_stream)LZMA_STREAM_INIT;
	if (u->kind == UNPRESS_BZIP2
		    ? BZ2_bzDecompressInit(&u->bz, 0, 0) != BZ_OK
		    : lzma_stream_decoder(&u->xz, UNPRESS_MAX_MEMORY, 0) != LZMA_OK)
		abort(); /* out of memory, as in base/mem.h */
	u->ready = true;
}

static int run_bzip2(bz_stream *z, const void *in, size_t *in_len, void *out, size_t *out_len)
{
	unsigned in_max = *in_len < MAX_RUN ? (unsigned)*in_len : MAX_RUN;
	unsigned out_max = *out_len < MAX_RUN ? (unsigned)*out_len : MAX_RUN;
	int r;

	z->next_in = (char *)in;
	z->avail_in = in_max;
	z->next_out = out;
	z->avail_out = out_max;
	r = BZ2_bzDecompress(z);
	*in_len = in_max - z->avail_in;
	*out_len = out_max - z->avail_out;
	if (r == BZ_STREAM_END)
		return 1;
	/* Whether a block is damaged shows in its checksum only. */
	return r == BZ_OK ? 0 : r == BZ_DATA_ERROR ? -EBADMSG : -EINVAL;
}

static int run_xz(lzma_stream *z, const void *in, size_t *in_len, void *out, size_t *out_len)
{
	lzma_ret r;

	z->next_in = in;
	z->avail_in = *in_len;
	z->next_out = out;
	z->avail_out = *out_len;
	r = lzma_code(z, LZMA_RUN);
	*in_len -= z->avail_in;
	*out_len -= z->avail_out;
	if (r == LZMA_STREAM_END)
		return 1;
	if (r == LZMA_OK || r == LZMA_BUF_ERROR)
		return 0;
	return r == LZMA_MEMLIMIT_ERROR ? -ENOMEM : r == LZMA_DATA_ERROR ? -EBADMSG : -EINVAL;
}

int unpress_run(struct unpress *u, const void *in, size_t *in_len, void *out, size_t *out_len)
{
	return u->kind == UNPRESS_BZIP2 ? run_bzip2(&u->bz, in, in_len, out, out_len)
					: run_xz(&u->xz, in, in_len, out, out_len);
}

struct unpress *unpress_free(struct unpress *u)
{
	if (u)
		end(u);
	free(u);
	return NULL;
}
