/* The conversation between the caller and the process that it sets up: see setup_priv.h. */
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/setup_priv.h"

int sync_send(int sock, enum sync_type type, int fd)
{
	struct sync_message m = {.type = type};

	/* Only errors and warnings have text: the header is enough. */
	return fd_send(sock, &m, offsetof(struct sync_message, text), fd >= 0 ? &fd : NULL,
		       fd >= 0 ? 1 : 0);
}

int sync_send_error(int sock, enum sync_type type, const char *stage, const struct error *err)
{
	struct sync_message m = {.type = type, .kind = err->kind, .errnum = err->errnum};

	(void)snprintf(m.text, sizeof(m.text), "%s%s%s", stage ? stage : "", stage ? ": " : "",
		       error_msg(err));
	return fd_send(sock, &m, sizeof(m), NULL, 0);
}

/* A process that dies with a message of ours unread resets the connection, and the kernel reports
 * that, once, before what the process had said: its last words are still in the queue. */
int sync_recv(int sock, struct sync_message *ret, int *ret_fd)
{
	int fd = -EBADF;
	size_t n_fds = 1;
	ssize_t n;

	memset(ret, 0, offsetof(struct sync_message, text) + 1);
	n = fd_recv(sock, ret, sizeof(*ret), &fd, &n_fds);
	if (n == -ECONNRESET) {
		n_fds = 1;
		n = fd_recv(sock, ret, sizeof(*ret), &fd, &n_fds);
	}
	if (n <= 0)
		return (int)n;
	ret->text[sizeof(ret->text) - 1] = '\0';
	if ((size_t)n < offsetof(struct sync_message, text))
		return -EBADMSG;
	if (n_fds == 0)
		fd = -EBADF;
	if (ret_fd)
		*ret_fd = fd;
	else
		fd_close(&fd);
	return 1;
}

/* The text is complete, strerror included: error_set would append the errno's once more. */
int sync_take_error(const struct sync_message *m, struct error *err)
{
	if (err) {
		error_done(err);
		err->kind = m->kind < ERROR_KIND_COUNT ? (enum error_kind)m->kind : ERROR_INTERNAL;
		err->errnum = m->errnum;
		err->msg = xstrdup(m->text);
	}
	return m->errnum > 0 ? -m->errnum : -EIO;
}

int sync_expect_one_of(int sock, const enum sync_type *wants, size_t n, enum sync_type *ret,
		       int *ret_fd, struct error *err)
{
	struct sync_message m;

	for (;;) {
		int r = sync_recv(sock, &m, ret_fd);

		if (r < 0)
			return error_set(err, ERROR_INTERNAL, -r,
					 "talk to the container's process");
		if (r == 0)
			return error_set(err, ERROR_INTERNAL, EPIPE,
					 "the container's process has gone away");
		if (m.type == SYNC_WARNING) {
			log_warn("%s", m.text);
			continue;
		}
		if (m.type == SYNC_ERROR)
			return sync_take_error(&m, err);
		for (size_t i = 0; i < n; i++)
			if (m.type == (uint32_t)wants[i]) {
				*ret = wants[i];
				return 0;
			}
		return error_set(err, ERROR_INTERNAL, EBADMSG,
				 "unexpected message %u of the container's process", m.type);
	}
}

int sync_expect(int sock, enum sync_type want, int *ret_fd, struct error *err)
{
	return sync_expect_one_of(sock, &want, 1, &(enum sync_type){0}, ret_fd, err);
}
