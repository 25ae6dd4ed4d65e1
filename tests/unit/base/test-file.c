/* Files written whole, trees removed, descriptors passed; everything in a private directory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/str.h"

#include "tmpdir.h"

static void write_file(int dirfd, const char *name, const char *text)
{
	assert_int_equal(file_write_atomic(dirfd, name, text, strlen(text), 0644, 0, NULL), 0);
}

static void assert_content(int dirfd, const char *name, const char *expected)
{
	autofree char *text = NULL;
	autoerror struct error err = {0};
	size_t len;

	assert_int_equal(file_read(dirfd, name, 1 << 20, &text, &len, &err), 0);
	assert_string_equal(text, expected);
	assert_int_equal(len, strlen(expected));
}

static bool exists(int dirfd, const char *name)
{
	return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int count_entries(const struct tmpdir *t)
{
	struct stat st;

	/* Link count of a directory: itself, its name, and each subdirectory. */
	return fstat(t->fd, &st) == 0 ? (int)st.st_nlink - 2 : -1;
}

static void test_write_atomic(void **state)
{
	autotmpdir struct tmpdir t = tmpdir_new();
	autoerror struct error err = {0};
	mode_t old = umask(077);
	struct stat st;

	(void)state;
	assert_int_equal(file_write_atomic(t.fd, "a", "one", 3, 0666, FILE_SYNC, &err), 0);
	(void)umask(old);
	assert_content(t.fd, "a", "one");
	assert_int_equal(fstatat(t.fd, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0666); /* whatever the umask */
	assert_int_equal(file_write_atomic(t.fd, "a", "", 0, 0600, 0, &err), 0);
	assert_content(t.fd, "a", "");
	assert_int_equal(file_write_atomic(t.fd, "a", "x", 1, 0600, FILE_EXCLUSIVE, &err), -EEXIST);
	assert_non_null(strstr(error_msg(&err), "'a'"));
	assert_content(t.fd, "a", "");
	assert_int_equal(
		file_write_atomic(t.fd, "b", "x", 1, 0600, FILE_EXCLUSIVE | FILE_SYNC, &err), 0);
	assert_int_equal(fstatat(t.fd, "b", &st, 0), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(file_write_atomic(t.fd, "no/b", "x", 1, 0600, 0, &err), -ENOENT);
	assert_int_equal(mkdirat(t.fd, "d", 0700), 0);
	assert_int_equal(file_write_atomic(t.fd, "d/b", "below", 5, 0600, FILE_SYNC, &err), 0);
	assert_content(t.fd, "d/b", "below");
	/* The temporary names are gone, also that of the refused one and of a failed rename. */
	assert_int_equal(file_write_atomic(t.fd, "d", "x", 1, 0600, 0, &err), -EISDIR);
	assert_int_equal(unlinkat(t.fd, "d/b", 0), 0);
	assert_int_equal(unlinkat(t.fd, "d", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(t.fd, "a", 0), 0);
	assert_int_equal(unlinkat(t.fd, "b", 0), 0);
	assert_int_equal(rmdir(t.path), 0);
	assert_int_equal(mkdir(t.path, 0700), 0);
}

static void test_read_limits(void **state)
{
	autotmpdir struct tmpdir t = tmpdir_new();
	autoerror struct error err = {0};
	autofree char *text = NULL, *big = xcalloc(1, 100001);
	size_t len = 77;

	(void)state;
	assert_int_equal(file_read(t.fd, "none", 10, &text, &len, &err), -ENOENT);
	assert_string_equal(error_msg(&err), "read file 'none': No such file or directory");
	write_file(t.fd, "five", "12345");
	assert_int_equal(file_read(t.fd, "five", 4, &text, &len, &err), -E2BIG);
	assert_null(text);
	assert_int_equal(len, 77);
	assert_int_equal(file_read(t.fd, "five", 5, &text, NULL, &err), 0);
	assert_string_equal(text, "12345");
	memset(big, 'b', 100000);
	write_file(t.fd, "big", big);
	assert_content(t.fd, "big", big);
	assert_int_equal(file_read(t.fd, ".", 5, &big, NULL, &err), -EISDIR);
	free(TAKE_PTR(text));
	/* procfs says that its files are empty */
	assert_int_equal(file_read(AT_FDCWD, "/proc/self/status", 1 << 20, &text, &len, &err), 0);
	assert_true(len > 100 && strlen(text) == len);
	free(TAKE_PTR(text));
	assert_int_equal(file_read(AT_FDCWD, "/proc/self/status", 50, &text, &len, &err), -E2BIG);
}

static void test_write_value(void **state)
{
	autotmpdir struct tmpdir t = tmpdir_new();
	autoerror struct error err = {0};

	(void)state;
	assert_int_equal(file_write_value(t.fd, "v", "1", &err), -ENOENT);
	assert_false(exists(t.fd, "v"));
	write_file(t.fd, "v", "000");
	assert_int_equal(file_write_value(t.fd, "v", "1", &err), 0);
	assert_content(t.fd, "v", "100"); /* written, not truncated: as pseudo files want it */
	assert_int_equal(file_write_value(AT_FDCWD, "/dev/full", "1", &err), -ENOSPC);
}

static void test_mkdir_p(void **state)
{
	autotmpdir struct tmpdir t = tmpdir_new();
	autoerror struct error err = {0};
	autofree char *absolute = xasprintf("%s/x//y/", t.path);
	struct stat st;

	(void)state;
	assert_int_equal(file_mkdir_p(t.fd, "a/b/c", 0700, &err), 0);
	assert_int_equal(file_mkdir_p(t.fd, "a/b/c", 0700, &err), 0);
	assert_int_equal(file_mkdir_p(t.fd, "a/b/d", 0750, &err), 0);
	assert_int_equal(fstatat(t.fd, "a/b/d", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_int_equal(file_mkdir_p(AT_FDCWD, absolute, 0700, &err), 0);
	assert_true(exists(t.fd, "x/y"));
	write_file(t.fd, "a/file", "");
	assert_int_equal(file_mkdir_p(t.fd, "a/file", 0700, &err), -ENOTDIR);
	assert_int_equal(file_mkdir_p(t.fd, "a/file/x", 0700, &err), -ENOTDIR);
	assert_int_equal(symlinkat("b", t.fd, "a/link"), 0);
	assert_int_equal(file_mkdir_p(t.fd, "a/link/e", 0700, &err), 0);
	assert_true(exists(t.fd, "a/b/e"));
	assert_int_equal(file_mkdir_p(t.fd, "", 0700, &err), -ENOENT);
}

static void test_remove_tree(void **state)
{
	autotmpdir struct tmpdir t = tmpdir_new();
	autoerror struct error err = {0};

	(void)state;
	assert_int_equal(file_mkdir_p(t.fd, "keep/inside", 0700, NULL), 0);
	write_file(t.fd, "keep/inside/file", "kept");
	assert_int_equal(file_mkdir_p(t.fd, "tree/a/b", 0700, NULL), 0);
	assert_int_equal(file_mkdir_p(t.fd, "tree/closed/inner", 0700, NULL), 0);
	assert_int_equal(fchmodat(t.fd, "tree/closed", 0, 0), 0);
	write_file(t.fd, "tree/a/file", "");
	assert_int_equal(symlinkat("../keep/inside", t.fd, "tree/link"), 0);
	assert_int_equal(symlinkat("nowhere", t.fd, "tree/a/dangling"), 0);
	assert_int_equal(mkfifoat(t.fd, "tree/a/fifo", 0600), 0);

	assert_int_equal(file_remove_tree(t.fd, "tree", &err), 0);
	assert_false(exists(t.fd, "tree"));
	assert_content(t.fd, "keep/inside/file", "kept");
	assert_int_equal(file_remove_tree(t.fd, "tree", &err), 0); /* missing is fine */
	assert_int_equal(file_remove_tree(t.fd, "no/such", &err), 0);
	/* A link goes, what it names stays. */
	assert_int_equal(symlinkat("keep", t.fd, "link"), 0);
	assert_int_equal(file_remove_tree(t.fd, "link", &err), 0);
	assert_false(exists(t.fd, "link"));
	assert_true(exists(t.fd, "keep/inside/file"));
	assert_int_equal(file_remove_tree(t.fd, "keep/inside/file", &err), 0);
	assert_int_equal(file_remove_tree(t.fd, "keep/inside", &err), 0);
	assert_int_equal(count_entries(&t), 1);
}

/* Deeper than PATH_MAX and than the descriptors there are. */
static void test_remove_deep_tree(void **state)
{
	autotmpdir struct tmpdir t = tmpdir_new();
	autoerror struct error err = {0};
	autoclose int at = -EBADF;

	(void)state;
	assert_int_equal(mkdirat(t.fd, "deep", 0700), 0);
	at = openat(t.fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 2000; i++) {
		int next;

		assert_int_equal(mkdirat(at, "0123456789", 0700), 0);
		if (i % 100 == 0) {
			assert_int_equal(mkdirat(at, "sibling", 0700), 0);
			write_file(at, "file", "");
		}
		next = openat(at, "0123456789", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_true(next >= 0);
		fd_close(&at);
		at = next;
	}
	assert_int_equal(file_remove_tree(t.fd, "deep", &err), 0);
	assert_false(exists(t.fd, "deep"));
}

static void test_full_io(void **state)
{
	int fds[2];
	char buf[10];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(fd_write_full(fds[1], "abc", 3), 0);
	assert_int_equal(fd_write_full(fds[1], "def", 3), 0);
	assert_int_equal(fd_read_full(fds[0], buf, 4), 4);
	assert_memory_equal(buf, "abcd", 4);
	assert_int_equal(fd_set_nonblock(fds[0], true), 0);
	assert_int_equal(fd_read_full(fds[0], buf, 4), -EAGAIN);
	assert_int_equal(fd_set_nonblock(fds[0], false), 0);
	assert_int_equal(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fd_write_full(fds[1], "gh", 2), 0);
	fd_close(&fds[1]);
	assert_int_equal(fd_read_full(fds[0], buf, 4), 2);
	assert_memory_equal(buf, "gh", 2);
	fd_close(&fds[0]);
	assert_int_equal(fd_read_full(fds[0], buf, 1), -EBADF);
	assert_int_equal(fd_write_full(fds[0], buf, 1), -EBADF);
	assert_int_equal(fd_set_nonblock(fds[0], true), -EBADF);
}

static void test_memfd(void **state)
{
	autoerror struct error err = {0};
	autoclose int fd = fd_memfd("config", "hello", 5, &err);
	char buf[10];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fd_read_full(fd, buf, sizeof(buf)), 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), -1);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static int count_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n;
}

static void test_send_recv(void **state)
{
	autotmpdir struct tmpdir t = tmpdir_new();
	int pair[2], sent[3], got[3] = {-1, -1, -1};
	size_t n = 3;
	char buf[16];
	struct stat a, b;
	int open_before;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	for (int i = 0; i < 3; i++) {
		char name[2] = {(char)('a' + i), '\0'};

		write_file(t.fd, name, name);
		sent[i] = openat(t.fd, name, O_RDONLY | O_CLOEXEC);
	}
	assert_int_equal(fd_send(pair[0], "hello", 5, sent, 3), 0);
	assert_int_equal(fd_recv(pair[1], buf, sizeof(buf), got, &n), 5);
	assert_int_equal(n, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
		assert_int_equal(fstat(sent[i], &a), 0);
		assert_int_equal(fstat(got[i], &b), 0);
		assert_true(a.st_ino == b.st_ino);
		fd_close(&got[i]);
	}
	/* Room for one: the surplus is closed. */
	open_before = count_open_fds();
	assert_int_equal(fd_send(pair[0], "x", 1, sent, 3), 0);
	n = 1;
	assert_int_equal(fd_recv(pair[1], buf, sizeof(buf), got, &n), 1);
	assert_int_equal(n, 1);
	assert_int_equal(count_open_fds(), open_before + 1);
	fd_close(&got[0]);
	/* A cut packet is refused, and its descriptors do not leak. */
	assert_int_equal(fd_send(pair[0], "0123456789", 10, sent, 1), 0);
	n = 3;
	assert_int_equal(fd_recv(pair[1], buf, 4, got, &n), -EMSGSIZE);
	assert_int_equal(n, 0);
	assert_int_equal(count_open_fds(), open_before);
	assert_int_equal(fd_send(pair[0], "plain", 5, NULL, 0), 0);
	assert_int_equal(fd_recv(pair[1], buf, sizeof(buf), NULL, NULL), 5);
	assert_int_equal(fd_send(pair[0], "x", 1, sent, 254), -EINVAL);
	/* Last words of one who did not read ours. */
	assert_int_equal(fd_send(pair[1], "unread", 6, NULL, 0), 0);
	assert_int_equal(fd_send(pair[0], "bye", 3, sent, 1), 0);
	fd_close(&pair[0]);
	n = 3;
	assert_int_equal(fd_recv(pair[1], buf, sizeof(buf), got, &n), 3);
	assert_int_equal(n, 1);
	fd_close(&got[0]);
	assert_int_equal(fd_recv(pair[1], buf, sizeof(buf), NULL, NULL), 0);
	assert_int_equal(fd_send(pair[1], "x", 1, NULL, 0), -EPIPE); /* and no SIGPIPE */
	fd_close(&pair[1]);
	for (int i = 0; i < 3; i++)
		fd_close(&sent[i]);
}

/* What somebody says last is heard, though he dies with messages of ours unread. */
static void test_fd_last_words(void **state)
{
	char buf[16];
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fd_send(pair[1], "unread", 6, NULL, 0), 0);
	assert_int_equal(fd_send(pair[0], "last", 4, NULL, 0), 0);
	fd_close(&pair[0]);
	assert_int_equal(fd_recv(pair[1], buf, sizeof(buf), NULL, NULL), 4);
	assert_memory_equal(buf, "last", 4);
	assert_int_equal(fd_recv(pair[1], buf, sizeof(buf), NULL, NULL), 0);
	fd_close(&pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_atomic), cmocka_unit_test(test_read_limits),
		cmocka_unit_test(test_write_value),  cmocka_unit_test(test_mkdir_p),
		cmocka_unit_test(test_remove_tree),  cmocka_unit_test(test_remove_deep_tree),
		cmocka_unit_test(test_full_io),      cmocka_unit_test(test_memfd),
		cmocka_unit_test(test_send_recv),    cmocka_unit_test(test_fd_last_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
