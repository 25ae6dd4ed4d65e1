/* Listening sockets. */
#include "fixture.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include "base/spawn.h"

static const struct listen_args defaults = {.gid = (gid_t)-1};

struct dir {
	char dir[32], path[64];
};

static int set_up(void **state)
{
	struct dir *d = xnew0(struct dir);

	(void)str_copy(d->dir, sizeof(d->dir), "/tmp/test-listen-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	(void)snprintf(d->path, sizeof(d->path), "%s/s", d->dir);
	*state = d;
	return 0;
}

static int tear_down(void **state)
{
	struct dir *d = *state;

	(void)unlink(d->path);
	assert_int_equal(rmdir(d->dir), 0);
	free(d);
	return 0;
}

static int open_path(const struct dir *d, const struct listen_args *args, struct listen_fds *fds,
		     struct error *err)
{
	struct http_address a = {.kind = HTTP_ADDRESS_UNIX, .path = (char *)d->path};

	return listen_open(&a, args, fds, err);
}

static void test_unix_mode(void **state)
{
	const struct listen_args args = {.gid = getgid(), .mode = 0600};
	struct dir *d = *state;
	struct stat st;

	for (int i = 0; i < 2; i++) {
		autolisten_fds struct listen_fds fds = {0};

		/* The second time it replaces what the first left behind. */
		assert_int_equal(open_path(d, i ? &args : &defaults, &fds, NULL), 0);
		assert_int_equal(fds.n, 1);
		assert_true(fcntl(fds.fds[0], F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(fds.fds[0], F_GETFL) & O_NONBLOCK);
		assert_int_equal(stat(d->path, &st), 0);
		assert_int_equal(st.st_mode, S_IFSOCK | (i ? 0600 : 0660));
	}
}

static void test_unix_served(void **state)
{
	autolisten_fds struct listen_fds fds = {0}, again = {0};
	autoerror struct error err = {0};
	struct dir *d = *state;
	struct stat before, after;

	assert_int_equal(open_path(d, &defaults, &fds, NULL), 0);
	assert_int_equal(stat(d->path, &before), 0);
	assert_int_equal(open_path(d, &defaults, &again, &err), -EADDRINUSE);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	assert_int_equal(again.n, 0);
	assert_int_equal(stat(d->path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void test_unix_other_file(void **state)
{
	autolisten_fds struct listen_fds fds = {0};
	autoerror struct error err = {0};
	struct dir *d = *state;
	struct stat st;

	assert_int_equal(file_write_atomic(AT_FDCWD, d->path, "x", 1, 0600, 0, NULL), 0);
	assert_true(open_path(d, &defaults, &fds, &err) < 0);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	assert_int_equal(stat(d->path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
}

static void test_unix_bad_paths(void **state)
{
	struct http_address a = {.kind = HTTP_ADDRESS_UNIX, .path = (char *)"/nonexistent/dir/s"};
	autolisten_fds struct listen_fds fds = {0};
	autoerror struct error err = {0};
	char name[200];

	(void)state;
	assert_int_equal(listen_open(&a, &defaults, &fds, &err), -ENOENT);
	memset(name, 'a', sizeof(name) - 1);
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	a.path = name;
	assert_int_equal(listen_open(&a, &defaults, &fds, &err), -ENAMETOOLONG);
	assert_int_equal(err.kind, ERROR_INVALID);
}

static void test_tcp(void **state)
{
	struct http_address a = {.kind = HTTP_ADDRESS_TCP, .host = (char *)"127.0.0.1"};
	autolisten_fds struct listen_fds fds = {0}, again = {0};
	autoerror struct error err = {0};
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	(void)state;
	assert_int_equal(listen_open(&a, &defaults, &fds, NULL), 0);
	assert_int_equal(fds.n, 1);
	assert_int_equal(getsockname(fds.fds[0], (struct sockaddr *)&sin, &len), 0);
	a.port = ntohs(sin.sin_port);
	assert_int_equal(listen_open(&a, &defaults, &again, &err), -EADDRINUSE);
	assert_int_equal(err.kind, ERROR_CONFLICT);
	assert_int_equal(again.n, 0);
}

/* In a process of its own, which is started as systemd does it: with sockets from 3 on. */
static int activated(const char *want, const char *pid, struct listen_fds *ret, struct error *err)
{
	struct http_address a = {.kind = HTTP_ADDRESS_FD, .path = (char *)want};

	(void)setenv("LISTEN_PID", pid, 1);
	return listen_open(&a, &defaults, ret, err);
}

static int check_activation(void)
{
	autolisten_fds struct listen_fds fds = {0};
	autoerror struct error err = {0};
	char pid[24];

	(void)snprintf(pid, sizeof(pid), "%d", getpid());
	if (activated("", "1", &fds, &err) >= 0 || err.kind != ERROR_INVALID)
		return 3; /* meant for another process */
	if (activated("other", pid, &fds, &err) >= 0)
		return 4;
	if (activated("junk", pid, &fds, &err) >= 0)
		return 5; /* no socket */
	if (activated("tcp", pid, &fds, &err) < 0 || fds.n != 1 || fds.fds[0] != 4)
		return 6;
	if (activated("4", pid, &fds, &err) >= 0 || err.kind != ERROR_CONFLICT)
		return 7; /* twice */
	if (activated("3", pid, &fds, &err) < 0 || fds.n != 2 || fds.fds[1] != 3)
		return 8;
	if (!(fcntl(3, F_GETFD) & FD_CLOEXEC) || !(fcntl(4, F_GETFL) & O_NONBLOCK))
		return 9;
	return 0;
}

static void test_activation(void **state)
{
	static const char *const argv[] = {"test", "activated", NULL};
	static const char *const envp[] = {"LISTEN_FDS=3", "LISTEN_FDNAMES=api:tcp:junk", NULL};
	struct http_address tcp = {.kind = HTTP_ADDRESS_TCP, .host = (char *)"127.0.0.1"};
	autolisten_fds struct listen_fds made = {0};
	struct spawn_fd fds[] = {{.child_fd = 3}, {.child_fd = 4}, {.child_fd = 5}};
	struct spawn_args args = {.path = "/proc/self/exe",
				  .argv = argv,
				  .envp = envp,
				  .fds = fds,
				  .fd_count = ARRAY_SIZE(fds)};
	autofree char *output = NULL;
	int status = -1;

	assert_int_equal(open_path(*state, &defaults, &made, NULL), 0);
	assert_int_equal(listen_open(&tcp, &defaults, &made, NULL), 0);
	assert_int_equal(made.n, 2);
	fds[0].fd = made.fds[0];
	fds[1].fd = made.fds[1];
	fds[2].fd = STDERR_FILENO;
	assert_int_equal(spawn_run(&args, 1000, &output, &status, NULL), 0);
	assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unix_mode, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unix_served, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_unix_other_file, set_up, tear_down),
		cmocka_unit_test(test_unix_bad_paths),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test_setup_teardown(test_activation, set_up, tear_down),
	};

	if (argc == 2 && strcmp(argv[1], "activated") == 0)
		return check_activation();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
