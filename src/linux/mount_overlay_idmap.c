/* Overlays of idmapped layers on kernels that take layers by path only (before Linux 6.13).
 *
 * A detached mount has no path, and overlayfs refuses one that is not in the mount namespace of who
 * asks.  So a process with a mount namespace of its own attaches the idmapped layers there, makes
 * the overlay, which keeps copies of them, and hands it out detached.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"
#include "linux/clone.h"
#include "linux/mount_priv.h"
#include "linux/sys.h"

#define ANSWER_TEXT_MAX 1024

struct answer {
	uint32_t kind; /* enum error_kind */
	int32_t errnum;
	char text[ANSWER_TEXT_MAX];
};

struct layers {
	const struct mount_overlay *overlay; /* borrowed */
	int *fds; /* owned, with what they hold: idmapped, the lower ones, then the upper's parent */
	size_t n;
};

static void layers_done(struct layers *l)
{
	for (size_t i = 0; i < l->n; i++)
		fd_close(&l->fds[i]);
	free(l->fds);
}

static int clone_layer(const char *path, int userns_fd, struct error *err)
{
	autoclose int fd = mount_clone(AT_FDCWD, path, false, err);
	int r = fd < 0 ? fd : mount_set_idmap(fd, userns_fd, false, path, err);

	return r < 0 ? r : TAKE_FD(fd);
}

static int layers_open(const struct mount_overlay *overlay, int userns_fd, struct layers *ret,
		       struct error *err)
{
	autofree char *parent = NULL;

	*ret = (struct layers){.overlay = overlay, .fds = xnew0n(int, overlay->lower_count + 1)};
	for (size_t i = 0; i < overlay->lower_count; i++) {
		int fd = clone_layer(overlay->lower[i], userns_fd, err);

		if (fd < 0)
			return fd;
		ret->fds[ret->n++] = fd;
	}
	if (!overlay->upper)
		return 0;
	parent = xstrndup(overlay->upper, (size_t)(str_basename(overlay->upper) - overlay->upper));
	ret->fds[ret->n] = clone_layer(parent, userns_fd, err);
	return ret->fds[ret->n] < 0 ? ret->fds[ret->n] : (ret->n++, 0);
}

/* -- in the process -------------------------------------------------------------------------- */

/* All of them below a tmpfs that only this process sees. */
static int attach_layers(const struct layers *l, struct error *err)
{
	static const struct mount_options none;
	autoclose int place = open(l->overlay->lower[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int stage = -EBADF;
	int r = mount_set_propagation("/", MS_PRIVATE, true, err);

	if (r < 0)
		return r;
	if (place < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open '%s'", l->overlay->lower[0]);
	stage = mount_new("tmpfs", "tmpfs", &none, err);
	r = stage < 0 ? stage : mount_attach(stage, place, "a layer", err);
	for (size_t i = 0; r == 0 && i < l->n; i++) {
		char name[24];

		(void)snprintf(name, sizeof(name), "%zu", i);
		if (mkdirat(stage, name, 0700) < 0 ||
		    sys_move_mount(l->fds[i], "", stage, name, MOVE_MOUNT_F_EMPTY_PATH) < 0)
			r = error_set(err, ERROR_INTERNAL, errno, "attach a layer");
	}
	return r;
}

/* By the descriptors' names: their mounts have a place now. */
static int mount_layers(const struct layers *l, struct error *err)
{
	size_t n = l->overlay->lower_count;
	autofree const char **lower = xnew0n(const char *, n);
	autofree char *names = xnew0n(char, n *FD_PATH_SIZE), *upper = NULL, *work = NULL;
	struct mount_overlay overlay = *l->overlay;

	for (size_t i = 0; i < n; i++)
		lower[i] = mount_fd_path(l->fds[i], &names[i * FD_PATH_SIZE]);
	overlay.lower = lower;
	if (overlay.upper) {
		char parent[FD_PATH_SIZE];

		upper = xasprintf("%s/%s", mount_fd_path(l->fds[n], parent),
				  str_basename(overlay.upper));
		work = xasprintf("%s/%s", parent, str_basename(overlay.work));
		overlay.upper = upper;
		overlay.work = work;
	}
	return mount_new_overlay(&overlay, err);
}

static void run(const struct layers *l, int sock)
{
	autoerror struct error err = {0};
	struct answer answer = {0};
	int fd = attach_layers(l, &err);

	if (fd == 0)
		fd = mount_layers(l, &err);
	if (fd < 0) {
		answer.kind = err.kind;
		answer.errnum = err.errnum;
		(void)snprintf(answer.text, sizeof(answer.text), "%s", error_msg(&err));
	}
	(void)fd_send(sock, &answer, sizeof(answer), fd >= 0 ? &fd : NULL,
		      fd >= 0); /* or its end */
	_exit(0);
}

/* -- in the caller --------------------------------------------------------------------------- */

static int receive(int sock, struct error *err)
{
	struct answer answer = {0};
	int fd = -EBADF;
	size_t n_fds = 1;
	ssize_t n = fd_recv(sock, &answer, sizeof(answer), &fd, &n_fds);

	if (n == (ssize_t)sizeof(answer) && n_fds == 1)
		return fd;
	answer.text[sizeof(answer.text) - 1] = '\0';
	if (n != (ssize_t)sizeof(answer) || answer.text[0] == '\0')
		return error_set(err, ERROR_INTERNAL, n < 0 ? (int)-n : EPIPE,
				 "mount overlay in a process of its own");
	/* the text is complete, the cause included */
	(void)error_set(
		err, answer.kind < ERROR_KIND_COUNT ? (enum error_kind)answer.kind : ERROR_INTERNAL,
		0, "%s", answer.text);
	if (err)
		err->errnum = answer.errnum;
	return answer.errnum > 0 ? -answer.errnum : -EIO;
}

int overlay_idmapped_by_path(const struct mount_overlay *overlay, int userns_fd, struct error *err)
{
	struct sys_clone_args args = {.flags = CLONE_NEWNS, .exit_signal = SIGCHLD};
	struct layers layers;
	int pair[2], r = layers_open(overlay, userns_fd, &layers, err);
	pid_t pid;

	if (r == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		r = error_set(err, ERROR_INTERNAL, errno, "create a socket pair");
	if (r < 0) {
		layers_done(&layers);
		return r;
	}
	pid = clone_process(&args, NULL);
	if (pid == 0)
		run(&layers, pair[1]);
	fd_close(&pair[1]);
	r = pid < 0 ? error_set(err, ERROR_INTERNAL, errno, "clone") : receive(pair[0], err);
	fd_close(&pair[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	layers_done(&layers);
	return r;
}
