/* Rotated logs, compressed.
 *
 * The gzip header's comment is "INODE MTIME" of the file, in decimal, the time in nanoseconds: readers
 * that were in the middle of it find their place again (api/log_reader.c).
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <zlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "logger/logger.h"

#define BUFFER_SIZE    ((size_t)64 << 10)
#define GZIP_WINDOW    (15 + 16)
#define DEFLATE_MEMORY 8
#define OS_UNIX        3

static int pump(z_stream *z, unsigned char *buf, int in_fd, int out_fd, struct error *err)
{
	unsigned char *in = buf, *out = buf + BUFFER_SIZE;
	int flush = Z_NO_FLUSH, state = Z_OK;

	while (state != Z_STREAM_END) {
		int r;

		if (z->avail_in == 0 && flush == Z_NO_FLUSH) {
			r = fd_read_full(in_fd, in, BUFFER_SIZE);
			if (r < 0)
				return error_set(err, ERROR_INTERNAL, -r, "read the log");
			z->next_in = in;
			z->avail_in = (unsigned)r;
			flush = r < (int)BUFFER_SIZE ? Z_FINISH : Z_NO_FLUSH;
		}
		z->next_out = out;
		z->avail_out = BUFFER_SIZE;
		state = deflate(z, flush);
		r = fd_write_full(out_fd, out, BUFFER_SIZE - z->avail_out);
		if (r < 0)
			return error_set(err, ERROR_INTERNAL, -r, "write the compressed log");
	}
	return 0;
}

int logger_compress(int in_fd, int out_fd, struct error *err)
{
	autofree unsigned char *buf = xcalloc(BUFFER_SIZE, 2);
	unsigned char comment[64];
	gz_header header = {.comment = comment, .os = OS_UNIX};
	z_stream z = {0};
	struct stat st;
	int r;

	if (fstat(in_fd, &st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "look at the log");
	(void)snprintf((char *)comment, sizeof(comment), "%llu %lld%09ld",
		       (unsigned long long)st.st_ino, (long long)st.st_mtim.tv_sec,
		       st.st_mtim.tv_nsec);
	if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, DEFLATE_MEMORY,
			 Z_DEFAULT_STRATEGY) != Z_OK ||
	    deflateSetHeader(&z, &header) != Z_OK)
		return error_set(err, ERROR_INTERNAL, 0, "start compressing");
	r = pump(&z, buf, in_fd, out_fd, err);
	(void)deflateEnd(&z);
	return r;
}
