/* The store killed, or refused, at each system call that changes something, and opened again.
 *
 * The test runs itself as a child that imports an image, makes and removes a container's file system
 * and removes the image; ptrace kills it at the Nth changing call, or makes that call fail, for every third N.  After each kill
 * everything that is visible must be whole, and nothing else may be there.
 */
#include "fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "base/spawn.h"

/* Each run checks a third of the calls: whatever their order, neighbours are alike. */
#define STRIDE 3

#define CONTAINER "0123456789abcdef"

/* ---- the child ---- */

static void make_tar(struct strbuf *tar)
{
	tar_add_file(tar, "a/b", "content");
	tar_add_file(tar, "a/b", "replaced");
	tar_add_entry(tar, .type = TAR_SYMLINK, .path = "l", .link = "a/b", .mode = 0777);
	tar_add_end(tar);
}

static int import_tar(struct store *s, const struct strbuf *tar, const char *name, char *ret_id)
{
	struct stream_memory m = {.p = tar->s, .len = tar->len};
	struct stream_reader in = stream_reader_memory(&m);
	const struct store_import_args args = {.in = &in, .name = name};

	return store_import(s, &args, ret_id, NULL);
}

/* Every step must succeed, on a store in whatever state a crash left it. */
static int work(struct store *s)
{
	struct strbuf tar = STRBUF_INIT(1 << 20), gz = STRBUF_INIT(1 << 20);
	struct store_removed_list removed = {0};
	struct store_snapshot snap = {0};
	char id[DIGEST_STRING_SIZE];
	int r;

	make_tar(&tar);
	gzip_add(&gz, tar.s, tar.len);
	r = import_tar(s, &tar, "plain", id);
	if (r >= 0)
		r = store_snapshot_remove(s, CONTAINER, NULL);
	if (r >= 0)
		r = store_snapshot_create(s, id, CONTAINER, &snap, NULL);
	if (r >= 0)
		r = store_snapshot_remove(s, CONTAINER, NULL);
	if (r >= 0)
		r = store_image_remove(s, &(struct store_remove_args){.ref = "plain"}, &removed,
				       NULL);
	store_removed_list_done(&removed);
	if (r >= 0)
		r = import_tar(s, &gz, "zipped", id);
	if (r >= 0)
		r = store_image_remove(s, &(struct store_remove_args){.ref = "zipped"}, &removed,
				       NULL);
	store_removed_list_done(&removed);
	store_snapshot_done(&snap);
	strbuf_done(&gz);
	strbuf_done(&tar);
	return r;
}

static int child_main(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct store *s = NULL;
	struct db *db = NULL;
	int r;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		return 77;
	(void)raise(SIGSTOP); /* the parent sets its options */
	r = db_open(fd, "vessel.db", &db, NULL);
	if (r >= 0)
		r = store_open(fd, db, &s, NULL);
	if (r >= 0)
		r = work(s);
	(void)store_free(s);
	(void)db_free(db);
	return r < 0 ? 1 : 0;
}

/* ---- the parent ---- */

static bool changes_something(long nr)
{
	static const long changing[] = {
		SYS_write,     SYS_pwrite64,  SYS_renameat, SYS_mkdirat,  SYS_unlinkat,
		SYS_linkat,    SYS_symlinkat, SYS_openat,   SYS_fsync,    SYS_fdatasync,
		SYS_syncfs,    SYS_ftruncate, SYS_fchmod,   SYS_fchmodat, SYS_fchownat,
		SYS_utimensat, SYS_mknodat,
#ifdef SYS_rename
		SYS_rename,    SYS_mkdir,     SYS_unlink,   SYS_rmdir,    SYS_open,
#endif
	};

	for (size_t i = 0; i < ARRAY_SIZE(changing); i++)
		if (nr == changing[i])
			return true;
	return false;
}

enum harm { HARM_KILL, HARM_FAIL };

/* The call that tid is about to make does not happen: ENOSPC. */
static void fail_call(pid_t tid)
{
#ifdef __x86_64__
	int status;

	(void)ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, orig_rax), -1L);
	(void)ptrace(PTRACE_SYSCALL, tid, NULL, NULL);
	if (waitpid(tid, &status, __WALL) == tid && WIFSTOPPED(status))
		(void)ptrace(PTRACE_POKEUSER, tid, offsetof(struct user_regs_struct, rax),
			     -(long)ENOSPC);
#else
	(void)tid;
#endif
}

/* Run the child; harm it before its Nth changing call (0: never).  Returns the number of changing calls
 * seen, -1 if tracing is not allowed here. */
