/* The terminal: a pty of the container's own devpts.
 *
 * Nothing is opened by a path that the container could have replaced: the multiplexer is verified
 * to be devpts's, and the other end comes from the master by TIOCGPTPEER, not from /dev/pts/N
 * (CVE-2025-52565).
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>

#include "linux/root.h"
#include "linux/sys.h"
#include "runtime/setup_priv.h"

#define DEVPTS_SUPER_MAGIC_ 0x1cd1
#define PTMX_INO            2
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
#define CONSOLE_MODE 0620

static int open_multiplexer(int dir_fd, const char *path, struct error *err)
{
	autoclose int fd = root_open(dir_fd, path, O_RDWR | O_NOCTTY, ROOT_NO_SYMLINKS);
	struct statfs fs;
	struct stat st;

	if (fd < 0)
		return error_set(err, ERROR_INTERNAL, -fd, "open the container's '%s'", path);
	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "inspect '%s'", path);
	if (fs.f_type != DEVPTS_SUPER_MAGIC_ || st.st_ino != PTMX_INO || !S_ISCHR(st.st_mode) ||
	    st.st_rdev != makedev(5, 2))
		return error_set(err, ERROR_FORBIDDEN, 0, "'%s' is not a pty multiplexer", path);
	return TAKE_FD(fd);
}

static int open_pair(struct setup *s, int dir_fd, const char *path, struct error *err)
{
	const struct oci_console_size *size = &s->process->console_size;
	autoclose int master = open_multiplexer(dir_fd, path, err), tty = -EBADF;
	int unlock = 0;

	if (master < 0)
		return master;
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "unlock the terminal");
	tty = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (tty < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open the terminal");
	if (s->plain_newlines) {
		struct termios t;

		if (tcgetattr(tty, &t) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "inspect the terminal");
		t.c_oflag &= ~(tcflag_t)ONLCR;
		if (tcsetattr(tty, TCSANOW, &t) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "set the terminal up");
	}
	if (size->height || size->width) {
		struct winsize ws = {.ws_row = size->height, .ws_col = size->width};

		if (ioctl(tty, TIOCSWINSZ, &ws) < 0)
			return error_set(err, ERROR_INTERNAL, errno, "set the terminal's size");
	}
	if ((s->process->user.uid && fchown(tty, s->process->user.uid, (gid_t)-1) < 0) ||
	    fchmod(tty, CONSOLE_MODE) < 0)
		return error_set(err, ERROR_INTERNAL, errno, "hand the terminal to the user");
	s->console_fd = TAKE_FD(master);
	s->tty_fd = TAKE_FD(tty);
	return 0;
}

/* What the terminal is mounted on: made if missing, and no link's target (CVE-2025-52565). */
static int open_console_place(int root_fd, struct error *err)
{
	autoclose int dev_fd = root_open(root_fd, "dev", O_PATH | O_DIRECTORY, ROOT_NO_SYMLINKS);
	int fd = dev_fd;

	if (fd >= 0) {
		(void)mknodat(dev_fd, "console", S_IFREG | 0600, 0); /* opening it tells */
		fd = root_open(dev_fd, "console", O_PATH, ROOT_NO_SYMLINKS);
	}
	return fd >= 0 ? fd
		       : error_set(err, ERROR_INVALID, -fd, "open '/dev/console' in the container");
}

/* For process 1: from the devpts just mounted, and bound to /dev/console as well. */
int console_create(struct setup *s, struct error *err)
{
	autoclose int fd = -EBADF, at_fd = -EBADF;
	int r;

	if (!s->process->terminal)
		return 0;
	if (s->devpts_fd < 0)
		return error_set(err, ERROR_INVALID, 0,
				 "process.terminal needs a devpts mount at /dev/pts");
	r = open_pair(s, s->devpts_fd, "ptmx", err);
	fd_close(&s->devpts_fd);
	if (r < 0)
		return r;
	fd = mount_clone(s->tty_fd, "", false, err);
	if (fd < 0)
		return fd;
	at_fd = open_console_place(s->root_fd, err);
	return at_fd < 0 ? at_fd : mount_attach(fd, at_fd, "dev/console", err);
}

/* For a process that joins: "/" is the container's by now. */
int console_open_in_container(struct setup *s, struct error *err)
{
	autoclose int root = -EBADF;

	if (!s->process->terminal)
		return 0;
	root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_set(err, ERROR_INTERNAL, errno, "open /");
	return open_pair(s, root, "dev/pts/ptmx", err);
}

int console_take_control(struct setup *s, struct error *err)
{
	if (!s->process->terminal)
		return 0;
	if (ioctl(s->tty_fd, TIOCSCTTY, 0) < 0)
		return error_set(err, ERROR_INTERNAL, errno,
				 "make the terminal the controlling one");
	return 0;
}
