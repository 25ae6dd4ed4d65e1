/* Downloads: who may write, what is done is written no more, and becomes a blob without being copied. */
#include "fixture.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/sha256.h"
#include "store/ingest.h"
#include "store/partial.h"
#include "store/publish.h"

#define LAYER_MAX (1 << 20)

static int64_t open_partial(struct fixture *f, const char *digest, int64_t size, int *ret_fd)
{
	struct error err = {0};
	int64_t have = -1;
	int r = store_partial_open(f->store, digest, size, ret_fd, &have, &err);

	assert_ok(r, &err);
	return r > 0 ? -1 : have; /* -1: somebody has it */
}

static ino_t inode(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static bool is_writable(int fd)
{
	return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
}

static void test_goes_on(void **state)
{
	struct fixture *f = *state;
	char digest[DIGEST_STRING_SIZE];
	int first, second, third;

	sha256_of("abcdef", 6, digest);
	assert_int_equal(open_partial(f, digest, 6, &first), 0);
	assert_int_equal(fd_write_full(first, "abc", 3), 0);
	assert_int_equal(open_partial(f, digest, 6, &second), -1);
	fd_close(&first);
	assert_int_equal(open_partial(f, digest, 6, &first), 3);
	assert_int_equal(fd_write_full(first, "def", 3), 0);
	/* Done: open to everybody, and nobody can write. */
	store_partial_finish(f->store, digest, first);
	assert_int_equal(open_partial(f, digest, 6, &second), 6);
	assert_false(is_writable(second));
	assert_true(inode(first) == inode(second));
	/* Another manifest says that there is more of it: that goes elsewhere. */
	assert_int_equal(open_partial(f, digest, 9, &third), 0);
	assert_true(is_writable(third));
	assert_true(inode(first) != inode(third));
	/* Who reads what is done does not finish what another one writes. */
	store_partial_finish(f->store, digest, second);
	assert_int_equal(fd_write_full(third, "x", 1), 0);
	fd_close(&second);
	assert_int_equal(open_partial(f, digest, 6, &second), 6);
	assert_true(inode(first) == inode(second));
	store_partial_drop(f->store, digest);
	assert_int_equal(fixture_count(f, "partial"), 0);
	fd_close(&first);
	fd_close(&second);
	fd_close(&third);
}

static void test_too_long(void **state)
{
	struct fixture *f = *state;
	char digest[DIGEST_STRING_SIZE];
	int fd;

	sha256_of("x", 1, digest);
	assert_int_equal(open_partial(f, digest, 10, &fd), 0);
	assert_int_equal(fd_write_full(fd, "abc", 3), 0);
	fd_close(&fd);
	assert_int_equal(open_partial(f, digest, 2, &fd), 0);
	fd_close(&fd);
}

/* ---- what becomes of a download ---- */

struct image {
	struct strbuf tar;
	unsigned char *blob; /* owned */
	size_t len;
	char digest[DIGEST_STRING_SIZE], diff_id[DIGEST_STRING_SIZE];
	char config[512];
};

static void make_image(struct image *ret, bool is_plain)
{
	unsigned char *content = xcalloc(1, 100000);
	uLongf len;

	*ret = (struct image){.tar = STRBUF_INIT(LAYER_MAX)};
	for (size_t i = 0; i < 100000; i++)
		content[i] = (unsigned char)(random() & 0x7f) | 1;
	content[99999] = '\0';
	tar_add_file(&ret->tar, "file", (const char *)content);
	free(content);
	tar_add_end(&ret->tar);
	sha256_of(ret->tar.s, ret->tar.len, ret->diff_id);
	len = compressBound(ret->tar.len) + 64;
	ret->blob = xcalloc(1, len);
	if (is_plain) {
		memcpy(ret->blob, ret->tar.s, ret->tar.len);
		ret->len = ret->tar.len;
	} else {
		z_stream z = {.next_in = (Bytef *)ret->tar.s,
			      .avail_in = (uInt)ret->tar.len,
			      .next_out = ret->blob,
			      .avail_out = (uInt)len};

		assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
		assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
		ret->len = z.total_out;
		(void)deflateEnd(&z);
	}
	sha256_of(ret->blob, ret->len, ret->digest);
	(void)snprintf(
		ret->config, sizeof(ret->config),
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
		"\"diff_ids\":[\"%s\"]}}",
		ret->diff_id);
}

static void done_image(struct image *img)
{
	strbuf_done(&img->tar);
	free(img->blob);
}

static int download(struct fixture *f, const struct image *img)
{
	int fd;

	assert_int_equal(open_partial(f, img->digest, (int64_t)img->len, &fd), 0);
	assert_int_equal(fd_write_full(fd, img->blob, img->len), 0);
	store_partial_finish(f->store, img->digest, fd);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void ingest(struct fixture *f, const struct image *img, int fd,
		   char ret_id[static DIGEST_STRING_SIZE])
{
	const char *const digests[] = {img->digest}, *const names[] = {"docker.io/library/x:1",
								       NULL};
	const struct store_ingest_args args = {.config = img->config,
					       .config_len = strlen(img->config),
					       .layers = digests,
					       .n_layers = 1};
	autostore_ingest struct store_ingest *g = NULL;
	const struct stream_reader in = stream_reader_fd(&fd);
	struct error err = {0};

	assert_ok(store_ingest_new(f->store, &args, &g, &err), &err);
	assert_int_equal(store_ingest_state(g, 0), STORE_INGEST_NEEDED);
	assert_ok(store_ingest_layer(g, 0, &in, fd, &err), &err);
	assert_ok(store_ingest_commit(g, names, ret_id, &err), &err);
}

/* The image's blob, as a push opens it. */
static int published(struct fixture *f, const char *id)
{
	autostore_publish struct store_publish *p = NULL;
	struct error err = {0};
	int fd;

	assert_ok(store_publish_new(f->store, id, &p, &err), &err);
	assert_ok(store_publish_open(p, 0, &fd, &err), &err);
	return fd;
}

static void check_bytes(int fd, const struct image *img)
{
	unsigned char *back = xcalloc(1, img->len + 1);

	assert_int_equal(pread(fd, back, img->len + 1, 0), img->len);
	assert_memory_equal(back, img->blob, img->len);
	free(back);
}

static void test_becomes_the_blob(void **state)
{
	struct fixture *f = *state;
	char id[DIGEST_STRING_SIZE];
	struct image img;
	int fd, blob;

	make_image(&img, false);
	fd = download(f, &img);
	ingest(f, &img, fd, id);
	store_partial_drop(f->store, img.digest);
	blob = published(f, id);
	assert_true(inode(blob) == inode(fd));
	check_bytes(blob, &img);
	assert_int_equal(fixture_count(f, "tmp"), 0);
	fd_close(&blob);
	fd_close(&fd);
	done_image(&img);
}

/* Its name is gone, as another pull of the blob has come to its end: then it is copied. */
static void test_without_a_name(void **state)
{
	struct fixture *f = *state;
	char id[DIGEST_STRING_SIZE];
	struct image img;
	int fd, blob;

	make_image(&img, false);
	fd = download(f, &img);
	store_partial_drop(f->store, img.digest);
	ingest(f, &img, fd, id);
	blob = published(f, id);
	assert_true(inode(blob) != inode(fd));
	check_bytes(blob, &img);
	fd_close(&blob);
	fd_close(&fd);
	done_image(&img);
}

/* A plain tar is no blob: nothing of the download stays. */
static void test_plain(void **state)
{
	struct fixture *f = *state;
	char id[DIGEST_STRING_SIZE];
	struct stat st;
	struct image img;
	int fd;

	make_image(&img, true);
	fd = download(f, &img);
	ingest(f, &img, fd, id);
	store_partial_drop(f->store, img.digest);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_size, img.len);
	assert_int_equal(fixture_count(f, "blobs/sha256"), 0);
	fd_close(&fd);
	done_image(&img);
}

/* The blob that another layer keeps, again: two names of one file, and no third stays. */
static void test_known_blob(void **state)
{
	struct fixture *f = *state;
	struct error err = {0};
	char id[DIGEST_STRING_SIZE], two[1024];
	struct image img, other;
	int fd, blob;

	make_image(&img, false);
	make_image(&other, false);
	fd = download(f, &img);
	ingest(f, &img, fd, id);
	store_partial_drop(f->store, img.digest);
	fd_close(&fd);
	(void)snprintf(
		two, sizeof(two),
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
		"\"diff_ids\":[\"%s\",\"%s\"]}}",
		other.diff_id, img.diff_id);
	{
		const char *const digests[] = {other.digest, img.digest};
		const struct store_ingest_args args = {
			.config = two, .config_len = strlen(two), .layers = digests, .n_layers = 2};
		autostore_ingest struct store_ingest *g = NULL;
		struct stream_reader in;

		fd = download(f, &other);
		in = stream_reader_fd(&fd);
		assert_ok(store_ingest_new(f->store, &args, &g, &err), &err);
		assert_int_equal(store_ingest_state(g, 1), STORE_INGEST_KNOWN);
		assert_ok(store_ingest_layer(g, 0, &in, fd, &err), &err);
		assert_ok(store_ingest_layer(g, 1, NULL, -EBADF, &err), &err);
		assert_ok(store_ingest_commit(g, NULL, id, &err), &err);
		store_partial_drop(f->store, other.digest);
		fd_close(&fd);
	}
	blob = openat(f->fd, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(blob, digest_hex(img.digest), O_RDONLY | O_CLOEXEC);
	check_bytes(fd, &img);
	{
		struct stat st;

		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_nlink, 1);
	}
	assert_int_equal(fixture_count(f, "tmp"), 0);
	fd_close(&fd);
	fd_close(&blob);
	done_image(&img);
	done_image(&other);
}

/* A start forgets what an image has by now, and keeps the rest. */
static void test_start(void **state)
{
	struct fixture *f = *state;
	char id[DIGEST_STRING_SIZE];
	struct image img, other;
	int fd, kept;

	make_image(&img, false);
	make_image(&other, false);
	fd = download(f, &img);
	kept = download(f, &other);
	ingest(f, &img, fd, id);
	fd_close(&fd);
	fd_close(&kept);
	fixture_close(f);
	fixture_open(f);
	assert_int_equal(fixture_count(f, "partial"), 1);
	assert_int_equal(open_partial(f, other.digest, (int64_t)other.len, &kept), other.len);
	assert_false(is_writable(kept));
	fd = published(f, id);
	check_bytes(fd, &img);
	fd_close(&fd);
	fd_close(&kept);
	done_image(&img);
	done_image(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_goes_on, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_too_long, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_becomes_the_blob, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_without_a_name, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_plain, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_known_blob, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_start, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
