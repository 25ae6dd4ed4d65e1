/* Frames between vesseld and its registry helper. */
#include "registry/protocol.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/mem.h"

#define HEAD_SIZE 4
#define READ_SIZE 65536

int protocol_send(int sock, const struct strbuf *json, int fd)
{
	unsigned char head[HEAD_SIZE];
	int r;

	if (strbuf_error(json) < 0 || json->len > PROTOCOL_FRAME_MAX)
		return -E2BIG;
	for (size_t i = 0; i < HEAD_SIZE; i++)
		head[i] = (unsigned char)(json->len >> (8 * i));
	r = fd_send(sock, head, sizeof(head), &fd, fd >= 0 ? 1 : 0);
	return r < 0 ? r : fd_send(sock, json->s, json->len, NULL, 0);
}

void protocol_input_init(struct protocol_input *in)
{
	strbuf_init(&in->buf, PROTOCOL_FRAME_MAX + HEAD_SIZE + READ_SIZE);
	in->fd = -EBADF;
}

void protocol_input_done(struct protocol_input *in)
{
	strbuf_done(&in->buf);
	fd_close(&in->fd);
}

static size_t frame_length(const struct protocol_input *in)
{
	size_t len = 0;

	for (size_t i = 0; i < HEAD_SIZE; i++)
		len |= (size_t)(unsigned char)in->buf.s[i] << (8 * i);
	return len;
}

int protocol_read(struct protocol_input *in, int sock)
{
	/* Never past the end of a frame, so that a descriptor belongs to the one that is being read. */
	size_t want = HEAD_SIZE, n_fds = 1;
	int fd = -EBADF;
	ssize_t n;
	char *p;

	if (in->buf.len >= HEAD_SIZE)
		want += frame_length(in);
	if (want > PROTOCOL_FRAME_MAX + HEAD_SIZE)
		return -EBADMSG;
	want -= in->buf.len;
	want = want < READ_SIZE ? want : READ_SIZE;
	p = strbuf_reserve(&in->buf, want);
	if (!p)
		return -E2BIG;
	n = fd_recv(sock, p, want, &fd, &n_fds);
	if (n > 0)
		strbuf_advance(&in->buf, (size_t)n);
	if (n_fds > 0 && fd >= 0) {
		fd_close(&in->fd);
		in->fd = fd;
	}
	return (int)n;
}

int protocol_next(struct protocol_input *in, char **ret, size_t *ret_len)
{
	size_t len;

	if (in->buf.len < HEAD_SIZE)
		return 0;
	len = frame_length(in);
	if (len > PROTOCOL_FRAME_MAX)
		return -EBADMSG;
	if (in->buf.len < HEAD_SIZE + len)
		return 0;
	*ret = xstrndup(in->buf.s + HEAD_SIZE, len);
	*ret_len = len;
	strbuf_drop(&in->buf, HEAD_SIZE + len);
	return 1;
}
