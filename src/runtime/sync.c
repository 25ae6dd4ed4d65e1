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

int sync_send_index(int sock, enum sync_type type, uint32_t index)
{
	struct sync_message m = {.type = type, .index = index};

	return fd_send(sock, &m, offsetof(struct sync_message, text), NULL, 0);
}

int sync_send_error(int sock, enum sync_type type, const char *stage, const struct error *err)
{
	struct sync_message m = {.type = type, .kind = err->kind, .errnum = err->errnum};

	(void)snprintf(m.text, sizeof(m.text), "%s%s%s", stage ? stage : "", stage ? ": " : "",
		       error_msg(err));
	return fd_send(sock, &m, sizeof(m), NULL, 0);
}

int sync_recv(int sock, struct sync_message *ret, int *ret_fd)
{
	int fd = -EBADF;
	size_t n_fds = 1;
	ssize_t n;

	memset(ret, 0, offsetof(struct sync_message, text) + 1);
	n = fd_recv(sock, ret, sizeof(*ret), &fd, &n_fds);
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

static int expect(int sock, const enum sync_type *wants, size_t n, struct sync_message *ret,
		  int *ret_fd, struct error *err)
{
	for (;;) {
		int r = sync_recv(sock, ret, ret_fd);

		if (r < 0)
			return error_set(err, ERROR_INTERNAL, -r,
					 "talk to the container's process");
		if (r == 0)
			return error_set(err, ERROR_INTERNAL, EPIPE,
					 "the container's process has gone away");
		if (ret->type == SYNC_WARNING) {
			log_warn("%s", ret->text);
			continue;
		}
		if (ret->type == SYNC_ERROR)
			return sync_take_error(ret, err);
		for (size_t i = 0; i < n; i++)
			if (ret->type == (uint32_t)wants[i])
				return 0;
		return error_set(err, ERROR_INTERNAL, EBADMSG,
				 "unexpected message %u of the container's process", ret->type);
	}
}

int sync_expect(int sock, enum sync_type want, int *ret_fd, struct error *err)
{
	struct sync_message m;

	return expect(sock, &want, 1, &m, ret_fd, err);
}

int sync_expect_one_of(int sock, const enum sync_type *wants, size_t n, enum sync_type *ret,
		       int *ret_fd, struct error *err)
{
	struct sync_message m;
	int r = expect(sock, wants, n, &m, ret_fd, err);

	if (r == 0)
		*ret = (enum sync_type)m.type;
	return r;
}

int sync_expect_serving(int sock, enum sync_type want, int *ret_fd,
			const struct sync_server *server, struct error *err)
{
	const enum sync_type wants[] = {want, server->type};
	struct sync_message m;
	int r;

	while ((r = expect(sock, wants, ARRAY_SIZE(wants), &m, ret_fd, err)) == 0 &&
	       m.type != (uint32_t)want)
		if ((r = server->serve(server->data, &m, err)) < 0)
			break;
	return r;
}
