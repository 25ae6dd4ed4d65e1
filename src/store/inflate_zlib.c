/* gzip members by zlib, where there is no ISA-L. */
#include "store/inflate.h"

#include <stdbool.h>
#include <string.h>
#include <zlib.h>

#define MAX_RUN     (1U << 30) /* bytes a call: the library counts in 32 bits */
#define WINDOW_GZIP (15 + 16)  /* the largest window, gzip's header and trailer */

struct inflate {
	z_stream z;
	bool ready;
};

struct inflate *inflate_new(void)
{
	return xnew0(struct inflate);
}

void inflate_start(struct inflate *z)
{
	if (z->ready ? inflateReset(&z->z) != Z_OK : inflateInit2(&z->z, WINDOW_GZIP) != Z_OK)
		abort(); /* out of memory, as in base/mem.h */
	z->ready = true;
}

int inflate_run(struct inflate *z, const void *in, size_t *in_len, void *out, size_t *out_len)
{
	unsigned in_max = *in_len < MAX_RUN ? (unsigned)*in_len : MAX_RUN;
	unsigned out_max = *out_len < MAX_RUN ? (unsigned)*out_len : MAX_RUN;
	int r;

	z->z.next_in = (Bytef *)in;
	z->z.avail_in = in_max;
	z->z.next_out = out;
	z->z.avail_out = out_max;
	r = inflate(&z->z, Z_NO_FLUSH);
	*in_len = in_max - z->z.avail_in;
	*out_len = out_max - z->z.avail_out;
	if (r == Z_STREAM_END)
		return 1;
	if (r == Z_OK || r == Z_BUF_ERROR)
		return 0;
	return z->z.msg && strcmp(z->z.msg, "incorrect data check") == 0 ? -EBADMSG : -EINVAL;
}

struct inflate *inflate_free(struct inflate *z)
{
	if (z && z->ready)
		(void)inflateEnd(&z->z);
	free(z);
	return NULL;
}
