/* Listening sockets. */
#include "http/listen.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define BACKLOG_DEFAULT  4096
#define ACTIVATED_FDS_AT 3 /* SD_LISTEN_FDS_START */
#define ACTIVATED_MAX    256

static void add(struct listen_fds *fds, int fd)
{
	fds->fds = xrealloc(fds->fds, fds->n + 1, sizeof(*fds->fds));
	fds->fds[fds->n++] = fd;
}

/* ---- unix ------------------------------------------------------------------------------------ */

/* Somebody accepts, or would if his queue were not full. */
static bool is_served(const struct sockaddr_un *sun)
{
	autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 || connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 ||
	       (errno != ECONNREFUSED && errno != ENOENT);
}

static int clear_path(const struct sockaddr_un *sun, struct error *err)
{
	struct stat st;

	if (lstat(sun->sun_path, &st) < 0) {
		if (errno == ENOENT)
			return 0;
		return error_set(err, ERROR_INTERNAL, errno, "look at '%s'", sun->sun_path);
	}
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, ERROR_CONFLICT, EEXIST, "listen on '%s'", sun->sun_path);
	if (is_served(sun))
		return error_set(err, ERROR_CONFLICT, EADDRINUSE, "listen on '%s'", sun->sun_path);
	if (unlink(sun->sun_path) < 0 && errno != ENOENT)
		return error_set(err, ERROR_INTERNAL, errno, "remove stale socket '%s'",
				 sun->sun_path);
	return 0;
}

/* Owner and mode are set before listen(2), until which nobody can connect. */
static int open_unix(const char *path, const struct listen_args *args, struct listen_fds *fds,
		     struct error *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	autoclose int fd = -EBADF;
	int r;

	if (!str_copy(sun.sun_path, sizeof(sun.sun_path), path))
		return error_set(err, ERROR_INVALID, ENAMETOOLONG, "listen on '%s'", sun.sun_path);
	r = clear_path(&sun, err);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		return error_set(err, errno == EADDRINUSE ? ERROR_CONFLICT : ERROR_INTERNAL, errno,
				 "listen on '%s'", sun.sun_path);
	if ((args->gid != (gid_t)-1 && lchown(sun.sun_path, (uid_t)-1, args->gid) < 0) ||
	    chmod(sun.sun_path, args->mode ? args->mode : 0660) < 0 ||
	    listen(fd, args->backlog ? args->backlog : BACKLOG_DEFAULT) < 0) {
		r = error_set(err, ERROR_INTERNAL, errno, "listen on '%s'", sun.sun_path);
		(void)unlink(sun.sun_path);
		return r;
	}
	add(fds, TAKE_FD(fd));
	return 0;
}

/* ---- tcp ------------------------------------------------------------------------------------- */

static int open_one_tcp(const struct addrinfo *ai, int backlog)
{
	autoclose int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	static const int on = 1;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	/* IPv4 has a socket of its own. */
	if (ai->ai_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, backlog) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static void free_addrinfo(struct addrinfo **ai)
{
	if (*ai)
		freeaddrinfo(*ai);
}

static int open_tcp(const struct http_address *a, const struct listen_args *args,
		    struct listen_fds *fds, struct error *err)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
	__attribute__((cleanup(free_addrinfo))) struct addrinfo *list = NULL;
	int backlog = args->backlog ? args->backlog : BACKLOG_DEFAULT, fd, r;
	size_t before = fds->n;
	char port[8];

	(void)snprintf(port, sizeof(port), "%u", a->port);
	r = getaddrinfo(*a->host ? a->host : NULL, port, &hints, &list);
	if (r != 0)
		return error_set(err, ERROR_INVALID, 0, "resolve host '%s': %s", a->host,
				 gai_strerror(r));
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
		fd = open_one_tcp(ai, backlog);
		/* A host without IPv6 still resolves names to it. */
		if (fd == -EAFNOSUPPORT || (fd == -EADDRNOTAVAIL && ai->ai_family == AF_INET6))
			continue;
		if (fd < 0) {
			while (fds->n > before)
				(void)close(fds->fds[--fds->n]);
			return error_set(err,
					 fd == -EADDRINUSE ? ERROR_CONFLICT : ERROR_UNAVAILABLE,
					 -fd, "listen on tcp '%s' port %u", a->host, a->port);
		}
		add(fds, fd);
	}
	if (fds->n == before)
		return error_set(err, ERROR_UNAVAILABLE, EADDRNOTAVAIL,
				 "listen on tcp '%s' port %u", a->host, a->port);
	return 0;
}

