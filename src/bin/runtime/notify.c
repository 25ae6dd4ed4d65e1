/* Only READY=1 is passed on, as runc does: what else systemd may be told is not a container's to say. */
#include "bin/runtime/notify.h"

#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"
#include "base/str.h"
#include "linux/pidfd.h"
#include "oci/runtime_spec.h"
#include "runtime/state.h"

#define VARIABLE    "NOTIFY_SOCKET"
#define DIRECTORY   "notify"
#define SOCKET      "notify.sock"
#define DESTINATION "/run/notify"

int notify_is_wanted(void)
{
	return !str_empty(getenv(VARIABLE));
}

int notify_prepare(const struct state *s, const char *root, struct arena *a, struct oci_spec *spec,
		   struct error *err)
{
	static const char *options[] = {"bind", "nosuid", "noexec", "nodev", "ro", NULL};
	struct json_strings *env = &spec->process.env;
	struct oci_mount *mounts = arena_new0n(a, struct oci_mount, spec->mounts.n + 1);
	const char **v = arena_new0n(a, const char *, env->n + 2);
	autofree char *path = xasprintf("%s/%s/" DIRECTORY, root, s->id), *absolute = NULL;

	if (mkdirat(s->dir_fd, DIRECTORY, 0755) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "create '%s'", path);
	absolute = realpath(path, NULL);
	if (!absolute)
		return error_set(err, ERROR_INTERNAL, errno, "find '%s'", path);
	if (spec->mounts.n)
		memcpy(mounts, spec->mounts.v, spec->mounts.n * sizeof(*mounts));
	mounts[spec->mounts.n] = (struct oci_mount){
		.destination = DESTINATION,
		.source = arena_strdup(a, absolute),
		.options = {.v = options, .n = ARRAY_SIZE(options) - 1},
	};
	spec->mounts = (struct json_objects){.v = mounts, .n = spec->mounts.n + 1};
	if (env->n)
		memcpy(v, env->v, env->n * sizeof(*v));
	v[env->n] = VARIABLE "=" DESTINATION "/" SOCKET;
	*env = (struct json_strings){.v = v, .n = env->n + 1};
	return 0;
}

int notify_listen(const struct state *s, int *ret_fd, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int fd = -EBADF;

	*ret_fd = -EBADF;
	if (!notify_is_wanted() || faccessat(s->dir_fd, DIRECTORY, F_OK, 0) < 0)
		return 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* By the directory's fd: a socket's path holds 107 bytes. */
	(void)snprintf(address.sun_path, sizeof(address.sun_path),
		       "/proc/self/fd/%d/" DIRECTORY "/" SOCKET, s->dir_fd);
	(void)unlinkat(s->dir_fd, DIRECTORY "/" SOCKET, 0); /* of a start that was cut off */
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    fchmodat(s->dir_fd, DIRECTORY "/" SOCKET, 0777, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "listen for notifications");
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static void tell(int sock, const char *text)
{
	if (send(sock, text, strlen(text), MSG_NOSIGNAL) < 0)
		log_warn("pass a notification on: %s", strerror(errno));
}

/* unix(7): a name that begins with "@" is an abstract one. */
static void pass_on(const char *ready, pid_t mainpid)
{
	const char *name = getenv(VARIABLE);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len;
	char text[64];

	if (!name || !str_copy(address.sun_path, sizeof(address.sun_path), name))
		return;
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	if (sock < 0 || connect(sock, (const struct sockaddr *)&address, len) < 0) {
		log_warn("reach " VARIABLE " '%s': %s", name, strerror(errno));
		return;
	}
	tell(sock, ready);
	if (mainpid > 0) {
		(void)snprintf(text, sizeof(text), "MAINPID=%d\n", (int)mainpid);
		tell(sock, text);
	}
}

void notify_read(int *fd, pid_t mainpid)
{
	char text[4096], *rest = text, *line;
	ssize_t n = recv(*fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n <= 0)
		return;
	text[n] = '\0';
	while ((line = strsep(&rest, "\n")))
		if (strcmp(line, "READY=1") == 0) {
			pass_on("READY=1\n", mainpid);
			fd_close(fd);
			return;
		}
}

void notify_wait(int *fd, pid_t mainpid, int pidfd)
{
	while (*fd >= 0) {
		struct pollfd p[] = {{.fd = *fd, .events = POLLIN},
				     {.fd = pidfd_pollable(pidfd), .events = POLLIN}};

		if (poll(p, ARRAY_SIZE(p), p[1].fd < 0 ? PIDFD_ASK_MS : -1) < 0)
			continue; /* EINTR */
		if (p[0].revents) {
			notify_read(fd, mainpid);
		} else if (pidfd_wait(pidfd, 0) != 0) {
			notify_read(fd, mainpid); /* said since, with its last breath */
			fd_close(fd);
		}
	}
}