static int run_child(const char *path, enum harm harm, int harm_at)
{
	const char *const argv[] = {"test-crash", "child", path, NULL};
	const struct spawn_args args = {.path = "/proc/self/exe", .exec_fd = -1, .argv = argv};
	struct error err = {0};
	int pidfd = -EBADF, status, seen = 0;
	pid_t pid, tid;

	assert_ok(spawn(&args, &pid, &pidfd, &err), &err);
	fd_close(&pidfd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		return -1;
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL,
				PTRACE_O_TRACECLONE | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL),
			 0);
	(void)ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
	for (;;) {
		struct __ptrace_syscall_info info;
		long sig = 0;

		tid = waitpid(-1, &status, __WALL);
		assert_true(tid > 0);
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			if (tid != pid)
				continue;
			if (harm == HARM_KILL && harm_at && seen >= harm_at)
				assert_true(WIFSIGNALED(status));
			else /* a refused call may fail the work, not the program */
				assert_true(WIFEXITED(status) &&
					    WEXITSTATUS(status) <= (harm_at > 0));
			return seen;
		}
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) > 0 &&
			    info.op == PTRACE_SYSCALL_INFO_ENTRY &&
			    changes_something((long)info.entry.nr) && ++seen == harm_at) {
				if (harm == HARM_KILL)
					(void)kill(pid, SIGKILL);
				else
					fail_call(tid);
			}
		} else if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP) {
			sig = WSTOPSIG(status);
		}
		(void)ptrace(PTRACE_SYSCALL, tid, NULL, sig);
	}
}

static int null_write(void *data, const void *p, size_t len, struct error *err)
{
	(void)data;
	(void)p;
	(void)len;
	(void)err;
	return 0;
}

static void check_invariants(struct fixture *f, int harm_at)
{
	const struct stream_writer nowhere = {.write = null_write};
	struct store_image_list list = {0};
	struct strv snapshots = {0};
	struct error err = {0};

	assert_ok(store_image_list(f->store, &list, &err), &err);
	assert_true(list.n <= 1);
	for (size_t i = 0; i < list.n; i++) {
		assert_int_equal(list.v[i].n_layers, 1);
		assert_ok(store_layer_tar(f->store, list.v[i].layers[0].chain_id, &nowhere, &err),
			  &err);
	}
	assert_ok(store_snapshot_list(f->store, &snapshots, &err), &err);
	if (fixture_count(f, "layers") != 2 + list.n || fixture_count(f, "tmp") != 0 ||
	    fixture_count(f, "layers/l") != list.n || fixture_count(f, "blobs/sha256") > list.n ||
	    fixture_count(f, "containers") > snapshots.n || fixture_count(f, "aside") != 0)
		fail_msg("residue after harm at changing call %d", harm_at);
	strv_done(&snapshots);
	store_image_list_done(&list);
}

/* An image that a kill left behind goes, for the next round to start alike. */
static void remove_images(struct fixture *f)
{
	struct store_image_list list = {0};
	struct error err = {0};

	assert_ok(store_snapshot_remove(f->store, CONTAINER, &err), &err);
	assert_ok(store_image_list(f->store, &list, &err), &err);
	for (size_t i = 0; i < list.n; i++) {
		const struct store_remove_args args = {.ref = list.v[i].id, .force = true};
		struct store_removed_list removed = {0};

		assert_ok(store_image_remove(f->store, &args, &removed, &err), &err);
		store_removed_list_done(&removed);
	}
	store_image_list_done(&list);
}

static void sweep(struct fixture *f, enum harm harm)
{
	int total;

	fixture_close(f);
	total = run_child(f->path, harm, 0);
	if (total < 0) {
		fixture_open(f);
		print_message("needs ptrace(2)\n");
		skip();
	}
	assert_true(total > 50);
	for (int n = 1; n <= total; n += STRIDE) {
		/* The second time the database exists, so the count is lower than the first time's. */
		int seen = run_child(f->path, harm, n);

		if (seen < n)
			break;
		fixture_open(f);
		check_invariants(f, n);
		remove_images(f);
		if (work(f->store) < 0)
			fail_msg("no work possible after harm at changing call %d", n);
		check_invariants(f, n);
		fixture_close(f);
	}
	fixture_open(f);
}

static void test_kill_at_every_change(void **state)
{
	sweep(*state, HARM_KILL);
}

static void test_no_space_at_every_change(void **state)
{
#ifndef __x86_64__
	print_message("makes calls fail by x86-64's registers\n");
	skip();
#endif
	sweep(*state, HARM_FAIL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kill_at_every_change, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_no_space_at_every_change, fixture_setup,
						fixture_teardown),
	};

	if (argc == 3 && str_eq(argv[1], "child"))
		return child_main(argv[2]);
	/* A killed process loses nothing that the kernel has: memory is as good as a disk here. */
	if (access("/dev/shm", W_OK) == 0)
		(void)setenv("TMPDIR", "/dev/shm", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
