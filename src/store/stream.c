/* Byte streams as callbacks. */
#include "store/stream.h"

#include <string.h>

#include "base/file.h"

ssize_t stream_read_full(const struct stream_reader *in, void *buf, size_t size, struct error *err)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = in->read(in->data, (char *)buf + done, size - done, err);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static ssize_t fd_read(void *data, void *buf, size_t size, struct error *err)
{
	const int *fd = data;
	ssize_t n;

	do
		n = read(*fd, buf, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? error_set(err, ERROR_INTERNAL, errno, "read") : n;
}

static int fd_write(void *data, const void *buf, size_t len, struct error *err)
{
	const int *fd = data;
	int r = fd_write_full(*fd, buf, len);

	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "write") : 0;
}

struct stream_reader stream_reader_fd(const int *fd)
{
	return (struct stream_reader){.read = fd_read, .data = (void *)fd};
}

struct stream_writer stream_writer_fd(const int *fd)
{
	return (struct stream_writer){.write = fd_write, .data = (void *)fd};
}

static ssize_t memory_read(void *data, void *buf, size_t size, struct error *err)
{
	struct stream_memory *m = data;
	size_t n = size < m->len ? size : m->len;

	(void)err;
	if (n == 0)
		return 0;
	memcpy(buf, m->p, n);
	m->p = (const char *)m->p + n;
	m->len -= n;
	return (ssize_t)n;
}

struct stream_reader stream_reader_memory(struct stream_memory *m)
{
	return (struct stream_reader){.read = memory_read, .data = m};
}