/* ---- socket activation ----------------------------------------------------------------------- */

/* How many fds were passed to this very process: sd_listen_fds(3). */
static unsigned count_activated(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	uint64_t pid_value;
	uint32_t n_value;

	if (!pid || !n || str_parse_u64(pid, &pid_value) < 0 || pid_value != (uint64_t)getpid() ||
	    str_parse_u32(n, &n_value) < 0 || n_value > ACTIVATED_MAX)
		return 0;
	return n_value;
}

/* LISTEN_FDNAMES is a colon-separated list. */
static bool has_name(unsigned i, const char *want)
{
	const char *names = getenv("LISTEN_FDNAMES");
	size_t len = 0;

	for (; names; i--) {
		len = strcspn(names, ":");
		if (i == 0)
			return strlen(want) == len && strncmp(names, want, len) == 0;
		names = names[len] ? names + len + 1 : NULL;
	}
	return false;
}

static bool is_wanted(unsigned i, const char *want)
{
	uint32_t number;

	if (!*want || has_name(i, want))
		return true;
	return str_parse_u32(want, &number) == 0 && number == i + ACTIVATED_FDS_AT;
}

static int take_activated(int fd, struct listen_fds *fds, struct error *err)
{
	int flags = fcntl(fd, F_GETFD), listening = 0, type = 0, r;
	socklen_t len = sizeof(listening), type_len = sizeof(type);

	if (flags < 0)
		return error_set(err, ERROR_INVALID, errno, "use descriptor %d", fd);
	/* They come without the flag, so one that has it was taken by another address. */
	if (flags & FD_CLOEXEC)
		return error_set(err, ERROR_CONFLICT, EBUSY, "use descriptor %d", fd);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 || type != SOCK_STREAM)
		return error_set(err, ERROR_INVALID, 0,
				 "descriptor %d is not a listening stream socket", fd);
	if (fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "use descriptor %d", fd);
	r = fd_set_nonblock(fd, true);
	if (r < 0)
		return error_set(err, ERROR_INTERNAL, -r, "use descriptor %d", fd);
	add(fds, fd);
	return 0;
}

static int open_activated(const char *want, struct listen_fds *fds, struct error *err)
{
	unsigned n = count_activated();
	size_t before = fds->n;
	int r;

	for (unsigned i = 0; i < n; i++) {
		if (!is_wanted(i, want))
			continue;
		r = take_activated((int)i + ACTIVATED_FDS_AT, fds, err);
		if (r < 0)
			return r;
	}
	if (fds->n == before)
		return error_set(err, ERROR_INVALID, 0,
				 "no socket for 'fd://%s' was passed to this process", want);
	return 0;
}

/* ---------------------------------------------------------------------------------------------- */

int listen_open(const struct http_address *a, const struct listen_args *args,
		struct listen_fds *fds, struct error *err)
{
	switch (a->kind) {
	case HTTP_ADDRESS_UNIX:
		return open_unix(a->path, args, fds, err);
	case HTTP_ADDRESS_TCP:
		return open_tcp(a, args, fds, err);
	case HTTP_ADDRESS_FD:
		break;
	}
	return open_activated(a->path, fds, err);
}

int listen_fds_take(struct listen_fds *fds, size_t i)
{
	return TAKE_FD(fds->fds[i]);
}

void listen_fds_done(struct listen_fds *fds)
{
	for (size_t i = 0; i < fds->n; i++)
		fd_close(&fds->fds[i]);
	free(TAKE_PTR(fds->fds));
	fds->n = 0;
}
