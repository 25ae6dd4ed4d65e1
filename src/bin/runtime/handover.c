/* Descriptors go out as runc sends them: one message on a stream socket, a name and the descriptor. */
#include "bin/runtime/handover.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "bin/runtime/options.h"

#define CONSOLE_NAME "/dev/ptmx" /* what containerd and conmon are told by runc */

int handover_check(const struct options *o, bool terminal, bool detach, struct error *err)
{
	bool has_socket = options_has(o, OPT_CONSOLE_SOCKET);

	if (terminal && detach && !has_socket)
		return error_set(err, ERROR_INVALID, 0,
				 "cannot allocate tty if runc will detach without setting console "
				 "socket");
	if (has_socket && !(terminal && detach))
		return error_set(
			err, ERROR_INVALID, 0,
			"cannot use console socket if runc will not detach or allocate tty");
	return 0;
}

static int send_fd(const char *path, const char *name, int fd, struct error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	autoclose int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (!str_copy(address.sun_path, sizeof(address.sun_path), path))
		return error_set(err, ERROR_INVALID, ENAMETOOLONG, "socket '%s'", path);
	if (sock < 0 || connect(sock, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(err, ERROR_INVALID, errno, "connect to socket '%s'", path);
	r = fd_send(sock, name, strlen(name), &fd, 1);
	return r < 0 ? error_set(err, ERROR_INTERNAL, -r, "send to socket '%s'", path) : 0;
}

static int write_pid_file(const char *path, pid_t pid, struct error *err)
{
	autofree char *text = xasprintf("%d", (int)pid);

	return file_write_atomic(AT_FDCWD, path, text, strlen(text), 0644, 0, err);
}

int handover(const struct options *o, const struct handover *h, struct error *err)
{
	const char *console = o->value[OPT_CONSOLE_SOCKET], *pidfd = o->value[OPT_PIDFD_SOCKET];
	const char *pid_file = o->value[OPT_PID_FILE];
	int r = 0;

	if (console)
		r = send_fd(console, CONSOLE_NAME, h->console_fd, err);
	if (r == 0 && pidfd)
		r = send_fd(pidfd, h->what, h->pidfd, err);
	if (r == 0 && pid_file)
		r = write_pid_file(pid_file, h->pid, err);
	return r;
}
