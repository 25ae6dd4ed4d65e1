/* gzip members by ISA-L.
 *
 * It consumes no byte behind the member that it finishes.  Its result does not tell a member that is
 * done from one that wants more input: the block state does.
 */
#include "store/inflate.h"

#include <isa-l/igzip_lib.h>

#define MAX_RUN (1U << 30) /* bytes a call: the library counts in 32 bits */

struct inflate {
	struct inflate_state state;
};

struct inflate *inflate_new(void)
{
	return xnew0(struct inflate);
}

void inflate_start(struct inflate *z)
{
	isal_inflate_init(&z->state);
	z->state.crc_flag = ISAL_GZIP;
}

int inflate_run(struct inflate *z, const void *in, size_t *in_len, void *out, size_t *out_len)
{
	uint32_t in_max = *in_len < MAX_RUN ? (uint32_t)*in_len : MAX_RUN;
	uint32_t out_max = *out_len < MAX_RUN ? (uint32_t)*out_len : MAX_RUN;
	int r;

	z->state.next_in = (uint8_t *)in;
	z->state.avail_in = in_max;
	z->state.next_out = out;
	z->state.avail_out = out_max;
	r = isal_inflate(&z->state);
	*in_len = in_max - z->state.avail_in;
	*out_len = out_max - z->state.avail_out;
	if (r < 0)
		return r == ISAL_INCORRECT_CHECKSUM ? -EBADMSG : -EINVAL;
	return z->state.block_state == ISAL_BLOCK_FINISH;
}

struct inflate *inflate_free(struct inflate *z)
{
	free(z);
	return NULL;
}
