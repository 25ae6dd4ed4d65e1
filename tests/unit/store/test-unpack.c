/* Layers unpacked: what is in them, what overlayfs needs, and what the evil ones try. */
#include "fixture.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/spawn.h"
#include "store/layer.h"

/* Some tests need root: owners, devices, trusted attributes.  They use private folders only. */
#define need_root()                                                                      \
	do {                                                                             \
		if (geteuid() != 0) {                                                    \
			print_message("needs CAP_CHOWN, CAP_MKNOD and CAP_SYS_ADMIN\n"); \
			skip();                                                          \
		}                                                                        \
	} while (0)

struct box {
	char path[64];
	int fd, tmp_fd;
	struct strbuf tar;
};

static int setup(void **state)
{
	struct box *b = xnew0(struct box);

	(void)snprintf(b->path, sizeof(b->path), "/tmp/vessel-unpack-XXXXXX");
	assert_non_null(mkdtemp(b->path));
	b->fd = open(b->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(b->fd, "tmp", 0700), 0);
	b->tmp_fd = openat(b->fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	strbuf_init(&b->tar, TEST_TAR_MAX);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct box *b = *state;

	strbuf_done(&b->tar);
	fd_close(&b->tmp_fd);
	fd_close(&b->fd);
	assert_int_equal(file_remove_tree(AT_FDCWD, b->path, NULL), 0);
	free(b);
	return 0;
}

/* Unpack the box's tar as tmp/<name>; the caller frees the stage, which deletes it. */
static int stage(struct box *b, const char *name, struct layer_stage **ret, struct error *err)
{
	struct stream_memory m = {.p = b->tar.s, .len = b->tar.len};
	struct stream_reader in = stream_reader_memory(&m);

	return layer_stage_new(b->tmp_fd, name, &in, ret, err);
}

static int finish(struct layer_stage *l, const int *lower_fds, size_t n, struct error *err)
{
	const struct unpack_lower lower = {.fds = lower_fds, .n = n};

	return layer_stage_finish(l, &lower, err);
}

static void stage_ok(struct box *b, const char *name, const int *lower, size_t n,
		     struct layer_stage **ret)
{
	struct error err = {0};

	tar_add_end(&b->tar);
	assert_ok(stage(b, name, ret, &err), &err);
	assert_ok(finish(*ret, lower, n, &err), &err);
}

static void look(struct box *b, const char *path, struct stat *st)
{
	autofree char *full = xasprintf("tmp/%s", path);

	if (fstatat(b->fd, full, st, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("%s: %s", path, strerror(errno));
}

static bool is_there(struct box *b, const char *path)
{
	autofree char *full = xasprintf("%s/%s", b->path, path);
	struct stat st;

	return lstat(full, &st) == 0;
}

static char *content(struct box *b, const char *path)
{
	autofree char *full = xasprintf("tmp/%s", path);
	char *text = NULL;
	struct error err = {0};

	assert_ok(file_read(b->fd, full, 1 << 20, &text, NULL, &err), &err);
	return text;
}

static void expect_content(struct box *b, const char *path, const char *text)
{
	char *is = content(b, path);

	assert_string_equal(is, text);
	free(is);
}

/* The tar comes back bit for bit from what is on disk. */
static void expect_same_tar(struct box *b, const char *name)
{
	autofree char *path = xasprintf("tmp/%s", name);
	struct layer_tar *t = NULL;
	struct stream_reader in;
	struct error err = {0};
	char *back = xcalloc(1, b->tar.len + 1);
	ssize_t n;
	int dir = openat(b->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_ok(layer_tar_open(dir, -1, (int64_t)b->tar.len, &t, &err), &err);
	in = layer_tar_reader(t);
	n = stream_read_full(&in, back, b->tar.len + 1, &err);
	assert_ok(n, &err);
	assert_int_equal(n, b->tar.len);
	assert_memory_equal(back, b->tar.s, b->tar.len);
	free(back);
	(void)layer_tar_free(t);
}

/* Refused with this text, and nothing left. */
static void expect_refused(struct box *b, const char *part)
{
	struct layer_stage *l = NULL;
	struct error err = {0};
	int r;

	tar_add_end(&b->tar);
	r = stage(b, "x", &l, &err);
	if (r >= 0)
		r = finish(l, NULL, 0, &err);
	(void)layer_stage_free(l);
	assert_true(r < 0);
	assert_int_equal(err.kind, ERROR_INVALID);
	if (!strstr(error_msg(&err), part))
		fail_msg("'%s' lacks '%s'", error_msg(&err), part);
	error_done(&err);
	assert_false(is_there(b, "tmp/x"));
	strbuf_reset(&b->tar);
}

/* ---- faithful ---- */

static void test_attributes(void **state)
{
	static const struct tar_xattr caps = {
		.name = "security.capability",
		.value = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
			 "\x00\x00",
		.len = 20,
	};
	struct box *b = *state;
	struct layer_stage *l = NULL;
	struct stat st;
	char value[64], *path;

	need_root();
	tar_add_entry(&b->tar, .type = TAR_DIRECTORY, .path = "d", .mode = 02711, .uid = 12,
		      .gid = 34, .mtime = {.tv_sec = 1000, .tv_nsec = 5});
	tar_add(&b->tar,
		&(struct tar_entry){.type = TAR_FILE,
				    .path = "d/suid",
				    .mode = 04755,
				    .uid = 70000,
				    .gid = 99,
				    .size = 3,
				    .mtime = {.tv_sec = -5}},
		"abc");
	tar_add(&b->tar,
		&(struct tar_entry){.type = TAR_FILE,
				    .path = "d/ping",
				    .mode = 0755,
				    .uid = 5,
				    .xattrs = &caps,
				    .n_xattrs = 1},
		"");
	tar_add_entry(&b->tar, .type = TAR_BLOCK, .path = "d/sda", .mode = 0660, .dev_major = 8,
		      .dev_minor = 0);
	tar_add_entry(&b->tar, .type = TAR_CHAR, .path = "d/null", .mode = 0666, .dev_major = 1,
		      .dev_minor = 3);
	tar_add_entry(&b->tar, .type = TAR_FIFO, .path = "d/fifo", .mode = 0622);
	tar_add_entry(&b->tar, .type = TAR_SYMLINK, .path = "d/l", .link = "/etc/shadow", .uid = 7,
		      .mtime = {.tv_sec = 77});
	stage_ok(b, "x", NULL, 0, &l);

	look(b, "x/diff/d", &st);
	assert_int_equal(st.st_mode, S_IFDIR | 02711);
	assert_int_equal(st.st_uid, 12);
	assert_int_equal(st.st_gid, 34);
	assert_int_equal(st.st_mtim.tv_sec, 1000);
	assert_int_equal(st.st_mtim.tv_nsec, 5);
	look(b, "x/diff/d/suid", &st);
	assert_int_equal(st.st_mode, S_IFREG | 04755);
	assert_int_equal(st.st_uid, 70000);
	assert_int_equal(st.st_mtim.tv_sec, -5);
	look(b, "x/diff/d/sda", &st);
	assert_int_equal(st.st_mode, S_IFBLK | 0660);
	assert_int_equal(st.st_rdev, makedev(8, 0));
	look(b, "x/diff/d/null", &st);
	assert_int_equal(st.st_mode, S_IFCHR | 0666);
	look(b, "x/diff/d/fifo", &st);
	assert_int_equal(st.st_mode, S_IFIFO | 0622);
	look(b, "x/diff/d/l", &st);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(st.st_uid, 7);
	assert_int_equal(st.st_mtim.tv_sec, 77);
	path = xasprintf("%s/tmp/x/diff/d/ping", b->path);
	assert_int_equal(getxattr(path, "security.capability", value, sizeof(value)), 20);
	free(path);
	expect_same_tar(b, "x");
	(void)layer_stage_free(l);
	assert_false(is_there(b, "tmp/x"));
}

static void test_whiteouts(void **state)
{
	struct box *b = *state;
	struct layer_stage *l = NULL;
	char value[8], *path;
	struct stat st;

	need_root();
	tar_add_file(&b->tar, "a/.wh.gone", "");
	tar_add_file(&b->tar, "a/.wh..wh..opq", "");
	tar_add_file(&b->tar, "a/stays", "1");
	tar_add_file(&b->tar, "a/.wh.stays", ""); /* hides the lower one, not this one */
	tar_add_file(&b->tar, ".wh.dir", "");
	tar_add_entry(&b->tar, .type = TAR_DIRECTORY, .path = "dir", .mode = 0755);
	tar_add_file(&b->tar, ".wh.implied", "");
	tar_add_file(&b->tar, "implied/f", "2");
	tar_add_file(&b->tar, ".wh..wh.plnk/1.2", "aufs");
	stage_ok(b, "x", NULL, 0, &l);
	look(b, "x/diff/a/gone", &st);
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == 0);
	expect_content(b, "x/diff/a/stays", "1");
	expect_content(b, "x/diff/implied/f", "2");
	for (size_t i = 0; i < 3; i++) {
		const char *const opaque[] = {"a", "dir", "implied"};

		path = xasprintf("%s/tmp/x/diff/%s", b->path, opaque[i]);
		assert_int_equal(getxattr(path, "trusted.overlay.opaque", value, sizeof(value)), 1);
		assert_int_equal(value[0], 'y');
		free(path);
	}
	assert_false(is_there(b, "tmp/x/diff/.wh..wh.plnk"));
	expect_same_tar(b, "x");
	(void)layer_stage_free(l);
}

static void test_overlay_attributes_are_escaped(void **state)
{
	static const struct tar_xattr x[] = {{"trusted.overlay.opaque", "y", 1},
					     {"trusted.other", "z", 1}};
	struct box *b = *state;
	struct layer_stage *l = NULL;
	char value[8], *path = xasprintf("%s/tmp/x/diff/d", b->path);

	need_root();
	tar_add_entry(&b->tar, .type = TAR_DIRECTORY, .path = "d", .mode = 0755, .xattrs = x,
		      .n_xattrs = 2);
	stage_ok(b, "x", NULL, 0, &l);
	assert_int_equal(getxattr(path, "trusted.overlay.opaque", value, 8), -1);
	assert_int_equal(getxattr(path, "trusted.overlay.overlay.opaque", value, 8), 1);
	assert_int_equal(getxattr(path, "trusted.other", value, 8), 1);
	free(path);
	(void)layer_stage_free(l);
}

/* ---- the same name twice ---- */

static void test_replaced_entries(void **state)
{
	struct box *b = *state;
	struct layer_stage *l = NULL;
	struct stat st;

	tar_add_file(&b->tar, "f", "first");
	tar_add_entry(&b->tar, .type = TAR_HARDLINK, .path = "h", .link = "f");
	tar_add_file(&b->tar, "f", "second");
	tar_add_file(&b->tar, "d/one", "below a directory");
	tar_add_file(&b->tar, "d/sub/two", "deeper");
	tar_add_file(&b->tar, "d", "a file now");
	tar_add_entry(&b->tar, .type = TAR_SYMLINK, .path = "s", .link = "f");
	tar_add_file(&b->tar, "s", "no link now");
	tar_add_entry(&b->tar, .type = TAR_DIRECTORY, .path = "e", .mode = 0700);
	tar_add_file(&b->tar, "e/kept", "kept");
	tar_add_entry(&b->tar, .type = TAR_DIRECTORY, .path = "e", .mode = 0750);
	stage_ok(b, "x", NULL, 0, &l);
	expect_content(b, "x/diff/f", "second");
	expect_content(b, "x/diff/h", "first");
	expect_content(b, "x/diff/d", "a file now");
	expect_content(b, "x/diff/s", "no link now");
	expect_content(b, "x/diff/e/kept", "kept");
	look(b, "x/diff/e", &st);
	assert_int_equal(st.st_mode & 07777, 0750);
	expect_same_tar(b, "x");
	(void)layer_stage_free(l);
}

/* A directory becomes a link; what is written "below" it lands where the link leads, inside. */
static void test_write_through_links(void **state)
{
	struct box *b = *state;
	struct layer_stage *l = NULL;

	tar_add_file(&b->tar, "real/before", "1");
	tar_add_file(&b->tar, "dir/old", "2");
	tar_add_entry(&b->tar, .type = TAR_SYMLINK, .path = "dir", .link = "/real");
	tar_add_file(&b->tar, "dir/after", "3");
	tar_add_entry(&b->tar, .type = TAR_SYMLINK, .path = "up", .link = "../../../../real");
	tar_add_file(&b->tar, "up/more", "4");
	tar_add_entry(&b->tar, .type = TAR_SYMLINK, .path = "up", .link = "/elsewhere");
	stage_ok(b, "x", NULL, 0, &l);
	expect_content(b, "x/diff/real/after", "3");
	expect_content(b, "x/diff/real/more", "4");
	assert_false(is_there(b, "real"));
	assert_int_equal(access("/real", F_OK), -1);
	expect_same_tar(b, "x"); /* although "up" leads elsewhere by now */
	(void)layer_stage_free(l);
}

/* ---- evil ---- */

static void test_traversal(void **state)
{
	static const char *const paths[] = {"../evil", "a/../../evil", "a/..", "..", "/../evil"};
	struct box *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		tar_add_file(&b->tar, paths[i], "evil");
		expect_refused(b, "'..' in a path is refused");
	}
	assert_false(is_there(b, "evil"));
	assert_false(is_there(b, "tmp/evil"));
}

static void test_absolute_paths_are_relative(void **state)
{
	struct box *b = *state;
	struct layer_stage *l = NULL;

	tar_add_file(&b->tar, "/vessel-test-absolute//./f", "x");
	stage_ok(b, "x", NULL, 0, &l);
	expect_content(b, "x/diff/vessel-test-absolute/f", "x");
	assert_int_equal(access("/vessel-test-absolute", F_OK), -1);
	expect_same_tar(b, "x");
	(void)layer_stage_free(l);
}

static void test_links_lead_nowhere_outside(void **state)
{
	struct box *b = *state;
	struct layer_stage *l = NULL;
	autofree char *outside = xasprintf("%s/outside", b->path);

	assert_int_equal(mkdirat(b->fd, "outside", 0755), 0);
	/* An absolute link to a directory that exists on the host, written through. */
	tar_add_entry(&b->tar, .type = TAR_SYMLINK, .path = "l", .link = outside);
	tar_add_file(&b->tar, "l/evil", "evil");
	expect_refused(b, "dangling link");
	/* A file through a link that names a file outside. */
	tar_add_entry(&b->tar, .type = TAR_SYMLINK, .path = "l", .link = outside);
	tar_add_file(&b->tar, "l", "replaces the link");
	stage_ok(b, "x", NULL, 0, &l);
	expect_content(b, "x/diff/l", "replaces the link");
	(void)layer_stage_free(l);
	strbuf_reset(&b->tar);
	assert_false(is_there(b, "outside/evil"));
	/* Magic links and /proc do not exist inside. */
	tar_add_entry(&b->tar, .type = TAR_SYMLINK, .path = "l", .link = "/proc/self/root");
	tar_add_file(&b->tar, "l/evil", "evil");
	expect_refused(b, "dangling link");
}

static void test_hard_links(void **state)
{
	struct box *b = *state;
	struct layer_stage *l = NULL;

	tar_add_entry(&b->tar, .type = TAR_HARDLINK, .path = "h", .link = "../../../etc/passwd");
	expect_refused(b, "'..'");
	tar_add_entry(&b->tar, .type = TAR_HARDLINK, .path = "h", .link = "/etc/passwd");
	expect_refused(b, "does not exist");
	tar_add_entry(&b->tar, .type = TAR_SYMLINK, .path = "l", .link = "/etc");
	tar_add_entry(&b->tar, .type = TAR_HARDLINK, .path = "h", .link = "l/passwd");
	expect_refused(b, "does not exist");
	tar_add_entry(&b->tar, .type = TAR_DIRECTORY, .path = "d", .mode = 0755);
	tar_add_entry(&b->tar, .type = TAR_HARDLINK, .path = "h", .link = "d");
	expect_refused(b, "directory");
	tar_add_entry(&b->tar, .type = TAR_HARDLINK, .path = "h", .link = "");
	expect_refused(b, "");
	/* To a symbolic link: to the link itself. */
	tar_add_entry(&b->tar, .type = TAR_SYMLINK, .path = "l", .link = "/etc/passwd");
	tar_add_entry(&b->tar, .type = TAR_HARDLINK, .path = "h", .link = "l");
	stage_ok(b, "x", NULL, 0, &l);
	{
		struct stat st;

		look(b, "x/diff/h", &st);
		assert_true(S_ISLNK(st.st_mode));
	}
	(void)layer_stage_free(l);
}

static void test_strange_entries(void **state)
{
	struct box *b = *state;
	struct strbuf deep = STRBUF_INIT(65536);

	tar_add_entry(&b->tar, .type = TAR_CHAR, .path = "c", .dev_major = 0, .dev_minor = 0);
	expect_refused(b, "whiteout");
	tar_add_file(&b->tar, ".wh.", "");
	expect_refused(b, "whiteout of nothing");
	tar_add_file(&b->tar, "a/.wh...", "");
	expect_refused(b, "whiteout of nothing");
	tar_add_file(&b->tar, "f", "file");
	tar_add_file(&b->tar, "f/below", "x");
	expect_refused(b, "file or a dangling link");
	tar_add_entry(&b->tar, .type = TAR_SYMLINK, .path = ".", .link = "/");
	expect_refused(b, "the root is a directory");
	tar_add_entry(&b->tar, .type = TAR_SYMLINK, .path = "s", .link = "");
	expect_refused(b, "without a target");
	for (int i = 0; i < 300; i++)
		strbuf_adds(&deep, "d/");
	strbuf_adds(&deep, "f");
	tar_add_file(&b->tar, deep.s, "x");
	expect_refused(b, "too many directories");
	strbuf_done(&deep);
}

/* Each link adds to the depth that the next one starts from. */
static void test_depth_through_links(void **state)
{
	struct box *b = *state;
	struct strbuf path = STRBUF_INIT(65536);

	for (int i = 0; i < 200; i++)
		strbuf_addf(&path, "%sd", i ? "/" : "");
	tar_add_entry(&b->tar, .type = TAR_DIRECTORY, .path = path.s, .mode = 0755);
	tar_add_entry(&b->tar, .type = TAR_SYMLINK, .path = "l", .link = path.s);
	strbuf_reset(&path);
	strbuf_adds(&path, "l");
	for (int i = 0; i < 100; i++)
		strbuf_adds(&path, "/e");
	tar_add_file(&b->tar, path.s, "x");
	expect_refused(b, "too many directories");
	strbuf_done(&path);
}

/* ---- other layers ---- */

static int open_diff(struct box *b, const char *name)
{
	autofree char *path = xasprintf("tmp/%s/diff", name);

	return openat(b->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void test_lower_layers(void **state)
{
	struct box *b = *state;
	struct layer_stage *low = NULL, *mid = NULL, *top = NULL;
	struct error err = {0};
	struct stat st, st2;
	int lower[2];

	need_root();
	tar_add_entry(&b->tar, .type = TAR_DIRECTORY, .path = "./", .mode = 0751, .uid = 3);
	tar_add_entry(&b->tar, .type = TAR_DIRECTORY, .path = "tmp", .mode = 01777, .uid = 9,
		      .mtime = {.tv_sec = 55});
	tar_add(&b->tar,
		&(struct tar_entry){.type = TAR_FILE,
				    .path = "bin/tool",
				    .mode = 04711,
				    .uid = 8,
				    .size = 4,
				    .mtime = {.tv_sec = 66}},
		"tool");
	tar_add_file(&b->tar, "bin/hidden", "x");
	stage_ok(b, "low", NULL, 0, &low);
	strbuf_reset(&b->tar);
	tar_add_file(&b->tar, "bin/.wh.hidden", "");
	lower[0] = open_diff(b, "low");
	stage_ok(b, "mid", lower, 1, &mid);

	/* Directories without an entry look as below; links to files below copy them up. */
	strbuf_reset(&b->tar);
	tar_add_file(&b->tar, "tmp/f", "1");
	tar_add_entry(&b->tar, .type = TAR_HARDLINK, .path = "bin/alias", .link = "bin/tool");
	tar_add_entry(&b->tar, .type = TAR_HARDLINK, .path = "alias2", .link = "bin/alias");
	lower[1] = lower[0];
	lower[0] = open_diff(b, "mid");
	stage_ok(b, "top", lower, 2, &top);
	look(b, "top/diff", &st);
	assert_int_equal(st.st_mode & 07777, 0751);
	assert_int_equal(st.st_uid, 3);
	look(b, "top/diff/tmp", &st);
	assert_int_equal(st.st_mode & 07777, 01777);
	assert_int_equal(st.st_uid, 9);
	assert_int_equal(st.st_mtim.tv_sec, 55);
	look(b, "top/diff/bin/tool", &st);
	look(b, "top/diff/alias2", &st2);
	assert_int_equal(st.st_ino, st2.st_ino);
	assert_int_equal(st.st_nlink, 3);
	assert_int_equal(st.st_mode & 07777, 04711);
	assert_int_equal(st.st_uid, 8);
	assert_int_equal(st.st_mtim.tv_sec, 66);
	expect_content(b, "top/diff/bin/alias", "tool");
	expect_same_tar(b, "top");
	(void)layer_stage_free(top);

	/* What a middle layer has deleted cannot be linked to. */
	strbuf_reset(&b->tar);
	tar_add_entry(&b->tar, .type = TAR_HARDLINK, .path = "h", .link = "bin/hidden");
	tar_add_end(&b->tar);
	assert_ok(stage(b, "top", &top, &err), &err);
	assert_true(finish(top, lower, 2, &err) < 0);
	assert_non_null(strstr(error_msg(&err), "does not exist"));
	error_done(&err);
	(void)layer_stage_free(top);
	(void)layer_stage_free(mid);
	(void)layer_stage_free(low);
	fd_close(&lower[0]);
	fd_close(&lower[1]);
}

/* ---- archives of the real programs ---- */

static void test_sparse_stays_sparse(void **state)
{
	struct box *b = *state;
	struct layer_stage *l = NULL;
	struct stat st;
	char *data = NULL;
	size_t len;
	autofree char *cmd = xasprintf("cd '%s' && truncate -s 50M s && printf end | dd of=s bs=1 "
				       "seek=40000000 conv=notrunc status=none && tar -c -S "
				       "--format=posix -f s.tar s",
				       b->path);
	const char *const argv[] = {"sh", "-c", cmd, NULL};
	const struct spawn_args args = {.path = "/bin/sh", .exec_fd = -1, .argv = argv};
	autofree char *output = NULL;
	int status = -1;

	assert_int_equal(spawn_run(&args, 65536, &output, &status, NULL), 0);
	assert_int_equal(status, 0);
	assert_true(file_read(b->fd, "s.tar", 1 << 20, &data, &len, NULL) >= 0);
	strbuf_add(&b->tar, data, len);
	{
		struct error err = {0};

		assert_ok(stage(b, "x", &l, &err), &err);
		assert_ok(finish(l, NULL, 0, &err), &err);
	}
	look(b, "x/diff/s", &st);
	assert_int_equal(st.st_size, 50 << 20);
	assert_true(st.st_blocks * 512 < 1 << 20);
	expect_same_tar(b, "x");
	(void)layer_stage_free(l);
	free(data);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_attributes),
		T(test_whiteouts),
		T(test_overlay_attributes_are_escaped),
		T(test_replaced_entries),
		T(test_write_through_links),
		T(test_traversal),
		T(test_absolute_paths_are_relative),
		T(test_links_lead_nowhere_outside),
		T(test_hard_links),
		T(test_strange_entries),
		T(test_depth_through_links),
		T(test_lower_layers),
		T(test_sparse_stays_sparse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
