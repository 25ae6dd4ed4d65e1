/* What files and file systems look like, and what the kernel can do with mounts. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "linux/sys.h"
#include "payload.h"

#define OUTPUT_MAX (1U << 20)

static void write_stat(struct json_writer *w, const char *path)
{
	char text[PATH_MAX];
	struct stat st;
	ssize_t n;

	jw_object(w);
	if (lstat(path, &st) < 0) {
		jw_kstring(w, "error", strerror(errno));
		jw_object_end(w);
		return;
	}
	text[0] = S_ISDIR(st.st_mode)    ? 'd'
		  : S_ISLNK(st.st_mode)  ? 'l'
		  : S_ISCHR(st.st_mode)  ? 'c'
		  : S_ISBLK(st.st_mode)  ? 'b'
		  : S_ISFIFO(st.st_mode) ? 'p'
		  : S_ISSOCK(st.st_mode) ? 's'
					 : '-';
	text[1] = '\0';
	jw_kstring(w, "type", text);
	(void)snprintf(text, sizeof(text), "%04o", st.st_mode & 07777);
	jw_kstring(w, "mode", text);
	jw_kint(w, "uid", st.st_uid);
	jw_kint(w, "gid", st.st_gid);
	jw_kint(w, "major", major(st.st_rdev));
	jw_kint(w, "minor", minor(st.st_rdev));
	jw_kint(w, "mtime", st.st_mtime);
	n = readlink(path, text, sizeof(text) - 1);
	if (n >= 0) {
		text[n] = '\0';
		jw_kstring(w, "link", text);
	}
	jw_object_end(w);
}

static int finish(struct strbuf *out)
{
	strbuf_addc(out, '\n');
	return fd_write_full(STDOUT_FILENO, out->s, out->len) < 0;
}

/* stat PATH...: an object of objects */
static int word_stat(int argc, char **argv)
{
	struct strbuf out = STRBUF_INIT(OUTPUT_MAX);
	struct json_writer w;

	json_writer_init(&w, &out);
	jw_object(&w);
	for (int i = 1; i < argc; i++) {
		jw_key(&w, argv[i]);
		write_stat(&w, argv[i]);
	}
	jw_object_end(&w);
	return finish(&out);
}

/* -- probe --------------------------------------------------------------------------------- */

static bool exists(long result)
{
	return result >= 0 || errno != ENOSYS;
}

/* With arguments that each refuses. */
static bool has_openat2(void)
{
	return exists(sys_openat2(-1, "", 0, 0, ~0ULL));
}

static bool has_clone3(void)
{
	return exists(syscall(SYS_clone3, NULL, 0UL));
}

static bool has_mount_setattr(void)
{
	return exists(syscall(SYS_mount_setattr, -1, "", 0, NULL, 0));
}

static bool has_mount_api(void)
{
	return has_mount_setattr() && exists(sys_open_tree(-1, "", ~0U)) &&
	       exists(sys_move_mount(-1, "", -1, "", ~0U)) && exists(sys_fsopen("", ~0U)) &&
	       exists(sys_fsconfig(-1, 0, NULL, NULL, 0)) && exists(sys_fsmount(-1, ~0U, 0));
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		(void)close(fd);
	return done;
}

/* Whether the file system of the working directory can be shown with other owners. */
static bool has_idmap(void)
{
	struct sys_mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};
	struct sys_clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	char path[64], byte;
	int gate[2], mount_fd, userns_fd = -1;
	bool can = false;
	pid_t pid;

	if (!has_mount_api() || pipe2(gate, O_CLOEXEC) < 0)
		return false;
	pid = sys_clone3(&args);
	if (pid == 0) {
		(void)close(gate[1]);
		_exit(read(gate[0], &byte, 1) < 0);
	}
	mount_fd = sys_open_tree(AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	can = pid > 0 && write_file(path, "0 100000 65536\n");
	(void)snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
	can = can && write_file(path, "0 100000 65536\n");
	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	if (can)
		userns_fd = open(path, O_RDONLY | O_CLOEXEC);
	attr.userns_fd = (uint64_t)userns_fd;
	can = can && mount_fd >= 0 && userns_fd >= 0 &&
	      sys_mount_setattr(mount_fd, "", AT_EMPTY_PATH, &attr) == 0;
	(void)close(gate[1]);
	(void)close(gate[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return can;
}

/* probe: what there is, by name */
static int word_probe(int argc, char **argv)
{
	struct strbuf out = STRBUF_INIT(OUTPUT_MAX);
	struct json_writer w;

	(void)argc, (void)argv;
	json_writer_init(&w, &out);
	jw_object(&w);
	jw_kbool(&w, "openat2", has_openat2());
	jw_kbool(&w, "clone3", has_clone3());
	jw_kbool(&w, "mount_setattr", has_mount_setattr());
	jw_kbool(&w, "the mount API", has_mount_api());
	jw_kbool(&w, "idmapped mounts of tmpfs", has_idmap());
	jw_object_end(&w);
	return finish(&out);
}

const struct payload_command mount_commands[] = {
	{"stat", word_stat},
	{"probe", word_probe},
	{NULL, NULL},
};
