/* Layers as EROFS images: well-formed, with the same tar, or a directory after all; damage is seen. */
#include "fixture.h"

#include "store/erofs.h"
#include "store/layer.h"

struct box {
	char path[64];
	int fd;
	struct strbuf tar;
};

static int setup(void **state)
{
	struct box *b = xnew0(struct box);

	(void)snprintf(b->path, sizeof(b->path), "/tmp/vessel-erofs-XXXXXX");
	assert_non_null(mkdtemp(b->path));
	b->fd = open(b->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	strbuf_init(&b->tar, TEST_TAR_MAX);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct box *b = *state;

	strbuf_done(&b->tar);
	fd_close(&b->fd);
	assert_int_equal(file_remove_tree(AT_FDCWD, b->path, NULL), 0);
	free(b);
	return 0;
}

static struct layer_stage *stage(struct box *b, const char *name, const void *p, size_t len)
{
	static const struct unpack_lower none;
	struct stream_memory m = {.p = p, .len = len};
	struct stream_reader in = stream_reader_memory(&m);
	struct layer_stage *l = NULL;
	struct error err = {0};

	assert_ok(layer_stage_new_erofs(b->fd, name, &in, &l, &err), &err);
	assert_ok(layer_stage_finish(l, &none, &err), &err);
	return l;
}

static off_t size_of(struct box *b, const char *path)
{
	struct stat st;

	return fstatat(b->fd, path, &st, 0) < 0 ? -1 : st.st_size;
}

static int check(struct box *b, struct error *err)
{
	autoclose int fd = openat(b->fd, "x/index", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return erofs_check(fd, size_of(b, "x/tar"), err);
}

static void expect_same_tar(struct box *b, struct layer_stage *l)
{
	char *back = xcalloc(1, b->tar.len + 1);
	struct layer_tar *t = NULL;
	struct stream_reader in;
	struct error err = {0};
	int dir = openat(b->fd, "x", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int blob = l->blob_digest[0] ? openat(dir, "blob", O_RDONLY | O_CLOEXEC) : -EBADF;

	assert_ok(layer_tar_open(dir, blob, l->tar_size, &t, &err), &err);
	in = layer_tar_reader(t);
	assert_int_equal(stream_read_full(&in, back, b->tar.len + 1, &err), b->tar.len);
	assert_memory_equal(back, b->tar.s, b->tar.len);
	(void)layer_tar_free(t);
	free(back);
}

static void add_all_kinds(struct box *b)
{
	static const struct tar_piece pieces[] = {{1000, 700}, {4 << 20, 512}, {(9 << 20) - 5, 5}};
	const struct tar_xattr attrs[] = {{"user.note", "v", 1},
					  {"trusted.overlay.opaque", "y", 1},
					  {"unknown.space", "left out", 8}};
	char content[1217] = "content";
	struct tar_entry e = {.type = TAR_FILE,
			      .path = "d/sparse",
			      .mode = 0644,
			      .size = 9 << 20,
			      .stored_size = sizeof(content),
			      .sparse = true,
			      .pieces = pieces,
			      .n_pieces = ARRAY_SIZE(pieces)};
	struct stream_writer out = strbuf_writer(&b->tar);
	char name[300];

	tar_add_entry(&b->tar, .type = TAR_DIRECTORY, .path = "d", .mode = 01777, .xattrs = attrs,
		      .n_xattrs = 3, .mtime = {.tv_sec = -5});
	tar_add_file(&b->tar, "d/file", "hello");
	tar_add_file(&b->tar, "d/empty", "");
	tar_add_entry(&b->tar, .type = TAR_HARDLINK, .path = "second", .link = "d/file");
	tar_add_entry(&b->tar, .type = TAR_SYMLINK, .path = "link", .link = "d", .mode = 0777);
	tar_add_entry(&b->tar, .type = TAR_FIFO, .path = "link/fifo", .mode = 0600);
	tar_add_entry(&b->tar, .type = TAR_CHAR, .path = "d/null", .dev_major = 1, .dev_minor = 3);
	tar_add_file(&b->tar, "d/.wh.gone", "");
	tar_add_file(&b->tar, "opaque/.wh..wh..opq", "");
	tar_add_file(&b->tar, "d/-before-the-dot", "x");
	for (int i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "many/%0*d", i % 250 + 5, i);
		tar_add_file(&b->tar, name, name);
	}
	assert_int_equal(tar_write_header(&out, &e, NULL), 0);
	strbuf_add(&b->tar, content, sizeof(content));
	assert_int_equal(tar_write_pad(&out, e.stored_size, NULL), 0);
	tar_add_end(&b->tar);
}

static void test_all_kinds(void **state)
{
	struct box *b = *state;
	struct strbuf gz = STRBUF_INIT(TEST_TAR_MAX);
	struct error err = {0};
	struct layer_stage *l;

	add_all_kinds(b);
	gzip_add(&gz, b->tar.s, b->tar.len);
	for (int compressed = 0; compressed < 2; compressed++) {
		l = compressed ? stage(b, "x", gz.s, gz.len) : stage(b, "x", b->tar.s, b->tar.len);
		assert_int_equal(l->format, LAYER_EROFS);
		assert_int_equal(layer_format_of(b->fd, "x"), LAYER_EROFS);
		assert_int_equal(l->tar_size, b->tar.len);
		assert_true(size_of(b, "x/tar") > (off_t)b->tar.len); /* the sparse file's pieces */
		assert_int_equal(size_of(b, "x/blob"), compressed ? (off_t)gz.len : -1);
		assert_ok(check(b, &err), &err);
		expect_same_tar(b, l);
		(void)layer_stage_free(l);
	}
	strbuf_done(&gz);
}

/* Whatever byte is changed, the checker ends, and within its bounds; what matters is refused. */
static void test_damage(void **state)
{
	struct box *b = *state;
	autoclose int fd = -EBADF;
	struct layer_stage *l;
	off_t size;
	unsigned refused = 0;

	add_all_kinds(b);
	l = stage(b, "x", b->tar.s, b->tar.len);
	fd = openat(b->fd, "x/index", O_RDWR | O_CLOEXEC);
	size = size_of(b, "x/index");
	for (off_t at = 1024; at < size; at += at < 4096 ? 1 : 97) {
		unsigned char was, is;

		assert_int_equal(pread(fd, &was, 1, at), 1);
		is = was ^ 0xff;
		assert_int_equal(pwrite(fd, &is, 1, at), 1);
		refused += check(b, NULL) < 0;
		assert_int_equal(pwrite(fd, &was, 1, at), 1);
	}
	assert_true(refused > 500);
	assert_int_equal(check(b, NULL), 0);
	assert_int_equal(ftruncate(fd, size - 512), 0);
	assert_true(check(b, NULL) < 0);
	(void)layer_stage_free(l);
}

/* More attributes than an inode can have: a directory, if its file system takes them. */
static void test_too_much(void **state)
{
	static char value[60000];
	struct tar_xattr attrs[6];
	struct box *b = *state;
	static const struct unpack_lower none;
	struct stream_memory m;
	struct stream_reader in = stream_reader_memory(&m);
	struct layer_stage *l = NULL;
	struct error err = {0};
	char names[6][8];
	int r;

	for (int i = 0; i < 6; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "user.%d", i);
		attrs[i] = (struct tar_xattr){names[i], value, sizeof(value)};
	}
	tar_add_entry(&b->tar, .type = TAR_DIRECTORY, .path = "d", .mode = 0755, .xattrs = attrs,
		      .n_xattrs = 6);
	tar_add_end(&b->tar);
	m = (struct stream_memory){.p = b->tar.s, .len = b->tar.len};
	assert_ok(layer_stage_new_erofs(b->fd, "x", &in, &l, &err), &err);
	r = layer_stage_finish(l, &none, &err);
	assert_int_equal(l->format, LAYER_DIRECTORY);
	if (r >= 0) {
		assert_int_equal(size_of(b, "x/tar"), -1);
		assert_int_equal(size_of(b, "x/index"), -1);
		expect_same_tar(b, l);
	} else {
		assert_non_null(strstr(error_msg(&err), "user."));
	}
	error_done(&err);
	(void)layer_stage_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_all_kinds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_much, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
