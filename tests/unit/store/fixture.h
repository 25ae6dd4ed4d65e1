/* A private data root with a database and a store in it, and tars made in memory. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/file.h"
#include "base/str.h"
#include "store/db.h"
#include "store/store.h"
#include "store/tar_write.h"

struct fixture {
	char path[64];
	int fd;
	struct db *db;
	struct store *store;
};

static inline void fixture_open(struct fixture *f)
{
	struct error err = {0};

	if (db_open(f->fd, "vessel.db", &f->db, &err) < 0 ||
	    store_open(f->fd, f->db, &f->store, &err) < 0)
		fail_msg("%s", error_msg(&err));
}

static inline void fixture_close(struct fixture *f)
{
	f->store = store_free(f->store);
	f->db = db_free(f->db);
}

static inline int fixture_setup(void **state)
{
	struct fixture *f = xnew0(struct fixture);
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(f->path, sizeof(f->path), "%s/vessel-store-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(f->path));
	f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->fd >= 0);
	fixture_open(f);
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	fixture_close(f);
	fd_close(&f->fd);
	assert_int_equal(file_remove_tree(AT_FDCWD, f->path, NULL), 0);
	free(f);
	return 0;
}

/* Names in a folder below the root, NULL if it is not there. */
static inline size_t fixture_count(const struct fixture *f, const char *path)
{
	int fd = openat(f->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	(void)closedir(dir);
	return n - 2;
}

#define assert_ok(call, err)                                       \
	do {                                                       \
		if ((call) < 0)                                    \
			fail_msg("%s: %s", #call, error_msg(err)); \
	} while (0)

/* ---- tars in memory ---- */

#define TEST_TAR_MAX (64 << 20)

static inline int strbuf_writer_write(void *data, const void *p, size_t len, struct error *err)
{
	strbuf_add(data, p, len);
	return strbuf_error(data) < 0 ? error_set(err, ERROR_INVALID, E2BIG, "test tar") : 0;
}

static inline struct stream_writer strbuf_writer(struct strbuf *b)
{
	return (struct stream_writer){.write = strbuf_writer_write, .data = b};
}

static inline void tar_add(struct strbuf *b, const struct tar_entry *e, const void *content)
{
	struct stream_writer out = strbuf_writer(b);

	assert_int_equal(tar_write_header(&out, e, NULL), 0);
	if (e->type == TAR_FILE) {
		strbuf_add(b, content, (size_t)e->size);
		assert_int_equal(tar_write_pad(&out, e->size, NULL), 0);
	}
}

#define tar_add_entry(b, ...) tar_add((b), &(struct tar_entry){__VA_ARGS__}, NULL)

static inline void tar_add_file(struct strbuf *b, const char *path, const char *content)
{
	struct stream_writer out = strbuf_writer(b);

	assert_int_equal(tar_write_file(&out, path, content, strlen(content), NULL), 0);
}

static inline void tar_add_end(struct strbuf *b)
{
	struct stream_writer out = strbuf_writer(b);

	assert_int_equal(tar_write_end(&out, NULL), 0);
}

/* One gzip member, by another library than ours usually is. */
static inline void gzip_add(struct strbuf *out, const void *data, size_t len)
{
	size_t room = compressBound(len) + 64;
	z_stream z = {.next_in = (Bytef *)data, .avail_in = (uInt)len};

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_out = (Bytef *)strbuf_reserve(out, room);
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	strbuf_advance(out, room - z.avail_out);
	(void)deflateEnd(&z);
}
