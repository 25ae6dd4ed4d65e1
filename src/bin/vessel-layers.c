/* vessel-layers - holds the mounts of EROFS layers; see store/holder.h.
 *
 *     vessel-layers EXEC-ROOT
 *
 * Knows names and descriptors, nothing else.  Its argument is there to be seen in ps(1).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "store/holder.h"

#define MAX_CLIENTS 8

struct mount {
	char name[HOLDER_NAME_SIZE];
	int fd; /* owned */
};

struct holder {
	struct mount *v; /* owned */
	size_t n, cap;
	struct pollfd polled[1 + MAX_CLIENTS]; /* the listening socket first; the others owned */
	size_t n_polled;
	bool served; /* somebody has been here */
};

static struct mount *find(struct holder *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++)
		if (strcmp(h->v[i].name, name) == 0)
			return &h->v[i];
	return NULL;
}

static int answer(int sock, int fd, const char *name)
{
	struct holder_answer a = {.pid = getpid(), .fd = fd};

	memcpy(a.name, name, strnlen(name, sizeof(a.name) - 1));
	return fd_send(sock, &a, sizeof(a), NULL, 0);
}

static int list(struct holder *h, int sock)
{
	int r = 0;

	for (size_t i = 0; i < h->n && r >= 0; i++)
		r = answer(sock, h->v[i].fd, h->v[i].name);
	return r < 0 ? r : answer(sock, 0, "");
}

static int put(struct holder *h, int sock, const char *name, int *fd)
{
	struct mount *m = find(h, name);

	if (*fd < 0)
		return answer(sock, -EBADF, name); /* there was no room for it, most likely */
	if (!m) {
		xgrow(h->v, h->n, h->cap);
		m = &h->v[h->n++];
		*m = (struct mount){.fd = TAKE_FD(*fd)};
		memcpy(m->name, name, strlen(name));
	}
	return answer(sock, m->fd, name);
}

static int drop(struct holder *h, int sock, const char *name)
{
	struct mount *m = find(h, name);

	if (!m)
		return answer(sock, -ENOENT, name);
	(void)close(m->fd);
	*m = h->v[--h->n];
	return answer(sock, 0, name);
}

/* Negative: the client is gone, or not one of ours. */
static int serve(struct holder *h, int sock)
{
	struct holder_request q;
	autoclose int fd = -EBADF;
	size_t n_fds = 1;
	ssize_t n = fd_recv(sock, &q, sizeof(q), &fd, &n_fds);

	if (n != (ssize_t)sizeof(q))
		return -EPROTO;
	q.name[sizeof(q.name) - 1] = '\0';
	switch (q.operation) {
	case HOLDER_LIST:
		return list(h, sock);
	case HOLDER_PUT:
		return put(h, sock, q.name, &fd);
	case HOLDER_DROP:
		return drop(h, sock, q.name);
	default:
		return -EPROTO;
	}
}

static void take_client(struct holder *h)
{
	int fd = accept4(HOLDER_LISTEN_FD, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (h->n_polled == 1 + MAX_CLIENTS) {
		(void)close(fd);
		return;
	}
	h->served = true;
	h->polled[h->n_polled++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static void turn(struct holder *h)
{
	if (poll(h->polled, h->n_polled, -1) < 0)
		return;
	for (size_t i = h->n_polled; i-- > 1;) {
		if (h->polled[i].revents == 0 || serve(h, h->polled[i].fd) >= 0)
			continue;
		(void)close(h->polled[i].fd);
		h->polled[i] = h->polled[--h->n_polled];
	}
	if (h->polled[0].revents != 0)
		take_client(h);
}

int main(void)
{
	struct holder h = {.polled = {{.fd = HOLDER_LISTEN_FD, .events = POLLIN}}, .n_polled = 1};
	struct rlimit files;

	/* What vesseld had from whoever started it. */
	(void)syscall(SYS_close_range, HOLDER_LISTEN_FD + 1, ~0U, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	if (chdir("/") < 0) /* what it was in could not be unmounted */
		return 1;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* one a layer */
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	while (!h.served || h.n > 0 || h.n_polled > 1)
		turn(&h);
	return 0;
}
