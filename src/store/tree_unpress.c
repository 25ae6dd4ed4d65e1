/* Archives that may be compressed into a container's files. */
#include "store/compress.h"
#include "store/tree.h"

int tree_unpack(const struct tree_unpack *args, const struct stream_reader *in, struct error *err)
{
	autodecompress struct decompress *d = NULL;
	struct stream_reader plain;
	int r = decompress_new(in, &d, err);

	if (r < 0)
		return r;
	plain = decompress_reader(d);
	return tree_unpack_plain(args, &plain, err);
}
